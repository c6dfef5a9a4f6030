/* Every served method x role x set of scopes against the published table of scopes
 * (data/scopes.tsv) and the rules around it, written down here a second time; and the published
 * signatures. TEST_DATA names the folder. */
#include "authority.h"
#include "ck.h"
#include "device.h"
#include "fd.h"
#include "json.h"

#include <stdio.h>

static struct buf table;

static const char *const names[] = {
    "operator.read",          "operator.write",         "operator.admin", "operator.pairing",
    "operator.approvals",     "operator.questions",     "operator.talk",  "operator.talk.secrets",
    "operator.sessions.read", "operator.sessions.write"};

static void load(const char *file, struct buf *b)
{
    char path[4096];
    struct err e = ERR_INIT;

    buf_init(b, 1024 * 1024);
    snprintf(path, sizeof(path), "%s/%s", getenv("TEST_DATA"), file);
    ck_assert_msg(fd_read_file(path, 1024 * 1024, b, &e) == 0, "%s", e.text);
}

static struct view published(struct view method)
{
    struct view rest = buf_view(&table);

    while (rest.n) {
        struct view line = view_of(rest.p, view_find(rest, '\n'));
        size_t tab = view_find(line, '\t');

        if (view_eq(view_of(line.p, tab), method))
            return view_from(line, tab + 1);
        rest = view_from(rest, line.n + 1);
    }
    return VIEW_EMPTY;
}

/* protocol, 3.3, the two lists */
static const char *const session_reads[] = {"sessions.list",
                                            "sessions.subscribe",
                                            "sessions.unsubscribe",
                                            "sessions.messages.subscribe",
                                            "sessions.messages.unsubscribe",
                                            "sessions.viewers.set",
                                            "sessions.preview",
                                            "sessions.describe",
                                            "sessions.branches.list",
                                            "sessions.get",
                                            "sessions.resolve",
                                            "sessions.search",
                                            "sessions.files.list",
                                            "sessions.files.get",
                                            "sessions.setInvolvement",
                                            "chat.history",
                                            "chat.startup",
                                            "chat.metadata",
                                            "chat.message.get"};
static const char *const session_writes[] = {"chat.send",
                                             "chat.abort",
                                             "sessions.create",
                                             "sessions.patch",
                                             "sessions.patchMany",
                                             "sessions.delete",
                                             "sessions.fork",
                                             "sessions.recover",
                                             "sessions.send",
                                             "sessions.steer",
                                             "sessions.abort",
                                             "sessions.goal.clear",
                                             "sessions.goal.update",
                                             "question.get",
                                             "question.list",
                                             "question.request",
                                             "question.resolve",
                                             "question.waitAnswer"};

static bool in(struct view method, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (view_eq(method, view_str(list[i])))
            return true;
    return false;
}

/* The set as its bearer holds it, implications included, by name. */
static bool holds(unsigned set, const char *name)
{
    static const struct {
        const char *has, *implies;
    } rules[] = {{"operator.write", "operator.read"},
                 {"operator.write", "operator.talk"},
                 {"operator.write", "operator.sessions.read"},
                 {"operator.write", "operator.sessions.write"},
                 {"operator.read", "operator.sessions.read"},
                 {"operator.sessions.write", "operator.sessions.read"}};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!(set & 1u << i))
            continue;
        if (strcmp(names[i], name) == 0 || strcmp(names[i], "operator.admin") == 0)
            return true;
        for (size_t k = 0; k < COUNT_OF(rules); k++)
            if (strcmp(rules[k].has, names[i]) == 0 && strcmp(rules[k].implies, name) == 0)
                return true;
    }
    return false;
}

static bool allowed(bool node, unsigned set, struct view method, struct view needs)
{
    char name[64];

    if (view_eq(method, V("health")))
        return true;
    if (view_starts(method, V("device.scopes.")))
        return true; /* any operator; nodes are refused by the handler */
    if (view_eq(needs, V("node")))
        return node;
    if (node)
        return false;
    if (in(method, session_reads, COUNT_OF(session_reads)) && holds(set, "operator.sessions.read"))
        return true;
    if (in(method, session_writes, COUNT_OF(session_writes)) &&
        holds(set, "operator.sessions.write"))
        return true;
    snprintf(name, sizeof(name), "%.*s", VIEW_FMT(needs));
    return holds(set, view_eq(needs, V("dynamic")) ? "operator.write" : name);
}

/* Families of methods that the reference does not have, and what they need. */
static const struct {
    const char *family, *needs;
} ours[] = {
    {"deliveries.", "operator.admin"}, {"import.", "operator.admin"}, {"stats.", "operator.read"}};

