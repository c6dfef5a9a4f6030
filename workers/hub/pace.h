/*
 * workers/hub/pace.h - how often somebody may change how the gateway is run: 30 times a minute for
 * each method and each device, else address (reference, 1.2). Methods have RPC_CONTROL in rpc.def.
 * Pure: time is an argument.
 */
#ifndef PACE_H
#define PACE_H

#include "view.h"

#include <stdint.h>

enum {
    PACE_CALLS = 30,
    PACE_WINDOW_MS = 60 * 1000,
    PACE_CALLERS = 128, /* remembered; who began longest ago makes room: they are administrators */
    PACE_KEY_MAX = 200,
};

struct pace {
    struct pace_caller {
        char key[PACE_KEY_MAX]; /* method, a space, device or address */
        uint64_t since_ms;
        unsigned calls;
    } list[PACE_CALLERS];
    unsigned count;
};

/* 0, and the call is counted; else the milliseconds until the next one may come. */
uint64_t pace_take(struct pace *p, struct view method, struct view who, uint64_t now_ms);

#endif
