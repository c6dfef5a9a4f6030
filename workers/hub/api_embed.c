#include "api_embed.h"

#include "b64.h"
#include "log.h"
#include "settings.h"

#include <stdio.h>

struct embed {
    struct hub *hub;
    struct embed *next, **at;
    struct http_request *r;
    struct link *agent; /* to compare only */
    uint64_t id;
    struct loop_timer timer;
    char model[160]; /* as the client called it */
    unsigned count;
    bool base64;
};

struct embeds {
    struct embed *first;
    uint64_t last;
    unsigned turn; /* which agent is next */
};

/* ---- the request ---- */

static bool fault(struct api_embed_ask *a, const char *fmt, ...) PRINTF(2, 3);
static bool fault(struct api_embed_ask *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(a->why, sizeof(a->why), fmt, ap);
    va_end(ap);
    return false;
}

static size_t characters(struct view v)
{
    size_t n = 0;

    for (size_t i = 0; i < v.n; i++)
        n += ((unsigned char)v.p[i] & 0xc0) != 0x80;
    return n;
}

static bool put_text(struct api_embed_ask *a, struct jw *w, const json_t *v, size_t *all)
{
    struct view text = json_view_of(v);
    size_t n = characters(text);

    if (!json_is_string(v))
        return fault(a, "`input` must be a string or an array of strings.");
    if (n == 0)
        return fault(a, "`input` must contain at least one non-empty string.");
    if (n > API_EMBED_CHARS_MAX)
        return fault(a, "Input too long (max %d chars).", API_EMBED_CHARS_MAX);
    if ((*all += n) > API_EMBED_ALL_CHARS_MAX)
        return fault(a, "Total input too large (max %d chars).", API_EMBED_ALL_CHARS_MAX);
    jw_str(w, text);
    a->count++;
    return true;
}

static bool read_input(struct api_embed_ask *a, const json_t *input)
{
    struct jw w = JW_INIT(&a->texts);
    bool ok = true;
    size_t all = 0, i;
    const json_t *v;

    jw_arr(&w);
    if (json_array_size(input) > API_EMBED_TEXTS_MAX)
        return fault(a, "Too many inputs (max %d).", API_EMBED_TEXTS_MAX);
    if (!json_is_array(input))
        ok = put_text(a, &w, input, &all);
    json_array_foreach(input, i, v) ok = ok && put_text(a, &w, v, &all);
    if (ok && a->count == 0)
        return fault(a, "`input` must contain at least one non-empty string.");
    jw_arr_end(&w);
    return ok && (!a->texts.failed || fault(a, "`input` is too large."));
}

static bool is_agent_name(struct view v)
{
    return view_eq(v, V("openclaw")) || view_starts(v, V("openclaw/")) ||
           view_starts(v, V("openclaw:")) || view_starts(v, V("agent:"));
}

bool api_embed_read(struct api_embed_ask *a, const json_t *body)
{
    const json_t *format = json_object_get(body, "encoding_format");
    const json_t *dims = json_object_get(body, "dimensions");

    *a = (struct api_embed_ask){.model = view_trim(json_view(body, "model"))};
    buf_init(&a->texts, 2 * MIB);
    if (!a->model.n)
        return fault(a, "Missing `model`.");
    if (!is_agent_name(a->model))
        return fault(a, "Invalid `model`. Use `openclaw` or `openclaw/<agentId>`; the header "
                        "x-openclaw-model names the embedding model.");
    a->base64 = view_eq(json_view_of(format), V("base64"));
    if (format && !json_is_null(format) && !a->base64 && !view_eq(json_view_of(format), V("float")))
        return fault(a, "`encoding_format` must be \"float\" or \"base64\".");
    if (dims && !json_is_null(dims)) {
        json_int_t n = json_integer_value(dims);

        if (!json_is_integer(dims) || n < 1 || n > API_EMBED_DIMENSIONS_MAX)
            return fault(a, "`dimensions` must be an integer of 1 to %d.",
                         API_EMBED_DIMENSIONS_MAX);
        a->dimensions = (uint32_t)n;
    }
    return read_input(a, json_object_get(body, "input"));
}

void api_embed_fini(struct api_embed_ask *a)
{
    buf_fini(&a->texts);
}

/* ---- which model ---- */

/* The agent's own word, or everybody's. */
static const json_t *search_of(const struct settings *s, const struct agent_conf *ag,
                               const char *key)
{
    const json_t *row, *v;
    size_t i;

    json_array_foreach(json_at(s->doc, "agents.list"), i, row)
    {
        if (view_eq(json_view(row, "id"), view_str(ag->id)) &&
            (v = json_object_get(json_at(row, "memory.search"), key)))
            return v;
    }
    return json_object_get(json_at(s->doc, "memory.search"), key);
}

/* "provider/model" into ref. An agent uses one provider for vectors; a request may name another
 * model of it, never another provider: that would be another key. */
