/* routing/tab.c - open addressing, at most half full. */
#include "tab.h"

#include "mem.h"

int tab_init(struct tab *t, uint32_t entries, struct err *e)
{
    uint32_t cap = 8;
    int r;

    while (cap / 2 < entries)
        cap *= 2;
    if ((r = mem_new(&t->slots, cap * sizeof(*t->slots), e)) < 0 ||
        (r = mem_new(&t->seen, cap, e)) < 0)
        return r;
    for (uint32_t i = 0; i < cap; i++)
        t->slots[i].a = TAB_NONE;
    t->cap = cap;
    t->n = 0;
    return 0;
}

void tab_fini(struct tab *t)
{
    mem_free(t->slots);
    mem_free(t->seen);
    *t = (struct tab){0};
}

void tab_add(struct tab *t, uint64_t hash, uint32_t a, uint32_t b)
{
    uint32_t i = (uint32_t)hash & (t->cap - 1), bit = (uint32_t)(hash >> 32) & (t->cap * 8 - 1);

    if (t->n >= t->cap / 2)
        return;
    while (t->slots[i].a != TAB_NONE)
        i = (i + 1) & (t->cap - 1);
    t->slots[i] = (struct tab_slot){.hash = hash, .a = a, .b = b};
    t->seen[bit / 64] |= (uint64_t)1 << (bit % 64);
    t->n++;
}

const struct tab_slot *tab_next(const struct tab *t, uint64_t hash, const struct tab_slot *at)
{
    uint32_t i = at ? (uint32_t)(at - t->slots) + 1 : (uint32_t)hash;

    if (!tab_maybe(t, hash))
        return NULL;
    for (i &= t->cap - 1; t->slots[i].a != TAB_NONE; i = (i + 1) & (t->cap - 1))
        if (t->slots[i].hash == hash)
            return &t->slots[i];
    return NULL;
}
