/*
 * workers/hub/pulse.h - turns of the last hours, minute by minute: how many, how long, how many
 * tokens. For charts; in memory only, a new hub begins with none.
 */
#ifndef PULSE_H
#define PULSE_H

#include "jw.h"

enum { PULSE_MINUTES = 180 };

struct pulse {
    struct pulse_minute {
        int64_t minute; /* since the epoch; another one than asked for: nothing happened */
        uint32_t ok, failed;
        uint64_t ms_sum, ms_max; /* of those that were answered, from their acceptance */
        uint64_t tokens_in, tokens_out;
    } ring[PULSE_MINUTES];
};

/* A turn ended. */
void pulse_turn(struct pulse *p, int64_t now_ms, bool ok, int64_t took_ms);
/* A model was paid for so much. */
void pulse_tokens(struct pulse *p, int64_t now_ms, uint64_t in, uint64_t out);
/* The newest minutes, oldest first, as an array. */
void pulse_write(const struct pulse *p, int64_t now_ms, unsigned minutes, struct jw *w);

#endif
