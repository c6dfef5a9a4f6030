/* channels/base/backoff.h - how long to wait before the next attempt: doubling to a ceiling, with
 * jitter, so that many accounts do not come back at the same moment. Pure but for the dice. */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t first_ms, max_ms; /* set by the owner */
    unsigned attempts;         /* since the last success */
};

/* The wait before the next attempt: 75 to 100 % of first * 2^n, at most max. */
uint32_t backoff_next(struct backoff *b);
static inline void backoff_reset(struct backoff *b)
{
    b->attempts = 0;
}

#endif
