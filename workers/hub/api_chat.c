/* workers/hub/api_chat.c - POST /v1/chat/completions (protocol, 10.2). */
#include "api.h"

/* ---- answers ---- */

static void head(struct api_turn *t, const char *object, struct jw *w)
{
    jw_obj(w);
    jw_key(w, "id");
    jw_str_open(w);
    buf_printf(w->b, "chatcmpl_%s", t->id);
    jw_str_close(w);
    jw_kcstr(w, "object", object);
    jw_ki64(w, "created", t->created);
    jw_kcstr(w, "model", t->model);
}

static void put_usage(struct api_turn *t, struct jw *w)
{
    struct api_usage u = api_usage(t);

    jw_key(w, "usage");
    jw_obj(w);
    jw_ku64(w, "prompt_tokens", u.in);
    jw_ku64(w, "completion_tokens", u.out);
    jw_ku64(w, "total_tokens", u.in + u.out);
    if (u.cached) {
        jw_key(w, "prompt_tokens_details");
        jw_obj(w);
        jw_ku64(w, "cached_tokens", u.cached);
        jw_obj_end(w);
    }
    jw_obj_end(w);
}

static const char *finish(const struct api_turn *t)
{
    if (t->calls)
        return "tool_calls";
    return strcmp(t->stop, "length") == 0 ? "length" : "stop";
}

/* index: of streams, where a list is told in pieces. */
static void put_calls(struct api_turn *t, bool index, struct jw *w)
{
    json_t *list = NULL;
    const json_t *call;
    struct err e = ERR_INIT;
    size_t i;

    if (!t->calls || json_parse(view_str(t->calls), &list, &e) < 0)
        return;
    jw_key(w, "tool_calls");
    jw_arr(w);
    json_array_foreach(list, i, call)
    {
        jw_obj(w);
        if (index)
            jw_ku64(w, "index", i);
        jw_kstr(w, "id", json_view(call, "id"));
        jw_kcstr(w, "type", "function");
        jw_key(w, "function");
        jw_obj(w);
        jw_kstr(w, "name", json_view(call, "name"));
        jw_kstr(w, "arguments", json_view(call, "arguments"));
        jw_obj_end(w);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    json_decref(list);
}

static void chunk_open(struct api_turn *t, struct jw *w)
{
    buf_put_str(w->b, "data: ");
    head(t, "chat.completion.chunk", w);
    jw_key(w, "choices");
    jw_arr(w);
    jw_obj(w);
    jw_ku64(w, "index", 0);
    jw_key(w, "delta");
    jw_obj(w);
}

static void chunk_close(const char *reason, struct jw *w)
{
    jw_obj_end(w);
    jw_key(w, "finish_reason");
    if (reason)
        jw_cstr(w, reason);
    else
        jw_null(w);
    jw_obj_end(w);
    jw_arr_end(w);
    jw_obj_end(w);
    buf_put(w->b, "\n\n", 2);
}

static void chat_stream_begin(struct api_turn *t, struct buf *out)
{
    struct jw w = JW_INIT(out);

    chunk_open(t, &w);
    jw_kcstr(&w, "role", "assistant");
    chunk_close(NULL, &w);
}

static void chat_stream_text(struct api_turn *t, struct view piece, struct buf *out)
{
    struct jw w = JW_INIT(out);

    chunk_open(t, &w);
    jw_kstr(&w, "content", piece);
    chunk_close(NULL, &w);
}

static void chat_stream_end(struct api_turn *t, struct buf *out)
{
    struct jw w = JW_INIT(out);

    if (t->calls) {
        chunk_open(t, &w);
        put_calls(t, true, &w);
        chunk_close(NULL, &w);
        w = (struct jw)JW_INIT(out);
    }
    chunk_open(t, &w);
    chunk_close(finish(t), &w);
    if (t->usage) {
        w = (struct jw)JW_INIT(out);
        buf_put_str(out, "data: ");
        head(t, "chat.completion.chunk", &w);
        jw_kraw(&w, "choices", V("[]"));
        put_usage(t, &w);
        jw_obj_end(&w);
        buf_put(out, "\n\n", 2);
    }
    buf_put_str(out, "data: [DONE]\n\n");
}

static void chat_stream_failed(struct api_turn *t, const char *type, struct view message,
                               struct buf *out)
{
    struct jw w = JW_INIT(out);

    (void)t;
    buf_put_str(out, "data: ");
    jw_obj(&w);
    jw_key(&w, "error");
    jw_obj(&w);
    jw_kstr(&w, "message", message);
    jw_kcstr(&w, "type", type);
    jw_obj_end(&w);
    jw_obj_end(&w);
    buf_put_str(out, "\n\ndata: [DONE]\n\n");
}

static void chat_whole_answer(struct api_turn *t, struct buf *out)
{
    struct jw w = JW_INIT(out);

    head(t, "chat.completion", &w);
    jw_key(&w, "choices");
    jw_arr(&w);
    jw_obj(&w);
    jw_ku64(&w, "index", 0);
    jw_key(&w, "message");
    jw_obj(&w);
    jw_kcstr(&w, "role", "assistant");
    if (t->rest.n || !t->calls) {
        jw_kstr(&w, "content", buf_view(&t->rest));
    } else {
        jw_key(&w, "content");
        jw_null(&w);
    }
    put_calls(t, false, &w);
    jw_obj_end(&w);
    jw_kcstr(&w, "finish_reason", finish(t));
    jw_obj_end(&w);
    jw_arr_end(&w);
    put_usage(t, &w);
    jw_obj_end(&w);
}

static const struct api_form chat_form = {
    .begin = chat_stream_begin,
    .text = chat_stream_text,
    .end = chat_stream_end,
    .failed = chat_stream_failed,
    .whole = chat_whole_answer,
};

/* ---- the request ---- */

/* An old form of a call has no id: its name serves, as in its result. */
static bool old_call(struct api_ask *a, const json_t *m)
{
    const json_t *fn = json_object_get(m, "function_call");
    json_t *call = json_pack("[{s:s%, s:O}]", "id", json_view(fn, "name").p,
                             (size_t)json_view(fn, "name").n, "function", fn);
    bool ok = call && api_message(a, "assistant", json_object_get(m, "content"), call);

    json_decref(call);
    return ok || a->why[0] || api_fault(a, "function_call: it has no name.");
}

static bool read_message(struct api_ask *a, const json_t *m)
{
    struct view role = json_view(m, "role");
    const json_t *content = json_object_get(m, "content"),
                 *calls = json_object_get(m, "tool_calls");

    if (view_eq(role, V("system")) || view_eq(role, V("developer")))
        return api_system(a, content);
    if (view_eq(role, V("user")))
        return api_message(a, "user", content, NULL);
    if (view_eq(role, V("assistant")))
        return json_is_object(json_object_get(m, "function_call")) && !json_array_size(calls)
                   ? old_call(a, m)
                   : api_message(a, "assistant", content, calls);
    if (view_eq(role, V("tool")))
        return api_result(a, json_view(m, "tool_call_id"), content);
    if (view_eq(role, V("function")))
        return api_result(a, json_view(m, "name"), content);
    return api_fault(a, "messages: role \"%.*s\" is not supported.",
                     (int)(role.n < 32 ? role.n : 32), role.p);
}

static bool read_messages(struct api_ask *a)
{
    const json_t *list = json_object_get(a->body, "messages"), *m;
    bool asked = false;
    size_t i;

    if (list && !json_is_array(list))
        return api_fault(a, "messages: a list is needed.");
    json_array_foreach(list, i, m)
    {
        if (!json_is_object(m))
            return api_fault(a, "messages: an entry is no object.");
        if (!read_message(a, m))
            return false;
        asked |=
            view_eq(json_view(m, "role"), V("user")) || view_eq(json_view(m, "role"), V("tool"));
    }
    if (!asked || (a->entries == 1 && a->last_is_user && !a->last.n && !a->image_count))
        return api_fault(a, "Missing user message in `messages`.");
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
        const json_t *fn = json_object_get(tool, "function");

        if (!view_eq(json_view(tool, "type"), V("function")) || !json_is_object(fn))
            return api_fault(a, "tools: only entries of type \"function\" are taken.");
        if (!api_tool(a, json_view(fn, "name"), json_view(fn, "description"),
                      json_object_get(fn, "parameters"), json_flag(fn, "strict", false)))
            return false;
    }
    return api_choice(a, choice, json_view(json_object_get(choice, "function"), "name"));
}

