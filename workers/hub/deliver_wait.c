/* workers/hub/deliver_wait.c - requests that wait for what becomes of a delivery. */
#include "deliver_table.h"

#include "mem.h"

enum {
    WAITERS_MAX = 1024,
    WAIT_MS = 15 * 1000, /* then it is said to be queued; clients give up after 30 s */
    WAIT_DOWN_MS = 2000, /* the channel is not there: it may just be starting again */
};

struct waiter {
    struct waiter *next;
    struct hub *hub;
    struct call_ref ref;
    enum deliver_form form;
    uint64_t id;
    struct loop_timer timer;
};

static void answer(struct waiter *w)
{
    struct deliveries *ds = w->hub->deliveries;
    struct waiter **at = &ds->waiters;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    ds->waiter_n--;
    (void)deliver_tell(w->hub, &w->ref, w->form, w->id); /* lost with its connection */
    loop_timer_fini(&w->timer);
    mem_free(w);
}

static void on_time(void *ctx)
{
    answer(ctx);
}

int deliver_wait(struct call *c, uint64_t id, enum deliver_form form)
{
    struct deliveries *ds = c->hub->deliveries;
    const struct delivery *x = deliver_find(ds, id);
    const struct account *a = x ? x->target->account : NULL;
    struct waiter *w;

    if (!x || x->d.attempts > 1 || (x->d.attempts == 1 && x->d.state == DELIVERY_QUEUED) ||
        ds->waiter_n == WAITERS_MAX || !(w = mem_alloc(sizeof(*w))))
        return deliver_tell(c->hub, &c->ref, form, id);
    *w = (struct waiter){.next = ds->waiters, .hub = c->hub, .ref = c->ref, .form = form, .id = id};
    ds->waiters = w;
    ds->waiter_n++;
    loop_timer_init(&w->timer, c->hub->w.loop, on_time, w);
    loop_timer_set(&w->timer, a->spoke && a->flags & CHANNEL_CONNECTED ? WAIT_MS : WAIT_DOWN_MS);
    return 0;
}

void deliver_wait_news(struct hub *h, uint64_t id)
{
    for (struct waiter *w = h->deliveries->waiters, *next; w; w = next) {
        next = w->next;
        if (w->id == id)
            answer(w);
    }
}

void deliver_wait_free(struct hub *h)
{
    struct deliveries *ds = h->deliveries;

    while (ds->waiters) {
        struct waiter *w = ds->waiters;

        ds->waiters = w->next;
        loop_timer_fini(&w->timer);
        mem_free(w);
    }
    ds->waiter_n = 0;
}
