/* workers/hub/api_responses.c - POST /v1/responses (protocol, 10.2). */
#include "api.h"

/* ---- parts of answers ---- */

static void put_id(struct jw *w, const char *key, const char *prefix, const struct api_turn *t)
{
    jw_key(w, key);
    jw_str_open(w);
    buf_printf(w->b, "%s%s", prefix, t->id);
    jw_str_close(w);
}

static void put_text_part(struct jw *w, struct view text)
{
    jw_obj(w);
    jw_kcstr(w, "type", "output_text");
    jw_kstr(w, "text", text);
    jw_kraw(w, "annotations", V("[]"));
    jw_obj_end(w);
}

static void put_message(struct api_turn *t, struct jw *w, const char *status, bool text)
{
    jw_obj(w);
    jw_kcstr(w, "type", "message");
    put_id(w, "id", "msg_", t);
    jw_kcstr(w, "role", "assistant");
    jw_kcstr(w, "status", status);
    jw_key(w, "content");
    jw_arr(w);
    if (text)
        put_text_part(w, buf_view(&t->rest));
    jw_arr_end(w);
    jw_obj_end(w);
}

static void put_call(struct api_turn *t, struct jw *w, size_t i, const json_t *call, bool args)
{
    jw_obj(w);
    jw_kcstr(w, "type", "function_call");
    jw_key(w, "id");
    jw_str_open(w);
    buf_printf(w->b, "fc_%s_%zu", t->id, i);
    jw_str_close(w);
    jw_kstr(w, "call_id", json_view(call, "id"));
    jw_kstr(w, "name", json_view(call, "name"));
    jw_kstr(w, "arguments", args ? json_view(call, "arguments") : VIEW_EMPTY);
    jw_kcstr(w, "status", args ? "completed" : "in_progress");
    jw_obj_end(w);
}

/* The calls of an answer as a list, or NULL. */
static json_t *calls_of(const struct api_turn *t)
{
    struct err e = ERR_INIT;
    json_t *list = NULL;

    if (!t->calls || json_parse(view_str(t->calls), &list, &e) < 0)
        return NULL;
    return list;
}

static bool cut_short(const struct api_turn *t)
{
    return t->over && strcmp(t->stop, "length") == 0;
}

/* A message is there unless the answer is calls alone. */
static bool has_message(const struct api_turn *t)
{
    return t->rest.n || !t->calls;
}

static void put_output(struct api_turn *t, struct jw *w)
{
    json_t *list = calls_of(t);
    const json_t *call;
    size_t i;

    jw_arr(w);
    if (has_message(t))
        put_message(t, w, cut_short(t) ? "incomplete" : "completed", true);
    json_array_foreach(list, i, call) put_call(t, w, i, call, true);
    jw_arr_end(w);
    json_decref(list);
}

static void put_usage(struct api_turn *t, struct jw *w)
{
    struct api_usage u = api_usage(t);

    jw_obj(w);
    jw_ku64(w, "input_tokens", u.in);
    jw_key(w, "input_tokens_details");
    jw_obj(w);
    jw_ku64(w, "cached_tokens", u.cached);
    jw_obj_end(w);
    jw_ku64(w, "output_tokens", u.out);
    jw_kraw(w, "output_tokens_details", V("{\"reasoning_tokens\":0}"));
    jw_ku64(w, "total_tokens", u.in + u.out);
    jw_obj_end(w);
}

static void put_response(struct api_turn *t, struct jw *w, const char *status, const char *type,
                         struct view message)
{
    bool ended = strcmp(status, "completed") == 0 || strcmp(status, "incomplete") == 0;

