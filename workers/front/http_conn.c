#include "http_conn.h"

#include "clock.h"
#include "h2.h"
#include "hub.h"
#include "log.h"
#include "ws_conn.h"
#include "ws_door.h"
#include "xchg.h"

struct conn_http {
    struct http_scan scan;
    struct http_body body;
    struct buf head;    /* of a request that did not arrive in one piece */
    struct buf upgrade; /* the 101 that waits for a place */
    struct xchg x;      /* the request under way */
    bool in_body, keep_alive, started;
    bool spoken;  /* it was HTTP/1.1 before: it stays that */
    bool waits;   /* for a place */
    bool chunked; /* the answer in parts is */
    bool minor;   /* HTTP/1.1: parts may be chunks */
    bool body_chunked;
    bool known;      /* somebody with a right bearer: it does not end to make room for others */
    bool unread;     /* a body was announced that has not come: the next byte is no request */
    uint64_t end_ms; /* of the time for this head or body */
    uint64_t sent;   /* bytes that had gone when the deadline was set */
};

/* -------------------------------------------------------------- answers */
static bool keeps(const struct conn *c)
{
    return c->http->keep_alive && !c->f->w.stopping;
}

/* The answer is complete: the next request, or the end. */
static void done(struct conn *c)
{
    struct conn_http *h = c->http;

    xchg_reset(&h->x);
    if (keeps(c)) {
        conn_due(c, c->f->lim.http_ms);
        conn_touch(c);
        conn_wake(c);
    } else {
        conn_touch(c);
        conn_finish(c);
    }
}

/* The hub has let a request of this connection in. */
static void known(struct conn *c)
{
    struct err e = ERR_INIT;

    if (c->http->known || !c->f->w.sup)
        return;
    c->http->known = true;
    list_del(&c->on_open);
    if (msg_send_conn_state(c->f->w.sup,
                            &(struct ipc_conn_state){.conn_id = c->id, .state = CONN_STATE_AUTH},
                            &e) < 0)
        log_warn("conn.untold", KV("conn", c->id), KV("why", e.text));
}

static bool let_in(const struct xchg *x, unsigned status)
{
    return x->route && x->route->auth == ROUTE_BEARER && x->route->owner == ROUTE_HUB &&
           status < 400;
}

static void on_answer(struct xchg *x, struct http_answer *a)
{
    struct conn *c = x->c;
    struct conn_http *h = c->http;

    h->in_body = false;
    if (let_in(x, a->status))
        known(c);
    if (a->close || h->unread)
        h->keep_alive = false;
    h->chunked = a->parts && a->length == HTTP_UNKNOWN && h->minor;
    if (a->parts && a->length == HTTP_UNKNOWN && !h->minor)
        h->keep_alive = false; /* its end is the connection's */
    a->close = !keeps(c);
    http_put_answer(&c->out, a, h->chunked, clock_wall_ms());
    if (!a->parts) {
        done(c);
        return;
    }
    h->sent = c->sent;
    conn_due(c, FRONT_ANSWER_MS);
    conn_touch(c);
}

static void on_part(struct xchg *x, struct view bytes, unsigned how)
{
    struct conn *c = x->c;
    struct conn_http *h = c->http;

    if (how == HTTP_PART_BROKEN) { /* without its end the client sees that it is not whole */
        h->keep_alive = false;
        done(c);
        return;
    }
    if (bytes.n && h->chunked)
        buf_printf(&c->out, "%zx\r\n", bytes.n);
    buf_put_view(&c->out, bytes);
    if (bytes.n && h->chunked)
        buf_put(&c->out, "\r\n", 2);
    if (how == HTTP_PART_LAST && h->chunked)
        buf_put_str(&c->out, "0\r\n\r\n");
    if (how == HTTP_PART_LAST)
        done(c);
    else
        conn_touch(c);
}

static void on_go(struct xchg *x)
{
    struct conn *c = x->c;
    struct conn_http *h = c->http;
    struct http_refusal why;
    struct http_req framing = {
        .has_body = true, .chunked = h->body_chunked, .length = h->body_chunked ? 0 : x->length};

    if (http_body_start(&h->body, &framing, x->content.max, &why) == HTTP_BAD) {
        xchg_refuse(x, why.status, why.why, NULL);
        return;
    }
    if (let_in(x, 200))
        known(c);
    h->in_body = true;
    h->end_ms = loop_now_ms(c->f->w.loop) + FRONT_BODY_MS;
    conn_due(c, FRONT_PROGRESS_MS);
    if (x->expect) {
        buf_put_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        conn_touch(c);
    }
    conn_wake(c);
}

static size_t on_unsent(const struct xchg *x)
{
    return conn_unsent(x->c);
}

static void on_wait(struct xchg *x, uint64_t ms)
{
    conn_due(x->c, ms);
}

