#include "chan_ws.h"

#include "chan_http.h"
#include "mem.h"
#include "num.h"
#include "ws.h"

#include <stdio.h>

enum {
    HEAD_MAX = 16 << 10, /* the answer's headers */
    HOST_BYTES = 256,
    PATH_BYTES = 4096,
    OUT_MAX = 1 << 20,
};

struct chan_ws {
    struct chan_stream *stream;
    struct chan_ws_on on;
    void *ctx;
    struct ws_dec dec;
    struct buf request, head;
    char key[WS_KEY_LEN + 1];
    char why[160];
    struct loop *loop;
    struct loop_timer ping, pong;
    uint32_t ping_ms, pong_ms;
    bool open, over;
    bool *gone; /* set when a callback closed us */
};

static void over(struct chan_ws *w, unsigned code, const char *why)
{
    if (w->over)
        return;
    w->over = true;
    loop_timer_clear(&w->ping);
    loop_timer_clear(&w->pong);
    (void)snprintf(w->why, sizeof(w->why), "%s", why);
    w->on.on_close(w->ctx, code, w->why); /* it closes us */
}

/* ---- out ---- */

static int put_frame(struct chan_ws *w, enum ws_op op, struct view payload, struct err *e)
{
    struct buf b = BUF_INIT(OUT_MAX + WS_HEAD_MAX);
    int r;

    ws_put(&b, op, payload, true);
    if ((r = buf_check(&b, e)) == 0)
        r = chan_stream_write(w->stream, buf_view(&b), e);
    buf_fini(&b);
    return r;
}

int chan_ws_send(struct chan_ws *w, struct view text, struct err *e)
{
    if (!w->open || w->over)
        return err_set(e, ERR_CLOSED, "the WebSocket is not open");
    return put_frame(w, WS_OP_TEXT, text, e);
}

static void on_pong_late(void *ctx)
{
    over(ctx, 0, "no pong came in time");
}

static void on_ping_time(void *ctx)
{
    struct chan_ws *w = ctx;
    struct err e = ERR_INIT;

    if (put_frame(w, WS_OP_PING, V("."), &e) < 0) {
        over(w, 0, e.text);
        return;
    }
    loop_timer_set(&w->pong, w->pong_ms);
    loop_timer_set(&w->ping, w->ping_ms);
}

/* ---- in ---- */

static void say_close(struct chan_ws *w, unsigned code)
{
    struct buf b = BUF_INIT(256);
    struct err e = ERR_INIT;

    ws_put_close(&b, (uint16_t)code, VIEW_EMPTY, true);
    if (!b.failed)
        (void)!chan_stream_write(w->stream, buf_view(&b), &e);
    buf_fini(&b);
}

/* false: over, or gone. */
static bool event(struct chan_ws *w, enum ws_event ev, const struct ws_out *o, bool *gone)
{
    struct err e = ERR_INIT;

    switch (ev) {
    case WS_MESSAGE:
        w->on.on_message(w->ctx, o->data);
        break;
    case WS_PING:
        if (put_frame(w, WS_OP_PONG, o->data, &e) < 0)
            over(w, 0, e.text);
        break;
    case WS_PONG:
        loop_timer_clear(&w->pong);
        if (w->on.on_pong)
            w->on.on_pong(w->ctx);
        break;
    case WS_CLOSE: {
        char why[WS_REASON_MAX + 1];

        (void)snprintf(why, sizeof(why), "%.*s", VIEW_FMT(o->data));
        say_close(w, o->code);
        over(w, o->code == WS_NO_CODE ? 0 : o->code, why);
        break;
    }
    case WS_BAD:
        say_close(w, o->code);
        over(w, 0, o->text ? o->text : "broken frames");
        break;
    case WS_MORE:
        return false;
    }
    return !*gone && !w->over;
}

static void frames(struct chan_ws *w, struct view bytes)
{
    char *p = (char *)(uintptr_t)bytes.p; /* the stream's buffer: unmasking never happens here */
    size_t n = bytes.n;
    bool gone = false;
    struct ws_out o;
    enum ws_event ev;

    w->gone = &gone;
    do {
        ev = ws_decode(&w->dec, &p, &n, &o);
    } while (event(w, ev, &o, &gone));
    if (!gone)
        w->gone = NULL;
}

static bool answer_ok(const struct chan_ws *w, struct view head, char why[96])
{
    char accept[WS_ACCEPT_LEN + 1];
    struct err e = ERR_INIT;

    (void)snprintf(why, 96, "the WebSocket was refused: %.*s",
                   (int)(view_find(head, '\r') < 60 ? view_find(head, '\r') : 60), head.p);
    if (!view_starts(head, V("HTTP/1.1 101 ")))
        return false;
    (void)snprintf(why, 96, "the answer to the WebSocket's handshake is not right");
    return view_ieq(chan_header(head, "upgrade"), V("websocket")) &&
           ws_accept(view_str(w->key), accept, &e) == 0 &&
           view_eq(chan_header(head, "sec-websocket-accept"), view_str(accept));
}

static void on_data(void *ctx, struct view piece)
{
    struct chan_ws *w = ctx;
    const char *end;
    struct view all;
    size_t n;
    char why[96];
    bool gone = false;

    if (w->over)
        return;
    if (w->open) {
        frames(w, piece);
        return;
    }
    buf_put_view(&w->head, piece);
    all = buf_view(&w->head);
    if (!(end = memmem(all.p, all.n, "\r\n\r\n", 4))) {
        if (w->head.failed || all.n >= HEAD_MAX)
            over(w, 0, "the answer to the WebSocket's handshake does not end");
        return;
    }
    n = (size_t)(end + 4 - all.p);
    if (!answer_ok(w, view_of(all.p, n), why)) {
        over(w, 0, why);
        return;
    }
    w->open = true;
    if (w->ping_ms)
        loop_timer_set(&w->ping, w->ping_ms);
    w->gone = &gone;
    w->on.on_open(w->ctx);
    if (gone)
        return;
    w->gone = NULL;
    if (n < all.n)
        frames(w, view_from(all, n));
}

