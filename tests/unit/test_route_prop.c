/* The router against a slow one that walks the configuration's bindings tier by tier: random
 * bindings of few names, so that much of it matches, and random messages. Also: keys are normal. */
#include "ask.h"
#include "ck.h"
#include "json.h"
#include "mem.h"

enum { CONFIGS = 3000, MESSAGES = 40, ROWS = 24 };

static uint64_t seed;

static unsigned below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

static const char *one_of(const char *const *list, unsigned n)
{
    return list[below(n)];
}
#define ONE_OF(...)                                                                                \
    ({                                                                                             \
        static const char *const of_[] = {__VA_ARGS__};                                            \
        one_of(of_, COUNT_OF(of_));                                                                \
    })

static void maybe(json_t *o, const char *key, unsigned percent, const char *value)
{
    if (below(100) < percent)
        (void)json_object_set_new(o, key, json_string(value));
}

static json_t *random_roles(void)
{
    json_t *roles = json_array();

    for (unsigned n = below(3); n; n--)
        (void)json_array_append_new(roles, json_string(ONE_OF("r1", "r2", " r3", "r4")));
    return roles;
}

static json_t *random_peer(bool wild)
{
    const char *kind = ONE_OF("direct", "group", "channel", "dm", "Group", "room"),
               *id = wild && below(4) == 0 ? "*" : ONE_OF("1", "2", " 1 ", "A", "a", "");

    return json_pack("{s:s,s:s}", "kind", kind, "id", id);
}

static json_t *random_config(void)
{
    json_t *list = json_array();

    for (unsigned n = below(ROWS); n; n--) {
        json_t *m = json_object(), *b = json_pack("{s:s,s:o}", "agentId",
                                                  ONE_OF("a", "b", "ghost", "main"), "match", m);

        maybe(m, "channel", 95, ONE_OF("c", "c", "C ", "d"));
        maybe(m, "accountId", 60, ONE_OF("*", "acc", "Acc", "default", " "));
        maybe(m, "guildId", 30, ONE_OF("g", "h"));
        maybe(m, "teamId", 25, ONE_OF("t", "u"));
        if (below(3) == 0)
            (void)json_object_set_new(m, "roles", random_roles());
        if (below(3) == 0)
            (void)json_object_set_new(m, "peer", random_peer(true));
        maybe(b, "type", 10, ONE_OF("acp", "route"));
        (void)json_array_append_new(list, b);
    }
    return json_pack("{s:{s:[{s:s,s:b},{s:s}]},s:o}", "agents", "list", "id", "a", "default", 1,
                     "id", "b", "bindings", list);
}

static json_t *random_message(void)
{
    json_t *m = json_object();

    maybe(m, "channel", 100, ONE_OF("c", "C", "d"));
    maybe(m, "accountId", 50, ONE_OF("acc", "other", "default"));
    maybe(m, "guildId", 60, ONE_OF("g", " h "));
    maybe(m, "teamId", 50, ONE_OF("t", "u"));
    (void)json_object_set_new(m, "memberRoleIds", random_roles());
    if (below(3))
        (void)json_object_set_new(m, "peer", random_peer(true));
    if (below(3) == 0)
        (void)json_object_set_new(m, "parentPeer", random_peer(true));
    return m;
}

/* ---- the slow one, over documents ---- */

static struct view str(const json_t *o, const char *key)
{
    return view_trim(json_view(o, key));
}

static bool is_shared(struct view kind)
{
    return view_ieq(kind, V("group")) || view_ieq(kind, V("channel"));
}

static bool is_direct(struct view kind)
{
    return view_ieq(kind, V("direct")) || view_ieq(kind, V("dm"));
}

static bool kinds_agree(const json_t *a, const json_t *b)
{
    return (is_shared(json_view(a, "kind")) && is_shared(json_view(b, "kind"))) ||
           (is_direct(json_view(a, "kind")) && is_direct(json_view(b, "kind")));
}

static bool roles_meet(const json_t *want, const json_t *have)
{
    const json_t *a, *b;
    size_t i, k;

    json_array_foreach(want, i, a)
    {
        json_array_foreach(have, k, b)
        {
            if (view_eq(view_trim(json_view_of(a)), view_trim(json_view_of(b))))
                return true;
        }
    }
    return json_array_size(want) == 0;
}

static bool same_account(struct view want, struct view have)
{
    if (want.n == 0)
        want = V("default");
    if (have.n == 0)
        have = V("default");
    return view_eq(want, V("*")) || view_ieq(want, have);
}