START_TEST(test_table)
{
    const struct rpc_row *row = rpc_row((enum rpc_index)_i);
    struct view needs;

    load("scopes.tsv", &table);
    needs = published(row->name);
    if (!needs.n && view_eq(row->name, V("sessions.unsubscribe")))
        needs = V("operator.read");
    for (size_t i = 0; i < COUNT_OF(ours) && !needs.n; i++)
        if (view_starts(row->name, view_str(ours[i].family)))
            needs = view_str(ours[i].needs);
    ck_assert_msg(needs.n, "%.*s is not in the published table", VIEW_FMT(row->name));
    for (unsigned role = 0; role < 2; role++)
        for (unsigned set = 0; set < 1u << COUNT_OF(names); set++) {
            struct identity who = {.role = role ? CONN_NODE : CONN_OPERATOR};
            enum scope missing;
            bool got, want = allowed(role, set, row->name, needs);

            for (size_t i = 0; i < COUNT_OF(names); i++)
                if (set & 1u << i)
                    who.scopes_listed |= (unsigned)scope_from(view_str(names[i]));
            who.scopes = scope_expand(who.scopes_listed);
            got = authority_judge(&who, row->scope, &missing) == VERDICT_ALLOWED;
            ck_assert_msg(got == want, "%.*s: %s with set %x: %s", VIEW_FMT(row->name),
                          role ? "node" : "operator", set, got ? "allowed" : "refused");
        }
    buf_fini(&table);
}
END_TEST

/* More scopes never allow less, and nobody gets by implication what admin alone has. */
START_TEST(test_implications)
{
    for (unsigned set = 0; set < 1u << COUNT_OF(names); set++) {
        unsigned wide = scope_expand(set);

        ck_assert_uint_eq(wide & set, set);
        ck_assert_uint_eq(scope_expand(wide), wide);
        if (!(set & SCOPE_ADMIN))
            ck_assert_uint_eq(wide & (SCOPE_ADMIN | SCOPE_PAIRING | SCOPE_APPROVALS |
                                      SCOPE_QUESTIONS | SCOPE_TALK_SECRETS),
                              set & (SCOPE_ADMIN | SCOPE_PAIRING | SCOPE_APPROVALS |
                                     SCOPE_QUESTIONS | SCOPE_TALK_SECRETS));
    }
}
END_TEST

START_TEST(test_vectors)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL, *v, *p;
    struct buf b;
    size_t i;

    load("device-auth-vectors.json", &b);
    ck_assert(json_parse(buf_view(&b), &doc, &e) == 0);
    ck_assert_uint_eq(json_array_size(json_object_get(doc, "vectors")), 3);
    json_array_foreach(json_object_get(doc, "vectors"), i, v)
    {
        json_int_t at = json_integer_value(json_object_get(v, "signedAtMs"));

        p = json_pack(
            "{s:{s:O,s:O,s:s,s:s}, s:O, s:O, s:{s:O, s:O, s:O, s:I, s:O}}", "client", "id",
            json_object_get(v, "clientId"), "mode", json_object_get(v, "clientMode"), "platform",
            json_object_get(v, "platform") ? json_string_value(json_object_get(v, "platform"))
                                           : "linux",
            "deviceFamily",
            json_object_get(v, "deviceFamily")
                ? json_string_value(json_object_get(v, "deviceFamily"))
                : "",
            "role", json_object_get(v, "role"), "scopes", json_object_get(v, "scopes"), "device",
            "id", json_object_get(v, "deviceId"), "publicKey",
            json_object_get(doc, "publicKeyBase64Url"), "signature",
            json_object_get(v, "signature"), "signedAt", at, "nonce", json_object_get(v, "nonce"));
        ck_assert(p != NULL);
        if (json_string_length(json_object_get(v, "token")))
            json_object_set_new(p, "auth",
                                json_pack("{s:O}", "token", json_object_get(v, "token")));
        ck_assert_msg(!device_check(p, json_view(v, "nonce"), at), "%s: %s",
                      json_string_value(json_object_get(v, "name")),
                      device_check(p, json_view(v, "nonce"), at)->message);
        json_decref(p);
    }
    json_decref(doc);
    buf_fini(&b);
}
END_TEST

/* Keys under which every signature is right. */
START_TEST(test_small_order)
{
    static const char *const keys[] = {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                       "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                       "7P_______________________________________38",
                                       "7f_______________________________________38",
                                       "7v_______________________________________38",
                                       "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA"};
    static const char *const ids[] = {
        "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925",
        "01d0fabd251fcbbe2b93b4b927b26ad2a1a99077152e45ded1e678afa45dbec5",
        "",
        "",
        "",
        ""};

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        json_t *p = json_pack("{s:{s:s,s:s,s:s,s:I,s:s}}", "device", "id", ids[i], "publicKey",
                              keys[i], "signature", "", "signedAt", (json_int_t)1, "nonce", "n");

        ck_assert_str_eq(device_check(p, V("n"), 1)->reason,
                         ids[i][0] ? "device-public-key" : "device-id-mismatch");
        json_decref(p);
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_table, 0, RPC_COUNT);
    tcase_add_test(tc, test_implications);
    tcase_add_test(tc, test_vectors);
    tcase_add_test(tc, test_small_order);
}

CK_MAIN("scopes")
