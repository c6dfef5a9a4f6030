/*
 * workers/front/places.h - how many upgraded connections of one address may still be without
 * hello. Up to the bound each gets a place. Above it there is a reserve: a newcomer takes the place
 * of the reserve's oldest silent holder, so that a client that means it gets in during a flood of
 * connections that only sit there; every PLACES_TELL-th of these is refused, so that a flood is
 * slowed and told (robustness, 2.5). Who has asked to connect is not silent and keeps its place.
 */
#ifndef PLACES_H
#define PLACES_H

#include "list.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PLACES_RESERVE = 8,
    PLACES_TELL = 8,
    PLACES_BUCKETS = 1024, /* an address is remembered while it holds a place */
};

struct places_addr;

/* In a connection; zeroed, then place_init. */
struct place {
    struct places_addr *addr; /* NULL: holds none */
    struct list silent;       /* among the reserve's holders, oldest first */
    bool reserve;
};

struct places {
    struct places_addr *bucket[PLACES_BUCKETS];
    uint64_t seed; /* nobody can choose addresses that collide */
};

void places_init(struct places *s);
void place_init(struct place *p);
enum places_answer { PLACES_TAKEN, PLACES_FULL };
/* Take a place for this address. *evict: whose place it was until now: its owner has to go; or
 * NULL. PLACES_FULL, also when there is no memory: come back later. */
enum places_answer places_take(struct places *s, uint64_t key, unsigned bound, unsigned reserve,
                               struct place *p, struct place **evict);
/* It spoke: nobody takes its place any more. */
void places_spoke(struct place *p);
void places_give(struct places *s, struct place *p);

#endif
