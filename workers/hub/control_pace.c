#include "control_pace.h"

#include <stdio.h>
#include <string.h>

static struct control_caller *oldest(struct control_pace *p)
{
    struct control_caller *c = p->list;

    if (p->count < CONTROL_CALLERS)
        return &p->list[p->count++];
    for (unsigned i = 1; i < CONTROL_CALLERS; i++)
        if (p->list[i].since_ms < c->since_ms)
            c = &p->list[i];
    return c;
}

uint64_t control_pace_take(struct control_pace *p, struct view method, struct view who,
                           uint64_t now_ms)
{
    char key[CONTROL_KEY_MAX];
    struct control_caller *c = NULL;

    (void)snprintf(key, sizeof(key), "%.*s %.*s", VIEW_FMT(method), VIEW_FMT(who));
    for (unsigned i = 0; i < p->count && !c; i++)
        c = strcmp(p->list[i].key, key) == 0 ? &p->list[i] : NULL;
    if (!c) {
        c = oldest(p);
        (void)snprintf(c->key, sizeof(c->key), "%s", key);
        c->calls = 0;
    }
    if (c->calls == 0 || now_ms - c->since_ms >= CONTROL_WINDOW_MS) {
        c->since_ms = now_ms;
        c->calls = 0;
    }
    if (c->calls == CONTROL_CALLS)
        return c->since_ms + CONTROL_WINDOW_MS - now_ms;
    c->calls++;
    return 0;
}
