/* routing/ids.c - agent and account ids in one spelling. */
#include "ids.h"

#include "mem.h"

#include <stdio.h>

enum { LONG = 4096 }; /* no more of an id is looked at: 64 characters of it are kept */

static bool id_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* A name that is fine but for its case. */
static bool is_fine(struct view v)
{
    if (v.n == 0 || v.n > ID_MAX || v.p[0] == '_' || v.p[0] == '-')
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (!id_char(v.p[i]) && !(v.p[i] >= 'A' && v.p[i] <= 'Z'))
            return false;
    return true;
}

/* Of another: every run of other characters one dash, none at the ends, cut. */
static void respell(struct view v, struct id *out)
{
    char low[LONG];
    struct fold t = {.p = low, .max = sizeof(low)};
    size_t n = 0;
    bool gap = false;

    fold_lower(&t, v);
    for (size_t i = 0; i < t.n; i++) { /* in place: what is written never overtakes what is read */
        if (!id_char(low[i])) {
            gap = true;
            continue;
        }
        if (gap && n > 0)
            low[n++] = '-';
        gap = false;
        if (low[i] != '-' || n > 0)
            low[n++] = low[i];
    }
    while (n > 0 && low[n - 1] == '-')
        n--;
    out->n = n < ID_MAX ? n : ID_MAX;
    memcpy(out->s, low, out->n);
}

static void spell(struct view v, const char *fallback, struct id *out)
{
    struct fold t = {.p = out->s, .max = ID_MAX};

    v = fold_trim(v);
    if (is_fine(v)) {
        fold_lower(&t, v);
        out->n = t.n;
    } else {
        respell(v, out);
    }
    out->s[out->n] = 0;
    if (out->n == 0)
        out->n = (size_t)snprintf(out->s, sizeof(out->s), "%s", fallback);
}

void ids_agent(struct view v, struct id *out)
{
    spell(v, "main", out);
}

void ids_account(struct view v, struct id *out)
{
    static const struct view never[] = {{"__proto__", 9}, {"prototype", 9}, {"constructor", 11}};

    spell(v, "default", out);
    for (size_t i = 0; i < COUNT_OF(never); i++)
        if (view_eq(id_view(out), never[i]))
            out->n = (size_t)snprintf(out->s, sizeof(out->s), "default");
}

enum peer_kind ids_peer_kind(struct view v)
{
    v = fold_trim(v);
    if (fold_eq(v, V("direct")) || fold_eq(v, V("dm")))
        return PEER_DIRECT;
    if (fold_eq(v, V("group")))
        return PEER_GROUP;
    return fold_eq(v, V("channel")) ? PEER_CHANNEL : PEER_OTHER;
}

const char *ids_peer_kind_name(enum peer_kind kind)
{
    static const char *const names[PEER_KIND_COUNT] = {[PEER_OTHER] = "",
                                                       [PEER_DIRECT] = "direct",
                                                       [PEER_GROUP] = "group",
                                                       [PEER_CHANNEL] = "channel"};

    return names[kind];
}
