/*
 * workers/hub/pace.h - when the next new message of an account may go, by what its platform bears
 * and by what it has asked for ("later", HTTP 429). Asked before a message is marked as being sent,
 * so that nothing waits where a crash would leave it in doubt. A chat that waits holds up no other
 * one. Limits count in any window of their length, not in fixed ones; the gap of a chat counts from
 * when the platform had answered, so that a slow way there does not bring two messages closer
 * together than they were sent. Forgotten with the hub: the platform says then what is too much.
 * Pure state and arithmetic; the caller brings the clock.
 */
#ifndef PACE_H
#define PACE_H

#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PACE_CHATS = 128,       /* remembered; of more than that the one that was quiet longest goes */
    PACE_ROOM_MAX = 32,     /* of room_per_min */
    PACE_ACCOUNT_MAX = 128, /* of account_n */
    PACE_ROOMS_BYTES = 17,
    PACE_CROWD = 3, /* chats that are told to wait at once: it is meant for the account */
    PACE_LATER_MAX_MS = 86400000, /* a platform that asks for more is not believed */
};

struct pace_limits { /* 0: no limit */
    uint32_t chat_gap_ms;
    uint32_t room_per_min; /* of a chat of several people */
    uint32_t account_n, account_ms;
    char rooms[PACE_ROOMS_BYTES]; /* what targets of such chats begin with: one of these bytes */
};

struct pace {
    struct pace_limits limits;
    struct {
        uint64_t key;       /* 0: free */
        uint64_t free_ms;   /* its gap ends */
        uint64_t paused_ms; /* the platform does not want to hear of it until then */
        uint64_t used_ms;
        uint32_t n, at;                  /* of room_ms */
        uint64_t room_ms[PACE_ROOM_MAX]; /* its last messages */
    } chats[PACE_CHATS];
    uint64_t account_ms[PACE_ACCOUNT_MAX]; /* the account's last messages */
    unsigned at, n;
    uint64_t paused_ms;
};

/* From when on a new message may go to this chat (0: now), its account not asked. */
uint64_t pace_chat(const struct pace *p, struct view target, uint64_t now_ms);
/* The same of the account, whatever the chat. */
uint64_t pace_account(const struct pace *p, uint64_t now_ms);
/* It goes: counted. */
void pace_take(struct pace *p, struct view target, uint64_t now_ms);
/* The platform has answered it. */
void pace_done(struct pace *p, struct view target, uint64_t now_ms);
/* The platform asks to wait: with this chat, or with all of them. */
void pace_later(struct pace *p, struct view target, uint64_t now_ms, uint64_t wait_ms, bool all);

#endif
