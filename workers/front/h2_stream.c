/* workers/front/h2_stream.c - an exchange on a stream of HTTP/2 (h2.h). */
#include "clock.h"
#include "h2_ws.h"

static struct h2_stream *of(struct xchg *x)
{
    return LIST_OF(x, struct h2_stream, x);
}

void h2_stream_reset(struct h2_stream *s, uint32_t code)
{
    s->last = true;
    s->answered = true;
    s->due_ms = 0;
    xchg_reset(&s->x);
    if (nghttp2_submit_rst_stream(s->h->s, NGHTTP2_FLAG_NONE, s->id, code) != 0)
        conn_kill(s->h->c);
    else
        h2_touch(s->h);
}

void h2_stream_wait(struct h2_stream *s, uint64_t ms)
{
    s->due_ms = loop_now_ms(s->h->c->f->w.loop) + ms;
    s->moved = false;
    h2_due(s->h, ms);
}

/* -------------------------------------------------------------- a body that is not wanted yet */
static void hold(struct h2_stream *s, struct view bytes)
{
    size_t *all = &s->h->c->f->body_bytes;

    if (*all + bytes.n > FRONT_BODIES_MAX)
        s->held.failed = true;
    buf_put_view(&s->held, bytes);
    if (!s->held.failed)
        *all += bytes.n;
}

static void let_go(struct h2_stream *s)
{
    s->h->c->f->body_bytes -= s->held.n;
    buf_fini(&s->held);
}

/* -------------------------------------------------------------- a body that is not wanted */
/* It is read for a while: there are clients that do not look at an answer before they have sent
 * all, and lose it when we end the stream (RFC 9113, 8.1) at once. */
static void spill(struct h2_stream *s, size_t n)
{
    s->spilt += n;
    if (s->spilt > H2_SPILL_MAX)
        return; /* the window stays shut */
    if (nghttp2_session_consume_stream(s->h->s, s->id, n) != 0)
        conn_kill(s->h->c);
}

void h2_stream_sent(struct h2_stream *s)
{
    s->sent = !s->ended && !s->ws;
    if (s->sent)
        h2_stream_wait(s, FRONT_LINGER_MS);
}

/* -------------------------------------------------------------- the answer */
/* What the next DATA frame holds. */
static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap,
                       uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct h2_stream *s = source->ptr;
    size_t n;

    (void)session, (void)id, (void)ctx;
    if (s->out.n == 0 && !s->last) { /* there is a window for it: more of a file, tell the hub */
        s->taking = true;
        xchg_taken(&s->x);
        s->taking = false;
    }
    n = s->out.n < cap ? s->out.n : cap;
    if (n) {
        memcpy(to, s->out.p + s->out.off, n);
        buf_eat(&s->out, n);
        s->moved = true;
    }
    if (s->out.n == 0) {
        buf_trim(&s->out, 0);
        if (s->last)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        else if (n == 0)
            return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

static bool of_connection(struct view name)
{
    return view_eq(name, V("connection")) || view_eq(name, V("transfer-encoding")) ||
           view_eq(name, V("keep-alive")) || view_eq(name, V("upgrade"));
}

/* "Name: value\r\n" lines, whose names become lower case where they stand. */
static size_t read_fields(struct buf *text, nghttp2_nv *nv, size_t max)
{
    char *p = text->p + text->off;
    size_t left = text->n, n = 0;

    while (left && n < max) {
        size_t end = view_find(view_of(p, left), '\r'), colon = view_find(view_of(p, end), ':');
        struct view value =
            view_trim(view_of(p + colon + (colon < end), end - colon - (colon < end)));

        for (size_t i = 0; i < colon; i++)
            if (p[i] >= 'A' && p[i] <= 'Z')
                p[i] = (char)(p[i] - 'A' + 'a');
        if (colon && colon < end && !of_connection(view_of(p, colon)))
            nv[n++] = (nghttp2_nv){(uint8_t *)p, (uint8_t *)(uintptr_t)value.p, colon, value.n,
                                   NGHTTP2_NV_FLAG_NONE};
        if (end + 2 >= left)
            break;
        p += end + 2;
        left -= end + 2;
    }
    return n;
}

static nghttp2_nv status_field(char text[4], unsigned status)
{
    static uint8_t name[] = ":status";

    text[0] = (char)('0' + status / 100 % 10);
    text[1] = (char)('0' + status / 10 % 10);
    text[2] = (char)('0' + status % 10);
    text[3] = 0;
    return (nghttp2_nv){name, (uint8_t *)text, 7, 3, NGHTTP2_NV_FLAG_NONE};
}

static void on_answer(struct xchg *x, struct http_answer *a)
{
    struct h2_stream *s = of(x);
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = on_read};
    struct buf text = BUF_INIT(HTTP_HEAD_MAX);
    nghttp2_nv nv[H2_FIELDS_MAX + 1];
    char status[4];
    bool has_body = !a->head && (a->parts || a->body.n);
    size_t n;

    s->answered = true;
    s->in_body = false;
    s->last = !a->parts;
    if (has_body)
        buf_put_view(&s->out, a->body);
    nv[0] = status_field(status, a->status);
    http_put_fields(&text, a, clock_wall_ms());
    n = 1 + read_fields(&text, nv + 1, H2_FIELDS_MAX);
    if (text.failed || s->out.failed ||
        nghttp2_submit_response(s->h->s, s->id, nv, n, has_body ? &body : NULL) != 0)
        h2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
    buf_fini(&text);
    if (a->status < 400 && x->route && x->route->auth == ROUTE_BEARER)
        h2_known(s->h);
    h2_stream_wait(s, FRONT_ANSWER_MS);
    s->h->c->f->body_bytes -= x->counted; /* it may have been refused in its middle */
    x->counted = 0;
    buf_fini(&x->content);
    spill(s, s->held.n);
    let_go(s);
    h2_touch(s->h);
}

