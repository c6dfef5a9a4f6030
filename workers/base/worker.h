/*
 * workers/base/worker.h - the life every worker shares: open the line to the supervisor, take the
 * config slice, enter the sandbox, say ready, run until told to stop. PING, STOP, LOG_LEVEL, CONFIG
 * and LINK are answered here. A worker's state struct begins with its struct worker; every
 * handler's ctx is that struct.
 */
#ifndef WORKER_H
#define WORKER_H

#include "msg.h"
#include "sandbox.h"

#include <jansson.h>

enum {
    WORKER_PEERS_MAX =
        320, /* lines to other workers: fronts, agents, 256 channels; more is refused */
    WORKER_IPC_FD = 3,
};

struct worker {
    enum role role;
    int exit_code; /* 0 asked to stop, 1 failed, 2 bad configuration: never restart */
    struct loop *loop;
    struct link *sup; /* the supervisor */
    struct link *peers[WORKER_PEERS_MAX];
    unsigned peer_count;
    json_t *conf; /* the slice in force; replaced at reload */
    struct ipc_handlers on;
    uint64_t started_ns;
    bool stopping, have_conf;
    uint32_t sandbox_said; /* CAGE_SAID_*, for READY */
    struct loop_timer grace;

    /* Optional, set before worker_open. on_config and on_peer may already be called before
     * worker_run. */
    int (*on_config)(void *ctx, json_t *conf,
                     struct err *e); /* a new slice; an error keeps the old one */
    void (*on_peer)(void *ctx, struct link *l, bool up); /* down: l is freed after the call */
    void (*on_drain)(void *ctx, struct link *l);
    void (*on_stop)(void *ctx,
                    uint32_t grace_ms); /* absent: leave at once. Call worker_leave when done */
};

#define WORKER_INIT(r)                                                                             \
    {                                                                                              \
        .role = ROLE_##r, .exit_code = 0                                                           \
    }

/* Take fd 3, close every other descriptor above 2, point the log at the supervisor, say hello. */
int worker_open(struct worker *w, const struct ipc_handlers *on, struct err *e) MUST_USE;
/* Wait for our slice of the configuration: w->conf, borrowed. */
int worker_recv_config(struct worker *w, struct err *e) MUST_USE;
/* No way back from here. */
int worker_sandbox(struct worker *w, const struct sandbox *s, struct err *e) MUST_USE;
int worker_ready(struct worker *w, struct err *e) MUST_USE;
/* Until STOP, the supervisor's end, or a broken message from it. */
int worker_run(struct worker *w, struct err *e) MUST_USE;
/* Leave the loop with w->exit_code. */
void worker_leave(struct worker *w);
/* One log line, exit_code 1 unless it is set already. */
void worker_fail(struct worker *w, const struct err *e);
void worker_fini(struct worker *w);

/* The newest line to a worker of this role, or NULL. */
struct link *worker_peer(const struct worker *w, enum role r);

#endif
