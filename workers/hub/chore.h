/*
 * workers/hub/chore.h - work that is too long for one turn of the loop: done in steps, one at a
 * time, each of them a turn of its own, so that whoever asks meanwhile waits for a step at most.
 * Several take turns. What a step changes is in the commit of its turn. Not here: what outlives the
 * process (whoever has begun something that must be finished writes it down and begins again at the
 * start).
 */
#ifndef CHORE_H
#define CHORE_H

#include "hub.h"

enum { CHORES_MAX = 64 };

struct chore {
    /* 1 there is more, 0 done, negative it failed. */
    int (*step)(struct chore *c, struct err *e);
    /* The last word: rc 0 or what the step returned; the owner frees it here. rc ERR_CLOSED: the
     * process leaves, nobody is answered any more. */
    void (*end)(struct chore *c, int rc, const struct err *e);
    struct hub *hub;
    struct chore *next;
};

void chores_open(struct hub *h);
/* Ends those that are left. */
void chores_close(struct hub *h);
/* Its first step is not before the next turn. Errors: ERR_AGAIN CHORES_MAX are under way. */
int chore_add(struct hub *h, struct chore *c, struct err *e) MUST_USE;

#endif
