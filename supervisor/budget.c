#include "budget.h"

#include "mem.h"
#include "rand.h"

#include <netinet/in.h>
#include <string.h>

enum { SLOTS = BUDGET_ADDRESSES * 2 };

struct slot {
    uint64_t key; /* 0: free */
    uint32_t n;
};

struct budget {
    struct slot slot[SLOTS];
    uint64_t seed; /* so that nobody can choose addresses that collide */
    unsigned used, total;
    uint32_t shared; /* addresses beyond the table */
};

int budget_new(struct budget **out, struct err *e)
{
    int r = mem_new(out, sizeof(**out), e);

    if (r == 0)
        (*out)->seed = rand_u64();
    return r;
}

void budget_free(struct budget **b)
{
    mem_free(*b);
    *b = NULL;
}

uint64_t budget_key(const struct sockaddr *sa)
{
    uint64_t k = 1;

    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof(in));
        k = 1ull << 32 | in.sin_addr.s_addr;
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof(in6));
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
            uint32_t v4;

            memcpy(&v4, in6.sin6_addr.s6_addr + 12, 4);
            k = 1ull << 32 | v4;
        } else {
            memcpy(&k, in6.sin6_addr.s6_addr, 8);
            k ^= 2ull << 62;
        }
    }
    return k ? k : 1;
}

static struct slot *find(struct budget *b, uint64_t key)
{
    uint64_t h = (key ^ b->seed) * 0x9e3779b97f4a7c15u;
    unsigned i = (unsigned)(h >> 32) % SLOTS;

    while (b->slot[i].key && b->slot[i].key != key)
        i = (i + 1) % SLOTS;
    return &b->slot[i];
}

enum budget_answer budget_take(struct budget *b, uint64_t key)
{
    struct slot *s = find(b, key);
    uint32_t *n = &s->n;

    if (b->total >= BUDGET_TOTAL_MAX)
        return BUDGET_REFUSE;
    if (!s->key) {
        if (b->used >= BUDGET_ADDRESSES) {
            n = &b->shared;
        } else {
            s->key = key;
            s->n = 0;
            b->used++;
        }
    }
    if (*n >= BUDGET_ADDRESS_MAX)
        return BUDGET_REFUSE;
    ++*n;
    b->total++;
    return *n > BUDGET_CROWDED ? BUDGET_CROWD : BUDGET_OK;
}

/* Linear probing: what follows a freed slot is put where a search finds it again. */
static void remove_slot(struct budget *b, struct slot *s)
{
    unsigned i = (unsigned)(s - b->slot);

    b->used--;
    b->slot[i].key = 0;
    for (i = (i + 1) % SLOTS; b->slot[i].key; i = (i + 1) % SLOTS) {
        struct slot moved = b->slot[i];

        b->slot[i].key = 0;
        *find(b, moved.key) = moved;
    }
}

void budget_give(struct budget *b, uint64_t key)
{
    struct slot *s = find(b, key);

    if (b->total)
        b->total--;
    if (!s->key) {
        if (b->shared)
            b->shared--;
    } else if (--s->n == 0) {
        remove_slot(b, s);
    }
}

unsigned budget_total(const struct budget *b)
{
    return b->total;
}