static bool flag(struct api_ask *a, const json_t *in, const char *key, bool *out)
{
    const json_t *v = json_object_get(in, key);

    if (v && !json_is_null(v) && !json_is_boolean(v))
        return api_fault(a, "%s: true or false is needed.", key);
    *out = json_is_true(v);
    return true;
}

bool api_chat_read(struct api_ask *a)
{
    const json_t *model = json_object_get(a->body, "model"), *n = json_object_get(a->body, "n");

    if (model && !json_is_string(model))
        return api_fault(a, "model: a text is needed.");
    if (n && !json_is_null(n) && json_integer_value(n) != 1)
        return api_fault(a, "n: one answer is made; leave it out.");
    a->user = json_view(a->body, "user");
    return flag(a, a->body, "stream", &a->stream) &&
           flag(a, json_object_get(a->body, "stream_options"), "include_usage", &a->usage) &&
           read_messages(a) && read_tools(a) &&
           api_limits(a, "max_completion_tokens", "max_tokens");
}

static void go(struct http_request *r, json_t *doc)
{
    struct api_ask a;

    api_ask_init(&a, &chat_form, doc);
    if (api_chat_read(&a))
        api_take(r, &a);
    else
        api_refuse(r, &a);
    api_ask_fini(&a);
}

void http_chat_completions(struct http_request *r, struct view body)
{
    json_t *doc;

    if (!api_on(r, "gateway.http.endpoints.chatCompletions.enabled") || !(doc = api_body(r, body)))
        return;
    api_with_images(r, doc, "gateway.http.endpoints.chatCompletions.images.allowUrl", go);
    json_decref(doc);
}
