#include "h2_mem.h"
#include "h2_ws.h"
#include "http_conn.h"
#include "log.h"

struct h2_ctx {
    nghttp2_session_callbacks *on;
    nghttp2_option *options;
    unsigned count;
    struct h2_reserve reserve;
};

static const struct conn_ops h2_ops;

/* -------------------------------------------------------------- life */
static int ctx_new(struct h2_ctx **out, struct err *e)
{
    struct h2_ctx *x = NULL;
    int r;

    if ((r = mem_new(&x, sizeof(*x), e)) < 0)
        return r;
    x->on = h2_recv_callbacks();
    if (!x->on || nghttp2_option_new(&x->options) != 0) {
        h2_ctx_free(&x);
        return err_set(e, ERR_NOMEM, "out of memory for HTTP/2");
    }
    nghttp2_option_set_no_auto_window_update(x->options, 1);
    nghttp2_option_set_no_closed_streams(x->options, 1);
    *out = x;
    return 0;
}

void h2_ctx_free(struct h2_ctx **xp)
{
    struct h2_ctx *x = TAKE(*xp);

    if (!x)
        return;
    nghttp2_session_callbacks_del(x->on);
    nghttp2_option_del(x->options);
    mem_free(x);
}

static int open_session(struct conn_h2 *h, struct h2_ctx *x, struct err *e)
{
    static const nghttp2_settings_entry ours[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STRANGER},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    nghttp2_mem mem = h2_mem(h);

    if (nghttp2_session_server_new3(&h->s, x->on, h, x->options, &mem) != 0 ||
        nghttp2_submit_settings(h->s, NGHTTP2_FLAG_NONE, ours, COUNT_OF(ours)) != 0 ||
        nghttp2_session_set_local_window_size(h->s, NGHTTP2_FLAG_NONE, 0, H2_CONN_WINDOW) != 0)
        return err_set(e, ERR_NOMEM, "out of memory for HTTP/2");
    return h->starved ? err_set(e, ERR_NOMEM, "out of memory for HTTP/2") : 0;
}

static int h2_new(struct conn *c, struct err *e)
{
    struct front *f = c->f;
    struct conn_h2 *h = NULL;
    int r;

    if (!f->h2 && (r = ctx_new(&f->h2, e)) < 0)
        return r;
    if ((r = mem_new(&h, sizeof(*h), e)) < 0)
        return r;
    f->h2->count++;
    h->c = c;
    h->reserve = &f->h2->reserve;
    list_init(&h->streams);
    buf_init(&h->head, HTTP_HEAD_MAX + HTTP_HEADERS_MAX * 8);
    h->head.secret = true; /* Authorization */
    h->payload = NGHTTP2_CLIENT_MAGIC_LEN;
    h->tokens = H2_NOISE_BURST;
    h->tokens_ms = h->seen_ms = loop_now_ms(f->w.loop);
    if ((r = open_session(h, f->h2, e)) < 0)
        h2_conn_free(&h);
    c->h2 = h;
    return r;
}

void h2_conn_free(struct conn_h2 **hp)
{
    struct conn_h2 *h = TAKE(*hp);

    if (!h)
        return;
    while (!list_empty(&h->streams))
        h2_stream_free(LIST_OF(h->streams.next, struct h2_stream, link));
    nghttp2_session_del(h->s);
    h->c->f->h2->count--;
    buf_fini(&h->head);
    mem_free(h);
}

/* A place for one more: somebody's who has shown nothing and asks nothing. */
static bool make_room(struct front *f)
{
    if (!f->h2 || f->h2->count < H2_CONNS_MAX)
        return true;
    for (struct list *l = f->fresh.next; l != &f->fresh; l = l->next) {
        struct conn *c = LIST_OF(l, struct conn, on_open);

        if (c->h2 && c->h2->streams_n == 0) {
            conn_kill(c);
            return true; /* its memory is back at the end of the turn */
        }
    }
    return false;
}