    jw_obj(w);
    put_id(w, "id", "resp_", t);
    jw_kcstr(w, "object", "response");
    jw_ki64(w, "created_at", t->created);
    jw_kcstr(w, "status", status);
    jw_kcstr(w, "model", t->model);
    jw_key(w, "error");
    if (type) {
        jw_obj(w);
        jw_kcstr(w, "code", type);
        jw_kstr(w, "message", message);
        jw_obj_end(w);
    } else {
        jw_null(w);
    }
    jw_key(w, "incomplete_details");
    if (strcmp(status, "incomplete") == 0)
        jw_raw(w, V("{\"reason\":\"max_output_tokens\"}"));
    else
        jw_null(w);
    jw_key(w, "output");
    if (ended)
        put_output(t, w);
    else
        jw_raw(w, V("[]"));
    jw_kbool(w, "parallel_tool_calls", true);
    jw_kraw(w, "tools", V("[]"));
    jw_kraw(w, "metadata", V("{}"));
    jw_key(w, "usage");
    if (ended)
        put_usage(t, w);
    else
        jw_null(w);
    jw_obj_end(w);
}

/* ---- the stream ---- */

static void sse(struct api_turn *t, const char *type, struct jw *w)
{
    buf_put_str(w->b, "event: ");
    buf_put_str(w->b, type);
    buf_put_str(w->b, "\ndata: ");
    *w = (struct jw)JW_INIT(w->b);
    jw_obj(w);
    jw_kcstr(w, "type", type);
    jw_ku64(w, "sequence_number", t->seq++);
}

static void sse_end(struct jw *w)
{
    jw_obj_end(w);
    buf_put(w->b, "\n\n", 2);
}

static void sse_response(struct api_turn *t, const char *type, const char *status, struct jw *w)
{
    sse(t, type, w);
    jw_key(w, "response");
    put_response(t, w, status, NULL, VIEW_EMPTY);
    sse_end(w);
}

static void begin(struct api_turn *t, struct buf *out)
{
    struct jw w = JW_INIT(out);

    sse_response(t, "response.created", "in_progress", &w);
    sse_response(t, "response.in_progress", "in_progress", &w);
}

/* Where in the message: what each event of its text begins with. */
static void where(struct api_turn *t, struct jw *w)
{
    put_id(w, "item_id", "msg_", t);
    jw_ku64(w, "output_index", 0);
    jw_ku64(w, "content_index", 0);
}

static void open_message(struct api_turn *t, struct jw *w)
{
    sse(t, "response.output_item.added", w);
    jw_ku64(w, "output_index", 0);
    jw_key(w, "item");
    put_message(t, w, "in_progress", false);
    sse_end(w);
    sse(t, "response.content_part.added", w);
    where(t, w);
    jw_key(w, "part");
    put_text_part(w, VIEW_EMPTY);
    sse_end(w);
}

static void text(struct api_turn *t, struct view piece, struct buf *out)
{
    struct jw w = JW_INIT(out);

    if (t->sent == 0)
        open_message(t, &w);
    sse(t, "response.output_text.delta", &w);
    where(t, &w);
    jw_kstr(&w, "delta", piece);
    sse_end(&w);
}

static void close_message(struct api_turn *t, struct jw *w)
{
    sse(t, "response.output_text.done", w);
    where(t, w);
    jw_kstr(w, "text", buf_view(&t->rest));
    sse_end(w);
    sse(t, "response.content_part.done", w);
    where(t, w);
    jw_key(w, "part");
    put_text_part(w, buf_view(&t->rest));
    sse_end(w);
    sse(t, "response.output_item.done", w);
    jw_ku64(w, "output_index", 0);
    jw_key(w, "item");
    put_message(t, w, cut_short(t) ? "incomplete" : "completed", true);
    sse_end(w);
}

static void put_item(struct api_turn *t, const char *type, size_t at, size_t i, const json_t *call,
                     bool args, struct jw *w)
{
    sse(t, type, w);
    jw_ku64(w, "output_index", at);
    jw_key(w, "item");
    put_call(t, w, i, call, args);
    sse_end(w);
}

