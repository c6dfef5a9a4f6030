/*
 * workers/front/places.h - how many upgraded connections of one address may still be without
 * hello. Up to the bound and a reserve above it each gets a place; a newcomer above those waits for
 * one: that of somebody who said hello or left, or that of the reserve's oldest holder who has been
 * silent for PLACES_SILENT_MS. So a burst of clients that mean it is only queued, and one gets in
 * during a flood of connections that just sit there. While there is such a flood every
 * PLACES_TELL-th newcomer is refused, so that it is slowed and told (robustness, 2.5). Who has
 * asked to connect is not silent and keeps its place. Pure: time is an argument.
 */
#ifndef PLACES_H
#define PLACES_H

#include "list.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PLACES_RESERVE = 8,
    PLACES_TELL = 8,
    PLACES_SILENT_MS = 250,   /* clients that mean it ask within a few ms of the challenge */
    PLACES_FLOOD_MS = 10000,  /* somebody lost a place this recently: a flood */
    PLACES_WAITING_MAX = 512, /* of one address */
    PLACES_BUCKETS = 1024,    /* an address is remembered while it holds a place or waits */
};

struct places_addr;

/* In a connection; zeroed, then place_init. */
struct place {
    struct places_addr *addr; /* NULL: holds none and waits for none */
    struct list silent;       /* among the reserve's holders, oldest first */
    struct list wait;         /* among those who wait, or among those who were given one since */
    uint64_t since_ms;        /* when it got the place */
    bool reserve, waits;
};

struct places {
    struct places_addr *bucket[PLACES_BUCKETS];
    struct list crowded; /* addresses where somebody waits */
    struct list granted; /* places that were waited for */
    uint64_t seed;       /* nobody can choose addresses that collide */
};

void places_init(struct places *s);
void place_init(struct place *p);
enum places_answer { PLACES_TAKEN, PLACES_WAIT, PLACES_FULL };
/* Take a place for this address. *evict: whose place it was until now: its owner has to go; or
 * NULL. PLACES_WAIT: places_granted will bring it. PLACES_FULL, also when there is no memory: come
 * back later. */
enum places_answer places_take(struct places *s, uint64_t key, unsigned bound, unsigned reserve,
                               uint64_t now_ms, struct place *p, struct place **evict);
/* It spoke: nobody takes its place any more. */
void places_spoke(struct place *p);
/* Give it back, or stop waiting. */
void places_give(struct places *s, struct place *p, uint64_t now_ms);
/* The next whose wait is over; it has a place from now on. NULL: none. */
struct place *places_granted(struct places *s);
/* The next who was silent for too long while others wait: its place is gone, its owner has to go.
 * NULL: none for now. */
struct place *places_evict(struct places *s, uint64_t now_ms);

/* Whether places_evict is worth asking again in a while. */
static inline bool places_crowded(const struct places *s)
{
    return !list_empty(&s->crowded);
}

#endif
