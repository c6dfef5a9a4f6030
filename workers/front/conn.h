/*
 * workers/front/conn.h - one client connection: its socket, what it may still do, its deadlines.
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
#include "ws.h"

enum conn_state { CONN_HTTP, CONN_CHALLENGED, CONN_CONNECTING, CONN_OPEN, CONN_LINGER, CONN_DEAD };

struct conn_http; /* http_conn.c: a request being received */

/* What is needed until hello only. */
struct conn_hello {
    char nonce[64];
    struct buf host, origin, agent;
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
    bool local;
    bool eof;      /* the client sends no more */
    bool shut;     /* we send no more */
    bool paused;   /* in waiting or ready */
    bool pinged;   /* nothing heard since our last ping */
    bool told_hub; /* the hub knows it */
    uint32_t audience;
    uint64_t seq; /* of the last event */
    unsigned req_n;
    char *peer; /* address text, owned */
    struct loop_io io;
    struct wheel_node due;
    struct list on_open; /* fresh or open */
    struct list on_dirty, on_pause, reqs;
    struct buf in;     /* read but not used yet: only while paused */
    struct buf out;    /* to be sent */
    struct buf ticket; /* the hub's sealed identity for it */
    struct conn_http *http;
    struct conn_hello *hello;
    struct ws_dec ws;
};

/* A new connection in state HTTP. Owns: takes fd, also on failure. */
int conn_new(struct front *f, uint64_t id, struct view peer, bool local, int fd,
             struct err *e) MUST_USE;
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
/* Read on if there is room again. */
void conn_wake(struct conn *c);
/* Forget what was needed until hello. */
void conn_hello_free(struct conn_hello **h);

/* http_conn.c */
int http_conn_new(struct conn_http **out, struct err *e) MUST_USE;
void http_conn_free(struct conn_http **h);
void http_conn_feed(struct conn *c, char **p, size_t *n);
/* The deadline came. */
void http_conn_due(struct conn *c);

/* ws_conn.c */
/* After 101: send the challenge. */
void ws_conn_start(struct conn *c);
void ws_conn_feed(struct conn *c, char **p, size_t *n);
/* The hub's answer to connect. */
void ws_conn_accepted(struct conn *c, uint32_t audience, struct view body);
void ws_conn_refused(struct conn *c, uint16_t code, struct view reason, struct view body);
/* {"type":"res","id":<id>,<body>: body is the rest of the frame. */
void ws_conn_answer(struct conn *c, struct view id, struct view body);
/* Error answer. */
void ws_conn_error(struct conn *c, struct view id, const char *code, struct view message,
                   bool retryable);

/* hub_link.c */
/* Send connect to the hub, or remember to when it is back. */
void hub_connect(struct conn *c);
/* Send a request to the hub, or remember to. Answers it itself when there is no room. */
void hub_request(struct conn *c, struct view id, enum rpc_index row, struct view method,
                 struct view params);
/* The connection is over: its requests are forgotten, the hub is told. */
void hub_gone(struct conn *c);
bool hub_busy(const struct front *f);
void hub_peer(struct front *f, struct link *l, bool up);
void hub_drained(struct front *f);
int hub_on_connect_ok(void *ctx, struct link *from, struct ipc_connect_ok *m, struct err *e);
int hub_on_connect_refused(void *ctx, struct link *from, struct ipc_connect_refused *m,
                           struct err *e);
int hub_on_conn_update(void *ctx, struct link *from, struct ipc_conn_update *m, struct err *e);
int hub_on_conn_close(void *ctx, struct link *from, struct ipc_conn_close *m, struct err *e);
int hub_on_reply(void *ctx, struct link *from, struct ipc_reply *m, struct err *e);
int hub_on_event(void *ctx, struct link *from, struct ipc_event *m, struct err *e);
int hub_on_event_to(void *ctx, struct link *from, struct ipc_event_to *m, struct err *e);
int hub_on_snapshot(void *ctx, struct link *from, struct ipc_snapshot *m, struct err *e);

#endif
