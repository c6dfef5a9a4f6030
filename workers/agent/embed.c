#include "embed.h"

#include "jw.h"
#include "mem.h"

#include <math.h>

enum { TEXTS_MAX = 4 << 20, VECTORS_MAX = 16 << 20 };

struct embed {
    struct embeds *all;
    struct embed *next, **prev;
    uint64_t req;
    struct http_call *call;
    struct models *models; /* a reference: what its header lines point into */
    struct model_route route;
    char ref[MODEL_REF_MAX + 1];
    json_t *texts; /* owned: array of strings */
    size_t asked, got;
    uint32_t wanted_dims, dims;
    uint64_t tokens;
    struct buf answer, vectors;
    struct failure why;
    bool over;             /* why says how, or none */
    struct loop_task turn; /* the next request, or the end */
};

struct embeds {
    struct loop *loop;
    struct http *http;
    struct embed *first;
    unsigned count;
    embed_done_fn *on_done;
    void *ctx;
};

/* ---- what a provider says ---- */

static int read_vector(const json_t *v, uint32_t *dims, struct buf *out, struct err *e)
{
    size_t n = json_array_size(v);

    if (n == 0 || n > EMBED_DIMENSIONS_MAX || (*dims && n != *dims))
        return err_set(e, ERR_INVALID, "a vector of %zu numbers", n);
    *dims = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(v, i);
        float f = json_is_number(x) ? (float)json_number_value(x) : NAN;

        if (!isfinite(f))
            return err_set(e, ERR_INVALID, "a vector with something else than a number");
        buf_put(out, &f, sizeof(f));
    }
    return buf_check(out, e);
}

int embed_read(struct view answer, unsigned texts, uint32_t *dims, uint64_t *tokens,
               struct buf *out, struct err *e)
{
    json_t *doc = NULL;
    const json_t *data, *usage;
    int64_t said;
    int r;

    if ((r = json_parse(answer, &doc, e)) < 0)
        return r;
    data = json_object_get(doc, "data");
    usage = json_object_get(doc, "usage");
    if (!json_is_array(data) || json_array_size(data) != texts)
        r = err_set(e, ERR_INVALID, "%zu vectors for %u texts", json_array_size(data), texts);
    /* each says which text it belongs to; servers that do not say it keep the order */
    for (unsigned i = 0; r == 0 && i < texts; i++) {
        const json_t *row = json_array_get(data, i);

        for (unsigned k = 0; k < texts && json_i64(row, "index", i) != i; k++)
            row = json_array_get(data, k);
        if (json_i64(row, "index", i) != i)
            r = err_set(e, ERR_INVALID, "no vector for text %u", i);
        else
            r = read_vector(json_object_get(row, "embedding"), dims, out, e);
    }
    said = json_i64(usage, "total_tokens", json_i64(usage, "prompt_tokens", 0));
    if (r == 0 && said > 0 && said < INT32_MAX)
        *tokens += (uint64_t)said;
    json_decref(doc);
    return r;
}

/* ---- one request's life ---- */

static void embed_free(struct embed *m)
{
    loop_undefer(m->all->loop, &m->turn);
    if (m->call)
        http_cancel(&m->call);
    if ((*m->prev = m->next))
        m->next->prev = m->prev;
    m->all->count--;
    json_decref(m->texts);
    buf_fini(&m->answer);
    buf_fini(&m->vectors);
    models_unref(&m->models);
    mem_free(m);
}

static void over(struct embed *m)
{
    m->over = true;
    loop_defer(m->all->loop, &m->turn, LOOP_COMMIT);
}

