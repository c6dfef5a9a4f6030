#include "pace.h"

#include "mem.h"

enum { MINUTE_MS = 60000, NOT_A_CHAT = PACE_CHATS };

/* The chat of a target as people write it: without "telegram:group:" before it and without a topic
 * behind it. */
static struct view chat_of(struct view t)
{
    static const struct view topic = {":topic:", 7};

    for (size_t i = 0; i < t.n; i++)
        if (view_starts(view_from(t, i), topic))
            t.n = i;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] == ':' && i > 0 && i + 1 < t.n)
            return chat_of(view_from(t, i + 1));
        if (t.p[i] < 'a' || t.p[i] > 'z')
            break;
    }
    return t;
}

/* FNV-1a. Two chats with one key only wait for each other. */
static uint64_t key_of(struct view chat)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < chat.n; i++)
        h = (h ^ (unsigned char)chat.p[i]) * 0x100000001b3U;
    return h ? h : 1;
}

static size_t find(const struct pace *p, uint64_t key)
{
    size_t i = 0;

    while (i < PACE_CHATS && p->chats[i].key != key)
        i++;
    return i;
}

/* Its place, or one that is made for it: of those whose gap is over the one that was quiet longest,
 * of those that are paused none unless all are. */
static size_t place(struct pace *p, uint64_t key, uint64_t now_ms)
{
    size_t i = find(p, key), best = NOT_A_CHAT, oldest = 0;

    if (i < PACE_CHATS)
        return i;
    for (i = 0; i < PACE_CHATS; i++) {
        if (p->chats[i].used_ms < p->chats[oldest].used_ms)
            oldest = i;
        if (p->chats[i].free_ms <= now_ms && p->chats[i].paused_ms <= now_ms &&
            (best == NOT_A_CHAT || p->chats[i].used_ms < p->chats[best].used_ms))
            best = i;
    }
    if (best == NOT_A_CHAT)
        best = oldest;
    memset(&p->chats[best], 0, sizeof(p->chats[best]));
    p->chats[best].key = key;
    return best;
}

static bool is_room(const struct pace *p, struct view chat)
{
    return chat.n && chat.p[0] && strchr(p->limits.rooms, chat.p[0]);
}

static uint32_t room_n(const struct pace *p)
{
    return p->limits.room_per_min < PACE_ROOM_MAX ? p->limits.room_per_min : PACE_ROOM_MAX;
}

static uint32_t account_n(const struct pace *p)
{
    return p->limits.account_n < PACE_ACCOUNT_MAX ? p->limits.account_n : PACE_ACCOUNT_MAX;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t pace_chat(const struct pace *p, struct view target, uint64_t now_ms)
{
    struct view chat = chat_of(target);
    size_t i = find(p, key_of(chat));
    uint64_t at = 0;

    if (i == NOT_A_CHAT)
        return 0;
    at = later(p->chats[i].paused_ms, p->limits.chat_gap_ms ? p->chats[i].free_ms : 0);
    if (is_room(p, chat) && room_n(p) && p->chats[i].n >= room_n(p))
        at = later(at, p->chats[i].room_ms[p->chats[i].at] + MINUTE_MS);
    return at > now_ms ? at : 0;
}

uint64_t pace_account(const struct pace *p, uint64_t now_ms)
{
    uint64_t at = p->paused_ms;

    if (account_n(p) && p->n >= account_n(p))
        at = later(at, p->account_ms[p->at] + p->limits.account_ms);
    return at > now_ms ? at : 0;
}

/* at: of the oldest of the last n. */
static void note(uint64_t *times, uint32_t *at, uint32_t *n, uint32_t max, uint64_t now_ms)
{
    if (*at >= max || *n > max) /* the limit is another one than it was */
        *at = *n = 0;
    if (*n < max) {
        times[(*at + *n) % max] = now_ms;
        ++*n;
    } else {
        times[*at] = now_ms;
        *at = (*at + 1) % max;
    }
}

void pace_take(struct pace *p, struct view target, uint64_t now_ms)
{
    struct view chat = chat_of(target);

    if (p->limits.chat_gap_ms || (is_room(p, chat) && room_n(p))) {
        size_t i = place(p, key_of(chat), now_ms);

        p->chats[i].used_ms = now_ms;
        p->chats[i].free_ms = now_ms + p->limits.chat_gap_ms;
        if (is_room(p, chat) && room_n(p))
            note(p->chats[i].room_ms, &p->chats[i].at, &p->chats[i].n, room_n(p), now_ms);
    }
    if (account_n(p))
        note(p->account_ms, &p->at, &p->n, account_n(p), now_ms);
}

void pace_done(struct pace *p, struct view target, uint64_t now_ms)
{
    size_t i = find(p, key_of(chat_of(target)));

    if (i < PACE_CHATS && p->limits.chat_gap_ms) /* + 1: clocks in whole milliseconds */
        p->chats[i].free_ms = now_ms + p->limits.chat_gap_ms + 1;
}

void pace_later(struct pace *p, struct view target, uint64_t now_ms, uint64_t wait_ms, bool all)
{
    uint64_t until = now_ms + (wait_ms < PACE_LATER_MAX_MS ? wait_ms : PACE_LATER_MAX_MS);
    size_t i = place(p, key_of(chat_of(target)), now_ms);
    unsigned waiting = 0;

    p->chats[i].used_ms = now_ms;
    p->chats[i].paused_ms = later(p->chats[i].paused_ms, until);
    for (size_t k = 0; k < PACE_CHATS; k++)
        waiting += p->chats[k].paused_ms > now_ms;
    if (all || waiting >= PACE_CROWD)
        p->paused_ms = later(p->paused_ms, until);
}
