#include "deliver_heap.h"

#include "mem.h"

void deliver_heap_fini(struct heap *h)
{
    mem_free(h->at);
    *h = (struct heap){.at = NULL};
}

int deliver_heap_reserve(struct heap *h, size_t n, struct err *e)
{
    size_t room = h->room ? h->room : 64;
    struct heap_entry **at;

    if (n + 1 <= h->room)
        return 0;
    while (room < n + 1)
        room *= 2;
    if (!(at = mem_realloc(h->at, room * sizeof(struct heap_entry *))))
        return err_set(e, ERR_NOMEM, "no memory for %zu timers", n);
    h->at = at;
    h->room = room;
    return 0;
}

static void place(struct heap *h, struct heap_entry *x, size_t i)
{
    h->at[i] = x;
    x->place = i;
}

/* x belongs at i or somewhere above or below it. */
static void settle(struct heap *h, struct heap_entry *x, size_t i)
{
    for (; i > 1 && h->at[i / 2]->at_ms > x->at_ms; i /= 2)
        place(h, h->at[i / 2], i);
    for (size_t kid; (kid = 2 * i) <= h->n; i = kid) {
        if (kid < h->n && h->at[kid + 1]->at_ms < h->at[kid]->at_ms)
            kid++;
        if (h->at[kid]->at_ms >= x->at_ms)
            break;
        place(h, h->at[kid], i);
    }
    place(h, x, i);
}

void deliver_heap_set(struct heap *h, struct heap_entry *x, uint64_t at_ms)
{
    x->at_ms = at_ms;
    settle(h, x, x->place ? x->place : ++h->n);
}

void deliver_heap_remove(struct heap *h, struct heap_entry *x)
{
    size_t i = x->place;
    struct heap_entry *last;

    if (i == 0)
        return;
    x->place = 0;
    last = h->at[h->n--];
    if (last != x)
        settle(h, last, i);
}

struct heap_entry *deliver_heap_first(const struct heap *h)
{
    return h->n ? h->at[1] : NULL;
}
