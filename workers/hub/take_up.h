/*
 * workers/hub/take_up.h - a turn that did not come over a WebSocket: on disk with this turn's
 * commit, queued behind what its session has, answered on its own.
 */
#ifndef TAKE_UP_H
#define TAKE_UP_H

#include "chat.h"

struct take_up {
    const struct session_key *key;
    struct view run_id;
    struct view message;       /* empty: options bring the conversation */
    struct view options;       /* members for the job as JSON text without braces */
    struct attachments *files; /* of the message; may be NULL */
    uint32_t timeout_ms;       /* 0: the configured one */
    enum run_quiet quiet;
    enum run_trust trust;
    struct view trace;   /* traceparent, or empty */
    struct view request; /* what the request behind it is called in the log */
    unsigned hops;
};

/* Accept it. *run is in the tables; whoever wants to follow it does so before take_up_go.
 * Errors: ERR_LIMIT, the store's; nothing was accepted then. */
int take_up(struct hub *h, const struct take_up *t, struct run **out, struct err *e) MUST_USE;
/* Start it, or what waits before it. */
void take_up_go(struct run *run);

#endif
