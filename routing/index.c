/* routing/index.c - agents and session.* of a configuration; what the index answers. */
#include "index_int.h"

#include "json.h"

struct view index_keep(struct index *ix, struct view v)
{
    size_t from = ix->pool.n;

    fold_put(&ix->pool, v);
    return ix->pool.n > from ? view_of(ix->pool.p + from, ix->pool.n - from) : VIEW_EMPTY;
}

/* ---- agents ---- */

static const struct tab_slot *find_agent(const struct index *ix, const struct id *id)
{
    uint64_t h = tab_hash(id_view(id));
    const struct tab_slot *s = NULL;

    while ((s = tab_next(&ix->by_agent, h, s)))
        if (view_eq(id_view(&ix->agents[s->a]), id_view(id)))
            return s;
    return NULL;
}

static void add_agent(struct index *ix, struct view name, const json_t *doc, uint32_t *marked)
{
    struct id id;
    const struct tab_slot *have;

    ids_agent(name, &id);
    have = find_agent(ix, &id);
    if (!have) {
        ix->agents[ix->agents_n] = id;
        tab_add(&ix->by_agent, tab_hash(id_view(&id)), ix->agents_n, 0);
        ix->agents_n++;
    }
    if (!json_is_true(json_object_get(doc, "default")))
        return;
    if (*marked != TAB_NONE && !view_eq(id_view(&ix->agents[*marked]), id_view(&id)))
        ix->marked_more = true;
    *marked = have ? have->a : ix->agents_n - 1;
}

/* The roster: agents.entries, or agents.list where there are none. */
static int read_agents(struct index *ix, json_t *agents, struct err *e)
{
    json_t *entries = json_object_get(agents, "entries"), *list = json_object_get(agents, "list"),
           *doc;
    size_t n = json_object_size(entries), i;
    uint32_t marked = TAB_NONE;
    const char *name;
    int r;

    if (n == 0)
        n = json_array_size(list);
    if (n > INDEX_AGENTS_MAX)
        return err_set(e, ERR_LIMIT, "agents: %zu, limit %d", n, (int)INDEX_AGENTS_MAX);
    if ((r = mem_new(&ix->agents, (n + 1) * sizeof(*ix->agents), e)) < 0 ||
        (r = tab_init(&ix->by_agent, (uint32_t)n, e)) < 0)
        return r;
    if (json_object_size(entries)) {
        json_object_foreach(entries, name, doc)
        {
            add_agent(ix, view_str(name), doc, &marked);
        }
    } else {
        json_array_foreach(list, i, doc)
        {
            if (json_is_object(doc))
                add_agent(ix, json_view(doc, "id"), doc, &marked);
        }
    }
    ix->listed = ix->agents_n > 0;
    ix->has_default = true;
    if (!ix->listed)
        ids_agent(VIEW_EMPTY, &ix->default_agent);
    else if (marked != TAB_NONE && !ix->marked_more)
        ix->default_agent = ix->agents[marked];
    else if (ix->agents_n == 1)
        ix->default_agent = ix->agents[0];
    else
        ix->has_default = false;
    return 0;
}

/* agents.defaults.systemAgent owns what nobody claims, where ownership is explicit. */
static void read_owner(struct index *ix, const json_t *agents)
{
    struct view owner = json_view_of(json_at(agents, "defaults.systemAgent.agentId"));

    if (ix->has_default || !view_eq(json_view(agents, "ownership"), V("explicit")) ||
        fold_trim(owner).n == 0)
        return;
    ids_agent(owner, &ix->default_agent);
    ix->has_default = index_knows(ix, &ix->default_agent);
}

bool index_knows(const struct index *ix, const struct id *agent)
{
    return !ix->listed || view_eq(id_view(agent), V("main")) || find_agent(ix, agent);
}

const struct id *index_default_agent(const struct index *ix)
{
    return ix->has_default ? &ix->default_agent : NULL;
}

/* ---- session.* ---- */