static void put_arguments(struct api_turn *t, const char *type, const char *key, size_t at,
                          size_t i, const json_t *call, struct jw *w)
{
    sse(t, type, w);
    jw_key(w, "item_id");
    jw_str_open(w);
    buf_printf(w->b, "fc_%s_%zu", t->id, i);
    jw_str_close(w);
    jw_ku64(w, "output_index", at);
    jw_kstr(w, key, json_view(call, "arguments"));
    sse_end(w);
}

static void end(struct api_turn *t, struct buf *out)
{
    struct jw w = JW_INIT(out);
    json_t *list = calls_of(t);
    const json_t *call;
    size_t i, first = has_message(t) ? 1 : 0;

    if (has_message(t)) {
        if (t->sent == 0)
            open_message(t, &w);
        close_message(t, &w);
    }
    json_array_foreach(list, i, call)
    {
        put_item(t, "response.output_item.added", first + i, i, call, false, &w);
        put_arguments(t, "response.function_call_arguments.delta", "delta", first + i, i, call, &w);
        put_arguments(t, "response.function_call_arguments.done", "arguments", first + i, i, call,
                      &w);
        put_item(t, "response.output_item.done", first + i, i, call, true, &w);
    }
    json_decref(list);
    if (cut_short(t))
        sse_response(t, "response.incomplete", "incomplete", &w);
    else
        sse_response(t, "response.completed", "completed", &w);
    buf_put_str(out, "data: [DONE]\n\n");
}

static void failed(struct api_turn *t, const char *type, struct view message, struct buf *out)
{
    struct jw w = JW_INIT(out);

    sse(t, "response.failed", &w);
    jw_key(&w, "response");
    put_response(t, &w, "failed", type, message);
    sse_end(&w);
    buf_put_str(out, "data: [DONE]\n\n");
}

static void whole(struct api_turn *t, struct buf *out)
{
    struct jw w = JW_INIT(out);

    put_response(t, &w, cut_short(t) ? "incomplete" : "completed", NULL, VIEW_EMPTY);
}

static const struct api_form responses_form = {
    .begin = begin, .text = text, .end = end, .failed = failed, .whole = whole};

/* ---- the request ---- */

/* A call of an earlier answer; calls next to each other are of one answer. */
static bool read_calls(struct api_ask *a, const json_t *list, size_t *i)
{
    json_t *calls = json_array();
    bool ok = calls != NULL;

    for (; ok && *i < json_array_size(list); (*i)++) {
        const json_t *item = json_array_get(list, *i);
        json_t *call;

        if (!view_eq(json_view(item, "type"), V("function_call")))
            break;
        call = json_pack("{s:O, s:O, s:O}", "id", json_object_get(item, "call_id"), "name",
                         json_object_get(item, "name"), "arguments",
                         json_object_get(item, "arguments"));
        ok = call && json_array_append_new(calls, call) == 0;
    }
    (*i)--;
    ok = ok ? api_message(a, "assistant", NULL, calls)
            : api_fault(a, "input: a function_call needs call_id, name and arguments.");
    json_decref(calls);
    return ok;
}

static bool read_item(struct api_ask *a, const json_t *list, size_t *i, bool *asked)
{
    const json_t *item = json_array_get(list, *i), *content = json_object_get(item, "content");
    struct view type = json_view(item, "type"), role = json_view(item, "role");

    if (view_eq(type, V("reasoning")) || view_eq(type, V("item_reference")))
        return true;
    if (view_eq(type, V("function_call")))
        return read_calls(a, list, i);
    if (view_eq(type, V("function_call_output"))) {
        *asked = true;
        return api_result(a, json_view(item, "call_id"), json_object_get(item, "output"));
    }
    if (type.n && !view_eq(type, V("message")))
        return api_fault(a, "input: items of type \"%.*s\" are not supported.",
                         (int)(type.n < 32 ? type.n : 32), type.p);
    if (view_eq(role, V("system")) || view_eq(role, V("developer")))
        return api_system(a, content);
    if (view_eq(role, V("user"))) {
        *asked = true;
        return api_message(a, "user", content, NULL);
    }
    if (view_eq(role, V("assistant")))
        return api_message(a, "assistant", content, NULL);
    return api_fault(a, "input: role \"%.*s\" is not supported.", (int)(role.n < 32 ? role.n : 32),
                     role.p);
}

