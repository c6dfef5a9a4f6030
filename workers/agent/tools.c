#include "tools.h"

#include "mem.h"
#include "reply.h"

bool tools_offered(const json_t *job)
{
    return json_array_size(json_object_get(job, "tools")) > 0;
}

/* ---- behind the document ---- */

void tools_seen_init(struct tools_seen *t)
{
    *t = (struct tools_seen){.list = NULL};
    buf_init(&t->text, TOOLS_TEXT_MAX);
}

void tools_seen_fini(struct tools_seen *t)
{
    buf_fini(&t->text);
    json_decref(TAKE(t->list));
}

int tools_take(struct view *text, struct tools_seen *seen, json_t **list, struct err *e)
{
    size_t at = view_find(*text, '\0');
    struct view own = view_from(*text, at < text->n ? at + 1 : at);
    json_t *fresh = NULL;
    int r;

    *list = NULL;
    text->n = at;
    if (!own.n)
        return 0;
    if (seen && seen->list && view_eq(own, buf_view(&seen->text))) {
        *list = json_incref(seen->list);
        return 0;
    }
    if ((r = json_parse(own, &fresh, e)) < 0)
        return r;
    if (seen) {
        buf_reset(&seen->text, seen->text.max);
        buf_put_view(&seen->text, own);
        json_decref(seen->list);
        seen->list = seen->text.failed ? NULL : json_incref(fresh);
    }
    *list = fresh;
    return 0;
}

/* ---- what is offered ---- */

static int put_json(struct jw *w, const char *key, const json_t *v, const char *fallback,
                    struct err *e)
{
    jw_key(w, key);
    w->after_key = false;
    if (json_is_string(v)) { /* of a tool of ours: its text */
        buf_put_view(w->b, json_view_of(v));
        return 0;
    }
    if (json_is_object(v))
        return json_dump(v, w->b, e);
    buf_put_str(w->b, fallback);
    return 0;
}