static const struct xchg_ops http_ops = {.answer = on_answer,
                                         .part = on_part,
                                         .go = on_go,
                                         .unsent = on_unsent,
                                         .wait = on_wait,
                                         .piece = XCHG_PART};

static void refuse(struct conn *c, unsigned status, const char *text, const char *extra)
{
    xchg_refuse(&c->http->x, status, text, extra);
}

void http_conn_refuse(struct conn *c, unsigned status, const char *text)
{
    refuse(c, status, text, NULL);
}

/* -------------------------------------------------------------- life */
int http_conn_new(struct conn_http **out, struct conn *c, struct err *e)
{
    struct conn_http *h = NULL;
    int r;

    if ((r = mem_new(&h, sizeof(*h), e)) < 0)
        return r;
    buf_init(&h->head, HTTP_HEAD_MAX);
    h->head.secret = true; /* Authorization */
    xchg_init(&h->x, c, &http_ops);
    *out = h;
    return 0;
}

void http_conn_free(struct conn_http **hp)
{
    struct conn_http *h = *hp;

    if (!h)
        return;
    xchg_reset(&h->x);
    buf_fini(&h->head);
    buf_fini(&h->upgrade);
    mem_free(h);
    *hp = NULL;
}

/* -------------------------------------------------------------- upgrade */
static void go(struct conn *c)
{
    struct conn_http *h = c->http;

    buf_put_view(&c->out, buf_view(&h->upgrade));
    if (h->upgrade.failed)
        refuse(c, 503, "Service Unavailable", NULL);
    else
        ws_conn_start(c);
}

/* Everything is checked: upgrade when there is a place. */
static void enter(struct conn *c)
{
    struct http_answer a;

    switch (conn_take_place(c)) {
    case PLACES_TAKEN:
        go(c);
        break;
    case PLACES_WAIT:
        c->http->waits = true;
        conn_due(c, FRONT_PLACE_MS);
        break;
    case PLACES_FULL:
        ws_door_crowded(&a);
        on_answer(&c->http->x, &a);
        break;
    }
}

static void on_admit(struct conn *c)
{
    if (c->state != CONN_HTTP || !c->http->waits)
        return;
    c->http->waits = false;
    go(c);
    if (c->state != CONN_HTTP)
        http_conn_free(&c->http);
    conn_wake(c);
}

/* What HTTP/1.1 finds wrong with an upgrade (RFC 6455, 4.2.1); false: nothing. */
static bool malformed(const struct http_req *q, struct http_answer *a)
{
    const char *why = NULL;

    *a = (struct http_answer){.status = 400, .type = "text/plain; charset=utf-8", .close = true};
    if (q->method != HTTP_GET || q->minor != 1 || q->has_body) {
        why = "a WebSocket begins with GET, HTTP/1.1 and no body";
    } else if (!view_eq(q->ws_version, V("13"))) {
        why = "WebSocket version 13 is needed";
        a->extra = "Sec-WebSocket-Version: 13\r\n";
    } else if (!ws_key_valid(q->ws_key)) {
        why = "Sec-WebSocket-Key missing or malformed";
    }
    a->body = view_str(why);
    a->head = q->method == HTTP_HEAD;
    return why != NULL;
}

static void upgrade(struct conn *c, const struct http_req *q)
{
    char accept[WS_ACCEPT_LEN + 1];
    struct err e = ERR_INIT;
    struct http_answer form, a;

    c->http->keep_alive = false;
    if (!ws_door_open(c, q, malformed(q, &form) ? &form : NULL, &a)) {
        on_answer(&c->http->x, &a);
        return;
    }
    if (ws_accept(q->ws_key, accept, &e) < 0) {
        refuse(c, 503, "Service Unavailable", NULL);
        return;
    }
    buf_init(&c->http->upgrade, KIB);
    http_put_upgrade(&c->http->upgrade, view_of(accept, WS_ACCEPT_LEN), ws_door_protocol(q));
    enter(c);
}

static bool waits(const struct conn *c)
{
    const struct conn_http *h = c->http;

    return h && (h->waits || (h->x.state != XCHG_IDLE && h->x.state != XCHG_BODY));
}

static bool asked(const struct conn *c)
{
    return c->http && xchg_at_hub(&c->http->x);
}

static struct xchg *xchg_of(struct conn *c, uint64_t number)
{
    struct conn_http *h = c->http;

    return c->state == CONN_HTTP && h && number && h->x.number == number ? &h->x : NULL;
}

static void on_gone(struct conn *c)
{
    if (c->http)
        xchg_reset(&c->http->x);
}

static void on_taken(struct conn *c)
{
    if (c->state == CONN_HTTP && c->http)
        xchg_taken(&c->http->x);
}

static void on_unanswered(struct conn *c)
{
    if (c->state == CONN_HTTP)
        xchg_unanswered(&c->http->x);
}

