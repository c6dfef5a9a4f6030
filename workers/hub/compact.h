/*
 * workers/hub/compact.h - older turns become a summary that a model writes, in a job of its own in
 * the lane `nested`. The transcript stays whole: a record marks the boundary, holds the summary and
 * names the first message it does not cover; prompts begin there (prompt.h).
 * Invariants: until the record is in the store the session is as it was, afterwards it is
 * compacted: there is nothing in between, whoever dies. One at a time in a session; the session's
 * turn waits for it, and it ends (a timer bounds each).
 *
 * When no summary comes: a turn that was merely getting near the limit goes on with as much of the
 * conversation as fits, for that is what the person waits for, and the next turn tries again. A
 * turn whose prompt the provider refused as too long fails with that error: what would be left out
 * next is a guess, and the person can do something about it.
 */
#ifndef COMPACT_H
#define COMPACT_H

#include "hub.h"

struct call_ref;
struct live;
struct run;

enum {
    COMPACTS_MAX = 64,     /* summaries under way; more turns go on without */
    COMPACT_ROUNDS = 8,    /* for one turn: each covers as much as fits a prompt */
    COMPACT_OVERFLOWS = 3, /* refusals of one turn that are answered with a summary */
};

/* Before a turn's job is made: whether it has to wait for a summary (it is then submitted later).
 */
bool compact_before(struct run *r);
/* The provider refused the prompt as too long: whether a summary is made and the turn tried again.
 */
bool compact_overflow(struct run *r, const struct ipc_run_done *m);
/* On demand; answers sessions.compact when it ends.  Errors: ERR_NOT_FOUND nothing to summarise,
 * ERR_LIMIT, the store's: nothing was begun, the answer is the caller's. */
int compact_now(struct hub *h, struct live *l, const struct call_ref *ref, struct err *e) MUST_USE;
/* The turn does not wait any longer. */
void compact_leave(struct run *r);
/* The transcript goes away, or somebody stops the session. */
void compact_stop(struct hub *h, struct live *l);
/* News of a job that is no turn's: whether it was one of ours. */
bool compact_on_done(struct hub *h, const struct ipc_run_done *m);
bool compact_on_state(struct hub *h, const struct ipc_job_state *m);
void compacts_close(struct hub *h);

/* Entries of a transcript that were cut off (sessions.compact maxLines): they are before the first
 * one that clients and models see, which this is. */
uint64_t compact_first(const struct rec_session_put *row);

#endif
