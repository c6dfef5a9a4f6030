#include "h2_ws.h"

#include "clock.h"
#include "ws_conn.h"
#include "ws_door.h"

static const struct conn_ops ws_ops;

/* -------------------------------------------------------------- sending */
static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap,
                       uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct h2_stream *s = source->ptr;
    struct conn_h2 *h = ctx;
    struct conn *c = s->ws;
    size_t n = 0;

    (void)session, (void)id;
    if (c) {
        n = c->out.n < cap ? c->out.n : cap;
        if (n)
            memcpy(to, c->out.p + c->out.off, n);
        buf_eat(&c->out, n);
        c->sent += n;
        conn_wake(c);
    }
    if (!c || c->out.n == 0) {
        s->last = !c || c->state >= CONN_LINGER;
        s->emptied = h->emptied = true;
        if (s->last)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        else if (n == 0)
            return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

void h2_ws_emptied(struct conn_h2 *h)
{
    if (!h->emptied)
        return;
    h->emptied = false;
    for (struct list *l = h->streams.next; l != &h->streams; l = l->next) {
        struct h2_stream *s = LIST_OF(l, struct h2_stream, link);

        if (s->emptied && s->ws && s->ws->out.n == 0)
            conn_drained(s->ws);
        s->emptied = false;
    }
}

void h2_ws_flush(struct conn *c)
{
    struct h2_stream *s = c->over;

    if (!s || !s->answered)
        return;
    (void)nghttp2_session_resume_data(s->h->s, s->id); /* fails when it is not waiting */
    h2_touch(s->h);
}

/* -------------------------------------------------------------- receiving */
void h2_ws_bytes(struct h2_stream *s, struct view bytes)
{
    /* they lie in the front's own scratch, where a message is unmasked */
    conn_bytes(s->ws, (char *)(uintptr_t)bytes.p, bytes.n);
}

void h2_ws_used(struct conn *c, size_t n)
{
    struct h2_stream *s = c->over;

    if (!s || !n)
        return;
    if (nghttp2_session_consume_stream(s->h->s, s->id, n) != 0)
        conn_kill(s->h->c);
    else
        h2_touch(s->h);
}

void h2_ws_ended(struct h2_stream *s)
{
    conn_ended(s->ws);
}

/* -------------------------------------------------------------- the end */
void h2_ws_gone(struct conn *c)
{
    struct h2_stream *s = TAKE(c->over);

    if (!s)
        return;
    s->ws = NULL;
    h2_stream_reset(s, s->last ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
}

void h2_ws_lost(struct h2_stream *s)
{
    struct conn *c = TAKE(s->ws);

    if (!c)
        return;
    c->over = NULL;
    conn_kill(c);
}

void h2_ws_known(struct conn *c)
{
    if (c->over)
        h2_known(c->over->h);
}

/* -------------------------------------------------------------- the beginning */
static void refuse(struct h2_stream *s, struct http_answer *a)
{
    struct conn *c = TAKE(s->ws);

    s->x.ops->answer(&s->x, a);
    if (c) {
        c->over = NULL;
        conn_kill(c);
    }
}

static void go(struct conn *c)
{
    static const char status[] = ":status", ok[] = "200", protocol[] = "sec-websocket-protocol";
    struct h2_stream *s = c->over;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = on_read};
    struct view chosen = buf_view(&s->subprotocol);
    nghttp2_nv nv[] = {
        {(uint8_t *)(uintptr_t)status, (uint8_t *)(uintptr_t)ok, 7, 3, NGHTTP2_NV_FLAG_NONE},
        {(uint8_t *)(uintptr_t)protocol, (uint8_t *)(uintptr_t)chosen.p, sizeof(protocol) - 1,
         chosen.n, NGHTTP2_NV_FLAG_NONE},
    };

    s->answered = true;
    if (nghttp2_submit_response(s->h->s, s->id, nv, chosen.n ? 2 : 1, &body) != 0 ||
        nghttp2_session_set_local_window_size(s->h->s, NGHTTP2_FLAG_NONE, s->id, H2_WS_WINDOW) !=
            0) {
        conn_kill(c);
        return;
    }
    buf_fini(&s->subprotocol);
    ws_conn_start(c);
    h2_touch(s->h);
}

/* What HTTP/2 finds wrong with it (RFC 8441, 4). */
static bool malformed(const struct h2_stream *s, const struct http_req *q, struct view protocol,
                      struct http_answer *a)
{
    const char *why = NULL;

    *a = (struct http_answer){.status = 400, .type = "text/plain; charset=utf-8"};
    if (!view_eq(protocol, V("websocket"))) {
        a->status = 501;
        why = "the only protocol here is websocket";
    } else if (s->ended) {
        why = "a WebSocket does not begin with its end";
    } else if (!view_eq(q->ws_version, V("13"))) {
        why = "WebSocket version 13 is needed";
        a->extra = "Sec-WebSocket-Version: 13\r\n";
    }
    a->body = view_str(why);
    return why != NULL;
}

void h2_ws_request(struct h2_stream *s, const struct http_req *q, struct view protocol)
{
    struct front *f = s->h->c->f;
    struct http_answer form, a;
    struct err e = ERR_INIT;
    bool bad = malformed(s, q, protocol, &form);

    if (f->conns.count >= f->lim.conns || conn_new_over(&s->ws, s->h->c, s, &ws_ops, &e) < 0) {
        ws_door_crowded(&a);
        refuse(s, &a);
        return;
    }
    if (!ws_door_open(s->ws, q, bad ? &form : NULL, &a)) {
        refuse(s, &a);
        return;
    }
    buf_put_view(&s->subprotocol, ws_door_protocol(q));
    switch (conn_take_place(s->ws)) {
    case PLACES_TAKEN:
        go(s->ws);
        break;
    case PLACES_WAIT:
        conn_due(s->ws, FRONT_PLACE_MS);
        break;
    case PLACES_FULL:
        ws_door_crowded(&a);
        refuse(s, &a);
        break;
    }
}

/* -------------------------------------------------------------- until it is a WebSocket */
static void on_feed(struct conn *c, char **p, size_t *n)
{
    (void)c, (void)p, (void)n; /* it waits */
}

static bool waits(const struct conn *c)
{
    (void)c;
    return true;
}

static bool asked(const struct conn *c)
{
    (void)c;
    return false;
}

static struct xchg *no_xchg(struct conn *c, uint64_t number)
{
    (void)c, (void)number;
    return NULL;
}

static void nothing(struct conn *c)
{
    (void)c;
}

static void on_admit(struct conn *c)
{
    if (c->state != CONN_HTTP || !c->over)
        return;
    go(c);
    conn_wake(c);
}

static void on_late(struct conn *c)
{
    struct http_answer a;

    if (!c->over) {
        conn_kill(c);
        return;
    }
    ws_door_crowded(&a);
    refuse(c->over, &a);
}

static const struct conn_ops ws_ops = {.feed = on_feed,
                                       .waits = waits,
                                       .asked = asked,
                                       .xchg = no_xchg,
                                       .gone = nothing,
                                       .taken = nothing,
                                       .unanswered = nothing,
                                       .admit = on_admit,
                                       .due = on_late,
                                       .bye = on_late};
