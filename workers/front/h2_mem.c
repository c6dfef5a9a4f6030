#include "h2_mem.h"

#include <malloc.h>

enum { UNIT = 16 }; /* alignment, and what stands before a block: its size */

static void *reserved(struct conn_h2 *h, size_t n)
{
    struct h2_reserve *r = h->reserve;
    size_t need;
    char *p;

    h->starved = true;
    if (n > H2_RESERVE - UNIT)
        return NULL;
    need = (n + 2 * UNIT - 1) / UNIT * UNIT;
    if (need > H2_RESERVE - r->used)
        return NULL;
    p = r->room + r->used;
    r->used += need;
    r->live++;
    memcpy(p, &n, sizeof(n));
    memset(p + UNIT, 0, n);
    return p + UNIT;
}

static bool is_reserved(const struct conn_h2 *h, const void *p)
{
    uintptr_t at = (uintptr_t)p, from = (uintptr_t)h->reserve->room;

    return at >= from && at < from + H2_RESERVE;
}

static void *on_malloc(size_t n, void *ctx)
{
    void *p = mem_alloc(n);

    return p ? p : reserved(ctx, n);
}

static void on_free(void *p, void *ctx)
{
    struct conn_h2 *h = ctx;

    if (!p || !is_reserved(h, p))
        mem_free(p);
    else if (--h->reserve->live == 0)
        h->reserve->used = 0;
}

static void *on_calloc(size_t count, size_t size, void *ctx)
{
    void *p = mem_calloc(count, size);
    size_t n;

    if (p)
        return p;
    return __builtin_mul_overflow(count, size, &n) ? NULL : reserved(ctx, n);
}

static void *on_realloc(void *old, size_t n, void *ctx)
{
    bool from_reserve = old && is_reserved(ctx, old);
    void *p = from_reserve ? NULL : mem_realloc(old, n);
    size_t had;

    if (p || !(p = reserved(ctx, n)))
        return p;
    if (from_reserve)
        memcpy(&had, (char *)old - UNIT, sizeof(had));
    else
        had = old ? malloc_usable_size(old) : 0;
    if (had)
        memcpy(p, old, had < n ? had : n);
    on_free(old, ctx);
    return p;
}

nghttp2_mem h2_mem(struct conn_h2 *h)
{
    return (nghttp2_mem){h, on_malloc, on_free, on_calloc, on_realloc};
}
