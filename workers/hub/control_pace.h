/*
 * workers/hub/control_pace.h - how often somebody may change how the gateway is run: 30 times a
 * minute for each method and each device, else address (reference, 1.2). Methods have RPC_CONTROL
 * in rpc.def. Pure: time is an argument.
 */
#ifndef CONTROL_PACE_H
#define CONTROL_PACE_H

#include "view.h"

#include <stdint.h>

enum {
    CONTROL_CALLS = 30,
    CONTROL_WINDOW_MS = 60 * 1000,
    CONTROL_CALLERS =
        128, /* remembered; who began longest ago makes room: they are administrators */
    CONTROL_KEY_MAX = 200,
};

struct control_pace {
    struct control_caller {
        char key[CONTROL_KEY_MAX]; /* method, a space, device or address */
        uint64_t since_ms;
        unsigned calls;
    } list[CONTROL_CALLERS];
    unsigned count;
};

/* 0, and the call is counted; else the milliseconds until the next one may come. */
uint64_t control_pace_take(struct control_pace *p, struct view method, struct view who,
                           uint64_t now_ms);

#endif
