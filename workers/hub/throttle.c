#include "throttle.h"

static struct view cut(struct view key)
{
    return view_of(key.p, key.n < THROTTLE_KEY_MAX ? key.n : THROTTLE_KEY_MAX - 1);
}

static struct throttle_address *find(const struct throttle *t, struct view key)
{
    union {
        const struct throttle_address *in;
        struct throttle_address *out;
    } a;

    for (unsigned i = 0; i < t->count; i++)
        if (view_eq(view_str(t->list[i].key), cut(key))) {
            a.in = &t->list[i];
            return a.out;
        }
    return NULL;
}

uint64_t throttle_locked(const struct throttle *t, struct view key, uint64_t now_ms)
{
    const struct throttle_address *a = t->count ? find(t, key) : NULL;

    return a && a->locked_until_ms > now_ms ? a->locked_until_ms - now_ms : 0;
}

static struct throttle_address *add(struct throttle *t, struct view key, uint64_t now_ms)
{
    struct throttle_address *a = &t->list[0];

    if (t->count < THROTTLE_ADDRESSES)
        a = &t->list[t->count++];
    else
        for (unsigned i = 1; i < t->count; i++)
            if (t->list[i].last_ms < a->last_ms)
                a = &t->list[i];
    *a = (struct throttle_address){.since_ms = now_ms};
    memcpy(a->key, cut(key).p, cut(key).n);
    return a;
}

uint64_t throttle_failed(struct throttle *t, struct view key, bool waits, uint64_t now_ms)
{
    struct throttle_address *a = find(t, key);
    uint64_t wait = THROTTLE_WAIT_MS;

    if (!a)
        a = add(t, key, now_ms);
    if (now_ms - (waits ? a->last_ms : a->since_ms) > THROTTLE_WINDOW_MS) {
        a->failures = 0;
        a->since_ms = now_ms;
    }
    a->last_ms = now_ms;
    a->failures++;
    if (!waits) {
        if (a->failures >= THROTTLE_FAILURES)
            a->locked_until_ms = now_ms + THROTTLE_LOCK_MS;
        return 0;
    }
    for (unsigned i = 1; i < a->failures && wait < THROTTLE_WAIT_MAX_MS; i++)
        wait *= 2;
    return wait < THROTTLE_WAIT_MAX_MS ? wait : THROTTLE_WAIT_MAX_MS;
}

void throttle_ok(struct throttle *t, struct view key)
{
    struct throttle_address *a = t->count ? find(t, key) : NULL;

    if (a)
        *a = t->list[--t->count];
}
