#include "deliver_table.h"

#include "deliver_media.h"

#include <stdio.h>

static size_t id_bucket(uint64_t id)
{
    return id % DELIVER_BUCKETS;
}

/* Collisions are only a matter of speed, and of the one who makes them. */
static size_t target_bucket(const struct account *a, struct view id)
{
    uint64_t hash = 1469598103934665603u ^ (uintptr_t)a; /* FNV-1a */

    for (size_t i = 0; i < id.n; i++)
        hash = (hash ^ (unsigned char)id.p[i]) * 1099511628211u;
    return (hash ^ hash >> 32) % DELIVER_BUCKETS;
}

struct delivery *deliver_find(struct deliveries *ds, uint64_t id)
{
    struct delivery *x = ds->by_id[id_bucket(id)];

    while (x && x->id != id)
        x = x->id_next;
    return x;
}

struct account *deliver_account(struct deliveries *ds, struct view channel, struct view name,
                                bool make)
{
    struct account *a;

    for (unsigned i = 0; i < ds->account_n; i++)
        if (view_eq(view_str(ds->accounts[i]->channel), channel) &&
            view_eq(view_str(ds->accounts[i]->name), name))
            return ds->accounts[i];
    if (!make || ds->account_n == DELIVER_ACCOUNTS_MAX || channel.n >= sizeof(a->channel) ||
        name.n >= sizeof(a->name) || !(a = mem_alloc(sizeof(*a))))
        return NULL;
    memcpy(a->channel, channel.p, channel.n);
    memcpy(a->name, name.p, name.n);
    ds->accounts[ds->account_n++] = a;
    return a;
}

struct account *deliver_account_line(struct deliveries *ds, const struct link *l)
{
    for (unsigned i = 0; i < ds->account_n; i++)
        if (ds->accounts[i]->configured && ds->accounts[i]->instance == link_instance(l))
            return ds->accounts[i];
    return NULL;
}

struct target *deliver_target(const struct deliveries *ds, const struct account *a, struct view id)
{
    struct target *t = ds->targets[target_bucket(a, id)];

    while (t && !(t->account == a && view_eq(view_of(t->id, t->n), id)))
        t = t->hash_next;
    return t;
}

static struct target *target_get(struct deliveries *ds, struct account *a, struct view id)
{
    struct target **head = &ds->targets[target_bucket(a, id)], *t = deliver_target(ds, a, id);

    if (t || !(t = mem_alloc(sizeof(*t) + id.n)))
        return t;
    t->account = a;
    t->n = id.n;
    memcpy(t->id, id.p, id.n);
    t->hash_next = *head;
    *head = t;
    return t;
}

static void target_put(struct deliveries *ds, struct target *t)
{
    struct target **at = &ds->targets[target_bucket(t->account, view_of(t->id, t->n))];

    if (t->first)
        return;
    while (*at != t)
        at = &(*at)->hash_next;
    *at = t->hash_next;
    if (t->ready) {
        struct target *before = NULL;

        for (struct target *i = t->account->ready; i != t; i = i->ready_next)
            before = i;
        if (before)
            before->ready_next = t->ready_next;
        else
            t->account->ready = t->ready_next;
        if (t->account->ready_last == t)
            t->account->ready_last = before;
    }
    mem_free(t);
}

static void enqueue(struct target *t, struct delivery *x)
{
    struct delivery **at = &t->first;

    if (t->last && t->last->id < x->id) { /* nearly always */
        t->last->next = x;
        t->last = x;
        return;
    }
    while (*at && ((*at)->id < x->id || (*at)->d.state == DELIVERY_SENDING))
        at = &(*at)->next;
    x->next = *at;
    *at = x;
    if (!x->next)
        t->last = x;
}

int deliver_new(struct deliveries *ds, const struct rec_delivery_add *a, struct delivery **out,
                struct err *e)
{
    struct account *acc = deliver_account(ds, a->channel, a->account, true);
    struct delivery *x;
    struct target *t;
    int r;

    if (!acc)
        return err_set(e, ERR_LIMIT, "more than %d accounts", (int)DELIVER_ACCOUNTS_MAX);
    if ((r = deliver_heap_reserve(&ds->heap, ds->count + 1, e)) < 0 ||
        (r = mem_new(&x, sizeof(*x), e)) < 0)
        return r;
    if (!(t = target_get(ds, acc, a->target))) {
        mem_free(x);
        return err_set(e, ERR_NOMEM, "no memory for a delivery");
    }
    x->id = a->id;
    x->target = t;
    x->d.parts = a->parts;
    x->id_next = ds->by_id[id_bucket(x->id)];
    ds->by_id[id_bucket(x->id)] = x;
    ds->count++;
    enqueue(t, x);
    *out = x;
    return 0;
}

void deliver_free(struct deliveries *ds, struct delivery *x)
{
    struct delivery **at = &ds->by_id[id_bucket(x->id)], *before = NULL;
    struct target *t = x->target;

    deliver_prep_free(x);
    while (*at != x)
        at = &(*at)->id_next;
    *at = x->id_next;
    for (at = &t->first; *at != x; at = &(*at)->next)
        before = *at;
    *at = x->next;
    if (t->last == x)
        t->last = before;
    deliver_heap_remove(&ds->heap, &x->timer);
    deliver_uncount(x);
    ds->count--;
    mem_free(x->told);
    mem_free(x);
    target_put(ds, t);
}

void deliver_ready(struct target *t)
{
    struct account *a = t->account;

    if (t->ready)
        return;
    t->ready = true;
    t->ready_next = NULL;
    if (a->ready)
        a->ready_last->ready_next = t;
    else
        a->ready = t;
    a->ready_last = t;
}

struct target *deliver_ready_pop(struct account *a)
{
    struct target *t = a->ready;

    if (!t)
        return NULL;
    a->ready = t->ready_next;
    if (!a->ready)
        a->ready_last = NULL;
    t->ready = false;
    return t;
}

bool deliver_count(struct delivery *x)
{
    struct account *a = x->target->account;

    if (x->counted)
        return true;
    if (a->sending_n == DELIVER_WINDOW)
        return false;
    a->sending[a->sending_n++] = x;
    x->counted = true;
    return true;
}

void deliver_uncount(struct delivery *x)
{
    struct account *a = x->target->account;

    if (!x->counted)
        return;
    x->counted = false;
    for (unsigned i = 0; i < a->sending_n; i++)
        if (a->sending[i] == x) {
            a->sending[i] = a->sending[--a->sending_n];
            return;
        }
}

void deliver_table_fini(struct deliveries *ds)
{
    for (size_t i = 0; i < DELIVER_BUCKETS; i++)
        while (ds->by_id[i])
            deliver_free(ds, ds->by_id[i]);
    for (unsigned i = 0; i < ds->account_n; i++) {
        json_decref(ds->accounts[i]->state);
        mem_free(ds->accounts[i]->pace);
        mem_free(ds->accounts[i]);
    }
    ds->account_n = 0;
    deliver_heap_fini(&ds->heap);
}
