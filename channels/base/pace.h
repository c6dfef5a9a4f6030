/*
 * channels/base/pace.h - a platform's rate limits for new messages (chat_gap_ms and account_per_s
 * of channel_ops): whoever asks too soon is told how long to wait, before the platform has to
 * refuse. A chat that waits holds up no other one. Pure state and arithmetic; the caller brings the
 * clock. The gap of a chat counts from when the platform had answered, so that a slow way there
 * does not bring two messages closer together than they were sent.
 */
#ifndef PACE_H
#define PACE_H

#include "view.h"

#include <stdint.h>

enum {
    PACE_CHATS = 128, /* whose gap still runs; with more than that in one gap the next one waits */
    PACE_PER_S_MAX = 64 /* of account_per_s */
};

struct pace {
    uint32_t chat_gap_ms, per_s; /* 0: no limit */
    struct {
        uint64_t key, until_ms; /* until_ms in the past: free */
    } chats[PACE_CHATS];
    uint64_t sent_ms[PACE_PER_S_MAX]; /* the last per_s messages */
    unsigned at, n;
};

/* 0: go, and it is counted. Otherwise nothing has changed: ask again in so many milliseconds. */
uint32_t pace_take(struct pace *p, struct view chat, uint64_t now_ms);
/* The platform has answered a message to this chat. */
void pace_done(struct pace *p, struct view chat, uint64_t now_ms);

#endif
