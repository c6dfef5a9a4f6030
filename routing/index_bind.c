/* routing/index_bind.c - the bindings of a configuration, each under the one tier of its most
 * specific field. */
#include "index_int.h"

#include "json.h"
#include "jtext.h"

static size_t text_size(const json_t *v)
{
    return json_is_string(v) ? json_string_length(v) * 3 : (size_t)JTEXT_NUMBER_MAX;
}

int index_bind_size(const json_t *bindings, size_t *text, size_t *roles, struct err *e)
{
    const json_t *b, *role;
    size_t i, k;

    if (json_array_size(bindings) > INDEX_BINDINGS_MAX)
        return err_set(e, ERR_LIMIT, "bindings: %zu, limit %d", json_array_size(bindings),
                       (int)INDEX_BINDINGS_MAX);
    json_array_foreach(bindings, i, b)
    {
        const json_t *m = json_object_get(b, "match"), *list = json_object_get(m, "roles");

        *text += text_size(json_object_get(m, "channel")) +
                 text_size(json_object_get(json_object_get(m, "peer"), "id")) +
                 text_size(json_object_get(m, "guildId")) + text_size(json_object_get(m, "teamId"));
        json_array_foreach(list, k, role)
        {
            *text += text_size(role);
        }
        *roles += json_array_size(list);
        if (*roles > INDEX_ROLES_MAX)
            return err_set(e, ERR_LIMIT, "bindings[%zu].match.roles: more than %d roles in all", i,
                           (int)INDEX_ROLES_MAX);
    }
    return 0;
}

/* null, false, 0 and "" are no peer; anything else that is none makes the row unfit. */
static bool is_absent(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) ||
           (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_integer(v) && json_integer_value(v) == 0);
}

static void read_peer(struct index *ix, struct binding *b, const json_t *peer)
{
    char room[JTEXT_NUMBER_MAX];
    enum peer_kind kind;

    if (is_absent(peer))
        return;
    kind = ids_peer_kind(json_view(peer, "kind"));
    b->peer = index_keep(ix, jtext_id(json_object_get(peer, "id"), room));
    b->shared = kind != PEER_DIRECT;
    if (kind == PEER_OTHER || b->peer.n == 0)
        b->unfit = UNFIT_PEER;
}

static void read_roles(struct index *ix, struct binding *b, const json_t *roles)
{
    char room[JTEXT_NUMBER_MAX];
    const json_t *role;
    size_t i;

    b->roles = ix->roles + ix->roles_n;
    json_array_foreach(roles, i, role)
    {
        ix->roles[ix->roles_n++] = index_keep(ix, jtext_id(role, room));
        b->roles_n++;
    }
    if (b->roles_n)
        b->has |= HAS_ROLES;
}

static enum matched_by tier_of(const struct binding *b)
{
    if (b->peer.n)
        return view_eq(b->peer, V("*")) ? BY_WILDCARD : BY_PEER;
    if (b->has & HAS_GUILD)
        return b->has & HAS_ROLES ? BY_ROLES : BY_GUILD;
    if (b->has & HAS_TEAM)
        return BY_TEAM;
    return b->has & HAS_ANY_ACCOUNT ? BY_CHANNEL : BY_ACCOUNT;
}

static void read_match(struct index *ix, struct binding *b, const json_t *m)
{
    struct view account = fold_trim(json_view(m, "accountId"));
    char room[JTEXT_NUMBER_MAX];
    size_t from = ix->pool.n;

    fold_lower(&ix->pool, fold_trim(json_view(m, "channel")));
    b->channel = view_of(ix->pool.p + from, ix->pool.n - from);
    if (b->channel.n == 0)
        b->unfit = UNFIT_CHANNEL;
    if (view_eq(account, V("*")))
        b->has |= HAS_ANY_ACCOUNT;
    ids_account(account, &b->account);
    b->guild = index_keep(ix, jtext_id(json_object_get(m, "guildId"), room));
    b->team = index_keep(ix, jtext_id(json_object_get(m, "teamId"), room));
    b->has |= (uint8_t)((b->guild.n ? HAS_GUILD : 0) | (b->team.n ? HAS_TEAM : 0));
    read_roles(ix, b, json_object_get(m, "roles"));
    read_peer(ix, b, json_object_get(m, "peer"));
}

