/* workers/hub/deliver_table.h - deliveries under way in memory: by id, by target, by account. For
 * the files of deliveries.h only. */
#ifndef DELIVER_TABLE_H
#define DELIVER_TABLE_H

#include "blocks.h"
#include "deliver_heap.h"
#include "deliveries.h"
#include "pace.h"

enum { DELIVER_BUCKETS = 4096, DELIVER_ACCOUNTS_MAX = 1024 };

struct delivery {
    struct heap_entry timer; /* first */
    struct delivery *id_next;
    struct delivery *next; /* behind it, to the same target */
    struct target *target;
    uint64_t id;
    struct deliver d;
    uint64_t due_ms, expires_ms; /* of the loop's clock */
    uint64_t boot;               /* of the process that has the attempt under way; 0: not known */
    bool counted;                /* it has a place in its account's window */
    bool shown;                /* a message shows it already, which it becomes where that can be */
    uint8_t kind;              /* enum delivery_kind */
    bool unready;              /* its files are not here yet (deliver_media.h) */
    struct deliver_prep *prep; /* owned; they are being got */
    struct deliver_told *told; /* owned; its outcome, which the store has no room for yet */
};

struct target {
    struct target *hash_next;
    struct target *ready_next; /* among those that could send if the account could */
    struct account *account;
    struct delivery *first, *last;
    bool ready;
    size_t n;
    char id[]; /* n bytes */
};

enum { CHANNEL_NAME_MAX = 33, ACCOUNT_NAME_MAX = 65 };

struct account {
    char channel[CHANNEL_NAME_MAX], name[ACCOUNT_NAME_MAX];
    bool configured;
    bool chunks;       /* cuts text itself (runtime.channels) */
    unsigned instance; /* 0: no process */
    struct link *line;
    bool spoke;             /* its first word on this line was heard */
    bool alarmed;           /* its owner knows that it is broken (chanalarm.h) */
    bool missed;            /* or away for long */
    int64_t connected_at;   /* the connection that it had last, wall clock; 0: none yet */
    uint64_t away_since_ms; /* of the loop's clock; 0: it is connected, or not looked at yet */
    bool known;             /* flags were told in the life of this hub */
    uint32_t flags, text_limit, media_max_mb;
    uint8_t album;
    uint64_t boot;             /* of its process; 0: not known */
    struct pace_limits limits; /* of its platform */
    struct pace *pace;         /* owned; NULL until something is counted */
    struct delivery *sending[DELIVER_WINDOW];
    unsigned sending_n;
    struct target *ready, *ready_last;
    json_t *state; /* owned; may be NULL */
    struct blocks_wish blocks;
};

struct waiter;
struct deliveries {
    struct hub *hub;
    struct delivery *by_id[DELIVER_BUCKETS];
    struct target *targets[DELIVER_BUCKETS];
    struct account *accounts[DELIVER_ACCOUNTS_MAX]; /* owned; stay until the end */
    unsigned account_n, count;
    struct heap heap;
    struct loop_timer timer, prune, pace, away;
    struct deliver_policy policy;
    uint64_t ttl_ms, answer_ms;
    unsigned count_max;
    bool draining;
    void (*on_idle)(struct hub *h);
    struct loop_task idle, pump;
    struct waiter *waiters;
    unsigned waiter_n;
};

struct delivery *deliver_find(struct deliveries *ds, uint64_t id);
/* make: one that is not there yet. NULL: none, or no memory or room. */
struct account *deliver_account(struct deliveries *ds, struct view channel, struct view name,
                                bool make);
struct account *deliver_account_line(struct deliveries *ds, const struct link *l);
/* NULL: nothing is on its way there. */
struct target *deliver_target(const struct deliveries *ds, const struct account *a, struct view id);
/* In the tables and the target's queue by its id, behind whatever is being sent. Errors: ERR_NOMEM,
 * ERR_LIMIT. */
int deliver_new(struct deliveries *ds, const struct rec_delivery_add *a, struct delivery **out,
                struct err *e) MUST_USE;
/* Out of everything; its target too, when that was the last. */
void deliver_free(struct deliveries *ds, struct delivery *x);
void deliver_ready(struct target *t);
struct target *deliver_ready_pop(struct account *a);
/* A place in the account's window. */
bool deliver_count(struct delivery *x);
void deliver_uncount(struct delivery *x);
void deliver_table_fini(struct deliveries *ds);

/* -- deliveries.c, for deliver_life.c and deliver_result.c -- */
static inline uint64_t deliver_now(const struct deliveries *ds)
{
    return loop_now_ms(ds->hub->w.loop);
}
void deliver_timer(struct deliveries *ds, struct delivery *x, uint64_t at_ms);
/* For its time, or for whatever keeps it back: until it expires. */
void deliver_wait_on(struct deliveries *ds, struct delivery *x);
/* A row of the store into memory, without a timer. */
int deliver_enter(struct deliveries *ds, const struct store_delivery *row, struct delivery **out,
                  struct err *e) MUST_USE;
/* Nobody says any more what became of what its channel has. */
void deliver_line_lost(struct deliveries *ds, struct account *a);
/* An event, durable before anything comes of it. false: the store did not take it; nothing has
 * happened, and its time comes again. x may be gone afterwards. */
struct deliver_news {
    struct view error, message_id; /* empty: as they are */
    uint64_t retry_after_ms;
    uint32_t next;       /* of the part, see deliver_facts */
    uint64_t new_ttl_ms; /* 0: it expires when it would have */
    uint64_t boot;       /* of the process that is to have it; 0: as it is */
    struct view plan;    /* its files are here: how they go out, and all its parts */
    uint32_t parts;
};
bool deliver_apply(struct deliveries *ds, struct delivery *x, enum deliver_event ev,
                   const struct deliver_news *n);
int deliver_save(struct deliveries *ds, uint64_t id, const struct deliver *d,
                 const struct deliver_news *n, struct err *e) MUST_USE;
/* -- deliver_pace.c: what the platform bears (pace.h) -- */
/* When x may go, its chat asked; 0: now. */
uint64_t deliver_pace_due(const struct deliveries *ds, const struct delivery *x);
/* The same of a whole account. */
uint64_t deliver_pace_account(const struct deliveries *ds, const struct account *a);
void deliver_pace_limits(struct account *a, const struct ipc_channel_state *m);
/* It goes; it was answered. */
void deliver_pace_take(struct deliveries *ds, const struct delivery *x);
void deliver_pace_done(struct deliveries *ds, const struct delivery *x,
                       const struct ipc_deliver_result *m);
/* Accounts that have something to send and may not: the pump runs when one may. */
void deliver_pace_arm(struct deliveries *ds);
/* -- deliver_result.c: its outcome is known, and tried once more to keep. false: it is not. -- */
bool deliver_told_again(struct deliveries *ds, struct delivery *x);
void deliver_on_time(void *deliveries);
void deliver_on_pump(void *deliveries);

#endif