int tools_openai(const json_t *job, struct jw *w, struct err *e)
{
    const json_t *tool, *choice = json_object_get(job, "toolChoice");
    size_t i;
    int r;

    if (!tools_offered(job))
        return 0;
    jw_key(w, "tools");
    jw_arr(w);
    json_array_foreach(json_object_get(job, "tools"), i, tool)
    {
        jw_obj(w);
        jw_kcstr(w, "type", "function");
        jw_key(w, "function");
        jw_obj(w);
        jw_kstr(w, "name", json_view(tool, "name"));
        if (json_view(tool, "description").n)
            jw_kstr(w, "description", json_view(tool, "description"));
        if (json_object_get(tool, "parameters") &&
            (r = put_json(w, "parameters", json_object_get(tool, "parameters"), "{}", e)) < 0)
            return r;
        if (json_flag(tool, "strict", false))
            jw_kbool(w, "strict", true);
        jw_obj_end(w);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    if (json_is_string(choice)) {
        jw_kstr(w, "tool_choice", json_view_of(choice));
    } else if (json_is_object(choice)) {
        jw_key(w, "tool_choice");
        jw_obj(w);
        jw_kcstr(w, "type", "function");
        jw_key(w, "function");
        jw_obj(w);
        jw_kstr(w, "name", json_view(choice, "name"));
        jw_obj_end(w);
        jw_obj_end(w);
    }
    return 0;
}

int tools_anthropic(const json_t *job, struct jw *w, struct err *e)
{
    const json_t *tool, *choice = json_object_get(job, "toolChoice");
    struct view word = json_view_of(choice);
    size_t i;
    int r;

    if (!tools_offered(job) || view_eq(word, V("none")))
        return 0;
    jw_key(w, "tools");
    jw_arr(w);
    json_array_foreach(json_object_get(job, "tools"), i, tool)
    {
        jw_obj(w);
        jw_kstr(w, "name", json_view(tool, "name"));
        if (json_view(tool, "description").n)
            jw_kstr(w, "description", json_view(tool, "description"));
        if ((r = put_json(w, "input_schema", json_object_get(tool, "parameters"),
                          "{\"type\":\"object\"}", e)) < 0)
            return r;
        jw_obj_end(w);
    }
    jw_arr_end(w);
    if (!choice || json_is_null(choice))
        return 0;
    jw_key(w, "tool_choice");
    jw_obj(w);
    if (json_is_object(choice)) {
        jw_kcstr(w, "type", "tool");
        jw_kstr(w, "name", json_view(choice, "name"));
    } else {
        jw_kcstr(w, "type", view_eq(word, V("required")) ? "any" : "auto");
    }
    jw_obj_end(w);
    return 0;
}

/* ---- calls and results ---- */

static bool is_role(const json_t *msg, struct view role)
{
    return view_eq(json_view(msg, "role"), role);
}

static bool is_call(const json_t *part)
{
    return view_eq(json_view(part, "type"), V("toolCall")) && json_view(part, "id").n &&
           json_view(part, "name").n;
}

/* Whether a result for this call is among those right behind message i. */
static bool has_result(const json_t *messages, size_t i, struct view id)
{
    for (size_t k = i + 1; k <= i + TOOLS_CALLS_MAX; k++) {
        const json_t *m = json_array_get(messages, k);

        if (!is_role(m, V("toolResult")))
            return false;
        if (view_eq(json_view(m, "toolCallId"), id))
            return true;
    }
    return false;
}

/* The next call of message i from part *at on that has its result, or NULL. */
static const json_t *next_call(const json_t *messages, size_t i, size_t *at)
{
    const json_t *msg = json_array_get(messages, i), *content = json_object_get(msg, "content");

    if (!is_role(msg, V("assistant")))
        return NULL;
    while (*at < json_array_size(content)) {
        const json_t *part = json_array_get(content, (*at)++);

        if (is_call(part) && has_result(messages, i, json_view(part, "id")))
            return part;
    }
    return NULL;
}

bool tools_called(const json_t *messages, size_t i)
{
    size_t at = 0;

    return next_call(messages, i, &at) != NULL;
}

struct view tools_answers(const json_t *messages, size_t i)
{
    struct view id = json_view(json_array_get(messages, i), "toolCallId");

    for (size_t back = 1; id.n && back <= TOOLS_CALLS_MAX && back <= i; back++) {
        const json_t *m = json_array_get(messages, i - back), *call;
        size_t at = 0;

        if (is_role(m, V("toolResult"))) {
            if (view_eq(json_view(m, "toolCallId"), id))
                return VIEW_EMPTY; /* a second answer to one call */
            continue;
        }
        while ((call = next_call(messages, i - back, &at)))
            if (view_eq(json_view(call, "id"), id))
                return id;
        break;
    }
    return VIEW_EMPTY;
}

void tools_put_calls_openai(const json_t *messages, size_t i, struct jw *w)
{
    const json_t *call, *args;
    size_t at = 0;

    jw_key(w, "tool_calls");
    jw_arr(w);
    while ((call = next_call(messages, i, &at))) {
        struct buf text = BUF_INIT(REPLY_ARGS_MAX);
        struct err e = ERR_INIT;

        args = json_object_get(call, "arguments");
        if (json_is_object(args) && json_dump(args, &text, &e) < 0)
            buf_reset(&text, 0);
        jw_obj(w);
        jw_kstr(w, "id", json_view(call, "id"));
        jw_kcstr(w, "type", "function");
        jw_key(w, "function");
        jw_obj(w);
        jw_kstr(w, "name", json_view(call, "name"));
        jw_kstr(w, "arguments",
                json_is_string(args) ? json_view_of(args)
                : text.n             ? buf_view(&text)
                                     : V("{}"));
        jw_obj_end(w);
        jw_obj_end(w);
        buf_fini(&text);
    }
    jw_arr_end(w);
}

void tools_put_calls_anthropic(const json_t *messages, size_t i, struct jw *w)
{
    const json_t *call;
    size_t at = 0;

    while ((call = next_call(messages, i, &at))) {
        json_t *args = json_incref(json_object_get(call, "arguments")), *parsed = NULL;
        struct buf text = BUF_INIT(REPLY_ARGS_MAX);
        struct err e = ERR_INIT;

        if (json_is_string(args) && json_parse(json_view_of(args), &parsed, &e) == 0) {
            json_decref(args);
            args = parsed;
        }
        if (json_is_object(args) && json_dump(args, &text, &e) < 0)
            buf_reset(&text, 0);
        jw_obj(w);
        jw_kcstr(w, "type", "tool_use");
        jw_kstr(w, "id", json_view(call, "id"));
        jw_kstr(w, "name", json_view(call, "name"));
        jw_kraw(w, "input", text.n ? buf_view(&text) : V("{}"));
        jw_obj_end(w);
        buf_fini(&text);
        json_decref(args);
    }
}

/* ---- calls of an answer ---- */

void tools_reply_json(const struct reply *r, struct buf *out)
{
    struct jw w = JW_INIT(out);

    if (!r->tools)
        return;
    jw_arr(&w);
    for (unsigned i = 0; i < r->tools; i++) {
        const struct reply_tool *t = &r->tool[i];

        if (t->name.n == 0)
            continue;
        jw_obj(&w);
        if (t->id.n) {
            jw_kstr(&w, "id", buf_view(&t->id));
        } else { /* some servers number them only by place */
            jw_key(&w, "id");
            jw_str_open(&w);
            buf_printf(out, "call_%u", i);
            jw_str_close(&w);
        }
        jw_kstr(&w, "name", buf_view(&t->name));
        jw_kstr(&w, "arguments", t->args.n ? buf_view(&t->args) : V("{}"));
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
}
