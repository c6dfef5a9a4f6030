/* routing/route.c - the tiers, from the most specific down. */
#include "route.h"

#include "mem.h"

#include <stdio.h>

/* An input, trimmed and hashed once. */
struct facts {
    struct view channel, guild, team, peer, parent;
    enum peer_kind kind, parent_kind;
    const struct id *account;
    uint64_t h_channel, h_account, h_guild, h_team;
    uint64_t h_roles[ROUTE_ROLES_MAX];
    const struct route_in *in;
};

static bool same_kind(const struct binding *b, enum peer_kind kind)
{
    return b->shared ? kind == PEER_GROUP || kind == PEER_CHANNEL : kind == PEER_DIRECT;
}

/* One question: a tier, the peer that is compared, the further fields its rows ask for. */
struct question {
    enum matched_by tier;
    unsigned has;
    struct view peer;
    enum peer_kind kind;
    uint64_t hash; /* but for the role */
};

/* What the hash found is compared, so that two texts of one hash stay two. */
static bool holds(const struct index *ix, const struct tab_slot *s, const struct question *q,
                  const struct facts *f, size_t role)
{
    const struct binding *b = index_at(ix, s->a);

    return b->tier == q->tier && b->has == q->has && view_eq(b->channel, f->channel) &&
           (q->has & HAS_ANY_ACCOUNT || view_eq(id_view(&b->account), id_view(f->account))) &&
           view_eq(b->peer, q->peer) && (q->peer.n == 0 || same_kind(b, q->kind)) &&
           (!(q->has & HAS_GUILD) || view_eq(b->guild, f->guild)) &&
           (!(q->has & HAS_TEAM) || view_eq(b->team, f->team)) &&
           (!(q->has & HAS_ROLES) || view_eq(b->roles[s->b], fold_trim(f->in->roles[role])));
}

/* The first row of the configuration that asks for just this; with roles, for any of the sender's.
 */
static uint32_t first_row(const struct index *ix, const struct question *q, const struct facts *f)
{
    size_t n = q->has & HAS_ROLES ? f->in->roles_n : 1;
    uint32_t best = TAB_NONE;

    for (size_t i = 0; i < n; i++) {
        uint64_t h = index_role_hash(q->hash, q->has & HAS_ROLES ? f->h_roles[i] : 0);
        const struct tab_slot *s = NULL;

        if (!tab_maybe(index_rows(ix), h))
            continue;
        while ((s = tab_next(index_rows(ix), h, s)))
            if (s->a < best && holds(ix, s, q, f, i)) /* TAB_NONE is above every row */
                best = s->a;
    }
    return best;
}

/* The first row of a tier that holds: each combination of further fields that the tier's rows use
 * is one question to the table (with roles: one for each of the sender's). */
static uint32_t first_of_tier(const struct index *ix, enum matched_by tier, const struct facts *f,
                              struct view peer, enum peer_kind kind)
{
    struct question q = {.tier = tier, .peer = peer, .kind = kind};
    unsigned used = index_has(ix, tier);
    uint64_t h_peer = 0;
    uint32_t best = TAB_NONE, at;

    if (!used || (peer.n && kind == PEER_OTHER))
        return TAB_NONE;
    if (peer.n)
        h_peer = index_peer_hash(kind != PEER_DIRECT, peer);
    for (q.has = 0; q.has < HAS_COUNT; q.has++) {
        if (!(used & 1u << q.has) || (q.has & HAS_GUILD && !f->guild.n) ||
            (q.has & HAS_TEAM && !f->team.n))
            continue;
        q.hash = index_hash(tier, f->h_channel, q.has & HAS_ANY_ACCOUNT ? 0 : f->h_account, h_peer,
                            q.has & HAS_GUILD ? f->h_guild : 0, q.has & HAS_TEAM ? f->h_team : 0);
        at = first_row(ix, &q, f);
        best = at < best ? at : best;
    }
    return best;
}

static uint32_t find_binding(const struct index *ix, const struct facts *f, enum matched_by *by)
{
    uint32_t at = TAB_NONE;

    for (*by = BY_PEER; *by < BY_DEFAULT; (*by)++) {
        switch (*by) {
        case BY_PEER:
            /* gather failed, and said so with a negative code (err_set), or it has filled all */
            /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Branch) */
            if (f->peer.n && !view_eq(f->peer, V("*")))
                at = first_of_tier(ix, BY_PEER, f, f->peer, f->kind);
            break;
        case BY_PARENT:
            if (f->parent.n)
                at = first_of_tier(ix, BY_PEER, f, f->parent, f->parent_kind);
            break;
        case BY_WILDCARD:
            if (f->in->peer.given)
                at = first_of_tier(ix, BY_WILDCARD, f, V("*"), f->kind);
            break;
        case BY_ROLES:
        case BY_GUILD:
        case BY_TEAM:
        case BY_ACCOUNT:
        case BY_CHANNEL:
        case BY_DEFAULT:
        case BY_COUNT:
            at = first_of_tier(ix, *by, f, VIEW_EMPTY, PEER_OTHER);
            break;
        }
        if (at != TAB_NONE)
            break;
    }
    return at;
}

