/*
 * channels/base/chan_ws.h - a WebSocket client (RFC 6455) over chan_stream, with the project's own
 * frames (proto/ws.h): handshake checked, messages whole and bounded, pings answered, our own pings
 * with a limit for the answer.
 */
#ifndef CHAN_WS_H
#define CHAN_WS_H

#include "chan_stream.h"

struct chan_ws;

struct chan_ws_conf {
    const char *url;            /* ws:// or wss:// */
    const char *const *headers; /* "Name: value", NULL-ended; may be NULL */
    size_t max_bytes;           /* of one message */
    uint32_t connect_ms;        /* 0: 15 s */
    uint32_t ping_ms, pong_ms;  /* 0: no pings of ours */
    bool foreign;
};

struct chan_ws_on {
    void (*on_open)(void *ctx);
    void (*on_message)(void *ctx, struct view text);
    void (*on_pong)(void *ctx);
    /* code: the peer's, or 0 when there was none. Close it; nothing follows. */
    void (*on_close)(void *ctx, unsigned code, const char *why);
};

int chan_ws_open(struct channel *c, const struct chan_ws_conf *conf, const struct chan_ws_on *on,
                 void *ctx, struct chan_ws **out, struct err *e) MUST_USE;
int chan_ws_send(struct chan_ws *w, struct view text, struct err *e) MUST_USE;
void chan_ws_close(struct chan_ws **w, unsigned code);

#endif