static int links_size(json_t *links, size_t *text, size_t *count, struct err *e)
{
    const char *name;
    json_t *ids, *id;
    size_t i;

    json_object_foreach(links, name, ids)
    {
        *text += strlen(name);
        json_array_foreach(ids, i, id)
        {
            *text += json_string_length(id) * 3;
        }
        *count += json_array_size(ids);
        if (*count > INDEX_LINKS_MAX)
            return err_set(e, ERR_LIMIT, "session.identityLinks: more than %d ids",
                           (int)INDEX_LINKS_MAX);
    }
    return 0;
}

static uint32_t find_link(const struct index *ix, struct view id)
{
    uint64_t h = tab_hash(id);
    const struct tab_slot *s = NULL;

    while ((s = tab_next(&ix->by_link, h, s)))
        if (view_eq(ix->links[s->a].id, id))
            return s->a;
    return TAB_NONE;
}

static int read_links(struct index *ix, json_t *links, size_t count, struct err *e)
{
    const char *key;
    json_t *ids, *id;
    size_t i;
    int r;

    if ((r = mem_new(&ix->links, (count + 1) * sizeof(*ix->links), e)) < 0 ||
        (r = tab_init(&ix->by_link, (uint32_t)count, e)) < 0)
        return r;
    json_object_foreach(links, key, ids)
    {
        struct view name = index_keep(ix, fold_trim(view_str(key)));

        json_array_foreach(ids, i, id)
        {
            size_t from = ix->pool.n;
            struct link *l = &ix->links[ix->links_n];

            fold_lower(&ix->pool, fold_trim(json_view_of(id)));
            if (name.n == 0 || ix->pool.n == from)
                continue;
            *l = (struct link){.id = view_of(ix->pool.p + from, ix->pool.n - from), .name = name};
            if (find_link(ix, l->id) == TAB_NONE) /* the first of them counts */
                tab_add(&ix->by_link, tab_hash(l->id), ix->links_n++, 0);
        }
    }
    return 0;
}

struct view index_linked(const struct index *ix, struct view channel, struct view peer)
{
    char s[SKEY_MAX];
    struct fold t = {.p = s, .max = sizeof(s)};
    size_t bare;
    uint32_t a, b;

    if (ix->links_n == 0)
        return VIEW_EMPTY;
    channel = fold_trim(channel);
    fold_lower(&t, channel.n ? channel : V("unknown"));
    fold_put(&t, V(":"));
    bare = t.n;
    fold_lower(&t, fold_trim(peer));
    if (t.over || t.n == bare)
        return VIEW_EMPTY;
    a = find_link(ix, view_of(s, t.n));
    b = find_link(ix, view_of(s + bare, t.n - bare));
    a = b < a ? b : a; /* rows stand in the order of the configuration */
    return a == TAB_NONE ? VIEW_EMPTY : ix->links[a].name;
}

static void read_session(struct index *ix, const json_t *session)
{
    size_t from = ix->pool.n;

    fold_lower(&ix->pool, fold_trim(json_view(session, "mainKey")));
    ix->main_key = ix->pool.n > from ? view_of(ix->pool.p + from, ix->pool.n - from) : V("main");
    ix->dm = skey_dm_scope(json_view(session, "dmScope"));
    ix->group = skey_group_scope(json_view(session, "groupScope"));
    if (ix->dm == DM_UNSET)
        ix->dm = DM_MAIN;
    if (ix->group == GROUP_UNSET)
        ix->group = GROUP_PER_GROUP;
}

/* ---- the whole ---- */