/* SETTINGS, empty, and GOAWAY: no stream, ENHANCE_YOUR_CALM. */
static const char no_room[] = "\0\0\0\4\0\0\0\0\0"
                              "\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\13";

bool h2_conn_begin(struct conn *c)
{
    struct err e = ERR_INIT;

    if (!make_room(c->f)) {
        buf_put(&c->out, no_room, sizeof(no_room) - 1);
        conn_finish(c);
        return false;
    }
    if (h2_new(c, &e) < 0) {
        if (front_may_log(c->f))
            log_warn("h2.refused", KV("conn", c->id), KV("why", e.text));
        conn_kill(c);
        return false;
    }
    c->ops = &h2_ops;
    c->h2->idle_end_ms = loop_now_ms(c->f->w.loop) + FRONT_HEAD_MS;
    conn_due(c, FRONT_HEAD_MS);
    conn_touch(c);
    return true;
}

/* -------------------------------------------------------------- the end */
void h2_terminate(struct conn_h2 *h, uint32_t code, const char *why)
{
    if (h->over)
        return;
    h->over = true;
    if (front_may_log(h->c->f))
        log_info("h2.ended", KV("conn", h->c->id), KV("code", code), KV("why", why));
    if (nghttp2_session_terminate_session(h->s, code) != 0)
        conn_kill(h->c);
    else
        conn_touch(h->c);
}

/* No new streams; what is under way goes on. */
static void leave(struct conn *c)
{
    struct conn_h2 *h = c->h2;

    if (h->leaving)
        return;
    h->leaving = true;
    if (nghttp2_submit_shutdown_notice(h->s) != 0 ||
        nghttp2_submit_ping(h->s, NGHTTP2_FLAG_NONE, (const uint8_t *)"goodbye") != 0) {
        conn_kill(c);
        return;
    }
    h2_due(h, H2_PING_MS);
    conn_touch(c);
}

/* It has seen that, or does not say: from here on what it opens was never seen. */
void h2_left(struct conn_h2 *h)
{
    if (h->left)
        return;
    h->left = true;
    if (nghttp2_submit_goaway(h->s, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->s), NGHTTP2_NO_ERROR, NULL,
                              0) != 0)
        conn_kill(h->c);
    else
        conn_touch(h->c);
}

void h2_known(struct conn_h2 *h)
{
    static const nghttp2_settings_entry more = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                                H2_STREAMS};
    struct conn *c = h->c;
    struct err e = ERR_INIT;

    if (h->known)
        return;
    h->known = true;
    list_del(&c->on_open); /* no longer one that ends for others */
    if (nghttp2_submit_settings(h->s, NGHTTP2_FLAG_NONE, &more, 1) != 0)
        conn_kill(c);
    else if (msg_send_conn_state(
                 c->f->w.sup, &(struct ipc_conn_state){.conn_id = c->id, .state = CONN_STATE_AUTH},
                 &e) < 0)
        log_warn("conn.untold", KV("conn", c->id), KV("why", e.text));
}

/* -------------------------------------------------------------- sending */
void h2_touch(struct conn_h2 *h)
{
    conn_touch(h->c);
}

void h2_conn_fill(struct conn *c)
{
    struct conn_h2 *h = c->h2;
    const uint8_t *p;
    ssize_t n = 0;

    while (c->out.n < H2_OUT && (n = nghttp2_session_mem_send(h->s, &p)) > 0)
        buf_put(&c->out, p, (size_t)n);
    if (n < 0 || c->out.failed || h->starved)
        conn_kill(c);
    else
        h2_ws_emptied(h);
}

/* All that could be sent has gone. */
static void on_taken(struct conn *c)
{
    struct conn_h2 *h = c->h2;

    if (h->over || (!nghttp2_session_want_read(h->s) && !nghttp2_session_want_write(h->s)))
        conn_finish(c);
}

