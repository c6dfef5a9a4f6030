/*
 * workers/hub/throttle.h - wrong secrets per address and kind (protocol, 1.2): from elsewhere 10 in
 * a minute lock the address for five, on this machine each failure waits longer than the one
 * before. Pure: time is an argument. The same table serves connects and HTTP.
 */
#ifndef THROTTLE_H
#define THROTTLE_H

#include "view.h"

#include <stdint.h>

enum {
    THROTTLE_ADDRESSES = 512, /* remembered; the one that failed longest ago makes room */
    THROTTLE_KEY_MAX = 96,
    THROTTLE_FAILURES = 10,
    THROTTLE_WINDOW_MS = 60 * 1000,
    THROTTLE_LOCK_MS = 5 * 60 * 1000,
    THROTTLE_WAIT_MS = 250,
    THROTTLE_WAIT_MAX_MS = 5000,
};

/* Each is counted by itself: whoever may not guess tokens any more still has his device. */
enum throttle_kind { THROTTLE_SECRET = 's', THROTTLE_DEVICE = 'd', THROTTLE_BOOTSTRAP = 'b' };

struct throttle_rule { /* 0: the numbers above */
    unsigned failures;
    uint64_t window_ms, lock_ms;
};

struct throttle {
    struct throttle_rule rule;
    struct throttle_address {
        char key[THROTTLE_KEY_MAX]; /* the kind, then the address */
        unsigned failures;
        uint64_t since_ms, last_ms, locked_until_ms;
    } list[THROTTLE_ADDRESSES];
    unsigned count;
};

/* Milliseconds until the address may try again, 0 when it may. */
uint64_t throttle_locked(const struct throttle *t, enum throttle_kind kind, struct view key,
                         uint64_t now_ms);
/* A wrong secret. Returns how long the answer waits (waits) or 0 (then it may be locked now). */
uint64_t throttle_failed(struct throttle *t, enum throttle_kind kind, struct view key, bool waits,
                         uint64_t now_ms);
/* A right one: forgiven. */
void throttle_ok(struct throttle *t, enum throttle_kind kind, struct view key);

#endif