static bool pick_model(const struct http_request *r, const struct agent_conf *ag,
                       struct api_embed_ask *a, char ref[384])
{
    const struct settings *s = r->hub->settings;
    struct view provider = json_view_of(search_of(s, ag, "provider"));
    struct view model = view_trim(http_header(r, V("x-openclaw-model")));
    size_t slash;

    if (!provider.n || view_eq(provider, V("auto")))
        provider = V("openai");
    if (!model.n)
        model = json_view_of(search_of(s, ag, "model"));
    if (!model.n && view_eq(provider, V("openai")))
        model = V("text-embedding-3-small");
    /* provider/model, or a model of the provider, whose name may have a slash, too */
    if (view_starts(model, provider) && model.n > provider.n && model.p[provider.n] == '/')
        model = view_from(model, provider.n + 1);
    else if ((slash = view_find(model, '/')) < model.n &&
             json_object_getn(json_at(s->doc, "models.providers"), model.p, slash))
        return fault(a,
                     "This agent does not allow that embedding provider on `/v1/embeddings`: "
                     "memory.search.provider is \"%.*s\".",
                     (int)(provider.n < 40 ? provider.n : 40), provider.p);
    if (!model.n)
        return fault(a, "No embedding model: set memory.search.model, or send the header "
                        "x-openclaw-model.");
    if (provider.n + model.n + 2 > 384 || memchr(model.p, 0, model.n))
        return fault(a, "Unsupported embedding model reference.");
    (void)snprintf(ref, 384, "%.*s/%.*s", VIEW_FMT(provider), VIEW_FMT(model));
    return true;
}

/* ---- the answer ---- */

void api_embed_write(struct buf *out, struct view model, struct view vectors, uint32_t count,
                     uint32_t dims, uint64_t tokens, bool base64)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "object", "list");
    jw_key(&w, "data");
    jw_arr(&w);
    for (uint32_t i = 0; i < count; i++) {
        struct view v =
            view_of(vectors.p + (size_t)i * dims * sizeof(float), (size_t)dims * sizeof(float));

        jw_obj(&w);
        jw_kcstr(&w, "object", "embedding");
        jw_ku64(&w, "index", i);
        jw_key(&w, "embedding");
        if (base64) {
            jw_str_open(&w);
            b64_put(out, v);
            jw_str_close(&w);
        } else {
            jw_arr(&w);
            for (uint32_t k = 0; k < dims; k++) {
                char text[32];
                float f;

                memcpy(&f, v.p + k * sizeof(f), sizeof(f));
                (void)snprintf(text, sizeof(text), "%.9g", (double)f);
                jw_raw(&w, view_str(text));
            }
            jw_arr_end(&w);
        }
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    jw_kstr(&w, "model", model);
    jw_key(&w, "usage");
    jw_obj(&w);
    jw_ku64(&w, "prompt_tokens", tokens);
    jw_ku64(&w, "total_tokens", tokens);
    jw_obj_end(&w);
    jw_obj_end(&w);
}

static const char *type_of(unsigned status)
{
    return status == 429   ? "rate_limit_error"
           : status < 500  ? "invalid_request_error"
           : status == 503 ? "unavailable"
                           : "api_error";
}

/* ---- what is under way ---- */

static void embed_free(struct embed *m)
{
    loop_timer_fini(&m->timer);
    if ((*m->at = m->next))
        m->next->at = m->at;
    mem_free(m);
}

static struct http_request *let_go(struct embed *m)
{
    struct http_request *r = m->r;

    r->work = NULL;
    embed_free(m);
    return r;
}

static void cancel(const struct embed *m)
{
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < m->hub->w.peer_count; i++)
        if (m->hub->w.peers[i] == m->agent &&
            msg_send_embed_cancel(m->agent, &(struct ipc_embed_cancel){.req = m->id}, &e) < 0)
            log_warn("embed.not_cancelled", KV("why", e.text));
}

static void on_gone(struct http_request *r)
{
    struct embed *m = r->user;

    cancel(m);
    embed_free(m);
}

static void on_late(void *ctx)
{
    struct embed *m = ctx;

    cancel(m);
    http_reply_error(let_go(m), 504, "api_error", V("The embedding model did not answer in time."));
}

static void busy(struct http_request *r, const char *text)
{
    struct buf b = BUF_INIT(1 * KIB);

    buf_printf(&b, "{\"error\":{\"message\":\"%s\",\"type\":\"rate_limit_error\"}}", text);
    http_reply(r, &(struct http_reply){.status = 429,
                                       .type = "application/json; charset=utf-8",
                                       .fields = "Retry-After: 1\r\n",
                                       .body = buf_view(&b)});
    buf_fini(&b);
}

/* One after the other, those with room. NULL: none is there; *full: they are, but have none. */
static struct link *agent_with_room(struct hub *h, bool *full)
{
    struct embeds *all = h->embeds;

    *full = false;
    for (unsigned i = 0; i < h->w.peer_count; i++) {
        struct link *l = h->w.peers[++all->turn % h->w.peer_count];
        unsigned n = 0;

        if (link_peer(l) != ROLE_AGENT)
            continue;
        for (const struct embed *m = all->first; m; m = m->next)
            n += m->agent == l;
        if (n < API_EMBEDS_MAX)
            return l;
        *full = true;
    }
    return NULL;
}

