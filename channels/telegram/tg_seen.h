/*
 * channels/telegram/tg_seen.h - which updates were seen, and which of them are safe: what
 * getUpdates may be told. Its offset confirms everything below it, so it stands behind nothing that
 * is not safe. Pure: time is given.
 */
#ifndef TG_SEEN_H
#define TG_SEEN_H

#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TG_SEEN_MAX = 256,           /* above the offset; getUpdates gives 100 at a time */
    TG_SEEN_BACK = 10000,        /* further back than this it is no repetition */
    TG_SEEN_QUIET_MS = 86400000, /* Telegram may number anew after a week without updates */
};

struct tg_seen {
    int64_t next;  /* everything below is safe; 0: nothing is known */
    int64_t at_ms; /* wall clock of the last update; 0: never */
    unsigned n;
    struct tg_seen_row {
        int64_t id;
        bool safe;
    } rows[TG_SEEN_MAX]; /* those from next on, in order of their numbers */
};

enum tg_seen_is {
    TG_SEEN_NEW,
    TG_SEEN_KNOWN, /* it is being worked on, or was */
    TG_SEEN_FULL,  /* later: too many are not safe yet */
};

/* Look at an update and remember it. Negative numbers are KNOWN: they are none of Telegram's. */
enum tg_seen_is tg_seen_look(struct tg_seen *s, int64_t id, int64_t now_ms);
/* It is safe, or will never be wanted. */
void tg_seen_safe(struct tg_seen *s, int64_t id);
/* It was not taken after all: it is new when it comes again. */
void tg_seen_forget(struct tg_seen *s, int64_t id);
/* What getUpdates is told; 0: nothing (what is not confirmed comes again all the same). */
int64_t tg_seen_offset(const struct tg_seen *s, int64_t now_ms);
bool tg_seen_waits(const struct tg_seen *s); /* for something to be safe */

#endif
