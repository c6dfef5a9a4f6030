/*
 * workers/agent/openai.c - OpenAI Chat Completions and everything that imitates it.
 * Source: providers 1, dialects included.
 */
#include "openai.h"
#include "content.h"
#include "jscan.h"
#include "jw.h"
#include "provider.h"
#include "tools.h"

enum { QUICK_MAX = 4096 }; /* a longer piece of text may take longer */

/* ---- request ---- */

static void put_image(struct jw *w, const struct content_part *p)
{
    jw_obj(w);
    jw_kcstr(w, "type", "image_url");
    jw_key(w, "image_url");
    jw_obj(w);
    jw_key(w, "url");
    jw_raw(w, V("\"data:")); /* one string written in pieces: images are large */
    jw_escape(w->b, p->mime);
    buf_put_str(w->b, ";base64,");
    jw_escape(w->b, p->image);
    buf_put_char(w->b, '"');
    jw_obj_end(w);
    jw_obj_end(w);
}

static void put_document(struct jw *w, const struct content_part *p)
{
    jw_obj(w);
    jw_kcstr(w, "type", "file");
    jw_key(w, "file");
    jw_obj(w);
    jw_kstr(w, "filename", p->name.n ? p->name : V("document"));
    jw_key(w, "file_data");
    jw_raw(w, V("\"data:"));
    jw_escape(w->b, p->mime);
    buf_put_str(w->b, ";base64,");
    jw_escape(w->b, p->document);
    buf_put_char(w->b, '"');
    jw_obj_end(w);
    jw_obj_end(w);
}

static void put_mixed(struct jw *w, const json_t *content)
{
    struct content_part p;

    jw_arr(w);
    for (size_t i = 0; content_part(content, i, &p); i++) {
        if (p.image.n) {
            put_image(w, &p);
        } else if (p.document.n) {
            put_document(w, &p);
        } else if (p.text.n) {
            jw_obj(w);
            jw_kcstr(w, "type", "text");
            jw_kstr(w, "text", p.text);
            jw_obj_end(w);
        }
    }
    jw_arr_end(w);
}

static void put_message(struct jw *w, const char *role, struct view text)
{
    jw_obj(w);
    jw_kcstr(w, "role", role);
    jw_kstr(w, "content", text);
    jw_obj_end(w);
}

/* What a tool gave, also when it is nothing. */
static int put_result(struct jw *w, const json_t *messages, size_t i, const json_t *content,
                      struct err *e)
{
    struct view id = tools_answers(messages, i);
    struct buf text = BUF_INIT(BODY_MAX);
    int r;

    if (!id.n)
        return 0;
    content_text(content, &text);
    jw_obj(w);
    jw_kcstr(w, "role", "tool");
    jw_kstr(w, "tool_call_id", id);
    jw_kstr(w, "content", buf_view(&text));
    jw_obj_end(w);
    r = buf_check(&text, e);
    buf_fini(&text);
    return r;
}

static int put_calls(struct jw *w, const json_t *messages, size_t i, const json_t *content,
                     struct err *e)
{
    struct buf text = BUF_INIT(BODY_MAX);
    int r;

    content_text(content, &text);
    jw_obj(w);
    jw_kcstr(w, "role", "assistant");
    if (text.n) {
        jw_kstr(w, "content", buf_view(&text));
    } else {
        jw_key(w, "content");
        jw_null(w);
    }
    tools_put_calls_openai(messages, i, w);
    jw_obj_end(w);
    r = buf_check(&text, e);
    buf_fini(&text);
    return r;
}

/* Messages without anything to read are left out: several servers refuse them. Text goes as one
 * string, which is all that many of them take. */
