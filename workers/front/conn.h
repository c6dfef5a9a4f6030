/*
 * workers/front/conn.h - one client connection: its socket, what it may still do, its deadlines.
 * Its bytes pass through tls.h when the port speaks TLS; nothing else here knows the difference.
 * States: HTTP -> CHALLENGED (upgraded, nonce sent) -> CONNECTING (the hub decides) -> OPEN, and
 * from each of them LINGER (last bytes go out, nothing is heard any more) -> DEAD.
 *
 * Invariants: idle connections hold no buffers; a dead connection stays in the map until the end of
 * the turn, so that walking it is safe; the supervisor and (past CHALLENGED) the hub are told of
 * its end exactly once.
 */
#ifndef CONN_H
#define CONN_H

#include "front.h"
#include "places.h"
#include "proxy.h"
#include "tls.h"
#include "ws.h"

enum conn_state { CONN_HTTP, CONN_CHALLENGED, CONN_CONNECTING, CONN_OPEN, CONN_LINGER, CONN_DEAD };

struct conn_http; /* http_conn.c: a request being received */
struct conn_h2;   /* h2.h: a connection that speaks HTTP/2 */
struct h2_stream; /* h2.h: one of its streams */
struct xchg;

/* What a connection does until it is a WebSocket, by the version of HTTP that it speaks. */
struct conn_ops {
    void (*feed)(struct conn *c, char **p, size_t *n);
    /* Nothing more of it is used meanwhile: it waits for the hub or for a place. */
    bool (*waits)(const struct conn *c);
    /* The hub works for it: when its client hangs up, the work is for nobody. */
    bool (*asked)(const struct conn *c);
    struct xchg *(*xchg)(struct conn *c, uint64_t number); /* or NULL */
    void (*gone)(struct conn *c);                          /* it serves no more */
    void (*taken)(struct conn *c);                         /* bytes have gone to the client */
    void (*unanswered)(struct conn *c); /* the hub went away: what it was asked has no answer */
    void (*admit)(struct conn *c);      /* it waited for a place and has one */
    void (*due)(struct conn *c);        /* the deadline came */
    void (*bye)(struct conn *c);        /* it should end, politely */
};

/* What is needed until hello only. */
struct conn_hello {
    char nonce[64];
    struct buf host, origin, agent;
    struct buf claims;     /* headers of a trusted proxy */
    struct buf id, params; /* of the connect request */
    struct buf pending;    /* messages behind it: u32 length, bytes */
    unsigned pending_n;
    bool asked; /* the hub has the request */
};

struct conn {
    struct front *f; /* borrowed */
    uint64_t id;     /* the supervisor's */
    int fd;
    enum conn_state state;
    bool local;    /* the address is loopback, and nobody asks through it */
    bool tailnet;  /* so does tailscale serve, or somebody here who writes what it would */
    bool proxied;  /* a trusted proxy asks for it; peer is whom it asks for */
    bool canvas;   /* a page of the canvas that waits for "reload": no client of the gateway */
    bool inner;    /* there is a stream (over) instead of a socket */
    bool secure;   /* TLS, begun or not */
    bool watched;  /* its hanging up is noticed while it is paused */
    bool eof;      /* the client sends no more */
    bool shut;     /* we send no more */
    bool paused;   /* in waiting or ready */
    bool pinged;   /* nothing heard since our last ping */
    bool told_hub; /* the hub knows it */
    uint32_t audience;
    uint64_t seq;  /* of the last event */
    uint64_t sent; /* bytes the socket took */
    unsigned req_n;
    struct ip from;     /* the socket's address */
    char *peer;         /* text of the address that counts, owned */
    struct place place; /* between upgrade and hello */
    struct loop_io io;
    struct wheel_node due;
    struct list on_open; /* fresh or open */
    struct list on_dirty, on_pause, reqs;
    struct buf in;              /* read but not used yet: only while paused */
    struct buf out;             /* to be sent */
    struct tls *tls;            /* NULL: clear, or no byte yet */
    struct buf ticket;          /* the hub's sealed identity for it */
    const struct conn_ops *ops; /* of the protocol spoken; borrowed */
    struct conn_http *http;
    struct conn_h2 *h2;
    struct h2_stream *over; /* NULL when it is gone */
    struct conn_hello *hello;
    struct ws_dec ws;
};

