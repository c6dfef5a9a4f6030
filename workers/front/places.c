#include "places.h"

#include "mem.h"
#include "rand.h"

struct places_addr {
    uint64_t key;
    unsigned plain, reserve; /* places held */
    unsigned evictions;      /* and refusals among them, since it first held a place */
    struct list silent;      /* holders in the reserve, oldest first */
    struct places_addr *next;
};

void places_init(struct places *s)
{
    *s = (struct places){.seed = rand_u64()};
}

void place_init(struct place *p)
{
    p->addr = NULL;
    p->reserve = false;
    list_init(&p->silent);
}

static struct places_addr **find(struct places *s, uint64_t key)
{
    uint64_t h = (key ^ s->seed) * 0x9e3779b97f4a7c15u;
    struct places_addr **at = &s->bucket[(h >> 32) % PLACES_BUCKETS];

    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

/* The oldest silent holder's place in the reserve goes to the newcomer. */
static struct place *evict(struct places_addr *a)
{
    struct list *l;
    struct place *old;

    if (++a->evictions % PLACES_TELL == 0 || !(l = list_pop(&a->silent)))
        return NULL;
    old = LIST_OF(l, struct place, silent);
    old->addr = NULL;
    a->reserve--;
    return old;
}

enum places_answer places_take(struct places *s, uint64_t key, unsigned bound, unsigned reserve,
                               struct place *p, struct place **evicted)
{
    struct places_addr **at = find(s, key), *a = *at;

    *evicted = NULL;
    if (!a) {
        if (!(a = mem_alloc(sizeof(*a))))
            return PLACES_FULL;
        a->key = key;
        list_init(&a->silent);
        *at = a;
    }
    if (a->plain < bound) {
        a->plain++;
        p->addr = a;
        return PLACES_TAKEN;
    }
    if (a->reserve >= reserve && !(*evicted = evict(a)))
        return PLACES_FULL;
    a->reserve++;
    p->addr = a;
    p->reserve = true;
    list_add(&a->silent, &p->silent);
    return PLACES_TAKEN;
}

void places_spoke(struct place *p)
{
    list_del(&p->silent);
}

void places_give(struct places *s, struct place *p)
{
    struct places_addr *a = p->addr;

    if (!a)
        return;
    list_del(&p->silent);
    if (p->reserve)
        a->reserve--;
    else
        a->plain--;
    place_init(p);
    if (a->plain || a->reserve)
        return;
    *find(s, a->key) = a->next;
    mem_free(a);
}
