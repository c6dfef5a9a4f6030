/*
 * workers/hub/call.h - one RPC request while it is being answered. Authority (role, scope) and
 * parameters were checked by the dispatcher before the handler runs. A handler answers exactly once
 * (or first with call_more), now or later through a copy of its struct call_ref.
 */
#ifndef CALL_H
#define CALL_H

#include "conn.h"
#include "hub.h"
#include "jw.h"

struct attachments;

/* Where an answer belongs; may be kept: a connection that left makes the answer vanish. */
struct call_ref {
    uint64_t conn_id;
    uint64_t req;
    unsigned front; /* instance of its front */
};

struct call {
    struct hub *hub;
    struct conn *conn; /* who asks; valid during the handler */
    struct call_ref ref;
    const struct rpc_row *row;
    struct view trace; /* traceparent, or empty */
    json_t *params;    /* an object, checked against the row; borrowed */
    struct attachments
        *files; /* its attachments, when they are on the disk already (attach_later.h) */
};

/* Successful answer: call_ok gives a writer positioned at the payload value; call_end sends.
 *     struct jw *w = call_ok(c); jw_obj(w); ...; jw_obj_end(w); return call_end(c);          */
struct jw *call_ok(struct call *c);
int call_end(struct call *c);
/* A payload that is JSON text already. */
int call_ok_raw(struct call *c, struct view payload);
/* Error answer; the message may hold outside text (it is escaped). Returns 0: the request is
 * answered. */
int call_error(struct call *c, const char *code, const char *fmt, ...) PRINTF(3, 4);
/* As call_error with a details object as JSON text, and retryable (-1 absent, 0, 1), retry_after_ms
 * (0 absent). */
int call_error_full(struct call *c, const char *code, const char *message, struct view details,
                    int retryable, uint64_t retry_after_ms);
/* Later answers through a kept ref. more: another one follows. body as in ipc `reply`. */
int call_send(struct hub *h, const struct call_ref *ref, bool more, struct view body);
/* Compose bodies for call_send: {"ok":true,"payload":...} without the first brace */
void call_body_ok(struct buf *out, struct view payload);
void call_body_error(struct buf *out, const char *code, struct view message, struct view details,
                     int retryable, uint64_t retry_after_ms, struct view payload);

/* Every handler: int rpc_<function>(struct call *c). A negative return is our own failure:
 * UNAVAILABLE. */
#define RPC(name, fn, scope, max, flags, params, help) int rpc_##fn(struct call *c);
#include "rpc.def"
#undef RPC

#endif