static int put_turn(struct jw *w, const json_t *messages, size_t i, struct err *e)
{
    enum content_role role = CONTENT_USER;
    const json_t *content = NULL;
    struct buf text = BUF_INIT(BODY_MAX);
    int r = content_open(json_array_get(messages, i), &role, &content, e);

    if (r == 0 && role == CONTENT_RESULT)
        return put_result(w, messages, i, content, e);
    if (r == 0 && role == CONTENT_ASSISTANT && tools_called(messages, i))
        return put_calls(w, messages, i, content, e);
    if (r < 0 || !content_any(content))
        return r;
    if (role == CONTENT_USER && content_has_files(content)) {
        jw_obj(w);
        jw_kcstr(w, "role", content_role_name(role));
        jw_key(w, "content");
        put_mixed(w, content);
        jw_obj_end(w);
        return 0;
    }
    content_text(content, &text);
    if (text.n)
        put_message(w, content_role_name(role), buf_view(&text));
    r = buf_check(&text, e);
    buf_fini(&text);
    return r;
}

static void put_limits(struct jw *w, const struct model_request *q)
{
    const struct model_spec *m = q->model;
    struct view effort = json_view(q->job, "thinking");
    uint64_t most = provider_max_tokens(q);

    if (most) {
        struct view field = m->max_tokens_field;

        if (field.n == 0)
            field = m->native ? V("max_completion_tokens") : V("max_tokens");
        jw_key_view(w, field);
        jw_u64(w, most);
    }
    if (m->reasoning && effort.n && !view_eq(effort, V("off")))
        jw_kstr(w, "reasoning_effort", effort);
    provider_sampling(q, w);
    provider_number(q, "frequencyPenalty", "frequency_penalty", w);
    provider_number(q, "presencePenalty", "presence_penalty", w);
    provider_number(q, "seed", "seed", w);
    provider_stops(q, "stop", w);
    if (m->native)
        jw_kbool(w, "store", false);
}

static int openai_body(const struct model_request *q, struct buf *out, struct err *e)
{
    const json_t *messages = json_object_get(q->job, "messages");
    struct view system = json_view(q->job, "system");
    struct jw w = JW_INIT(out);
    int r;

    if (!json_is_array(messages))
        return err_set(e, ERR_INVALID, "job: messages is not a list");
    jw_obj(&w);
    jw_kstr(&w, "model", q->model->id);
    jw_kbool(&w, "stream", true);
    if (!q->model->no_stream_usage)
        jw_kraw(&w, "stream_options", V("{\"include_usage\":true}"));
    put_limits(&w, q);
    jw_key(&w, "messages");
    jw_arr(&w);
    if (system.n)
        put_message(&w, q->model->native && q->model->reasoning ? "developer" : "system", system);
    for (size_t i = 0; i < json_array_size(messages); i++)
        if ((r = put_turn(&w, messages, i, e)) < 0)
            return r;
    jw_arr_end(&w);
    if ((r = tools_openai(q->job, &w, e)) < 0)
        return r;
    jw_obj_end(&w);
    return buf_check(out, e) < 0 ? err_wrap(e, "request to the model") : 0;
}

static void openai_url(const struct model_spec *m, struct buf *out)
{
    provider_url(m, "/chat/completions", out);
}

/* ---- reply ---- */

static uint64_t tokens(const json_t *obj, const char *key)
{
    int64_t v = json_i64(obj, key, 0);

    return v > 0 ? (uint64_t)v : 0;
}

/* prompt_tokens includes what the cache gave, ours does not. */
static void on_usage(struct reply *r, const json_t *u)
{
    const json_t *details = json_object_get(u, "prompt_tokens_details");
    uint64_t all = tokens(u, "prompt_tokens"), cached = tokens(details, "cached_tokens");

    if (!json_is_object(u))
        return;
    r->usage.seen = true;
    r->usage.cache_read = cached < all ? cached : all;
    r->usage.input = all - r->usage.cache_read;
    r->usage.output = tokens(u, "completion_tokens");
    r->usage.cache_write = tokens(details, "cache_write_tokens");
}

