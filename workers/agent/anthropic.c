/*
 * workers/agent/anthropic.c - Anthropic Messages.
 * Source: providers 3.
 */
#include "content.h"
#include "jw.h"
#include "provider.h"
#include "tools.h"

enum { MAX_TOKENS_DEFAULT = 8192 }; /* the field is required */

/* ---- request ---- */

static void put_blocks(struct jw *w, const json_t *content)
{
    struct content_part p;

    for (size_t i = 0; content_part(content, i, &p); i++) {
        if (p.image.n) {
            jw_obj(w);
            jw_kcstr(w, "type", "image");
            jw_key(w, "source");
            jw_obj(w);
            jw_kcstr(w, "type", "base64");
            jw_kstr(w, "media_type", p.mime);
            jw_kstr(w, "data", p.image);
            jw_obj_end(w);
            jw_obj_end(w);
        } else if (p.document.n) {
            jw_obj(w);
            jw_kcstr(w, "type", "document");
            jw_key(w, "source");
            jw_obj(w);
            jw_kcstr(w, "type", "base64");
            jw_kstr(w, "media_type", p.mime);
            jw_kstr(w, "data", p.document);
            jw_obj_end(w);
            if (p.name.n)
                jw_kstr(w, "title", p.name);
            jw_obj_end(w);
        } else if (p.text.n) { /* empty blocks are refused */
            jw_obj(w);
            jw_kcstr(w, "type", "text");
            jw_kstr(w, "text", p.text);
            jw_obj_end(w);
        }
    }
}

static int put_result(struct jw *w, struct view id, const json_t *content, struct err *e)
{
    struct buf text = BUF_INIT(BODY_MAX);
    int r;

    content_text(content, &text);
    jw_obj(w);
    jw_kcstr(w, "type", "tool_result");
    jw_kstr(w, "tool_use_id", id);
    jw_kstr(w, "content", buf_view(&text));
    jw_obj_end(w);
    r = buf_check(&text, e);
    buf_fini(&text);
    return r;
}

/* Roles must alternate and begin with the user's: neighbours of one role become one message, what
 * the assistant said before anybody asked is left out. */
