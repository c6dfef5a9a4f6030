#include "throttle.h"

struct name {
    char text[THROTTLE_KEY_MAX];
};

static struct name name_of(enum throttle_kind kind, struct view key)
{
    struct name n = {{(char)kind}};

    memcpy(n.text + 1, key.p, key.n < THROTTLE_KEY_MAX - 2 ? key.n : THROTTLE_KEY_MAX - 2);
    return n;
}

static int find(const struct throttle *t, const struct name *n)
{
    for (unsigned i = 0; i < t->count; i++)
        if (memcmp(t->list[i].key, n->text, THROTTLE_KEY_MAX) == 0)
            return (int)i;
    return -1;
}

uint64_t throttle_locked(const struct throttle *t, enum throttle_kind kind, struct view key,
                         uint64_t now_ms)
{
    struct name n;
    int at;

    if (t->count == 0)
        return 0;
    n = name_of(kind, key);
    at = find(t, &n);
    return at >= 0 && t->list[at].locked_until_ms > now_ms ? t->list[at].locked_until_ms - now_ms
                                                           : 0;
}

/* Nobody who is locked makes room while there is another: many addresses must not free one. */
static bool worth_less(const struct throttle_address *a, const struct throttle_address *b,
                       uint64_t now_ms)
{
    bool la = a->locked_until_ms > now_ms, lb = b->locked_until_ms > now_ms;

    return la != lb ? lb : a->last_ms < b->last_ms;
}

static struct throttle_address *add(struct throttle *t, const struct name *n, uint64_t now_ms)
{
    struct throttle_address *a = &t->list[0];

    if (t->count < THROTTLE_ADDRESSES)
        a = &t->list[t->count++];
    else
        for (unsigned i = 1; i < t->count; i++)
            if (worth_less(&t->list[i], a, now_ms))
                a = &t->list[i];
    *a = (struct throttle_address){.since_ms = now_ms};
    memcpy(a->key, n->text, sizeof(a->key));
    return a;
}

uint64_t throttle_failed(struct throttle *t, enum throttle_kind kind, struct view key, bool waits,
                         uint64_t now_ms)
{
    uint64_t window = t->rule.window_ms ? t->rule.window_ms : THROTTLE_WINDOW_MS,
             wait = THROTTLE_WAIT_MS;
    struct name n = name_of(kind, key);
    int at = find(t, &n);
    struct throttle_address *a = at >= 0 ? &t->list[at] : add(t, &n, now_ms);

    if (now_ms - (waits ? a->last_ms : a->since_ms) > window) {
        a->failures = 0;
        a->since_ms = now_ms;
    }
    a->last_ms = now_ms;
    a->failures++;
    if (!waits) {
        if (a->failures >= (t->rule.failures ? t->rule.failures : (unsigned)THROTTLE_FAILURES))
            a->locked_until_ms =
                now_ms + (t->rule.lock_ms ? t->rule.lock_ms : (uint64_t)THROTTLE_LOCK_MS);
        return 0;
    }
    for (unsigned i = 1; i < a->failures && wait < THROTTLE_WAIT_MAX_MS; i++)
        wait *= 2;
    return wait < THROTTLE_WAIT_MAX_MS ? wait : THROTTLE_WAIT_MAX_MS;
}

void throttle_ok(struct throttle *t, enum throttle_kind kind, struct view key)
{
    struct name n;
    int at;

    if (t->count == 0)
        return;
    n = name_of(kind, key);
    if ((at = find(t, &n)) >= 0)
        t->list[at] = t->list[--t->count];
}