/* The status that OpenAI's clients know what to do with. */
static uint16_t status_of(enum fail_reason reason)
{
    switch (reason) {
    case FAIL_NONE:
        return 200;
    case FAIL_RATE_LIMIT:
        return 429;
    case FAIL_CONFIG:
    case FAIL_FORMAT:
    case FAIL_CONTEXT:
    case FAIL_MODEL_NOT_FOUND:
        return 400;
    case FAIL_OVERLOADED:
    case FAIL_MEMORY:
        return 503;
    case FAIL_TIMEOUT:
        return 504;
    case FAIL_SERVER:
    case FAIL_NETWORK:
    case FAIL_INTERRUPTED:
    case FAIL_PROTOCOL:
    case FAIL_TOO_LARGE:
    case FAIL_EMPTY:
    case FAIL_BILLING:
    case FAIL_AUTH:
    case FAIL_AUTH_PERMANENT:
    case FAIL_REFUSAL:
    case FAIL_UNKNOWN:
    case FAIL_REASON_COUNT:
        break;
    }
    return 502;
}

static void tell(struct embed *m)
{
    bool good = m->why.reason == FAIL_NONE;
    struct ipc_embed_done said = {
        .req = m->req,
        .status = status_of(m->why.reason),
        .error = view_str(m->why.text),
        .count = good ? (uint32_t)m->got : 0,
        .dims = good ? m->dims : 0,
        .tokens = m->tokens,
        .vectors = good ? buf_view(&m->vectors) : VIEW_EMPTY,
    };

    if (m->route.circuit && m->asked)
        circuit_saw(m->route.circuit, loop_now_ms(m->all->loop), fail_of_provider(&m->why));
    m->all->on_done(m->all->ctx, &said);
    embed_free(m);
}

static bool on_data(void *ctx, struct view piece)
{
    struct embed *m = ctx;

    buf_put_view(&m->answer, piece);
    if (!m->answer.failed)
        return true;
    fail_set(&m->why, FAIL_TOO_LARGE, "the model server's answer is over %d MiB",
             EMBED_ANSWER_MAX >> 20);
    over(m);
    return false;
}

static void on_end(void *ctx, const struct failure *why)
{
    struct embed *m = ctx;
    unsigned texts = (unsigned)(m->asked - m->got);
    struct err e = ERR_INIT;

    m->call = NULL;
    if (m->over)
        return;
    if (why) {
        m->why = *why;
        fail_redact(&m->why, m->route.key);
    } else if (embed_read(buf_view(&m->answer), texts, &m->dims, &m->tokens, &m->vectors, &e) < 0) {
        fail_set(&m->why, FAIL_PROTOCOL, "the model server's answer: %s", e.text);
    } else {
        m->got = m->asked;
    }
    m->over = m->why.reason != FAIL_NONE || m->got == json_array_size(m->texts);
    loop_defer(m->all->loop, &m->turn, LOOP_COMMIT);
}

static void put_body(const struct embed *m, size_t to, struct buf *out)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kstr(&w, "model", m->route.spec.id);
    jw_key(&w, "input");
    jw_arr(&w);
    for (size_t i = m->asked; i < to; i++)
        jw_str(&w, json_view_of(json_array_get(m->texts, i)));
    jw_arr_end(&w);
    jw_kcstr(&w, "encoding_format", "float");
    if (m->wanted_dims)
        jw_ku64(&w, "dimensions", m->wanted_dims);
    jw_obj_end(&w);
}

static void next_batch(struct embed *m)
{
    static const struct http_events on = {.on_data = on_data, .on_end = on_end};
    size_t left = json_array_size(m->texts) - m->asked;
    size_t to = m->asked + (left < EMBED_BATCH ? left : EMBED_BATCH);
    struct buf body = BUF_INIT(TEXTS_MAX), url = BUF_INIT(2 * BASE_URL_MAX);
    struct http_request q = {
        .body = &body,
        .lines = m->route.lines,
        .line_count = m->route.line_count,
        .accept = "application/json",
        .connect_ms = m->route.patience.connect_ms,
        .first_byte_ms = m->route.patience.first_byte_ms,
        .idle_ms = m->route.patience.idle_ms,
    };
    struct err e = ERR_INIT;

    buf_reset(&m->answer, EMBED_ANSWER_MAX);
    provider_url(&m->route.spec, "/embeddings", &url);
    buf_put_char(&url, 0);
    put_body(m, to, &body);
    q.url = buf_view(&url).p;
    if (buf_check(&url, &e) < 0 || buf_check(&body, &e) < 0 ||
        http_start(m->all->http, &q, &on, m, &m->call, &e) < 0) {
        fail_set(&m->why, e.code == ERR_NOMEM ? FAIL_MEMORY : FAIL_FORMAT, "%s", e.text);
        over(m);
    }
    m->asked = to;
    buf_fini(&body);
    buf_fini(&url);
}

