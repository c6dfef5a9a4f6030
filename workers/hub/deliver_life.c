/* workers/hub/deliver_life.c - deliveries from start to stop: what the store says is open, which
 * accounts there are, what becomes of old rows. */
#include "chanalarm.h"
#include "clock.h"
#include "deliver_table.h"
#include "json.h"
#include "log.h"
#include "media.h"

enum {
    PRUNE_MS = 60 * 1000,
    PRUNE_ROWS = 2000,
    DONE_KEPT_MS = 48 * 3600 * 1000, /* keys stay known: chaos.md I3 asks for 24 h or 100,000 */
    DONE_KEPT = 100000,
};

bool deliveries_account(struct hub *h, unsigned i, struct deliver_account *out)
{
    struct deliveries *ds = h->deliveries;

    for (unsigned k = 0; k < ds->account_n; k++) {
        const struct account *a = ds->accounts[k];

        if (!a->configured || i-- > 0)
            continue;
        *out = (struct deliver_account){.channel = a->channel,
                                        .account = a->name,
                                        .up = a->spoke && a->flags & CHANNEL_CONNECTED,
                                        .flags = a->flags};
        return true;
    }
    return false;
}

bool deliveries_account_of(struct hub *h, const struct link *l, struct deliver_account *out)
{
    const struct account *a = deliver_account_line(h->deliveries, l);

    if (a)
        *out = (struct deliver_account){
            .channel = a->channel, .account = a->name, .up = a->spoke, .flags = a->flags};
    return a != NULL;
}

static int on_open_row(void *ctx, const struct store_delivery *row)
{
    struct deliveries *ds = ctx;
    struct delivery *x;
    struct err e = ERR_INIT;

    if (deliver_enter(ds, row, &x, &e) < 0) {
        log_error("delivery.restore", KV("delivery", row->add.id), KV("why", e.text));
        return 0;
    }
    if (x->d.state == DELIVERY_SENDING) { /* its channel may live and know */
        (void)deliver_count(x);
        deliver_timer(ds, x, deliver_now(ds) + ds->answer_ms);
    } else {
        deliver_wait_on(ds, x);
        deliver_ready(x->target);
    }
    return 0;
}

static int on_held(void *ctx, const struct store_delivery *row)
{
    *(uint64_t *)ctx = row->add.id;
    return 1;
}

static int prune_held(struct hub *h, struct err *e)
{
    uint64_t n = 0, id;
    int r;

    if ((r = store_deliveries_count(h->store, DELIVERIES_HELD, &n, e)) < 0)
        return r;
    for (; n > DELIVER_HELD_MAX; n--) {
        if ((r = store_deliveries(h->store, DELIVERIES_HELD, 0, on_held, &id, e)) < 0 ||
            (r = deliveries_by_hand(h, id, DELIVER_EV_DROP, e)) < 0)
            return r;
        log_warn("delivery.dropped", KV("delivery", id), KV("held", n));
    }
    return 0;
}

static void on_prune(void *ctx)
{
    struct deliveries *ds = ctx;
    struct hub *h = ds->hub;
    struct err e = ERR_INIT;
    size_t dropped = 0;

    if (store_usable(h->store) &&
        (prune_held(h, &e) < 0 || store_deliveries_prune(h->store, clock_wall_ms() - DONE_KEPT_MS,
                                                         DONE_KEPT, PRUNE_ROWS, &dropped, &e) < 0))
        log_warn("deliveries.prune", KV("why", e.text));
    if (dropped) {
        hub_changed(h);
        media_look(h);
    }
    loop_timer_set(&ds->prune, PRUNE_MS);
}

static void on_idle(void *ctx)
{
    struct deliveries *ds = ctx;

    for (unsigned i = 0; i < ds->account_n; i++)
        if (ds->accounts[i]->sending_n && ds->accounts[i]->line)
            return;
    if (ds->on_idle)
        ds->on_idle(ds->hub);
}

