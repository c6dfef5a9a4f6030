/*
 * workers/hub/run.h - turns under way: from the moment a message is on disk to the answer, the
 * error or the abort. Invariants: one running turn per session; what a client was told is in the
 * store; a turn ends exactly once, and it does end (a timer bounds each). Runs are known by run id
 * (= idempotency key) outside and by job id inside. Not here: who may ask (dispatch), which agent
 * runs it (supervisor's lanes), what sessions look like (session.h).
 */
#ifndef RUN_H
#define RUN_H

#include "hub.h"

/* Makes h->runs and takes up whatever the store says is unfinished. After store_open, before READY
 * is fine: jobs are queued on the supervisor's line. */
int runs_open(struct hub *h, struct err *e) MUST_USE;
void runs_close(struct hub *h);
/* h->w.conf is new: models, timeouts. */
void runs_config(struct hub *h);
/* Nothing runs and nothing waits. */
bool runs_idle(const struct hub *h);
/* Turns that run or wait. */
unsigned runs_count(const struct hub *h);
/* Stopping: pending messages stay in the store for the next start; on_idle is called (once, from
 * the loop) when no turn is under way any more. */
void runs_drain(struct hub *h, void (*on_idle)(struct hub *h));

/* A new hub reads nothing from agents until each front that is there has shown all its connections
 * (bounded in time): otherwise the end of a turn could find nobody who listens. A line to a front
 * or an agent came up or ended: */
void runs_on_peer(struct hub *h, struct link *l, bool up);
/* The front has shown all of them. */
void runs_on_front_back(struct hub *h, struct link *front);

/* Handlers of what agents say. Stale news (an attempt that is over, a job nobody knows) is ignored,
 * run_done is always acked. */
int run_on_begin(struct hub *h, struct link *from, struct ipc_run_begin *m, struct err *e);
int run_on_status(struct hub *h, struct link *from, struct ipc_run_status *m, struct err *e);
int run_on_delta(struct hub *h, struct link *from, struct ipc_run_delta *m, struct err *e);
int run_on_resume(struct hub *h, struct link *from, struct ipc_run_resume *m, struct err *e);
int run_on_done(struct hub *h, struct link *from, struct ipc_run_done *m, struct err *e);

#endif