static int gather(const struct route_in *in, struct route *out, struct facts *f, struct err *e)
{
    struct fold channel = {.p = out->channel, .max = ROUTE_CHANNEL_MAX};

    if (in->roles_n > ROUTE_ROLES_MAX)
        return err_set(e, ERR_LIMIT, "roles: %zu, limit %d", in->roles_n, (int)ROUTE_ROLES_MAX);
    fold_lower(&channel, fold_trim(in->channel));
    if (channel.over)
        return err_set(e, ERR_LIMIT, "channel: longer than %d bytes", (int)ROUTE_CHANNEL_MAX);
    out->channel[channel.n] = 0;
    ids_account(in->account, &out->account);
    f->in = in;
    f->channel = fold_view(&channel);
    f->account = &out->account;
    f->guild = fold_trim(in->guild);
    f->team = fold_trim(in->team);
    f->peer = in->peer.given ? fold_trim(in->peer.id) : VIEW_EMPTY;
    f->kind = in->peer.given ? ids_peer_kind(in->peer.kind) : PEER_OTHER;
    f->parent = in->parent.given ? fold_trim(in->parent.id) : VIEW_EMPTY;
    f->parent_kind = in->parent.given ? ids_peer_kind(in->parent.kind) : PEER_OTHER;
    f->h_channel = tab_hash(f->channel);
    f->h_account = tab_hash(id_view(f->account));
    f->h_guild = tab_hash(f->guild);
    f->h_team = tab_hash(f->team);
    for (size_t i = 0; i < in->roles_n; i++)
        f->h_roles[i] = tab_hash(fold_trim(in->roles[i]));
    return 0;
}

/* ---- the agent ---- */

static int bound_agent(const struct index *ix, uint32_t at, struct id *out, struct err *e)
{
    const struct binding *b = index_at(ix, at);

    if (!b->agent_known)
        return err_set(e, ERR_NOT_FOUND, "bindings[%u].agentId: no agent \"%s\" in agents", at,
                       b->agent.s);
    *out = b->agent;
    return 0;
}

static int unbound_agent(const struct index *ix, struct view wish, struct id *out, struct err *e)
{
    const struct id *own;

    if (fold_trim(wish).n) {
        ids_agent(wish, out);
        return index_knows(ix, out)
                   ? 0
                   : err_set(e, ERR_NOT_FOUND, "defaultAgentId: no agent \"%s\" in agents", out->s);
    }
    if (!(own = index_default_agent(ix)))
        return err_set(e, ERR_NOT_FOUND,
                       "agents: several, and none of them is the one default: set \"default\": "
                       "true on one");
    *out = *own;
    return 0;
}

/* ---- the key ---- */

static int make_keys(const struct index *ix, const struct route_in *in, struct route *out,
                     struct err *e)
{
    struct skey_peer p = {.agent = &out->agent,
                          .account = &out->account,
                          .main_key = index_main_key(ix),
                          .channel = view_str(out->channel),
                          .given = in->peer.given,
                          .kind = ids_peer_kind(in->peer.kind),
                          .kind_word = in->peer.kind,
                          .id = fold_trim(in->peer.id),
                          .dm = out->dm,
                          .group = out->group};
    struct view linked;
    int r;

    if (p.given && p.kind == PEER_DIRECT && p.dm > DM_MAIN) {
        linked = index_linked(ix, p.channel, p.id.n ? p.id : V("unknown"));
        if (linked.n)
            p.id = linked;
    }
    if ((r = skey_peer(&p, &out->key, e)) < 0)
        return r;
    return skey_main(&out->agent, p.main_key, &out->main_key, e);
}

static void pick_scopes(const struct index *ix, const struct route_in *in, struct route *out)
{
    const struct binding *b = out->binding == TAB_NONE ? NULL : index_at(ix, out->binding);

    out->dm = in->dm ? in->dm : b && b->dm ? (enum dm_scope)b->dm : index_dm(ix);
    out->group = in->group       ? in->group
                 : b && b->group ? (enum group_scope)b->group
                                 : index_group(ix);
}

int route(const struct index *ix, const struct route_in *in, struct route *out, struct err *e)
{
    __attribute__((uninitialized)) struct facts f; /* 4 KiB; gather fills what is read */
    int r;

    if ((r = gather(in, out, &f, e)) < 0)
        return r;
    out->binding = find_binding(ix, &f, &out->matched_by);
    r = out->binding == TAB_NONE ? unbound_agent(ix, in->default_agent, &out->agent, e)
                                 : bound_agent(ix, out->binding, &out->agent, e);
    if (r < 0)
        return r;
    pick_scopes(ix, in, out);
    return make_keys(ix, in, out, e);
}

int route_under(const struct index *ix, const struct route_in *in, struct view agent,
                enum dm_scope dm, struct route *io, struct err *e)
{
    struct id id;

    if (agent.n) {
        ids_agent(agent, &id);
        if (!index_knows(ix, &id))
            return err_set(e, ERR_NOT_FOUND, "no agent \"%s\" in agents", id.s);
        io->agent = id;
    }
    if (dm)
        io->dm = dm;
    return make_keys(ix, in, io, e);
}

const char *route_error_name(int code)
{
    return code == ERR_NOT_FOUND ? "AGENT_SELECTION_REQUIRED"
           : code == ERR_INVALID ? "INVALID_REQUEST"
           : code == ERR_LIMIT   ? "LIMIT_EXCEEDED"
                                 : "UNAVAILABLE";
}