void deliveries_drain(struct hub *h, void (*idle)(struct hub *h))
{
    h->deliveries->draining = true;
    h->deliveries->on_idle = idle;
    loop_defer(h->w.loop, &h->deliveries->idle, LOOP_COMMIT);
}

static uint64_t number(struct hub *h, const char *path, uint64_t fallback)
{
    const json_t *v = json_at(h->w.conf, path);

    return json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v)
                                                           : fallback;
}

static void read_accounts(struct hub *h)
{
    struct deliveries *ds = h->deliveries;
    json_t *row, *list = json_at(h->w.conf, "runtime.channels");
    size_t i;

    for (unsigned k = 0; k < ds->account_n; k++)
        ds->accounts[k]->configured = false;
    json_array_foreach(list, i, row)
    {
        struct account *a =
            deliver_account(ds, json_view(row, "channel"), json_view(row, "account"), true);
        unsigned instance = (unsigned)json_i64(row, "instance", 0);

        if (!a) {
            log_error("channel.too_many", KV("max", (int)DELIVER_ACCOUNTS_MAX));
            return;
        }
        a->configured = true;
        a->chunks = json_flag(row, "chunks", false);
        if (a->instance != instance) {
            a->instance = instance;
            a->line = NULL;
            a->spoke = false;
            deliver_line_lost(ds, a);
        }
    }
    for (unsigned k = 0; k < ds->account_n; k++) {
        struct account *a = ds->accounts[k];

        if (!a->configured && a->instance) {
            a->instance = 0;
            a->line = NULL;
            a->spoke = false;
            deliver_line_lost(ds, a);
        }
    }
}

void deliveries_config(struct hub *h)
{
    struct deliveries *ds = h->deliveries;

    ds->policy =
        (struct deliver_policy){.attempts = (uint32_t)number(h, "delivery.retry.attempts", 5),
                                .delay_ms = {number(h, "delivery.retry.firstDelayMs", 5000),
                                             number(h, "delivery.retry.secondDelayMs", 25000),
                                             number(h, "delivery.retry.thirdDelayMs", 120000),
                                             number(h, "delivery.retry.laterDelayMs", 600000)}};
    ds->ttl_ms = number(h, "delivery.ttlMs", 86400000);
    ds->answer_ms = number(h, "delivery.answerTimeoutMs", 120000);
    ds->count_max = (unsigned)number(h, "delivery.maxQueued", 10000);
    read_accounts(h);
}

int deliveries_open(struct hub *h, struct err *e)
{
    struct deliveries *ds;
    int r;

    if ((r = mem_new(&ds, sizeof(*ds), e)) < 0)
        return r;
    h->deliveries = ds;
    ds->hub = h;
    ds->idle = (struct loop_task){.run = on_idle, .ctx = ds};
    ds->pump = (struct loop_task){.run = deliver_on_pump, .ctx = ds};
    loop_timer_init(&ds->timer, h->w.loop, deliver_on_time, ds);
    loop_timer_init(&ds->pace, h->w.loop, deliver_on_pump, ds);
    loop_timer_init(&ds->away, h->w.loop, chanalarm_on_time, h);
    loop_timer_init(&ds->prune, h->w.loop, on_prune, ds);
    loop_timer_set(&ds->prune, PRUNE_MS);
    deliveries_config(h);
    return store_deliveries(h->store, DELIVERIES_OPEN, 0, on_open_row, ds, e);
}

void deliveries_close(struct hub *h)
{
    struct deliveries *ds = h->deliveries;

    if (!ds)
        return;
    deliver_wait_free(h);
    loop_undefer(h->w.loop, &ds->idle);
    loop_undefer(h->w.loop, &ds->pump);
    loop_timer_fini(&ds->timer);
    loop_timer_fini(&ds->pace);
    loop_timer_fini(&ds->away);
    loop_timer_fini(&ds->prune);
    deliver_table_fini(ds);
    mem_free(ds);
    h->deliveries = NULL;
}