static int put_messages(struct jw *w, const json_t *messages, struct err *e)
{
    enum content_role open = CONTENT_SYSTEM; /* none */
    const json_t *msg;
    size_t i;

    jw_arr(w);
    json_array_foreach(messages, i, msg)
    {
        enum content_role role = CONTENT_USER;
        const json_t *content = NULL;
        struct view answers = VIEW_EMPTY;
        bool calls = tools_called(messages, i);
        int r = content_open(msg, &role, &content, e);

        if (r < 0)
            return r;
        if (role == CONTENT_RESULT && !(answers = tools_answers(messages, i)).n)
            continue;
        if (role == CONTENT_SYSTEM || role == CONTENT_RESULT)
            role = CONTENT_USER; /* there are no such roles between messages */
        if ((!content_any(content) && !calls && !answers.n) ||
            (open == CONTENT_SYSTEM && role == CONTENT_ASSISTANT))
            continue;
        if (role != open) {
            if (open != CONTENT_SYSTEM) {
                jw_arr_end(w);
                jw_obj_end(w);
            }
            jw_obj(w);
            jw_kcstr(w, "role", content_role_name(role));
            jw_key(w, "content");
            jw_arr(w);
            open = role;
        }
        if (answers.n) {
            if ((r = put_result(w, answers, content, e)) < 0)
                return r;
            continue;
        }
        put_blocks(w, content);
        if (calls)
            tools_put_calls_anthropic(messages, i, w);
    }
    if (open != CONTENT_SYSTEM) {
        jw_arr_end(w);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    return 0;
}

static int anthropic_body(const struct model_request *q, struct buf *out, struct err *e)
{
    const json_t *messages = json_object_get(q->job, "messages");
    struct view system = json_view(q->job, "system");
    uint64_t most = provider_max_tokens(q);
    struct jw w = JW_INIT(out);
    int r;

    if (!json_is_array(messages))
        return err_set(e, ERR_INVALID, "job: messages is not a list");
    jw_obj(&w);
    jw_kstr(&w, "model", q->model->id);
    jw_ku64(&w, "max_tokens", most ? most : MAX_TOKENS_DEFAULT);
    jw_kbool(&w, "stream", true);
    provider_sampling(q, &w);
    provider_stops(q, "stop_sequences", &w);
    if ((r = tools_anthropic(q->job, &w, e)) < 0)
        return r;
    if (system.n)
        jw_kstr(&w, "system", system);
    jw_key(&w, "messages");
    if ((r = put_messages(&w, messages, e)) < 0)
        return r;
    jw_obj_end(&w);
    return buf_check(out, e) < 0 ? err_wrap(e, "request to the model") : 0;
}

/* The base is meant to have no /v1, but people copy it from others that do. */
static void anthropic_url(const struct model_spec *m, struct buf *out)
{
    struct model_spec bare = *m;

    while (view_ends(bare.base_url, V("/")))
        bare.base_url.n--;
    if (view_ends(bare.base_url, V("/v1")))
        bare.base_url.n -= 3;
    provider_url(&bare, "/v1/messages", out);
}

/* ---- reply ---- */

static void take_count(const json_t *usage, const char *key, uint64_t *out)
{
    int64_t v = json_i64(usage, key, -1);

    if (v >= 0)
        *out = (uint64_t)v;
}

/* input_tokens is without what the cache gave or took; later counts replace earlier ones. */
static void on_usage(struct reply *r, const json_t *u)
{
    if (!json_is_object(u))
        return;
    r->usage.seen = true;
    take_count(u, "input_tokens", &r->usage.input);
    take_count(u, "output_tokens", &r->usage.output);
    take_count(u, "cache_read_input_tokens", &r->usage.cache_read);
    take_count(u, "cache_creation_input_tokens", &r->usage.cache_write);
}

static void on_message_start(struct reply *r, const json_t *doc)
{
    on_usage(r, json_object_get(json_object_get(doc, "message"), "usage"));
}

static uint32_t index_of(const json_t *doc)
{
    int64_t i = json_i64(doc, "index", 0);

    return i >= 0 && i <= INT32_MAX ? (uint32_t)i : 0;
}

static void on_block_start(struct reply *r, const json_t *doc)
{
    const json_t *block = json_object_get(doc, "content_block");
    struct view type = json_view(block, "type");
    struct reply_tool *t;

    if (view_eq(type, V("text")))
        reply_text(r, json_view(block, "text"));
    if (!view_eq(type, V("tool_use")))
        return;
    t = reply_tool_new(r);
    if (!t)
        return;
    t->index = index_of(doc);
    buf_put_view(&t->id, json_view(block, "id"));
    buf_put_view(&t->name, json_view(block, "name"));
    if (t->id.failed || t->name.failed)
        fail_set(&r->fail, FAIL_TOO_LARGE, "a tool call's id or name is over %d bytes",
                 REPLY_ID_MAX);
}

static void on_block_delta(struct reply *r, const json_t *doc)
{
    const json_t *delta = json_object_get(doc, "delta");
    struct view type = json_view(delta, "type");

    if (view_eq(type, V("text_delta")))
        reply_text(r, json_view(delta, "text"));
    else if (view_eq(type, V("thinking_delta")))
        r->reasoning_bytes += json_view(delta, "thinking").n;
    else if (view_eq(type, V("input_json_delta"))) {
        struct reply_tool *t = reply_tool_at(r, index_of(doc));

        if (t)
            reply_tool_args(r, t, json_view(delta, "partial_json"));
    }
}

static const struct {
    const char *name;
    enum reply_stop stop;
    enum fail_reason fail;
} stops[] = {
    {"end_turn", STOP_END, FAIL_NONE},
    {"stop_sequence", STOP_END, FAIL_NONE},
    {"max_tokens", STOP_LENGTH, FAIL_NONE},
    {"tool_use", STOP_TOOLS, FAIL_NONE},
    {"pause_turn", STOP_END, FAIL_NONE},
    {"refusal", STOP_NONE, FAIL_REFUSAL},
    {"model_context_window_exceeded", STOP_NONE, FAIL_CONTEXT},
};

static void on_message_delta(struct reply *r, const json_t *doc)
{
    struct view reason = json_view(json_object_get(doc, "delta"), "stop_reason");

    on_usage(r, json_object_get(doc, "usage"));
    if (reason.n == 0)
        return;
    r->stop = STOP_END; /* a name we do not know still ends the answer */
    for (size_t i = 0; i < sizeof(stops) / sizeof(*stops); i++) {
        if (!view_eq(reason, view_str(stops[i].name)))
            continue;
        r->stop = stops[i].stop;
        if (stops[i].fail != FAIL_NONE)
            fail_set(&r->fail, stops[i].fail, "the model stopped: %s", stops[i].name);
    }
}

static void on_message_stop(struct reply *r, const json_t *doc)
{
    (void)doc;
    r->done = true;
}

static void on_error(struct reply *r, const json_t *doc)
{
    fail_from_json(&r->fail, 0, json_object_get(doc, "error"));
}

/* Everything else (ping, block stops, what comes in later versions) means nothing to us. */
static const struct {
    struct view type;
    void (*on)(struct reply *r, const json_t *doc);
} events[] = {
    {{"message_start", 13}, on_message_start},     {{"content_block_start", 19}, on_block_start},
    {{"content_block_delta", 19}, on_block_delta}, {{"message_delta", 13}, on_message_delta},
    {{"message_stop", 12}, on_message_stop},       {{"error", 5}, on_error},
};

static void anthropic_event(struct reply *r, struct view name, struct view data)
{
    json_t *doc = provider_json(r, data);
    struct view type;

    (void)name; /* the document says it too, and servers that leave the name out exist */
    if (!doc)
        return;
    type = json_view(doc, "type");
    if (!json_is_object(doc))
        fail_set(&r->fail, FAIL_PROTOCOL, "the model server sent an event that is no object");
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
        if (view_eq(type, events[i].type))
            events[i].on(r, doc);
    json_decref(doc);
}

static const char *const anthropic_lines[] = {"anthropic-version: 2023-06-01", NULL};

const struct provider_ops anthropic_ops = {
    .api = "anthropic-messages",
    .url = anthropic_url,
    .auth_name = "x-api-key",
    .auth_prefix = "",
    .lines = anthropic_lines,
    .framing = FRAMING_SSE,
    .image_bytes = 5 << 20,
    .documents = true,
    .body = anthropic_body,
    .event = anthropic_event,
};
