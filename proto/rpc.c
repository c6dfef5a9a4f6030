#include "rpc.h"

static const struct rpc_row rows[RPC_COUNT] = {
#define RPC(name_, fn, scope_, max, flags_, params_, help_)                                        \
    [RPC_##fn] = {.name = {name_, sizeof(name_) - 1},                                              \
                  .scope = SCOPE_##scope_,                                                         \
                  .max_bytes = (max),                                                              \
                  .flags = (flags_),                                                               \
                  .params = (params_),                                                             \
                  .help = (help_)},
#include "rpc.def"
#undef RPC
};

static const struct {
    struct view name;
    enum rpc_index row;
} aliases[] = {
#define ALIAS(name_, fn) {{name_, sizeof(name_) - 1}, RPC_##fn},
#include "alias.def"
#undef ALIAS
};

/* Open addressing over the table: one hash and mostly one comparison a request. */
enum { SLOTS = 2048 };
_Static_assert((RPC_COUNT + COUNT_OF(aliases)) * 2 < SLOTS, "the table stays half empty");
static uint16_t slots[SLOTS]; /* 0 free, row + 1, RPC_COUNT + alias + 1 */

static unsigned hash(struct view v)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < v.n; i++)
        h = (h ^ (unsigned char)v.p[i]) * 16777619u;
    return (h ^ h >> 15) & (SLOTS - 1);
}

static struct view name_of(unsigned i)
{
    return i < RPC_COUNT ? rows[i].name : aliases[i - RPC_COUNT].name;
}

static void fill(void)
{
    for (unsigned i = 0; i < RPC_COUNT + COUNT_OF(aliases); i++) {
        unsigned at = hash(name_of(i));

        while (slots[at])
            at = (at + 1) & (SLOTS - 1);
        slots[at] = (uint16_t)(i + 1);
    }
}

enum rpc_index rpc_find(struct view name)
{
    static bool filled;

    if (!filled) {
        fill();
        filled = true;
    }
    for (unsigned at = hash(name); slots[at]; at = (at + 1) & (SLOTS - 1)) {
        unsigned i = slots[at] - 1u;

        if (view_eq(name_of(i), name))
            return i < RPC_COUNT ? (enum rpc_index)i : aliases[i - RPC_COUNT].row;
    }
    return RPC_COUNT;
}

const struct rpc_row *rpc_row(enum rpc_index i)
{
    return i < RPC_COUNT ? &rows[i] : NULL;
}

static const struct {
    struct view name;
    enum scope scope;
} known[] = {
#define METHOD(name_, scope_) {{name_, sizeof(name_) - 1}, SCOPE_##scope_},
#include "methods.def"
#undef METHOD
};

bool rpc_known(struct view name, enum scope *out)
{
    size_t lo = 0, hi = COUNT_OF(known);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2,
               n = known[mid].name.n < name.n ? known[mid].name.n : name.n;
        int c = memcmp(known[mid].name.p, name.p, n);

        if (c == 0 && known[mid].name.n == name.n) {
            *out = known[mid].scope;
            return true;
        }
        if (c < 0 || (c == 0 && known[mid].name.n < name.n))
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

static const struct {
    enum scope bit;
    const char *name;
    unsigned implies;
} scopes[] = {
    {SCOPE_ADMIN, "operator.admin", 0xffff},
    {SCOPE_WRITE, "operator.write",
     SCOPE_READ | SCOPE_TALK | SCOPE_SESSIONS_READ | SCOPE_SESSIONS_WRITE},
    {SCOPE_READ, "operator.read", SCOPE_SESSIONS_READ},
    {SCOPE_SESSIONS_WRITE, "operator.sessions.write", SCOPE_SESSIONS_READ},
    {SCOPE_SESSIONS_READ, "operator.sessions.read", 0},
    {SCOPE_PAIRING, "operator.pairing", 0},
    {SCOPE_APPROVALS, "operator.approvals", 0},
    {SCOPE_QUESTIONS, "operator.questions", 0},
    {SCOPE_TALK, "operator.talk", 0},
    {SCOPE_TALK_SECRETS, "operator.talk.secrets", 0},
};

enum scope scope_from(struct view name)
{
    for (size_t i = 0; i < COUNT_OF(scopes); i++)
        if (view_eq(name, view_str(scopes[i].name)))
            return scopes[i].bit;
    return (enum scope)0;
}

const char *scope_name(enum scope s)
{
    for (size_t i = 0; i < COUNT_OF(scopes); i++)
        if (scopes[i].bit == s)
            return scopes[i].name;
    return "?";
}

unsigned scope_expand(unsigned set)
{
    unsigned out = set;

    for (size_t i = 0; i < COUNT_OF(scopes); i++) /* strongest first: one pass closes the set */
        if (out & scopes[i].bit)
            out |= scopes[i].implies;
    return out;
}