static int read_all(struct index *ix, const json_t *config, struct err *e)
{
    json_t *agents = json_object_get(config, "agents"),
           *session = json_object_get(config, "session"),
           *links = json_object_get(session, "identityLinks");
    const json_t *bindings = json_object_get(config, "bindings");
    struct view main_key = json_view(session, "mainKey");
    size_t text = main_key.n * 3 + 64, roles = 0, count = 0;
    int r;

    if (main_key.n > INDEX_MAIN_KEY_MAX)
        return err_set(e, ERR_LIMIT, "session.mainKey: %zu bytes, limit %d", main_key.n,
                       (int)INDEX_MAIN_KEY_MAX);
    if ((r = index_bind_size(bindings, &text, &roles, e)) < 0 ||
        (r = links_size(links, &text, &count, e)) < 0)
        return r;
    if (text > INDEX_TEXT_MAX)
        return err_set(e, ERR_LIMIT, "bindings: %zu bytes of ids, limit %d", text,
                       (int)INDEX_TEXT_MAX);
    if ((r = mem_new(&ix->pool.p, text, e)) < 0)
        return r;
    ix->pool.max = text;
    if ((r = read_agents(ix, agents, e)) < 0)
        return r;
    read_owner(ix, agents);
    read_session(ix, session);
    if ((r = read_links(ix, links, count, e)) < 0)
        return r;
    return index_bind(ix, bindings, roles, e);
}

int index_new(struct index **out, const json_t *config, struct err *e)
{
    struct index *ix = NULL;
    int r;

    if ((r = mem_new(&ix, sizeof(*ix), e)) < 0 || (r = read_all(ix, config, e)) < 0)
        goto out;
    *out = TAKE(ix);
out:
    index_free(&ix);
    return r;
}

void index_free(struct index **at)
{
    struct index *ix = *at;

    if (!ix)
        return;
    mem_free(ix->rows);
    mem_free(ix->roles);
    mem_free(ix->agents);
    mem_free(ix->links);
    mem_free(ix->pool.p);
    tab_fini(&ix->by_key);
    tab_fini(&ix->by_agent);
    tab_fini(&ix->by_link);
    mem_free(ix);
    *at = NULL;
}

int index_check(const struct index *ix, struct err *e)
{
    static const char *const why[UNFIT_COUNT] = {
        [UNFIT_SHAPE] = "match: missing or not an object",
        [UNFIT_CHANNEL] = "match.channel: missing",
        [UNFIT_PEER] = "match.peer: needs a kind (direct, group or channel) and an id",
    };

    if (!ix->has_default)
        return err_set(e, ERR_INVALID,
                       "agents: %u agents, %s: set \"default\": true on one of them", ix->agents_n,
                       ix->marked_more ? "more than one of them the default"
                                       : "none of them the default");
    for (uint32_t i = 0; i < ix->rows_n; i++) {
        const struct binding *b = &ix->rows[i];

        if (why[b->unfit])
            return err_set(e, ERR_INVALID, "bindings[%u].%s", i, why[b->unfit]);
        if (!b->unfit && !b->agent_known)
            return err_set(e, ERR_INVALID, "bindings[%u].agentId: no agent \"%s\" in agents", i,
                           b->agent.s);
    }
    return 0;
}

const char *index_matched_by_name(enum matched_by m)
{
    static const char *const names[BY_COUNT] = {
        [BY_PEER] = "binding.peer",
        [BY_PARENT] = "binding.peer.parent",
        [BY_WILDCARD] = "binding.peer.wildcard",
        [BY_ROLES] = "binding.guild+roles",
        [BY_GUILD] = "binding.guild",
        [BY_TEAM] = "binding.team",
        [BY_ACCOUNT] = "binding.account",
        [BY_CHANNEL] = "binding.channel",
        [BY_DEFAULT] = "default",
    };

    return names[m];
}

uint32_t index_count(const struct index *ix)
{
    return ix->rows_n;
}

const struct binding *index_at(const struct index *ix, uint32_t i)
{
    return &ix->rows[i];
}

unsigned index_has(const struct index *ix, enum matched_by tier)
{
    return ix->has[tier];
}

const struct tab *index_rows(const struct index *ix)
{
    return &ix->by_key;
}

struct view index_main_key(const struct index *ix)
{
    return ix->main_key;
}

enum dm_scope index_dm(const struct index *ix)
{
    return ix->dm;
}

enum group_scope index_group(const struct index *ix)
{
    return ix->group;
}
