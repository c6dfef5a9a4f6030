/* workers/hub/deliver_pace.c - what platforms bear of each account's messages: asked before one is
 * marked as being sent, told when it went and what the platform said. */
#include "deliver_table.h"
#include "log.h"

/* A message of its own, no change of one that is there. */
static bool is_new(const struct delivery *x)
{
    bool becomes =
        x->shown && x->d.part == 0 && x->d.from == 0 && x->target->account->flags & CHANNEL_EDITS;

    return (x->kind == DELIVERY_TEXT && !becomes) || x->kind == DELIVERY_POLL;
}

static struct view name_of(const struct target *t)
{
    return view_of(t->id, t->n);
}

static bool limited(const struct pace_limits *l)
{
    return l->chat_gap_ms || l->room_per_min || l->account_n;
}

/* NULL: nothing is to be counted, or there is no memory for it: then the platform has to say it. */
static struct pace *pace_of(struct account *a, bool needed)
{
    if (!a->pace && (needed || limited(&a->limits)) && (a->pace = mem_alloc(sizeof(*a->pace))))
        a->pace->limits = a->limits;
    return a->pace;
}

void deliver_pace_limits(struct account *a, const struct ipc_channel_state *m)
{
    a->limits = (struct pace_limits){.chat_gap_ms = m->chat_gap_ms,
                                     .room_per_min = m->room_per_min,
                                     .account_n = m->account_n,
                                     .account_ms = m->account_ms};
    memcpy(a->limits.rooms, m->rooms.p, m->rooms.n); /* ipc.def: one less than its size */
    if (a->pace)
        a->pace->limits = a->limits;
}

uint64_t deliver_pace_due(const struct deliveries *ds, const struct delivery *x)
{
    const struct pace *p = x->target->account->pace;

    return p && is_new(x) ? pace_chat(p, name_of(x->target), deliver_now(ds)) : 0;
}

uint64_t deliver_pace_account(const struct deliveries *ds, const struct account *a)
{
    return a->pace ? pace_account(a->pace, deliver_now(ds)) : 0;
}

void deliver_pace_take(struct deliveries *ds, const struct delivery *x)
{
    struct pace *p = pace_of(x->target->account, false);

    if (p && is_new(x))
        pace_take(p, name_of(x->target), deliver_now(ds));
}

void deliver_pace_done(struct deliveries *ds, const struct delivery *x,
                       const struct ipc_deliver_result *m)
{
    struct account *a = x->target->account;
    struct pace *p = pace_of(a, m->outcome == OUTCOME_LATER);

    if (p && is_new(x))
        pace_done(p, name_of(x->target), deliver_now(ds));
    if (p && m->outcome == OUTCOME_LATER) {
        pace_later(p, name_of(x->target), deliver_now(ds), m->retry_after_ms, m->all != 0);
        log_info("delivery.later", KV("channel", a->channel), KV("account", a->name),
                 KV("wait_ms", m->retry_after_ms),
                 KV("all", deliver_pace_account(ds, a) > 0 ? 1 : 0));
    }
}

void deliver_pace_arm(struct deliveries *ds)
{
    uint64_t now = deliver_now(ds), first = UINT64_MAX;

    for (unsigned i = 0; i < ds->account_n; i++) {
        const struct account *a = ds->accounts[i];
        uint64_t at = a->ready ? deliver_pace_account(ds, a) : 0;

        if (at && at < first)
            first = at;
    }
    if (first < UINT64_MAX)
        loop_timer_set(&ds->pace, first - now);
}

bool deliveries_free(struct hub *h, struct view channel, struct view account, struct view target)
{
    struct deliveries *ds = h->deliveries;
    struct account *a = deliver_account(ds, channel, account, false);

    return a && !deliver_target(ds, a, target) &&
           (!a->pace || (!pace_chat(a->pace, target, deliver_now(ds)) &&
                         !pace_account(a->pace, deliver_now(ds))));
}

void deliveries_went(struct hub *h, struct view channel, struct view account, struct view target)
{
    struct deliveries *ds = h->deliveries;
    struct account *a = deliver_account(ds, channel, account, false);
    struct pace *p = a ? pace_of(a, false) : NULL;

    if (p)
        pace_take(p, target, deliver_now(ds));
}
