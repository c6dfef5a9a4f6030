/*
 * workers/front/wheel.h - coarse deadlines for very many connections: one timer for all of them.
 * Putting a deadline off costs nothing (it is noticed when the old one comes up), bringing it
 * forward costs a relink. No I/O: the owner asks wheel_next when to call wheel_turn.
 */
#ifndef WHEEL_H
#define WHEEL_H

#include "list.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WHEEL_SLOTS = 64,
    WHEEL_SLOT_MS = 500
}; /* 32 s: the longest deadline of a connection is 30 */

struct wheel_node {
    struct list link;
    uint64_t at_ms;   /* when it is due; 0: never */
    uint64_t slot_at; /* of the slot it is linked in */
};

struct wheel {
    uint64_t turned; /* slots up to this number are done */
    struct list slot[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_node_init(struct wheel_node *n);
/* Set or move a deadline. Due up to WHEEL_SLOT_MS late, never early. */
void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t at_ms);
void wheel_clear(struct wheel_node *n);
/* Call on_due for each node whose time has come; it is out of the wheel then. The callback may set
 * and clear any node. */
void wheel_turn(struct wheel *w, uint64_t now_ms, void (*on_due)(void *ctx, struct wheel_node *n),
                void *ctx);
/* When the next slot with a node is due; false: nothing to wait for. */
bool wheel_next(const struct wheel *w, uint64_t *at_ms);

#endif
