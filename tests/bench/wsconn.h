/*
 * tests/bench/wsconn.h - one WebSocket client connection of the load generator: buffers, upgrade,
 * frames. Not for production: it trusts the server and ends the program when memory is out.
 */
#ifndef WSCONN_H
#define WSCONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conn_state { S_CONNECTING, S_UPGRADE, S_CHALLENGE, S_HELLO, S_RUN, S_DONE };

struct conn {
    int fd, idx;
    enum conn_state state;
    char *in, *out, *msg; /* received, to be sent, a fragmented message so far */
    size_t in_n, in_cap, out_n, out_off, out_cap, msg_n, msg_cap;
    long sent, done;   /* requests or turns */
    uint64_t *sent_ns; /* per request under way */
    uint64_t start_ns, turn_ns;
    bool got_delta, got_ack, want_write;
    unsigned generation; /* counts restarts of this slot */
};

struct peer {
    const char *host, *path;
    int port;
    bool spread; /* more source addresses than one, for more than 28,000 connections */
};

extern int conn_epoll;
extern long conns_open, conns_started, conn_bytes_in, conn_lost;
extern bool conn_quiet;

uint64_t now_ns(void);
void conn_start(struct conn *c, const struct peer *p);
void conn_drop(struct conn *c);
void conn_text(struct conn *c, const char *s,
               size_t n); /* one text frame, sent as far as it goes */
void conn_queue(struct conn *c, const char *s,
                size_t n); /* the same, sent by the next conn_flush */
void conn_flush(struct conn *c);
/* What epoll said. on_message gets each whole message; it may drop or restart the connection. */
void conn_ready(struct conn *c, uint32_t events, const struct peer *p,
                void (*on_message)(struct conn *c, const char *p, size_t n));

#endif
