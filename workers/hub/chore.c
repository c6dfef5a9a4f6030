#include "chore.h"

static void on_time(void *ctx)
{
    struct hub *h = ctx;
    struct chore *c = h->chores.first;
    struct err e = ERR_INIT;
    int rc;

    if (!c)
        return;
    h->chores.first = c->next;
    c->next = NULL;
    if ((rc = c->step(c, &e)) > 0) {
        struct chore **at = &h->chores.first;

        while (*at)
            at = &(*at)->next;
        *at = c; /* the others first */
    } else {
        h->chores.count--;
        c->end(c, rc, &e);
    }
    if (h->chores.first)
        loop_timer_set(&h->chores.timer, 0);
}

void chores_open(struct hub *h)
{
    loop_timer_init(&h->chores.timer, h->w.loop, on_time, h);
}

void chores_close(struct hub *h)
{
    struct err e = ERR_INIT;
    int rc = err_set(&e, ERR_CLOSED, "the hub leaves");

    while (h->chores.first) {
        struct chore *c = h->chores.first;

        h->chores.first = c->next;
        c->end(c, rc, &e);
    }
    h->chores.count = 0;
    loop_timer_fini(&h->chores.timer);
}

int chore_add(struct hub *h, struct chore *c, struct err *e)
{
    struct chore **at = &h->chores.first;

    if (h->chores.count == CHORES_MAX)
        return err_set(e, ERR_AGAIN, "%d long requests are under way", (int)CHORES_MAX);
    while (*at)
        at = &(*at)->next;
    c->hub = h;
    c->next = NULL;
    *at = c;
    h->chores.count++;
    loop_timer_set(&h->chores.timer, 0);
    return 0;
}