static const struct {
    const char *name;
    enum reply_stop stop;
    enum fail_reason fail;
} finishes[] = {
    {"stop", STOP_END, FAIL_NONE},
    {"end", STOP_END, FAIL_NONE},
    {"eos", STOP_END, FAIL_NONE},
    {"length", STOP_LENGTH, FAIL_NONE},
    {"tool_calls", STOP_TOOLS, FAIL_NONE},
    {"function_call", STOP_TOOLS, FAIL_NONE},
    {"content_filter", STOP_NONE, FAIL_REFUSAL},
    {"error", STOP_NONE, FAIL_SERVER},
    {"abort", STOP_NONE, FAIL_TIMEOUT},
    {"network_error", STOP_NONE, FAIL_TIMEOUT},
};

static void on_finish(struct reply *r, struct view reason)
{
    for (size_t i = 0; i < sizeof(finishes) / sizeof(*finishes); i++) {
        if (!view_eq(reason, view_str(finishes[i].name)))
            continue;
        r->stop = finishes[i].stop;
        if (finishes[i].fail != FAIL_NONE)
            fail_set(&r->fail, finishes[i].fail, "the model stopped: %s", finishes[i].name);
        return;
    }
    r->stop = STOP_END; /* a name we do not know still ends the answer */
}

/* Key by index; a new id under an old index, or no index, is a new call. */
static void on_tool_call(struct reply *r, const json_t *piece)
{
    const json_t *fn = json_object_get(piece, "function");
    struct view id = json_view(piece, "id"), name = json_view(fn, "name");
    int64_t index = json_i64(piece, "index", -1);
    struct reply_tool *t;

    if (index >= 0 && index <= INT32_MAX)
        t = reply_tool_at(r, (uint32_t)index);
    else if (id.n == 0 && name.n == 0 && r->tools)
        t = &r->tool[r->tools - 1]; /* without either it can only go on */
    else
        t = reply_tool_new(r);
    if (t && id.n && t->id.n && !view_eq(id, buf_view(&t->id))) {
        t = reply_tool_new(r);
        if (t && index >= 0)
            t->index = (uint32_t)index;
    }
    if (!t)
        return;
    if (t->id.n == 0)
        buf_put_view(&t->id, id);
    if (t->name.n == 0)
        buf_put_view(&t->name, name);
    if (t->id.failed || t->name.failed)
        fail_set(&r->fail, FAIL_TOO_LARGE, "a tool call's id or name is over %d bytes",
                 REPLY_ID_MAX);
    reply_tool_args(r, t, json_view(fn, "arguments"));
}

static void on_reasoning(struct reply *r, const json_t *delta)
{
    static const char *const keys[] = {"reasoning_content", "reasoning", "reasoning_text"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        struct view v = json_view(delta, keys[i]);

        r->reasoning_bytes += v.n;
        if (v.n)
            return; /* some send the same text under two names */
    }
}

static void on_delta(struct reply *r, const json_t *delta)
{
    const json_t *content = json_object_get(delta, "content"), *part;
    struct view refusal = json_view(delta, "refusal");
    size_t i;

    if (json_is_string(content))
        reply_text(r, json_view_of(content));
    json_array_foreach(content, i, part)
    {
        if (view_eq(json_view(part, "type"), V("text")))
            reply_text(r, json_view(part, "text"));
    }
    if (refusal.n) {
        r->refused = true;
        reply_text(r, refusal);
    }
    on_reasoning(r, delta);
    json_array_foreach(json_object_get(delta, "tool_calls"), i, part)
    {
        if (r->fail.reason == FAIL_NONE)
            on_tool_call(r, part);
    }
}

/* Only the first choice is ours: we never ask for more. */
static void on_choice(struct reply *r, const json_t *choice)
{
    struct view finish = json_view(choice, "finish_reason");

    if (json_i64(choice, "index", 0) != 0)
        return;
    on_delta(r, json_object_get(choice, "delta"));
    on_usage(r, json_object_get(choice, "usage")); /* Moonshot's place */
    if (finish.n && r->fail.reason == FAIL_NONE)
        on_finish(r, finish);
}

