/*
 * channels/base/chan_stream.h - one byte or line stream to a host: TCP, or TLS with the certificate
 * verified. Names are resolved off the loop, addresses tried one after the other. With TLS it needs
 * CHANNEL_NEEDS_TLS.
 */
#ifndef CHAN_STREAM_H
#define CHAN_STREAM_H

#include "channel.h"

enum {
    CHAN_STREAM_QUEUE_MAX = 1 << 20, /* bytes that wait to be written */
    CHAN_STREAM_ADDRESSES_MAX = 8,
};

struct chan_stream;

struct chan_stream_conf {
    const char *host; /* name or address */
    uint16_t port;
    bool tls;
    const char *server_name; /* certificate and SNI; NULL: host */
    struct view cert, key;   /* our own certificate (PEM), or "" */
    struct view ca;          /* believed besides the machine's authorities (PEM), or "" */
    uint32_t connect_ms;     /* name, TCP and TLS together; 0: 15 s */
    size_t line_max;         /* > 0: on_line gets lines without CR LF; a longer one is cut there */
    bool foreign;            /* no private address */
};

/* None is called from inside chan_stream_open. chan_stream_close may be called in each. */
struct chan_stream_on {
    void (*on_open)(void *ctx);
    void (*on_data)(void *ctx, struct view piece);
    void (*on_line)(void *ctx, struct view line);
    void (*on_close)(void *ctx, const char *why); /* it is over: close it; nothing follows */
};

int chan_stream_open(struct channel *c, const struct chan_stream_conf *conf,
                     const struct chan_stream_on *on, void *ctx, struct chan_stream **out,
                     struct err *e) MUST_USE;
/* Errors: ERR_LIMIT the queue is full, ERR_CLOSED. */
int chan_stream_write(struct chan_stream *s, struct view bytes, struct err *e) MUST_USE;
size_t chan_stream_queued(const struct chan_stream *s);
void chan_stream_close(struct chan_stream **s); /* what is queued goes out if the socket takes it */

/* main only: loads libssl. */
int chan_stream_init(struct channel *c, struct err *e) MUST_USE;

#endif