static void ask(struct http_request *r, const struct api_embed_ask *a, const char *ref,
                uint32_t dims)
{
    static const struct http_work working = {.on_gone = on_gone};
    struct hub *h = r->hub;
    struct embed *m = NULL;
    struct err e = ERR_INIT;
    struct link *agent;
    bool full = false;

    if (!h->embeds && mem_new(&h->embeds, sizeof(*h->embeds), &e) < 0) {
        busy(r, "The gateway is out of memory. Try again later.");
        return;
    }
    agent = h->stopping ? NULL : agent_with_room(h, &full);
    if (!agent || !(m = mem_alloc(sizeof(*m))) ||
        msg_send_embed(agent,
                       &(struct ipc_embed){.req = h->embeds->last + 1,
                                           .model = view_str(ref),
                                           .dimensions = dims,
                                           .texts = buf_view(&a->texts)},
                       &e) < 0) {
        mem_free(m);
        if (full)
            busy(r, "Too many requests for embeddings at once. Try again later.");
        else
            http_reply_error(r, 503, "unavailable",
                             V("No agent process is there to ask. Try "
                               "again."));
        return;
    }
    *m = (struct embed){.hub = h,
                        .r = r,
                        .agent = agent,
                        .id = ++h->embeds->last,
                        .count = a->count,
                        .base64 = a->base64,
                        .at = &h->embeds->first,
                        .next = h->embeds->first};
    if (m->next)
        m->next->at = &m->next;
    h->embeds->first = m;
    (void)snprintf(m->model, sizeof(m->model), "%.*s",
                   (int)(a->model.n < sizeof(m->model) ? a->model.n : sizeof(m->model) - 1),
                   a->model.p);
    loop_timer_init(&m->timer, h->w.loop, on_late, m);
    loop_timer_set(&m->timer, API_EMBED_WAIT_MS);
    r->work = &working;
    r->user = m;
}

void http_embeddings(struct http_request *r, struct view body)
{
    struct api_embed_ask a;
    const struct agent_conf *ag;
    char ref[384];
    json_t *doc;

    if (!api_any_on(r) || !(doc = api_body(r, body)))
        return;
    if (!api_embed_read(&a, doc)) {
        http_reply_error(r, 400, "invalid_request_error", view_str(a.why));
    } else if (!(ag = api_agent(r, a.model))) {
        http_reply_error(r, 400, "invalid_request_error", V("There is no such agent."));
    } else if (!pick_model(r, ag, &a, ref)) {
        http_reply_error(r, 400, "invalid_request_error", view_str(a.why));
    } else {
        const json_t *own = search_of(r->hub->settings, ag, "outputDimensionality");

        ask(r, &a, ref, a.dimensions ? a.dimensions : (uint32_t)json_integer_value(own));
    }
    api_embed_fini(&a);
    json_decref(doc);
}

/* ---- from the agents ---- */

int api_embed_on_done(struct hub *h, struct link *from, const struct ipc_embed_done *d,
                      struct err *e)
{
    struct embed *m = h->embeds ? h->embeds->first : NULL;
    struct buf out = BUF_INIT(32 * MIB - KIB);

    while (m && (m->id != d->req || m->agent != from))
        m = m->next;
    if (d->status != 200 && (d->status < 400 || d->status > 599))
        return err_set(e, ERR_INVALID, "embed_done: status %u", d->status);
    if (d->count > API_EMBED_TEXTS_MAX || d->dims > API_EMBED_DIMENSIONS_MAX ||
        (size_t)d->count * d->dims * sizeof(float) != d->vectors.n)
        return err_set(e, ERR_INVALID, "embed_done: %zu bytes of vectors", d->vectors.n);
    if (!m)
        return 0; /* its client left */
    if (d->status == 200 && d->count != m->count)
        return err_set(e, ERR_INVALID, "embed_done: %u vectors for %u texts", d->count, m->count);
    if (d->status != 200) {
        log_info("embed.failed", KV("conn", m->r->conn_id), KV("status", d->status));
        http_reply_error(let_go(m), d->status, type_of(d->status), d->error);
        return 0;
    }
    api_embed_write(&out, view_str(m->model), d->vectors, d->count, d->dims, d->tokens, m->base64);
    if (out.failed)
        http_reply_error(let_go(m), 500, "api_error", V("The answer is too large."));
    else
        http_reply_json(let_go(m), 200, buf_view(&out));
    buf_fini(&out);
    return 0;
}

void api_embed_agent_gone(struct hub *h, const struct link *l)
{
    for (struct embed *m = h->embeds ? h->embeds->first : NULL, *next; m; m = next) {
        next = m->next;
        if (m->agent == l)
            http_reply_error(let_go(m), 503, "unavailable",
                             V("The agent process ended before it answered. Try again."));
    }
}

void api_embed_close(struct hub *h)
{
    while (h->embeds && h->embeds->first)
        (void)let_go(h->embeds->first);
    mem_free(TAKE(h->embeds));
}