/* What holds whatever the tier. */
static bool basics_hold(const json_t *b, const json_t *msg)
{
    const json_t *m = json_object_get(b, "match");

    return str(m, "channel").n && view_ieq(str(m, "channel"), str(msg, "channel")) &&
           !view_eq(json_view(b, "type"), V("acp")) &&
           same_account(str(m, "accountId"), str(msg, "accountId")) &&
           (!str(m, "guildId").n || view_eq(str(m, "guildId"), str(msg, "guildId"))) &&
           (!str(m, "teamId").n || view_eq(str(m, "teamId"), str(msg, "teamId"))) &&
           roles_meet(json_object_get(m, "roles"), json_object_get(msg, "memberRoleIds"));
}

static bool in_tier(const json_t *m, const json_t *msg, enum matched_by tier)
{
    const json_t *peer = json_object_get(m, "peer"), *mine = json_object_get(msg, "peer"),
                 *parent = json_object_get(msg, "parentPeer");
    bool wild = view_eq(str(peer, "id"), V("*")), any = view_eq(str(m, "accountId"), V("*")),
         guild = str(m, "guildId").n > 0, team = str(m, "teamId").n > 0,
         roles = json_array_size(json_object_get(m, "roles")) > 0;

    if (peer && (tier > BY_WILDCARD || !str(peer, "id").n))
        return false;
    if (!peer && tier <= BY_WILDCARD)
        return false;
    switch (tier) {
    case BY_PEER:
        return !wild && mine && kinds_agree(peer, mine) &&
               view_eq(str(peer, "id"), str(mine, "id"));
    case BY_PARENT:
        return !wild && parent && kinds_agree(peer, parent) &&
               view_eq(str(peer, "id"), str(parent, "id"));
    case BY_WILDCARD:
        return wild && mine && kinds_agree(peer, mine);
    case BY_ROLES:
        return guild && roles;
    case BY_GUILD:
        return guild && !roles;
    case BY_TEAM:
        return !guild && team;
    case BY_ACCOUNT:
        return !guild && !team && !any;
    case BY_CHANNEL:
        return !guild && !team && any;
    case BY_DEFAULT:
    case BY_COUNT:
        break;
    }
    return false;
}

static uint32_t slow(const json_t *config, const json_t *msg, enum matched_by *by)
{
    const json_t *b;
    size_t i;

    for (*by = BY_PEER; *by < BY_DEFAULT; (*by)++)
        json_array_foreach(json_object_get(config, "bindings"), i, b)
        {
            if (basics_hold(b, msg) && in_tier(json_object_get(b, "match"), msg, *by))
                return (uint32_t)i;
        }
    return TAB_NONE;
}

/* ---- together ---- */

static void check_key(const struct skey *k)
{
    struct view agent, rest;
    struct err e = ERR_INIT;
    struct skey again;

    ck_assert(skey_shape(skey_view(k)) == SKEY_AGENT);
    ck_assert(skey_parse(skey_view(k), &agent, &rest));
    ck_assert(skey_normal(skey_view(k), &again, &e) == 0);
    ck_assert_msg(view_eq(skey_view(k), skey_view(&again)), "%s", k->s);
}

static void check_message(const struct index *ix, const json_t *config, const json_t *msg,
                          unsigned *hits)
{
    struct err e = ERR_INIT;
    enum matched_by by;
    struct ask_route q;
    struct route r;
    uint32_t want = slow(config, msg, &by);
    int rc;
    char *text;

    ck_assert(ask_read(&q, msg, &e) == 0);
    rc = route(ix, &q.in, &r, &e);
    if (r.binding != want || r.matched_by != by) {
        text = json_dumps(config, JSON_COMPACT);
        ck_abort_msg("%s\n%s\ngot %d %s, want %d %s", text, json_dumps(msg, JSON_COMPACT),
                     (int)r.binding, index_matched_by_name(r.matched_by), (int)want,
                     index_matched_by_name(by));
    }
    hits[by]++;
    if (rc == 0)
        check_key(&r.key);
    else
        ck_assert_int_eq(rc, ERR_NOT_FOUND);
    ck_assert((rc == 0) == (want == TAB_NONE || strcmp(index_at(ix, want)->agent.s, "ghost") != 0));
}

START_TEST(test_against_slow)
{
    unsigned hits[BY_COUNT] = {0};

    seed = 88172645463325252u + (uint64_t)_i;
    for (int c = 0; c < CONFIGS; c++) {
        json_t *config = random_config();
        struct index *ix = NULL;
        struct err e = ERR_INIT;

        ck_assert(index_new(&ix, config, &e) == 0);
        for (int m = 0; m < MESSAGES; m++) {
            json_t *msg = random_message();

            check_message(ix, config, msg, hits);
            json_decref(msg);
        }
        index_free(&ix);
        json_decref(config);
    }
    for (int by = 0; by < BY_COUNT; by++) /* every tier was really there */
        ck_assert_msg(hits[by] > 100, "%s: %u", index_matched_by_name((enum matched_by)by),
                      hits[by]);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_against_slow, 0, 4);
}
CK_MAIN("route_prop")
