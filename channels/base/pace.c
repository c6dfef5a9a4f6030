/* channels/base/pace.c - when the next message may go. */
#include "pace.h"

#include <stddef.h>

enum { SECOND_MS = 1000 };

/* FNV-1a. Two chats with one key only wait for each other. */
static uint64_t key_of(struct view chat)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < chat.n; i++)
        h = (h ^ (unsigned char)chat.p[i]) * 0x100000001b3U;
    return h;
}

/* The chat's place, else the one that is free soonest. */
static size_t place(const struct pace *p, uint64_t key)
{
    size_t best = 0;

    for (size_t i = 0; i < PACE_CHATS; i++) {
        if (p->chats[i].key == key)
            return i;
        if (p->chats[i].until_ms < p->chats[best].until_ms)
            best = i;
    }
    return best;
}

static unsigned per_s(const struct pace *p)
{
    return p->per_s < PACE_PER_S_MAX ? p->per_s : PACE_PER_S_MAX;
}

static uint64_t account_free(const struct pace *p)
{
    return p->per_s && p->n == per_s(p) ? p->sent_ms[p->at] + SECOND_MS : 0;
}

uint32_t pace_take(struct pace *p, struct view chat, uint64_t now_ms)
{
    uint64_t key = key_of(chat), free_ms = account_free(p);
    size_t i = place(p, key);

    if (p->chat_gap_ms && p->chats[i].until_ms > free_ms)
        free_ms = p->chats[i].until_ms;
    if (free_ms > now_ms)
        return (uint32_t)(free_ms - now_ms);
    if (p->chat_gap_ms) {
        p->chats[i].key = key;
        p->chats[i].until_ms = now_ms + p->chat_gap_ms;
    }
    if (p->per_s) {
        p->sent_ms[p->at] = now_ms;
        p->at = (p->at + 1) % per_s(p);
        p->n += p->n < per_s(p);
    }
    return 0;
}

void pace_done(struct pace *p, struct view chat, uint64_t now_ms)
{
    uint64_t key = key_of(chat);
    size_t i = place(p, key);

    if (p->chat_gap_ms && p->chats[i].key == key)
        p->chats[i].until_ms = now_ms + p->chat_gap_ms + 1; /* clocks in whole milliseconds */
}