static void on_open(void *ctx)
{
    struct chan_ws *w = ctx;
    struct err e = ERR_INIT;

    if (chan_stream_write(w->stream, buf_view(&w->request), &e) < 0)
        over(w, 0, e.text);
}

static void on_close(void *ctx, const char *why)
{
    over(ctx, 0, why);
}

/* ---- making one ---- */

struct place {
    char host[HOST_BYTES], path[PATH_BYTES];
    uint16_t port;
    bool tls;
};

static int read_url(const char *url, struct place *out, struct err *e)
{
    struct view v = view_str(url), host;
    size_t n, colon;
    uint32_t port;

    *out = (struct place){.tls = view_starts(v, V("wss://"))};
    if (!out->tls && !view_starts(v, V("ws://")))
        return err_set(e, ERR_INVALID, "not a ws:// or wss:// address");
    v = view_from(v, out->tls ? 6 : 5);
    for (n = 0; n < v.n && v.p[n] != '/' && v.p[n] != '?'; n++)
        if ((unsigned char)v.p[n] <= ' ' || v.p[n] == '@')
            return err_set(e, ERR_INVALID, "not an address of a WebSocket");
    host = view_of(v.p, n);
    v = view_from(v, n);
    port = out->tls ? 443 : 80;
    colon = host.n;
    while (colon > 0 && host.p[colon - 1] != ':' && host.p[colon - 1] != ']')
        colon--;
    if (colon > 0 && host.p[colon - 1] == ':') {
        if (num_u32(view_from(host, colon), 1, UINT16_MAX, &port, e) < 0)
            return e->code;
        host.n = colon - 1;
    }
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = view_of(host.p + 1, host.n - 2);
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] <= ' ')
            return err_set(e, ERR_INVALID, "not an address of a WebSocket");
    if (host.n == 0 || host.n >= HOST_BYTES || v.n + 1 >= PATH_BYTES)
        return err_set(e, ERR_LIMIT, "the WebSocket's address is empty or too long");
    out->port = (uint16_t)port;
    memcpy(out->host, host.p, host.n);
    (void)snprintf(out->path, sizeof(out->path), "%s%.*s", v.n && v.p[0] == '?' ? "/" : "",
                   VIEW_FMT(v));
    if (!v.n)
        memcpy(out->path, "/", 2);
    return 0;
}

static int write_request(struct chan_ws *w, const struct place *p, const char *const *headers,
                         struct err *e)
{
    struct buf *b = &w->request;

    ws_key_new(w->key);
    buf_printf(
        b, strchr(p->host, ':') ? "GET %s HTTP/1.1\r\nHost: [%s]" : "GET %s HTTP/1.1\r\nHost: %s",
        p->path, p->host);
    if (p->port != (p->tls ? 443 : 80))
        buf_printf(b, ":%u", p->port);
    buf_printf(b,
               "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: %s\r\n",
               w->key);
    for (size_t i = 0; headers && headers[i]; i++) {
        if (strpbrk(headers[i], "\r\n"))
            return err_set(e, ERR_INVALID, "a header with a line end in it");
        buf_put_str(b, headers[i]);
        buf_put_str(b, "\r\n");
    }
    buf_put_str(b, "\r\n");
    return buf_check(b, e);
}

int chan_ws_open(struct channel *c, const struct chan_ws_conf *conf, const struct chan_ws_on *on,
                 void *ctx, struct chan_ws **out, struct err *e)
{
    static const struct chan_stream_on stream_on = {
        .on_open = on_open, .on_data = on_data, .on_close = on_close};
    struct chan_stream_conf s = {.connect_ms = conf->connect_ms, .foreign = conf->foreign};
    struct place p;
    struct chan_ws *w = NULL;
    int r;

    if ((r = read_url(conf->url, &p, e)) < 0 || (r = mem_new(&w, sizeof(*w), e)) < 0)
        return r;
    w->on = *on;
    w->ctx = ctx;
    w->loop = channel_loop(c);
    w->ping_ms = conf->ping_ms;
    w->pong_ms = conf->pong_ms ? conf->pong_ms : conf->ping_ms;
    buf_init(&w->request, 2 * PATH_BYTES + 4096);
    buf_init(&w->head, HEAD_MAX + 65536);
    w->request.secret = true;
    ws_dec_init(&w->dec, false, conf->max_bytes);
    loop_timer_init(&w->ping, w->loop, on_ping_time, w);
    loop_timer_init(&w->pong, w->loop, on_pong_late, w);
    s.host = p.host;
    s.port = p.port;
    s.tls = p.tls;
    if ((r = write_request(w, &p, conf->headers, e)) < 0 ||
        (r = chan_stream_open(c, &s, &stream_on, w, &w->stream, e)) < 0) {
        chan_ws_close(&w, 0);
        return r;
    }
    *out = w;
    return 0;
}

void chan_ws_close(struct chan_ws **wp, unsigned code)
{
    struct chan_ws *w = TAKE(*wp);

    if (!w)
        return;
    if (w->gone)
        *w->gone = true;
    if (w->open && !w->over && code)
        say_close(w, code);
    chan_stream_close(&w->stream);
    loop_timer_fini(&w->ping);
    loop_timer_fini(&w->pong);
    ws_dec_fini(&w->dec);
    buf_fini(&w->request);
    buf_fini(&w->head);
    mem_free(w);
}