static void on_part(struct xchg *x, struct view bytes, unsigned how)
{
    struct h2_stream *s = of(x);

    buf_put_view(&s->out, bytes);
    if (how == HTTP_PART_BROKEN || s->out.failed) {
        h2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    s->last = how == HTTP_PART_LAST;
    if (s->taking)
        return;
    (void)nghttp2_session_resume_data(s->h->s, s->id); /* fails when it is not waiting */
    h2_touch(s->h);
}

/* Nothing is handed over before there is a window for it: a stalled stream holds nothing. */
static size_t on_unsent(const struct xchg *x)
{
    const struct h2_stream *s = of((struct xchg *)(uintptr_t)x);

    return s->taking ? s->out.n : SIZE_MAX;
}

static void on_wait(struct xchg *x, uint64_t ms)
{
    h2_stream_wait(of(x), ms);
}

/* -------------------------------------------------------------- the body */
static void progress(struct h2_stream *s)
{
    uint64_t now = loop_now_ms(s->h->c->f->w.loop);
    uint64_t left = s->body_end_ms > now ? s->body_end_ms - now : 0;

    h2_stream_wait(s, left < FRONT_PROGRESS_MS ? left : FRONT_PROGRESS_MS);
}

static void take(struct h2_stream *s, struct view bytes)
{
    buf_put_view(&s->x.content, bytes);
    if (nghttp2_session_consume_stream(s->h->s, s->id, bytes.n) != 0) {
        conn_kill(s->h->c);
        return;
    }
    if (xchg_body_more(&s->x))
        progress(s);
}

static void body_done(struct h2_stream *s)
{
    s->in_body = false;
    xchg_body_done(&s->x);
}

static void on_go(struct xchg *x)
{
    struct h2_stream *s = of(x);
    static const char name[] = ":status", value[] = "100";
    nghttp2_nv hundred = {(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, 7, 3,
                          NGHTTP2_NV_FLAG_NONE};

    if (x->route->auth == ROUTE_BEARER)
        h2_known(s->h);
    s->in_body = true;
    s->body_end_ms = loop_now_ms(s->h->c->f->w.loop) + FRONT_BODY_MS;
    if (x->expect && !s->ended && !s->held.n &&
        nghttp2_submit_headers(s->h->s, NGHTTP2_FLAG_NONE, s->id, NULL, &hundred, 1, NULL) != 0) {
        h2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    if (!s->ended)
        (void)nghttp2_session_set_local_window_size(s->h->s, NGHTTP2_FLAG_NONE, s->id,
                                                    H2_BODY_WINDOW); /* else it stays small */
    take(s, buf_view(&s->held));
    let_go(s);
    if (s->in_body && s->ended)
        body_done(s);
    h2_touch(s->h);
}

void h2_stream_body(struct h2_stream *s, struct view bytes)
{
    if (s->ws)
        h2_ws_bytes(s, bytes);
    else if (s->in_body)
        take(s, bytes);
    else if (!s->answered)
        hold(s, bytes);
    else
        spill(s, bytes.n);
    if (s->held.failed)
        xchg_refuse(&s->x, 503, "Service Unavailable", NULL);
}

void h2_stream_ended(struct h2_stream *s)
{
    s->ended = true;
    if (s->ws)
        h2_ws_ended(s);
    else if (s->in_body)
        body_done(s);
}

/* -------------------------------------------------------------- life */
static const struct xchg_ops ops = {.answer = on_answer,
                                    .part = on_part,
                                    .go = on_go,
                                    .unsent = on_unsent,
                                    .wait = on_wait,
                                    .piece = H2_PIECE};

struct h2_stream *h2_stream_new(struct conn_h2 *h, int32_t id)
{
    struct err e = ERR_INIT;
    struct h2_stream *s = NULL;

    if (mem_new(&s, sizeof(*s), &e) < 0)
        return NULL;
    s->h = h;
    s->id = id;
    xchg_init(&s->x, h->c, &ops);
    buf_init(&s->out, H2_BODY_MAX);
    buf_init(&s->subprotocol, 128);
    buf_init(&s->held, 64 * KIB); /* a client may not know our window yet */
    list_add(&h->streams, &s->link);
    h->streams_n++;
    h->idle_end_ms = 0;
    return s;
}

void h2_stream_free(struct h2_stream *s)
{
    struct conn_h2 *h = s->h;

    h2_ws_lost(s);
    buf_fini(&s->subprotocol);
    xchg_reset(&s->x);
    buf_fini(&s->out);
    let_go(s);
    list_del(&s->link);
    mem_free(s);
    if (--h->streams_n == 0 && h->c->state == CONN_HTTP) {
        h->idle_end_ms = loop_now_ms(h->c->f->w.loop) + h->c->f->lim.http_ms;
        h2_due(h, h->c->f->lim.http_ms);
    }
}

void h2_stream_request(struct h2_stream *s, struct http_req *q)
{
    s->x.head = q->method == HTTP_HEAD;
    xchg_begin(&s->x, q);
}

void h2_stream_due(struct h2_stream *s)
{
    s->due_ms = 0;
    if (s->sent)
        h2_stream_reset(s, NGHTTP2_NO_ERROR);
    else if (!s->answered && s->x.state == XCHG_ASKED)
        xchg_unanswered(&s->x);
    else if (!s->answered && s->in_body)
        xchg_refuse(&s->x, 408, "Request Timeout", NULL);
    else if (s->answered && s->out.n && !s->moved)
        h2_stream_reset(s, NGHTTP2_CANCEL); /* it is not read */
    else
        h2_stream_wait(s, FRONT_ANSWER_MS); /* how long an answer takes is the hub's business */
}
