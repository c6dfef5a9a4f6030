/*
 * workers/agent/fail.h - why a model gave no whole answer, and what that allows: try the same model
 * again, go on to the next one, or tell the person.
 * Trusts nothing: texts of a provider are cut, patterns are matched on the cut text only.
 */
#ifndef FAIL_H
#define FAIL_H

#include "json.h"

#include <stdint.h>

enum fail_reason {
    FAIL_NONE,
    FAIL_RATE_LIMIT,
    FAIL_OVERLOADED,
    FAIL_SERVER,      /* the provider's own 5xx */
    FAIL_NETWORK,     /* no connection, or it broke before anything came */
    FAIL_TIMEOUT,     /* connect, first byte or silence */
    FAIL_INTERRUPTED, /* the stream ended before its terminator */
    FAIL_PROTOCOL,    /* what came is not what the provider's interface is */
    FAIL_TOO_LARGE,   /* the answer is over our limits */
    FAIL_MEMORY,      /* we had none */
    FAIL_EMPTY,       /* a whole answer with nothing in it */
    FAIL_BILLING,
    FAIL_AUTH,
    FAIL_AUTH_PERMANENT,
    FAIL_MODEL_NOT_FOUND,
    FAIL_FORMAT, /* the provider refuses the request as it is */
    FAIL_CONTEXT,
    FAIL_REFUSAL,
    FAIL_CONFIG, /* no such provider, no key: ours to mend */
    FAIL_UNKNOWN,
    FAIL_REASON_COUNT,
};

enum {
    FAIL_TEXT_MAX = 400, /* a sentence for a person */
};

struct failure {
    enum fail_reason reason;
    uint32_t status;         /* HTTP, 0 when there was none */
    uint64_t retry_after_ms; /* the provider's own hint, 0 without one; not capped */
    char text[FAIL_TEXT_MAX];
};

/* The wire's names. reason: failoverReason; kind: refusal, timeout, rate_limit, context_length or
 * unknown. */
const char *fail_reason_name(enum fail_reason reason);
const char *fail_kind(enum fail_reason reason);
/* The same request to the same model may succeed a little later, within the wait we are ready for.
 */
bool fail_retryable(const struct failure *f, uint64_t wait_max_ms);
/* It says nothing of the request, but that the provider is in trouble. */
bool fail_of_provider(const struct failure *f);
/* Another model may do better. */
bool fail_try_next(const struct failure *f);

/* Replaces what is there; the text is cut at a whole character and cleaned of control characters.
 */
void fail_set(struct failure *f, enum fail_reason reason, const char *fmt, ...) PRINTF(3, 4);

/* A provider's answer with a status of 400 and above. body: the start of it, JSON or anything.
 * Source: providers 6 and 7; the statuses that are tried again are robustness 2.7's. */
void fail_from_http(struct failure *f, uint32_t status, struct view body);
/* An error inside a stream: an object with message, code, type, status; or a string. */

void fail_from_json(struct failure *f, uint32_t status, const json_t *error);

/* Retry-After as seconds or an HTTP date.  Returns milliseconds, 0 when it is neither. */
uint64_t fail_retry_after(struct view value, int64_t wall_ms);
/* Replace every occurrence of a key that a provider echoes. */
void fail_redact(struct failure *f, struct view secret);

#endif
