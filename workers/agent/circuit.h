/*
 * workers/agent/circuit.h - a provider that fails is left alone for a while, and is never asked
 * much more often than its users ask. One for each key: what one turn learns spares the next. Open
 * at 10 failures among the last 20 attempts of the last 30 s; after 30 s one attempt may try, and
 * what becomes of it decides. Retries: one for ten first attempts, and some for a quiet day. Pure:
 * no clock, no memory of its own.  Source: robustness 2.7.
 */
#ifndef CIRCUIT_H
#define CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CIRCUIT_WINDOW = 20,
    CIRCUIT_FAILURES = 10,
    CIRCUIT_WINDOW_MS = 30000,
    CIRCUIT_OPEN_MS = 30000,
    CIRCUIT_RETRIES = 20,               /* saved up at most */
    CIRCUIT_RETRY_PERCENT = 10,         /* of the first attempts */
    CIRCUIT_RETRY_EVERY_MS = 10 * 1000, /* one more, however few ask */
};

struct circuit { /* zeros are a good one */
    struct {
        uint64_t at_ms;
        bool failed;
    } last[CIRCUIT_WINDOW];
    unsigned count, next;
    bool open;
    uint64_t until_ms; /* open: nobody before */
    bool begun;
    uint64_t paid_ms;
    unsigned percents; /* retries that may be made, in hundredths */
};

/* May an attempt go out? The one that tries an open circuit keeps the others out for another
 * CIRCUIT_OPEN_MS, should it never tell. *wait_ms: how long it stays shut. */
bool circuit_may(struct circuit *c, uint64_t now_ms, uint64_t *wait_ms);
/* What became of an attempt. */
void circuit_saw(struct circuit *c, uint64_t now_ms, bool failed);
/* A first attempt goes out: a part of a retry is earned. */
void circuit_asked(struct circuit *c, uint64_t now_ms);
/* May a failed attempt be repeated?  Takes it from what was earned. */
bool circuit_retry(struct circuit *c, uint64_t now_ms);

#endif
