/*
 * workers/hub/queue.h - messages of a session that wait: how a message behaves while its session is
 * busy (mode), how long the queue must have been quiet (debounce), how many may wait (cap) and what
 * goes when there are more (drop). Settings: the session's own (/queue), then the channel's, then
 * messages.queue.
 *
 * Invariants: who wrote on a platform cannot be told to come back later, so that for them the cap
 * drops; a client of the gateway can, and what it was told was accepted is never dropped. What is
 * dropped stays in the transcript, outside of prompts, and (summarize) is told in short with the
 * next message that waits. Messages that address the agent go first, replies to it next; nobody
 * overtakes himself. All of it is in the rows of the runs: a restart changes nothing.
 * Not here: what comes after a turn (run_turn.c), which messages are for the agent (group.h).
 */
#ifndef QUEUE_H
#define QUEUE_H

#include "session.h"

enum queue_mode { QUEUE_STEER, QUEUE_FOLLOWUP, QUEUE_COLLECT, QUEUE_INTERRUPT, QUEUE_MODE_COUNT };
enum queue_drop { DROP_SUMMARIZE, DROP_OLD, DROP_NEW, QUEUE_DROP_COUNT };
enum queue_rank { RANK_PLAIN, RANK_REPLY, RANK_MENTION };

enum {
    QUEUE_DEBOUNCE_MS = 500,
    QUEUE_CAP = 20,
    QUEUE_CAP_MAX = 1000,
    QUEUE_DEBOUNCE_MAX_MS = 24 * 3600 * 1000,
    QUEUE_PATIENCE = 5,     /* who never pauses waits so many debounces at most */
    QUEUE_LINE_BYTES = 160, /* of a dropped message in the summary */
};

struct queue_set {
    enum queue_mode mode;
    uint32_t debounce_ms;
    unsigned cap;
    enum queue_drop drop;
};

struct live;
struct run;

/* Names, as the configuration, /queue and chat.send have them; old ones are understood. */
bool queue_mode_read(struct view name, enum queue_mode *out);
const char *queue_mode_name(enum queue_mode m);
const char *queue_drop_name(enum queue_drop d);

/* What holds for a message of this channel ("" for clients) in this session. */
void queue_settings(const json_t *conf, const struct session *s, struct view channel,
                    struct queue_set *out);
/* Milliseconds that messages of one sender are gathered before they start a turn; 0: not. */
uint32_t queue_gather_ms(const json_t *conf, struct view channel);
/* "/queue collect debounce:2s cap:25 drop:old", "default", "" (asks): changes *s, not the store.
 * false: it is not understood, and say tells why. */
bool queue_command(const json_t *conf, struct session *s, struct view args, struct buf *say);

/* Before fresh waits in l. 0: there is room. 1: fresh is to be dropped. Errors: ERR_LIMIT full of
 * messages that may not be dropped, the store's; nothing has changed then. */
int queue_room(struct live *l, struct run *fresh, struct err *e) MUST_USE;
/* fresh will not be answered: into the transcript and over. Gone afterwards, unless it fails. */
int queue_drop_run(struct run *fresh, struct view text, struct err *e) MUST_USE;
/* Where fresh belongs among those that wait: the one before it, or NULL for the first place. */
struct run *queue_place(const struct live *l, const struct run *fresh);
/* Wall clock at which the first of l may start; 0: now. */
int64_t queue_due(const struct live *l, int64_t now_ms);
/* Whether b, right behind a, is answered with it. */
bool queue_together(const struct run *a, const struct run *b);

#endif
