/*
 * channels/telegram/tg_state.h - what must outlive the process: the position in the updates, and
 * groups that became other chats. As JSON text, saved by the hub. Pure.
 */
#ifndef TG_STATE_H
#define TG_STATE_H

#include "buf.h"
#include "tg_seen.h"

enum { TG_MOVED_MAX = 128 };

struct tg_state {
    int64_t bot; /* whose updates these are: another token, other numbers */
    struct tg_seen seen;
    struct tg_moved {
        int64_t from, to;
    } moved[TG_MOVED_MAX]; /* the oldest first */
    unsigned moved_n;
};

/* What is wrong is left out; of another bot: all of it. */
void tg_state_read(struct tg_state *s, struct view text, int64_t bot);
void tg_state_write(const struct tg_state *s, struct buf *out);
/* false: it was known. */
bool tg_state_moved(struct tg_state *s, int64_t from, int64_t to);
/* Where a chat is now, and where it was at first; itself when it never moved. */
int64_t tg_state_to(const struct tg_state *s, int64_t chat);
int64_t tg_state_from(const struct tg_state *s, int64_t chat);

#endif
