#include "wheel.h"

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    w->turned = now_ms / WHEEL_SLOT_MS;
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slot[i]);
}

void wheel_node_init(struct wheel_node *n)
{
    list_init(&n->link);
    n->at_ms = n->slot_at = 0;
}

static void put(struct wheel *w, struct wheel_node *n)
{
    uint64_t slot = n->at_ms / WHEEL_SLOT_MS + 1; /* its end: never early */

    if (slot <= w->turned)
        slot = w->turned + 1;
    if (slot > w->turned + WHEEL_SLOTS - 1)
        slot = w->turned + WHEEL_SLOTS - 1; /* further away: looked at again then */
    n->slot_at = slot;
    list_del(&n->link);
    list_add(&w->slot[slot % WHEEL_SLOTS], &n->link);
}

void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t at_ms)
{
    n->at_ms = at_ms;
    if (list_empty(&n->link) || at_ms / WHEEL_SLOT_MS + 1 < n->slot_at)
        put(w, n);
}

void wheel_clear(struct wheel_node *n)
{
    list_del(&n->link);
    n->at_ms = 0;
}

void wheel_turn(struct wheel *w, uint64_t now_ms, void (*on_due)(void *ctx, struct wheel_node *n),
                void *ctx)
{
    uint64_t now = now_ms / WHEEL_SLOT_MS, steps = now > w->turned ? now - w->turned : 0;
    struct list due;
    struct list *l;

    list_init(&due);
    if (steps > WHEEL_SLOTS)
        steps = WHEEL_SLOTS; /* after a long stop every slot is looked at once */
    for (uint64_t i = 1; i <= steps; i++)
        list_join(&due, &w->slot[(w->turned + i) % WHEEL_SLOTS]);
    if (now > w->turned)
        w->turned = now;
    while ((l = list_pop(&due))) {
        struct wheel_node *n = LIST_OF(l, struct wheel_node, link);

        if (n->at_ms > now_ms)
            put(w, n); /* it was put off since */
        else
            on_due(ctx, n);
    }
}

bool wheel_next(const struct wheel *w, uint64_t *at_ms)
{
    for (uint64_t i = 1; i <= WHEEL_SLOTS; i++) {
        if (!list_empty(&w->slot[(w->turned + i) % WHEEL_SLOTS])) {
            *at_ms = (w->turned + i) * WHEEL_SLOT_MS;
            return true;
        }
    }
    return false;
}