static bool read_input(struct api_ask *a)
{
    const json_t *input = json_object_get(a->body, "input");
    const json_t *instructions = json_object_get(a->body, "instructions");
    bool asked = false;

    if (instructions && !json_is_null(instructions) &&
        (!json_is_string(instructions) || !api_system(a, instructions)))
        return a->why[0] ? false : api_fault(a, "instructions: a text is needed.");
    if (json_is_string(input)) {
        asked = true;
        if (!api_message(a, "user", input, NULL))
            return false;
    } else if (!json_is_array(input)) {
        return api_fault(a, "input: a text or a list of items is needed.");
    }
    for (size_t i = 0; i < json_array_size(input); i++)
        if (!read_item(a, input, &i, &asked))
            return false;
    if (!asked || (a->entries == 1 && a->last_is_user && !a->last.n && !a->image_count))
        return api_fault(a, "Missing user message in `input`.");
    return true;
}

static bool read_tools(struct api_ask *a)
{
    const json_t *list = json_object_get(a->body, "tools"), *tool;
    const json_t *choice = json_object_get(a->body, "tool_choice");
    size_t i;

    if (!api_tools_are_list(a, list))
        return false;
    json_array_foreach(list, i, tool)
    {
        if (!view_eq(json_view(tool, "type"), V("function")))
            return api_fault(a, "tools: only entries of type \"function\" are taken.");
        if (!api_tool(a, json_view(tool, "name"), json_view(tool, "description"),
                      json_object_get(tool, "parameters"), json_flag(tool, "strict", false)))
            return false;
    }
    return api_choice(a, choice, json_view(choice, "name"));
}

/* The session of an earlier response: its id is that of a run, which the store knows. */
static bool read_previous(struct api_ask *a, struct hub *h, char *key, size_t room)
{
    const json_t *previous = json_object_get(a->body, "previous_response_id");
    struct view id = json_view_of(previous);
    struct rec_run_put row;
    struct err e = ERR_INIT;

    if (!previous || json_is_null(previous))
        return true;
    if (!view_starts(id, V("resp_")) || id.n != 41 ||
        store_run_get(h->store, view_from(id, 5), &row, &e) < 0 || row.session_key.n >= room)
        return api_fault(a, "previous_response_id: there is no such response.");
    memcpy(key, row.session_key.p, row.session_key.n);
    a->session = view_of(key, row.session_key.n);
    return true;
}

bool api_responses_read(struct api_ask *a)
{
    const json_t *model = json_object_get(a->body, "model"),
                 *stream = json_object_get(a->body, "stream");

    if (model && !json_is_string(model))
        return api_fault(a, "model: a text is needed.");
    if (stream && !json_is_null(stream) && !json_is_boolean(stream))
        return api_fault(a, "stream: true or false is needed.");
    a->stream = json_is_true(stream);
    a->user = json_view(a->body, "user");
    return read_input(a) && read_tools(a) && api_limits(a, "max_output_tokens", NULL);
}

static void go(struct http_request *r, json_t *doc)
{
    char key[SESSION_KEY_MAX + 1];
    struct api_ask a;

    api_ask_init(&a, &responses_form, doc);
    if (api_responses_read(&a) && read_previous(&a, r->hub, key, sizeof(key)))
        api_take(r, &a);
    else
        api_refuse(r, &a);
    api_ask_fini(&a);
}

void http_responses(struct http_request *r, struct view body)
{
    json_t *doc;

    if (!api_on(r, "gateway.http.endpoints.responses.enabled") || !(doc = api_body(r, body)))
        return;
    api_with_images(r, doc, "gateway.http.endpoints.responses.images.allowUrl", go);
    json_decref(doc);
}
