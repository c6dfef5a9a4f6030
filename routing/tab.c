/* routing/tab.c - open addressing, at most half full. */
#include "tab.h"

#include "mem.h"

int tab_init(struct tab *t, uint32_t entries, struct err *e)
{
    uint32_t cap = 8;
    int r;

    while (cap / 2 < entries)
        cap *= 2;
    if ((r = mem_new(&t->slots, cap * sizeof(*t->slots), e)) < 0)
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
    *t = (struct tab){0};
}

void tab_add(struct tab *t, uint64_t hash, uint32_t a, uint32_t b)
{
    uint32_t i = (uint32_t)hash & (t->cap - 1);

    if (t->n >= t->cap / 2)
        return;
    while (t->slots[i].a != TAB_NONE)
        i = (i + 1) & (t->cap - 1);
    t->slots[i] = (struct tab_slot){.hash = hash, .a = a, .b = b};
    t->n++;
}

const struct tab_slot *tab_next(const struct tab *t, uint64_t hash, const struct tab_slot *at)
{
    uint32_t i = at ? (uint32_t)(at - t->slots) + 1 : (uint32_t)hash;

    for (i &= t->cap - 1; t->slots[i].a != TAB_NONE; i = (i + 1) & (t->cap - 1))
        if (t->slots[i].hash == hash)
            return &t->slots[i];
    return NULL;
}
