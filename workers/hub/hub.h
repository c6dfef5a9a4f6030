/*
 * workers/hub/hub.h - the hub's state: one thread, no network, sole owner of the store. Every change goes through the
 * store; nothing leaves the hub before the turn it belongs to is committed (loop phases COMMIT, then FLUSH).
 */
#ifndef HUB_H
#define HUB_H

#include "rpc.h"
#include "store.h"
#include "worker.h"

struct conns;    /* connections that said hello (conn.h) */
struct runs;     /* runs under way (run.h) */
struct presence; /* who is listed (presence.h) */
struct settings; /* what the hub reads from its config slice, parsed once (settings.h) */

struct hub {
    struct worker w; /* first: every handler's ctx is the hub */
    struct store *store;
    struct settings *settings;
    struct conns *conns;
    struct runs *runs;
    struct presence *presence;
    struct loop_task commit; /* deferred whenever something changed */
    int64_t started_ms;      /* wall clock */
    char boot_id[37];
    bool stopping;
    json_t *fleet; /* what the supervisor said last; may be NULL */
};

/* Something was put into the store this turn: it is committed before any queued frame goes out. */
void hub_changed(struct hub *h);

#endif
