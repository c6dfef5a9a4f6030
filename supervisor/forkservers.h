/*
 * supervisor/forkservers.h - one process for each program that many workers run, which is copied
 * instead of started anew (workers/base/forkserver.h): 200 accounts of a platform share its
 * libraries. Nothing depends on it: without one, or with one that does not answer, a worker is
 * started by exec as all others are.
 */
#ifndef SUPERVISOR_FORKSERVER_H
#define SUPERVISOR_FORKSERVER_H

#include "fleet.h"

enum forkserver_state {
    FORKSERVER_NONE,  /* start it yourself */
    FORKSERVER_LATER, /* it is loading its libraries: fleet_go_on follows */
    FORKSERVER_READY,
};

/* Starts one when there is none, and another one when the program's file is another by now. */
enum forkserver_state forkserver_of(struct fleet *f, const char *program);
/* A copy, as spawn_worker makes one. Waits for the answer,
 * 250 ms at most; one that does not answer is ended.  Errors: ERR_SYS */
int forkserver_spawn(struct fleet *f, const struct spawn *s, pid_t *out, struct err *e) MUST_USE;
/* It did not become ready in time. */
void forkserver_drop(struct fleet *f, const char *program);
/* A child of ours has ended that is no worker. */
void forkserver_reaped(struct fleet *f, pid_t pid, int status);
/* Those nobody needs any more leave. */
void forkserver_sweep(struct fleet *f);
void forkserver_free(struct fleet *f);

#endif
