#include "places.h"

#include "mem.h"
#include "rand.h"

struct places_addr {
    uint64_t key;
    unsigned bound, room;    /* places there are: below the bound, and in the reserve */
    unsigned plain, reserve; /* places held */
    unsigned waiting_n;
    unsigned above;      /* who came and found all places taken */
    uint64_t evicted_ms; /* when a place was last taken away; 0: never */
    struct list silent;  /* holders in the reserve, oldest first */
    struct list waiting; /* oldest first */
    struct list crowded; /* in places.crowded while somebody waits */
    struct places_addr *next;
};

void places_init(struct places *s)
{
    *s = (struct places){.seed = rand_u64()};
    list_init(&s->crowded);
    list_init(&s->granted);
}

void place_init(struct place *p)
{
    p->addr = NULL;
    p->reserve = p->waits = false;
    p->since_ms = 0;
    list_init(&p->silent);
    list_init(&p->wait);
}

static struct places_addr **find(struct places *s, uint64_t key)
{
    uint64_t h = (key ^ s->seed) * 0x9e3779b97f4a7c15u;
    struct places_addr **at = &s->bucket[(h >> 32) % PLACES_BUCKETS];

    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

static struct places_addr *addr_of(struct places *s, uint64_t key)
{
    struct places_addr **at = find(s, key), *a = *at;

    if (a || !(a = mem_alloc(sizeof(*a))))
        return a;
    *a = (struct places_addr){.key = key};
    list_init(&a->silent);
    list_init(&a->waiting);
    list_init(&a->crowded);
    *at = a;
    return a;
}

static void forget_unused(struct places *s, struct places_addr *a)
{
    if (a->plain || a->reserve || a->waiting_n)
        return;
    *find(s, a->key) = a->next;
    mem_free(a);
}

/* False: all are taken. */
static bool hold(struct places_addr *a, struct place *p, uint64_t now)
{
    if (a->plain < a->bound) {
        a->plain++;
    } else if (a->reserve < a->room) {
        a->reserve++;
        p->reserve = true;
        list_add(&a->silent, &p->silent);
    } else {
        return false;
    }
    p->addr = a;
    p->since_ms = now;
    return true;
}

static void stop_waiting(struct places_addr *a, struct place *p)
{
    list_del(&p->wait);
    p->waits = false;
    if (--a->waiting_n == 0)
        list_del(&a->crowded);
}

/* Somebody left: whoever waits longest is next. */
static void pass_on(struct places *s, struct places_addr *a, uint64_t now)
{
    while (a->waiting_n) {
        struct place *p = LIST_OF(a->waiting.next, struct place, wait);

        if (!hold(a, p, now))
            return;
        stop_waiting(a, p);
        list_add(&s->granted, &p->wait);
    }
}

/* The reserve's oldest silent holder loses its place when it has been silent for long enough. */
static struct place *evict(struct places_addr *a, uint64_t now)
{
    struct place *old;

    if (list_empty(&a->silent))
        return NULL;
    old = LIST_OF(a->silent.next, struct place, silent);
    if (now - old->since_ms <= PLACES_SILENT_MS)
        return NULL;
    list_del(&old->silent);
    list_del(&old->wait); /* it may not even have been told that it had one */
    old->addr = NULL;
    old->reserve = false;
    a->reserve--;
    a->evicted_ms = now;
    return old;
}

enum places_answer places_take(struct places *s, uint64_t key, unsigned bound, unsigned reserve,
                               uint64_t now_ms, struct place *p, struct place **evicted)
{
    struct places_addr *a = addr_of(s, key);

    *evicted = NULL;
    if (!a)
        return PLACES_FULL;
    a->bound = bound;
    a->room = reserve;
    if (a->waiting_n == 0 && hold(a, p, now_ms))
        return PLACES_TAKEN;
    if (++a->above % PLACES_TELL == 0 && a->evicted_ms && now_ms - a->evicted_ms < PLACES_FLOOD_MS)
        return PLACES_FULL;
    if (a->waiting_n == 0 && (*evicted = evict(a, now_ms)) && hold(a, p, now_ms))
        return PLACES_TAKEN;
    if (a->waiting_n >= PLACES_WAITING_MAX)
        return PLACES_FULL;
    if (a->waiting_n++ == 0)
        list_add(&s->crowded, &a->crowded);
    p->addr = a;
    p->waits = true;
    list_add(&a->waiting, &p->wait);
    return PLACES_WAIT;
}

void places_spoke(struct place *p)
{
    list_del(&p->silent);
}

void places_give(struct places *s, struct place *p, uint64_t now_ms)
{
    struct places_addr *a = p->addr;

    if (!a)
        return;
    if (p->waits)
        stop_waiting(a, p);
    else if (p->reserve)
        a->reserve--;
    else
        a->plain--;
    list_del(&p->silent);
    list_del(&p->wait);
    place_init(p);
    pass_on(s, a, now_ms);
    forget_unused(s, a);
}

struct place *places_granted(struct places *s)
{
    struct list *l = list_pop(&s->granted);

    return l ? LIST_OF(l, struct place, wait) : NULL;
}

struct place *places_evict(struct places *s, uint64_t now_ms)
{
    for (struct list *l = s->crowded.next; l != &s->crowded; l = l->next) {
        struct places_addr *a = LIST_OF(l, struct places_addr, crowded);
        struct place *old = evict(a, now_ms);

        if (old) {
            pass_on(s, a, now_ms);
            return old;
        }
    }
    return NULL;
}