static void on_chunk(struct reply *r, const json_t *chunk)
{
    const json_t *error = json_object_get(chunk, "error"), *choice;
    size_t i;

    if (!json_is_object(chunk)) {
        fail_set(&r->fail, FAIL_PROTOCOL, "the model server sent an event that is no object");
        return;
    }
    if (error && !json_is_null(error)) {
        fail_from_json(&r->fail, 0, error);
        return;
    }
    json_array_foreach(json_object_get(chunk, "choices"), i, choice)
    {
        if (r->fail.reason == FAIL_NONE)
            on_choice(r, choice);
    }
    on_usage(r, json_object_get(chunk, "usage"));
}

void openai_document(struct reply *r, struct view data)
{
    json_t *doc = provider_json(r, data);

    if (!doc)
        return;
    on_chunk(r, doc);
    json_decref(doc);
}

/* ---- the common chunk ---- */

/* Nine chunks of ten say nothing but one more piece of text. They are read without making a
 * document, which takes a sixth of the time; whatever is not exactly that goes the long way.
 * Both ways must mean the same: fuzz_openai compares them. */

/* The members of an object, none with an escape in its name. */
static bool members(struct view text, struct jscan *out)
{
    struct err ignored;

    if (jscan(text, out, &ignored) < 0 || out->type != JSCAN_OBJECT)
        return false;
    for (unsigned i = 0; i < out->count; i++)
        if (memchr(out->member[i].key.p, '\\', out->member[i].key.n))
            return false;
    return true;
}

static bool is_null(const struct jscan *s, struct view key)
{
    const struct jscan_member *m = jscan_get(s, key);

    return !m || m->type == JSCAN_NULL;
}

/* {"content": text} and perhaps the role; *out is the text. */
static bool quick_delta(struct view delta, char *room, size_t size, struct view *out)
{
    struct jscan d;
    const struct jscan_member *content;

    if (!members(delta, &d))
        return false;
    content = jscan_get(&d, V("content"));
    if (!content || content->type != JSCAN_STRING || content->value.n > size)
        return false;
    for (unsigned i = 0; i < d.count; i++)
        if (&d.member[i] != content && d.member[i].type != JSCAN_NULL &&
            !view_eq(d.member[i].key, V("role")))
            return false;
    *out = content->plain ? view_of(content->value.p + 1, content->value.n - 2)
                          : view_of(room, jscan_unescape(content->value, room));
    return true;
}

static bool quick(struct view data, char *room, size_t size, struct view *out)
{
    struct jscan top, choice;
    const struct jscan_member *choices, *index, *delta;

    if (!members(data, &top) || !is_null(&top, V("error")) || !is_null(&top, V("usage")))
        return false;
    choices = jscan_get(&top, V("choices"));
    if (!choices || choices->type != JSCAN_ARRAY)
        return false;
    /* one object alone between the brackets, or this fails */
    if (!members(view_of(choices->value.p + 1, choices->value.n - 2), &choice))
        return false;
    index = jscan_get(&choice, V("index"));
    delta = jscan_get(&choice, V("delta"));
    return (!index || view_eq(index->value, V("0"))) && is_null(&choice, V("finish_reason")) &&
           is_null(&choice, V("usage")) && delta && delta->type == JSCAN_OBJECT &&
           quick_delta(delta->value, room, size, out);
}

static void openai_event(struct reply *r, struct view name, struct view data)
{
    char room[QUICK_MAX];
    struct view text;

    (void)name;
    data = view_trim(data);
    if (view_eq(data, V("[DONE]"))) {
        if (r->tools && r->stop != STOP_LENGTH)
            r->stop = STOP_TOOLS; /* some say "stop" all the same */
        r->done = true;
        return;
    }
    if (quick(data, room, sizeof(room), &text)) {
        reply_text(r, text);
        return;
    }
    openai_document(r, data);
}

const struct provider_ops openai_ops = {
    .api = "openai-completions",
    .url = openai_url,
    .auth_name = "Authorization",
    .auth_prefix = "Bearer ",
    .framing = FRAMING_SSE,
    .body = openai_body,
    .event = openai_event,
};
