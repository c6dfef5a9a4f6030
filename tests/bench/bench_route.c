/* tests/bench/bench_route.c - what a route costs with 10,000 bindings, tier by tier: microseconds
 * at p50 and p99 of single calls. Messages are drawn from the whole configuration. */
#include "mem.h"
#include "route.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS = 10000, CALLS = 200000, IDS = 4096 };

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ROWS bindings: a sixth of each of exact peers, guilds with roles, guilds, teams, accounts, and
 * peers of any account with a guild; a wildcard and a channel one at the end. */
static json_t *config(void)
{
    json_t *list = json_array();
    char id[32];

    for (int i = 0; i < ROWS - 2; i++) {
        json_t *m = json_pack("{s:s}", "channel", i % 2 ? "discord" : "slack"), *roles;

        (void)snprintf(id, sizeof(id), "%d", 1000000000 + i);
        switch (i % 6) {
        case 0:
            (void)json_object_set_new(m, "peer",
                                      json_pack("{s:s,s:s}", "kind", "channel", "id", id));
            break;
        case 1:
            roles = json_pack("[s,s,s]", id, "1", "2");
            (void)json_object_set_new(m, "guildId", json_string("42"));
            (void)json_object_set_new(m, "roles", roles);
            break;
        case 2:
            (void)json_object_set_new(m, "guildId", json_string(id));
            break;
        case 3:
            (void)json_object_set_new(m, "teamId", json_string(id));
            break;
        case 4:
            (void)json_object_set_new(m, "accountId", json_string(id));
            break;
        default:
            (void)json_object_set_new(m, "accountId", json_string("*"));
            (void)json_object_set_new(m, "guildId", json_string("7"));
            (void)json_object_set_new(m, "peer", json_pack("{s:s,s:s}", "kind", "group", "id", id));
            break;
        }
        (void)json_array_append_new(list, json_pack("{s:s,s:o}", "agentId", "a", "match", m));
    }
    (void)json_array_append_new(list, json_pack("{s:s,s:{s:s,s:s,s:{s:s,s:s}}}", "agentId", "a",
                                                "match", "channel", "discord", "accountId", "*",
                                                "peer", "kind", "direct", "id", "*"));
    (void)json_array_append_new(list, json_pack("{s:s,s:{s:s,s:s}}", "agentId", "a", "match",
                                                "channel", "discord", "accountId", "*"));
    return json_pack("{s:o,s:{s:s}}", "bindings", list, "session", "dmScope",
                     "per-account-channel-peer");
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static char texts[IDS][32];
static uint32_t took[CALLS];

/* Which part of the message names the binding. */
enum part { PEER, PARENT, GUILD, ROLE, TEAM, ACCOUNT };

static void set_part(struct route_in *in, struct view *role, enum part part, struct view v)
{
    switch (part) {
    case PEER:
        in->peer.id = v;
        break;
    case PARENT:
        in->parent = (struct route_peer){true, V("channel"), v};
        break;
    case GUILD:
        in->guild = v;
        break;
    case ROLE:
        *role = v;
        break;
    case TEAM:
        in->team = v;
        break;
    case ACCOUNT:
        in->account = v;
        break;
    }
}

/* One row of the table: the part is the number of a binding of kind `kind` (0 to 5), or with -1 one
 * that no binding has. Of the roles the last one changes. */
static void bench(const struct index *ix, const char *name, struct route_in in, enum part part,
                  int kind, enum matched_by want, struct view *roles)
{
    static struct route r;
    struct err e = ERR_INIT;
    uint64_t begin, wrong = 0, all;

    for (int i = 0; i < IDS; i++)
        (void)snprintf(texts[i], sizeof(texts[i]), "%d",
                       kind < 0 ? 2000000000 + i : 1000000000 + kind + 6 * (i % 1600));
    begin = now_ns();
    for (unsigned i = 0; i < CALLS; i++) {
        uint64_t t = now_ns();

        set_part(&in, roles + (in.roles_n ? in.roles_n - 1 : 0), part,
                 view_str(texts[i * 2654435761u % IDS]));
        if (route(ix, &in, &r, &e) < 0 || r.matched_by != want)
            wrong++;
        took[i] = (uint32_t)(now_ns() - t);
    }
    all = now_ns() - begin;
    qsort(took, CALLS, sizeof(took[0]), by_size);
    printf("%-38s p50 %6.2f us   p99 %6.2f us   mean %6.2f us%s\n", name, took[CALLS / 2] / 1000.0,
           took[CALLS / 100 * 99] / 1000.0, (double)all / CALLS / 1000.0,
           wrong ? "   WRONG ROUTES" : "");
}

int main(void)
{
    static struct view roles[250];
    static char role_text[250][16];
    struct view none = VIEW_EMPTY;
    struct route_peer channel = {true, V("channel"), V("5")}, direct = {true, V("direct"), V("5")};
    struct route_in in = {.channel = V("slack"),
                          .account = none,
                          .guild = none,
                          .team = none,
                          .roles = roles,
                          .default_agent = none,
                          .peer = channel};
    struct route_in other = in;
    struct index *ix = NULL;
    struct err e = ERR_INIT;
    json_t *doc = config();
    uint64_t begin = now_ns();

    if (index_new(&ix, doc, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    printf("index of %u bindings built in %.1f ms\n", index_count(ix),
           (double)(now_ns() - begin) / 1e6);
    json_decref(doc);
    for (int i = 0; i < 250; i++) {
        (void)snprintf(role_text[i], sizeof(role_text[i]), "%d", 3000000 + i);
        roles[i] = view_str(role_text[i]);
    }
    other.channel = V("discord");
    in.guild = other.guild = V("41");
    bench(ix, "peer", in, PEER, 0, BY_PEER, roles);
    bench(ix, "parent peer", in, PARENT, 0, BY_PARENT, roles);
    other.guild = V("7");
    bench(ix, "peer of any account, with guild", other, PEER, 5, BY_PEER, roles);
    other.guild = V("41");
    other.peer = direct;
    bench(ix, "wildcard peer", other, PEER, -1, BY_WILDCARD, roles);
    other.peer = channel;
    other.guild = V("42");
    other.roles_n = 3;
    bench(ix, "guild + roles, 3 roles", other, ROLE, 1, BY_ROLES, roles);
    other.roles_n = 250;
    bench(ix, "guild + roles, 250 roles", other, ROLE, 1, BY_ROLES, roles);
    in.roles_n = 3;
    bench(ix, "guild, 3 roles", in, GUILD, 2, BY_GUILD, roles);
    other.guild = V("41");
    bench(ix, "team, 250 roles", other, TEAM, 3, BY_TEAM, roles);
    other.roles_n = 3;
    bench(ix, "team, 3 roles", other, TEAM, 3, BY_TEAM, roles);
    bench(ix, "account", in, ACCOUNT, 4, BY_ACCOUNT, roles);
    bench(ix, "channel", other, ACCOUNT, -1, BY_CHANNEL, roles);
    for (int i = 0; i < 250; i++) {
        (void)snprintf(role_text[i], sizeof(role_text[i]), "%d", 1000000001 + 6 * i);
        roles[i] = view_str(role_text[i]);
    }
    other.guild = V("42");
    other.account = none;
    other.roles_n = 250;
    bench(ix, "guild + roles, 250 roles, all bound", other, ROLE, 1, BY_ROLES, roles);
    in.channel = V("irc");
    bench(ix, "default, a channel without bindings", in, PEER, -1, BY_DEFAULT, roles);
    in.peer = direct;
    bench(ix, "default, direct, own session", in, PEER, -1, BY_DEFAULT, roles);
    index_free(&ix);
    return 0;
}