/* -------------------------------------------------------------- requests */
static void on_request(struct conn *c, const struct http_req *q)
{
    struct conn_http *h = c->http;

    h->minor = q->minor == 1;
    h->body_chunked = q->chunked;
    h->keep_alive = q->keep_alive;
    h->unread = q->has_body;
    h->x.head = q->method == HTTP_HEAD;
    if (q->upgrade) {
        upgrade(c, q);
        return;
    }
    xchg_begin(&h->x, q);
}

static void feed_body(struct conn *c, char **p, size_t *n)
{
    struct conn_http *h = c->http;
    uint64_t now = loop_now_ms(c->f->w.loop);
    struct http_refusal why;
    size_t used = 0;
    enum http_result r = http_body_take(&h->body, view_of(*p, *n), &used, &h->x.content, &why);

    if (r == HTTP_BAD) {
        refuse(c, why.status, why.why, NULL);
        return;
    }
    *p += used;
    *n -= used;
    if (!xchg_body_more(&h->x))
        return;
    if (r == HTTP_MORE) {
        uint64_t left = h->end_ms > now ? h->end_ms - now : 0;

        conn_due(c, left < FRONT_PROGRESS_MS ? left : FRONT_PROGRESS_MS);
        return;
    }
    h->in_body = h->unread = false;
    xchg_body_done(&h->x);
}

/* How HTTP/2 begins (RFC 9113, 3.4), as far as it is the head of a request to HTTP/1.1. */
#define PREFACE "PRI * HTTP/2.0\r\n\r\n"

/* From here on; of the preface what was read. Over TLS that was agreed before the first byte. */
static void become_h2(struct conn *c, bool preface)
{
    char text[] = PREFACE, *p = text;
    size_t n = sizeof(text) - 1;

    if (!h2_conn_begin(c))
        return;
    http_conn_free(&c->http);
    if (preface)
        c->ops->feed(c, &p, &n);
}

static void feed_head(struct conn *c, char **p, size_t *n)
{
    struct conn_http *h = c->http;
    struct http_req *q = &c->f->req;
    struct http_refusal why;
    size_t used = 0;
    struct view in = view_of(*p, *n);
    enum http_result r;

    if (!h->started) { /* the time runs from the first byte and is not put off by others */
        h->started = true;
        conn_due(c, FRONT_HEAD_MS);
    }
    r = http_scan(&h->scan, in, &used, &why);
    if (r != HTTP_BAD && (r == HTTP_MORE || h->head.n)) {
        buf_put(&h->head, *p, used);
        if (h->head.failed) {
            why = (struct http_refusal){431, "head too large"};
            r = HTTP_BAD;
        }
    }
    if (r == HTTP_DONE && !h->spoken && !c->secure &&
        view_eq(h->head.n ? buf_view(&h->head) : view_of(*p, used), V(PREFACE))) {
        *p += used;
        *n -= used;
        become_h2(c, true);
        return;
    }
    if (r == HTTP_DONE)
        r = http_parse(h->head.n ? buf_view(&h->head) : view_of(*p, used), q, &why);
    if (r == HTTP_BAD) {
        h->keep_alive = false;
        refuse(c, why.status, why.why, NULL);
        return;
    }
    *p += used;
    *n -= used;
    if (r == HTTP_MORE)
        return;
    h->scan = (struct http_scan){0};
    h->started = false;
    h->spoken = true;
    on_request(c, q);
    if (c->state != CONN_HTTP)
        http_conn_free(&c->http);
    else
        buf_reset(&h->head, 0);
}

static void on_bytes(struct conn *c, char **p, size_t *n)
{
    if (!c->http->spoken && c->tls && tls_h2(c->tls))
        become_h2(c, false);
    else if (c->http->in_body)
        feed_body(c, p, n);
    else
        feed_head(c, p, n);
}

static void on_due(struct conn *c)
{
    struct conn_http *h = c->http;
    bool moved = h->sent != c->sent;
    struct http_answer a;

    h->sent = c->sent;
    if (conn_unsent(c) && !moved) {
        conn_kill(c); /* it does not take its answers */
    } else if (h->x.state == XCHG_GIVEN || h->x.state == XCHG_PARTS || conn_unsent(c)) {
        conn_due(c, FRONT_ANSWER_MS); /* how long an answer takes is the hub's business */
    } else if (h->x.state == XCHG_ASKED) {
        xchg_unanswered(&h->x);
    } else if (h->waits) {
        h->waits = false;
        ws_door_crowded(&a);
        on_answer(&h->x, &a);
    } else if (h->in_body || h->started) {
        h->keep_alive = false;
        refuse(c, 408, "Request Timeout", NULL);
    } else {
        conn_finish(c); /* silent: nothing to answer */
    }
}

const struct conn_ops http_conn_ops = {.feed = on_bytes,
                                       .waits = waits,
                                       .asked = asked,
                                       .xchg = xchg_of,
                                       .gone = on_gone,
                                       .taken = on_taken,
                                       .unanswered = on_unanswered,
                                       .admit = on_admit,
                                       .due = on_due,
                                       .bye = conn_finish};