/* A new connection in state HTTP. Owns: takes fd, also on failure. */
int conn_new(struct front *f, uint64_t id, struct view peer, bool local, int fd,
             struct err *e) MUST_USE;
/* One that a stream of HTTP/2 carries, in state HTTP; it is its parent's client. */
int conn_new_over(struct conn **out, const struct conn *parent, struct h2_stream *s,
                  const struct conn_ops *ops, struct err *e) MUST_USE;
/* End the oldest connection of this address that has not got past hello: its places are few, and
 * whoever means it is quicker. */
void conn_make_room(struct front *f, struct view peer);
/* End it now. The struct stays valid until the end of the turn. */
void conn_kill(struct conn *c);
/* Send what is queued, then end it. */
void conn_finish(struct conn *c);
/* Close frame, then as conn_finish. */
void conn_close(struct conn *c, uint16_t code, struct view reason);
/* As conn_close where there is a WebSocket, as conn_finish where there is not. */
void conn_bye(struct conn *c, uint16_t code, struct view reason);
/* Queued bytes were added to c->out: send them at the end of the turn. Kills it when the buffer
 * failed. */
void conn_touch(struct conn *c);
/* One text message made of parts; droppable ones are left out above FRONT_BACKLOG_DROP; a full
 * backlog closes the connection with 1008. */
void conn_text(struct conn *c, const struct view *parts, unsigned n, bool droppable);
/* The next deadline: what happens then depends on the state. */
void conn_due(struct conn *c, uint64_t in_ms);
/* Bytes that the socket has not taken yet. */
size_t conn_unsent(const struct conn *c);
/* It asks for this address from now on, through a proxy (tailnet: through what looks like tailscale
 * serve).  Errors: ERR_NOMEM. */
int conn_attribute(struct conn *c, const struct ip *client, bool tailnet, struct err *e) MUST_USE;
/* Take one of its address's places for those who have upgraded and not said hello; somebody else's
 * may end for it.  PLACES_WAIT: http_conn_admit follows, or its deadline. */
enum places_answer conn_take_place(struct conn *c);
/* It needs its place no more. */
void conn_give_place(struct conn *c);
/* Read on if there is room again. */
void conn_wake(struct conn *c);
/* Forget what was needed until hello. */
void conn_hello_free(struct conn_hello **h);

/* Some of the watched have hung up; ctx is the front. */
void conn_on_hangups(void *ctx, bool readable, bool writable);

/* Tasks of the end of a turn; ctx is the front. */
void conn_resume_ready(void *ctx);  /* read on where there is room again */
void conn_flush_dirty(void *ctx);   /* send what is queued */
void conn_reap(void *ctx);          /* free the dead */
void conn_admit_granted(void *ctx); /* upgrade those who waited for a place */

/* Somebody waits for a place: who has been silent for too long? ctx is the front. */
void conn_on_places_tick(void *ctx);

/* -- what a socket does otherwise: for h2_ws.h -- */
void conn_bytes(struct conn *c, char *p, size_t n); /* arrived; changed in place */
void conn_ended(struct conn *c);                    /* nothing more arrives */
void conn_drained(struct conn *c);                  /* everything queued has gone */

/* -- between conn.c (life, sending) and conn_recv.c -- */
/* Whether its client should be heard. */
void conn_listen(struct conn *c, bool on);
void conn_flush(struct conn *c);
void conn_on_ready(void *ctx, bool readable, bool writable);

#endif
