/*
 * workers/agent/run.h - one job: asks its model, tries again when that may help, goes on to the
 * fallbacks, and ends exactly once.
 * Invariants: text that was told is never taken back, so nothing is tried again after it; a run
 * ends within its time limit whatever the model does; a result stays as it is until run_free.
 * Not here: who hears of it (main.c), what a provider sends (provider.h).
 */
#ifndef RUN_H
#define RUN_H

#include "models.h"
#include "persona.h"

enum {
    RUN_CANDIDATES_MAX = 16,         /* model and fallbacks of one job */
    RUN_PAYLOAD_MAX = 48 << 20,      /* the largest request with its history, and some */
    RUN_TIMEOUT_DEFAULT_MS = 600000, /* agents.defaults.timeoutSeconds */
};

struct run;

/* Told at the end of a loop turn, or from run_start and run_abort. None of them may free the run.
 */
struct run_events {
    void (*on_begin)(void *ctx, struct run *r); /* a model is asked: the first one, or a fallback */
    /* data: members of an agent event's data as JSON object text */
    void (*on_status)(void *ctx, struct run *r, struct view phase, struct view data);
    void (*on_text)(void *ctx, struct run *r); /* run_text has grown */
    void (*on_done)(void *ctx, struct run *r);
};

struct run_conf {
    struct loop *loop;
    struct http *http;     /* borrowed; NULL: only the demo can be asked */
    struct models *models; /* a reference is taken */
    uint64_t job_id;
    uint32_t attempt;
    uint32_t timeout_ms; /* from now; 0: the default */
    struct view persona; /* put before the job's own instructions; copied */
    enum persona_when persona_when;
    const struct run_events *on;
    void *ctx;
    struct tools_seen *seen; /* borrowed; may be NULL */
};

enum run_outcome { TURN_RUNNING, TURN_OK, TURN_ERROR, TURN_ABORTED, TURN_TIMEOUT };

/* Views are valid until the run goes on or is freed. */
struct run_result {
    enum run_outcome outcome;
    struct view provider, model; /* the last that was asked; empty before */
    struct view text;            /* whole, or as far as it came */
    const char *stop_reason;
    const char *error_kind; /* "" without an error */
    struct view error;
    uint32_t http_status;
    struct view usage; /* JSON object text, or empty */
    struct view calls; /* of tools: JSON text, see tools_reply_json; or empty */
};

/* payload: the job's document in a sealed memory file. A document that is not as it should be ends
 * the run with an error like any other failure: on_done comes at the end of the turn.
 * Owns: takes the descriptor, also on failure.  Errors: ERR_NOMEM. */
int run_start(struct run **out, const struct run_conf *conf, int payload, struct err *e) MUST_USE;
void run_free(struct run **r);
/* Ends it now, the transfer closed; on_done is called before this returns. No-op when it is over.
 */
void run_abort(struct run *r);
uint64_t run_job(const struct run *r);
uint32_t run_attempt(const struct run *r);
/* The run's name, "" before its job was read: for logs. */
const char *run_name(const struct run *r);
bool run_is_over(const struct run *r);
void run_result(const struct run *r, struct run_result *out);
/* Why the last attempt that failed did: a name for logs. */
const char *run_last_failure(const struct run *r);
/* Everything the model has said so far. */
struct view run_text(const struct run *r);

/* Milliseconds to wait before the next attempt. failed counts from 1; hint: the provider's own, 0
 * without. Full jitter: anything between 0 and the doubled bound, never less than the hint.
 * Source: robustness 2.7. */
uint64_t run_wait_ms(unsigned failed, const struct patience *p, uint64_t hint_ms, uint64_t random);

#endif