static void on_turn(void *ctx)
{
    struct embed *m = ctx;

    if (m->over)
        tell(m);
    else
        next_batch(m);
}

/* ---- from the hub ---- */

/* Whether its provider can be asked; why is set when not. */
static bool route(struct embed *m)
{
    uint64_t now = loop_now_ms(m->all->loop), wait = 0;

    if (!models_route(m->models, view_str(m->ref), &m->route, &m->why))
        return false;
    if (m->route.ops != &openai_ops)
        fail_set(&m->why, FAIL_CONFIG, "%.*s has no embeddings that this gateway can ask for",
                 VIEW_FMT(m->route.spec.provider));
    else if (!m->all->http)
        fail_set(&m->why, FAIL_CONFIG, "this process was started without network models");
    else if (m->route.circuit && !circuit_may(m->route.circuit, now, &wait))
        fail_set(&m->why, FAIL_OVERLOADED,
                 "the model server failed too often and is left alone for %u s",
                 (unsigned)((wait + 999) / 1000));
    return m->why.reason == FAIL_NONE;
}

int embeds_ask(struct embeds *es, struct http *http, struct models *models,
               const struct ipc_embed *msg, struct err *e)
{
    struct embed *m = NULL;
    json_t *texts = NULL;
    int r;

    if (es->count >= EMBEDS_MAX)
        return err_set(e, ERR_LIMIT, "%u requests for embeddings", es->count);
    if ((r = json_parse(msg->texts, &texts, e)) < 0)
        return err_wrap(e, "embed: texts");
    if (json_array_size(texts) == 0) {
        json_decref(texts);
        return err_set(e, ERR_INVALID, "embed: no texts");
    }
    if ((r = mem_new(&m, sizeof(*m), e)) < 0) {
        json_decref(texts);
        return r;
    }
    es->http = http;
    *m = (struct embed){.all = es,
                        .req = msg->req,
                        .models = models_ref(models),
                        .texts = texts,
                        .wanted_dims = msg->dimensions,
                        .prev = &es->first,
                        .next = es->first,
                        .turn = {.run = on_turn, .ctx = m}};
    if (m->next)
        m->next->prev = &m->next;
    es->first = m;
    es->count++;
    memcpy(m->ref, msg->model.p, msg->model.n); /* its limit is MODEL_REF_MAX */
    buf_init(&m->answer, EMBED_ANSWER_MAX);
    buf_init(&m->vectors, VECTORS_MAX);
    m->over = !route(m);
    loop_defer(es->loop, &m->turn, LOOP_COMMIT);
    return 0;
}

void embeds_cancel(struct embeds *es, uint64_t req)
{
    for (struct embed *m = es->first, *next; m; m = next) {
        next = m->next;
        if (m->req == req)
            embed_free(m);
    }
}

void embeds_cancel_all(struct embeds *es)
{
    while (es && es->first)
        embed_free(es->first);
}

unsigned embeds_under_way(const struct embeds *es)
{
    return es ? es->count : 0;
}

int embeds_new(struct embeds **out, struct loop *l, embed_done_fn *on_done, void *ctx,
               struct err *e)
{
    int r = mem_new(out, sizeof(**out), e);

    if (r == 0)
        **out = (struct embeds){.loop = l, .on_done = on_done, .ctx = ctx};
    return r;
}

void embeds_free(struct embeds **es)
{
    embeds_cancel_all(*es);
    mem_free(TAKE(*es));
}
