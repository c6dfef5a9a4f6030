/*
 * routing/tab.h - a hash table of row numbers: filled once, then only read. It keeps no keys: who
 * asks compares the rows it names. Rows of equal hash come in the order they were added.
 */
#ifndef TAB_H
#define TAB_H

#include "err.h"
#include "view.h"

#include <stdint.h>

enum { TAB_NONE = UINT32_MAX };

struct tab_slot {
    uint64_t hash;
    uint32_t a, b; /* the owner's; a is TAB_NONE in an empty slot */
};
struct tab {
    struct tab_slot *slots; /* owned */
    uint32_t cap;           /* a power of two, at least twice the entries */
    uint32_t n;
    uint64_t *seen; /* owned; 8 bits for each slot: most hashes that were never added end here,
                       in memory that stays in the cache */
};

/* Errors: ERR_NOMEM. */
int tab_init(struct tab *t, uint32_t entries, struct err *e) MUST_USE;
void tab_fini(struct tab *t);
/* No more often than entries said. */
void tab_add(struct tab *t, uint64_t hash, uint32_t a, uint32_t b);
/* The next slot of that hash after at, the first when at is NULL; NULL when there is none. */
const struct tab_slot *tab_next(const struct tab *t, uint64_t hash, const struct tab_slot *at);

/* Whether the hash may have been added. */
static inline bool tab_maybe(const struct tab *t, uint64_t hash)
{
    uint32_t bit = (uint32_t)(hash >> 32) & (t->cap * 8 - 1);

    return t->seen[bit / 64] >> (bit % 64) & 1;
}

static inline uint64_t tab_mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}
/* Never 0, which stands for "nothing here". */
static inline uint64_t tab_hash(struct view v)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < v.n; i++)
        h = (h ^ (unsigned char)v.p[i]) * 0x100000001b3u;
    return tab_mix(h, v.n) | 1;
}

#endif
