/*
 * supervisor/lane.h - jobs waiting for an agent process.
 * Invariants: a job is waiting or running, once; per lane running <= its concurrency; per session
 * at most one runs, and jobs of one session run in order of arrival. A session
 * that had its turn lets the others of its lane go first. However full a lane is, each other one
 * finds places to wait and, where agents have more than one, one to run. Not here: what a job does
 * (agent), whether it is durable or may start (hub). In memory only: the hub submits again whatever
 * is unfinished after a restart.
 */
#ifndef LANE_H
#define LANE_H

#include "err.h"
#include "view.h"

#include <stdint.h>

enum {
    LANE_JOBS_MAX =
        1024, /* jobs held in all: each waiting one holds a descriptor; the hub tries later */
    LANE_MAX = 8,
    LANE_SHARE = 32, /* of them are kept for each other lane, however full one is */
    LANE_NAME_MAX = 16,
};

struct lanes;

struct lane_job {
    uint64_t id;
    uint32_t attempt;
    uint32_t timeout_ms; /* from the start of the run */
    struct view lane, session;
    int payload; /* sealed memory file */
};

enum lane_known { LANE_NEW, LANE_WAITING, LANE_RUNNING };

int lanes_new(struct lanes **out, struct err *e) MUST_USE;
void lanes_free(struct lanes **l); /* closes waiting payloads */
/* Set or change how many jobs of a lane may run at once. Errors: ERR_LIMIT LANE_MAX lanes. */
int lanes_set(struct lanes *l, struct view name, unsigned concurrency, struct err *e) MUST_USE;

/* Take a job. *known tells when it is held already (nothing changes then, the payload stays the
 * caller's). Owns: takes job->payload when it returns 0 with LANE_NEW. Errors: ERR_LIMIT
 * LANE_JOBS_MAX are held, ERR_INVALID no such lane. */
int lanes_push(struct lanes *l, const struct lane_job *job, enum lane_known *known,
               struct err *e) MUST_USE;
/* The next job that may start; it counts as running on this agent from now on. room: how many more
 * the agents can run in all. false: none may.
 * Owns: job->payload becomes the caller's; the views are valid until the job ends. */
bool lanes_next(struct lanes *l, unsigned agent, unsigned room, struct lane_job *job);
/* Put a job back that could not be handed over (front of its lane); takes the payload again. */
void lanes_unstart(struct lanes *l, uint64_t id, int payload);
/* The job is over. false: not held (already over). */
bool lanes_done(struct lanes *l, uint64_t id, uint32_t attempt);
/* Take a waiting job out, or name the agent that runs it: LANE_NEW not held, LANE_WAITING removed,
 * LANE_RUNNING *agent set. */
enum lane_known lanes_cancel(struct lanes *l, uint64_t id, unsigned *agent);
/* Every job that runs on this agent is over; told one by one. */
void lanes_lost(struct lanes *l, unsigned agent,
                void (*on_job)(void *ctx, uint64_t id, uint32_t attempt), void *ctx);

unsigned lanes_running_on(const struct lanes *l, unsigned agent);
struct lane_stat {
    const char *name;
    unsigned waiting, running, concurrency;
};
/* The i-th lane; false beyond the last. */
bool lanes_stat(const struct lanes *l, unsigned i, struct lane_stat *out);
bool lanes_idle(const struct lanes *l);

#endif