/* -------------------------------------------------------------- deadlines */
void h2_due(struct conn_h2 *h, uint64_t in_ms)
{
    struct conn *c = h->c;

    if (!c->due.at_ms || loop_now_ms(c->f->w.loop) + in_ms < c->due.at_ms)
        conn_due(c, in_ms);
}

/* Nothing of what waits for the socket has gone for a whole answer's time. */
static bool stuck(struct conn_h2 *h, uint64_t now)
{
    struct conn *c = h->c;

    if (c->sent != h->seen || !conn_unsent(c)) {
        h->seen = c->sent;
        h->seen_ms = now;
    }
    return now - h->seen_ms >= FRONT_ANSWER_MS;
}

static void sooner(uint64_t *next, uint64_t at)
{
    if (at && at < *next)
        *next = at;
}

static void on_due(struct conn *c)
{
    struct conn_h2 *h = c->h2;
    uint64_t now = loop_now_ms(c->f->w.loop), next = now + FRONT_ANSWER_MS;

    if (stuck(h, now)) {
        conn_kill(c); /* it does not take its answers */
        return;
    }
    if (h->leaving)
        h2_left(h);
    if (h->head_end_ms && now >= h->head_end_ms)
        h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, "a header block takes too long");
    else if (h->idle_end_ms && now >= h->idle_end_ms)
        leave(c);
    for (struct list *l = h->streams.next; c->state == CONN_HTTP && l != &h->streams; l = l->next) {
        struct h2_stream *s = LIST_OF(l, struct h2_stream, link);

        if (s->due_ms && s->due_ms <= now)
            h2_stream_due(s);
        sooner(&next, s->due_ms);
    }
    if (c->state != CONN_HTTP)
        return;
    sooner(&next, h->head_end_ms);
    if (!h->leaving)
        sooner(&next, h->idle_end_ms);
    else if (!h->left)
        sooner(&next, now + H2_PING_MS);
    conn_due(c, next > now ? next - now : 1);
}

/* -------------------------------------------------------------- what the connection is asked */
static void on_bytes(struct conn *c, char **p, size_t *n)
{
    struct conn_h2 *h = c->h2;

    h2_recv(h, view_of(*p, *n));
    *p += *n;
    *n = 0;
    if (h->starved)
        conn_kill(c);
    conn_touch(c);
}

static bool waits(const struct conn *c)
{
    return nghttp2_session_get_outbound_queue_size(c->h2->s) >= H2_QUEUE;
}

static bool asked(const struct conn *c)
{
    (void)c;
    return true; /* it has nothing to say any more, not even that a window is open */
}

static struct xchg *xchg_of(struct conn *c, uint64_t number)
{
    struct conn_h2 *h = c->h2;

    for (struct list *l = h->streams.next; number && l != &h->streams; l = l->next) {
        struct h2_stream *s = LIST_OF(l, struct h2_stream, link);

        if (s->x.number == number)
            return &s->x;
    }
    return NULL;
}

static void on_gone(struct conn *c)
{
    struct conn_h2 *h = c->h2;

    for (struct list *l = h->streams.next; l != &h->streams; l = l->next) {
        struct h2_stream *s = LIST_OF(l, struct h2_stream, link);

        xchg_reset(&s->x);
        h2_ws_lost(s);
    }
}

static void on_unanswered(struct conn *c)
{
    struct conn_h2 *h = c->h2;

    for (struct list *l = h->streams.next; c->state == CONN_HTTP && l != &h->streams; l = l->next)
        xchg_unanswered(&LIST_OF(l, struct h2_stream, link)->x);
}

static void on_admit(struct conn *c)
{
    (void)c; /* no connection of this kind is a WebSocket */
}

static const struct conn_ops h2_ops = {.feed = on_bytes,
                                       .waits = waits,
                                       .asked = asked,
                                       .xchg = xchg_of,
                                       .gone = on_gone,
                                       .taken = on_taken,
                                       .unanswered = on_unanswered,
                                       .admit = on_admit,
                                       .due = on_due,
                                       .bye = leave};