static void read_row(struct index *ix, struct binding *b, const json_t *doc)
{
    const json_t *match = json_object_get(doc, "match"), *session = json_object_get(doc, "session");

    *b = (struct binding){
        .channel = VIEW_EMPTY, .peer = VIEW_EMPTY, .guild = VIEW_EMPTY, .team = VIEW_EMPTY};
    ids_agent(json_view(doc, "agentId"), &b->agent);
    b->agent_known = index_knows(ix, &b->agent);
    b->dm = (uint8_t)skey_dm_scope(json_view(session, "dmScope"));
    b->group = (uint8_t)skey_group_scope(json_view(session, "groupScope"));
    if (!json_is_object(match)) {
        b->unfit = UNFIT_SHAPE;
        return;
    }
    read_match(ix, b, match);
    if (view_eq(json_view(doc, "type"), V("acp")))
        b->unfit = UNFIT_ACP;
    b->tier = (uint8_t)tier_of(b);
}

/* Whether both rows ask for the same, the one by its role k, the other by its role m. */
static bool same_question(const struct binding *a, uint32_t k, const struct binding *b, uint32_t m)
{
    return a->tier == b->tier && a->has == b->has && a->shared == b->shared &&
           view_eq(a->channel, b->channel) &&
           (a->has & HAS_ANY_ACCOUNT || view_eq(id_view(&a->account), id_view(&b->account))) &&
           view_eq(a->peer, b->peer) && view_eq(a->guild, b->guild) && view_eq(a->team, b->team) &&
           (!a->roles_n || view_eq(a->roles[k], b->roles[m]));
}

/* Only the first of rows that ask for the same can ever win: the others stay out, or they would
 * stand in the way of every search that comes by. */
static void file_under(struct index *ix, uint64_t hash, uint32_t i, uint32_t k)
{
    const struct tab_slot *s = NULL;

    while ((s = tab_next(&ix->by_key, hash, s)))
        if (same_question(&ix->rows[s->a], s->b, &ix->rows[i], k))
            return;
    tab_add(&ix->by_key, hash, i, k);
}

static void file_row(struct index *ix, uint32_t i)
{
    const struct binding *b = &ix->rows[i];
    uint64_t channel = tab_hash(b->channel),
             account = b->has & HAS_ANY_ACCOUNT ? 0 : tab_hash(id_view(&b->account)),
             guild = b->has & HAS_GUILD ? tab_hash(b->guild) : 0,
             team = b->has & HAS_TEAM ? tab_hash(b->team) : 0, peer = 0, h;

    if (b->unfit)
        return;
    if (b->peer.n)
        peer = index_peer_hash(b->shared, b->peer);
    h = index_hash(b->tier, channel, account, peer, guild, team);
    ix->has[b->tier] |= (uint16_t)(1u << b->has);
    if (!b->roles_n)
        file_under(ix, index_role_hash(h, 0), i, 0);
    for (uint32_t k = 0; k < b->roles_n; k++)
        if (b->roles[k].n)
            file_under(ix, index_role_hash(h, tab_hash(b->roles[k])), i, k);
}

int index_bind(struct index *ix, const json_t *bindings, size_t roles, struct err *e)
{
    size_t n = json_array_size(bindings);
    int r;

    if ((r = mem_new(&ix->rows, (n + 1) * sizeof(*ix->rows), e)) < 0 ||
        (r = mem_new(&ix->roles, (roles + 1) * sizeof(*ix->roles), e)) < 0 ||
        (r = tab_init(&ix->by_key, (uint32_t)(n + roles), e)) < 0)
        return r;
    for (uint32_t i = 0; i < n; i++) {
        read_row(ix, &ix->rows[i], json_array_get(bindings, i));
        ix->rows_n++;
        file_row(ix, i);
    }
    return 0;
}
