#include "reqs.h"

#include "mem.h"

enum { REQS_FIRST = 64 };

void reqs_fini(struct reqs *q)
{
    for (uint32_t i = 0; i < q->cap; i++)
        mem_free(q->slot[i]);
    mem_free(q->slot);
    mem_free(q->free_slots);
    *q = (struct reqs){0};
}

static int grow(struct reqs *q, struct err *e)
{
    uint32_t cap = q->cap ? q->cap * 2 : REQS_FIRST;
    struct req **slot;
    uint32_t *stack;

    if (cap > REQS_MAX)
        return err_set(e, ERR_LIMIT, "%u requests are under way", q->count);
    stack = mem_realloc(q->free_slots, cap * sizeof(*stack));
    if (!stack)
        return err_set(e, ERR_NOMEM, "out of memory for %u requests", cap);
    q->free_slots = stack;
    slot = mem_realloc(q->slot, cap * sizeof(struct req *));
    if (!slot)
        return err_set(e, ERR_NOMEM, "out of memory for %u requests", cap);
    q->slot = slot;
    for (uint32_t i = cap; i-- > q->cap;) {
        slot[i] = NULL;
        q->free_slots[q->free_n++] = i;
    }
    q->cap = cap;
    return 0;
}

static size_t size_of(const struct req *r)
{
    return sizeof(*r) + r->id_n + r->method_n + r->params_n;
}

int reqs_add(struct reqs *q, struct list *of_conn, struct conn *c, struct view id,
             struct view method, struct view params, bool copy, struct req **out, struct err *e)
{
    size_t n = sizeof(struct req) + id.n + (copy ? method.n + params.n : 0);
    uint32_t slot;
    struct req *r;
    int ret;

    if (id.n > UINT32_MAX / 4 || method.n > UINT32_MAX / 4 || params.n > UINT32_MAX / 4 ||
        n > REQS_BYTES_MAX - q->bytes)
        return err_set(e, ERR_LIMIT, "requests under way hold %zu bytes", q->bytes);
    if (q->free_n == 0 && (ret = grow(q, e)) < 0)
        return ret;
    r = mem_realloc(NULL, n); /* not zeroed: all of it is written below */
    if (!r)
        return err_set(e, ERR_NOMEM, "out of memory for a request of %zu bytes", n);
    slot = q->free_slots[--q->free_n];
    *r = (struct req){.conn = c,
                      .number = (uint64_t)++q->generation << 32 | slot,
                      .id_n = (uint32_t)id.n,
                      .copied = copy};
    memcpy(r->text, id.p, id.n);
    if (copy) {
        r->method_n = (uint32_t)method.n;
        r->params_n = (uint32_t)params.n;
        memcpy(r->text + id.n, method.p, method.n);
        memcpy(r->text + id.n + method.n, params.p, params.n);
    }
    q->slot[slot] = r;
    q->count++;
    q->bytes += n;
    list_init(&r->link);
    list_add(of_conn, &r->link);
    *out = r;
    return 0;
}

struct req *reqs_get(const struct reqs *q, uint64_t number)
{
    uint32_t slot = (uint32_t)number;

    if (slot >= q->cap || !q->slot[slot] || q->slot[slot]->number != number)
        return NULL;
    return q->slot[slot];
}

void reqs_del(struct reqs *q, struct req *r)
{
    uint32_t slot = (uint32_t)r->number;

    list_del(&r->link);
    q->slot[slot] = NULL;
    q->free_slots[q->free_n++] = slot;
    q->count--;
    q->bytes -= size_of(r);
    mem_free(r);
}
