#include "cmap.h"

#include "mem.h"

enum { CMAP_FIRST = 64 };

void cmap_fini(struct cmap *m)
{
    mem_free(m->slot);
    *m = (struct cmap){0};
}

/* Ids are counted by the supervisor, so any mixing will do; this spreads strides too. */
static size_t home(const struct cmap *m, uint64_t id)
{
    return (size_t)((id * 0x9e3779b97f4a7c15u) >> 32) & (m->cap - 1);
}

static size_t find(const struct cmap *m, uint64_t id)
{
    size_t i = home(m, id);

    while (m->slot[i].conn && m->slot[i].id != id)
        i = (i + 1) & (m->cap - 1);
    return i;
}

static int grow(struct cmap *m, struct err *e)
{
    struct cmap bigger = {.cap = m->cap ? m->cap * 2 : CMAP_FIRST, .count = m->count};

    bigger.slot = mem_calloc(bigger.cap, sizeof(*bigger.slot));
    if (!bigger.slot)
        return err_set(e, ERR_NOMEM, "out of memory for %zu connections", bigger.cap);
    for (size_t i = 0; i < m->cap; i++)
        if (m->slot[i].conn)
            bigger.slot[find(&bigger, m->slot[i].id)] = m->slot[i];
    mem_free(m->slot);
    *m = bigger;
    return 0;
}

int cmap_put(struct cmap *m, uint64_t id, struct conn *c, struct err *e)
{
    size_t i;
    int r;

    if (m->count >= m->cap / 2 && (r = grow(m, e)) < 0)
        return r;
    i = find(m, id);
    if (m->slot[i].conn)
        return err_set(e, ERR_CONFLICT, "connection %llu is there already", (unsigned long long)id);
    m->slot[i] = (struct cmap_slot){id, c};
    m->count++;
    return 0;
}

struct conn *cmap_get(const struct cmap *m, uint64_t id)
{
    return m->cap ? m->slot[find(m, id)].conn : NULL;
}

void cmap_del(struct cmap *m, uint64_t id)
{
    size_t hole, i;

    if (!m->cap || !m->slot[hole = find(m, id)].conn)
        return;
    m->count--;
    for (i = hole;;) { /* move up whoever would not be found behind the hole */
        i = (i + 1) & (m->cap - 1);
        if (!m->slot[i].conn)
            break;
        if (((i - home(m, m->slot[i].id)) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
            m->slot[hole] = m->slot[i];
            hole = i;
        }
    }
    m->slot[hole] = (struct cmap_slot){0};
}

struct conn *cmap_next(const struct cmap *m, size_t *at)
{
    while (*at < m->cap) {
        struct conn *c = m->slot[(*at)++].conn;

        if (c)
            return c;
    }
    return NULL;
}
