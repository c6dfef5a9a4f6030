/* What admits a client: device proofs, origins, wrong secrets, scopes. */
#include "authority.h"
#include "ck.h"
#include "control_pace.h"
#include "device.h"
#include "json.h"
#include "mem.h"
#include "origin.h"
#include "throttle.h"

#include <stdio.h>

/* A fixed key; Ed25519 is deterministic. */
static const struct {
    const char *name, *params, *nonce;
    int64_t signed_at;
} proofs[] = {
    {"operator, token, v2",
     "{\"minProtocol\": 4, \"maxProtocol\": 4, \"client\": {\"id\": \"cli\", \"mode\": \"cli\", "
     "\"version\": \"1\", \"platform\": \"linux\"}, \"role\": \"operator\", \"scopes\": "
     "[\"operator.admin\", \"operator.read\"], \"device\": {\"id\": "
     "\"56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c\", \"publicKey\": "
     "\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\", \"signature\": "
     "\"upiQGAbJbPoBd4JghsTPFxZ7mbkfYfqaC2yVsTrYZV00GQ7kXt60n5XU8dSfvC5g3L6zZ_UkJy-PlvRl_xkoAQ\", "
     "\"signedAt\": 1767225600000, \"nonce\": \"5f2c9a1e-0000-4000-8000-000000000001\"}, \"auth\": "
     "{\"token\": \"example-token\"}}",
     "5f2c9a1e-0000-4000-8000-000000000001", 1767225600000},
    {"operator, token, v3",
     "{\"minProtocol\": 4, \"maxProtocol\": 4, \"client\": {\"id\": \"cli\", \"mode\": \"cli\", "
     "\"version\": \"1\", \"platform\": \" Linux \", \"deviceFamily\": \"MacBook ÄÖ\"}, \"role\": "
     "\"operator\", \"scopes\": [\"operator.admin\", \"operator.read\"], \"device\": {\"id\": "
     "\"56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c\", \"publicKey\": "
     "\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\", \"signature\": "
     "\"zOIXMaFW9vLMd0-UGTrdwYqFDrsqFCrZLhX2RX-NiYQ9OKaa9Wj7x1nld9AowmKFBBIN0tc8jUkt9BYPmD2RAQ\", "
     "\"signedAt\": 1767225600000, \"nonce\": \"5f2c9a1e-0000-4000-8000-000000000001\"}, \"auth\": "
     "{\"token\": \"example-token\"}}",
     "5f2c9a1e-0000-4000-8000-000000000001", 1767225600000},
    {"no scopes, no secret, no family, v3",
     "{\"minProtocol\": 4, \"maxProtocol\": 4, \"client\": {\"id\": \"node-host\", \"mode\": "
     "\"node\", \"version\": \"1\", \"platform\": \"linux\"}, \"role\": \"node\", \"scopes\": [], "
     "\"device\": {\"id\": \"56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c\", "
     "\"publicKey\": \"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\", \"signature\": "
     "\"JJM134eKpcEpPb7tU5-ae7nI7GU0pyiyO9i2u1Lld_KYiU2VrGjLXLn2TzvcG8dpz1Zn0qBvRHt5DTbWI4IuCw\", "
     "\"signedAt\": 1767225600000, \"nonce\": \"5f2c9a1e-0000-4000-8000-000000000001\"}}",
     "5f2c9a1e-0000-4000-8000-000000000001", 1767225600000},
};

static const struct device_fault *proof(json_t *p, int i, int64_t now)
{
    return device_check(p, view_str(proofs[i].nonce), now);
}

START_TEST(test_proof)
{
    int64_t at = proofs[_i].signed_at;
    struct err e = ERR_INIT;
    json_t *p = NULL, *device;

    ck_assert(json_parse(view_str(proofs[_i].params), &p, &e) == 0);
    device = json_object_get(p, "device");
    ck_assert_msg(proof(p, _i, at) == NULL, "%s: %s", proofs[_i].name, proof(p, _i, at)->message);
    ck_assert(proof(p, _i, at + DEVICE_SKEW_MS) == NULL);
    ck_assert_str_eq(proof(p, _i, at + DEVICE_SKEW_MS + 1)->reason, "device-signature-stale");
    ck_assert_str_eq(proof(p, _i, at - DEVICE_SKEW_MS - 1)->reason, "device-signature-stale");
    ck_assert_str_eq(device_check(p, V("another"), at)->reason, "device-nonce-mismatch");
    json_object_set_new(p, "role", json_string("other"));
    ck_assert_str_eq(proof(p, _i, at)->reason, "device-signature");
    json_object_set_new(device, "nonce", json_string(" "));
    ck_assert_str_eq(proof(p, _i, at)->reason, "device-nonce-missing");
    json_object_set_new(device, "publicKey", json_string("AAAA"));
    ck_assert_str_eq(proof(p, _i, at)->reason, "device-id-mismatch");
    json_decref(p);
}
END_TEST

START_TEST(test_pem)
{
    json_t *p = NULL, *device;
    struct err e = ERR_INIT;

    ck_assert(json_parse(view_str(proofs[0].params), &p, &e) == 0);
    device = json_object_get(p, "device");
    json_object_set_new(device, "publicKey",
                        json_string("-----BEGIN PUBLIC KEY-----\n"
                                    "MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n"
                                    "-----END PUBLIC KEY-----\n"));
    ck_assert(proof(p, 0, proofs[0].signed_at) == NULL);
    json_object_set_new(device, "publicKey", json_string("-----BEGIN PUBLIC KEY-----"));
    ck_assert(proof(p, 0, proofs[0].signed_at) != NULL);
    json_decref(p);
}
END_TEST

static const struct {
    const char *origin, *host, *listed;
    bool local;
    const char *want; /* NULL: allowed */
} origins[] = {
    {"http://127.0.0.1:18789", "127.0.0.1:18789", NULL, true, NULL},
    {"http://localhost:5173", "127.0.0.1:18789", NULL, true, NULL},
    {"http://[::1]:18789", "127.0.0.1:18789", NULL, true, NULL},
    {"http://127.0.0.1:18789", "127.0.0.1:18789", NULL, false, "origin not allowed"},
    {"https://evil.example", "127.0.0.1:18789", NULL, true, "origin not allowed"},
    {"https://evil.example", "evil.example", NULL, true, "origin not allowed"}, /* DNS rebinding */
    {"http://192.168.1.5:18789", "192.168.1.5:18789", NULL, false, NULL},
    {"http://192.168.1.5:18789", "192.168.1.6:18789", NULL, false, "origin not allowed"},
    {"http://172.16.0.1", "172.16.0.1", NULL, false, NULL},
    {"http://172.32.0.1", "172.32.0.1", NULL, false, "origin not allowed"},
    {"http://10.0.0.256", "10.0.0.256", NULL, false, "origin not allowed"},
    {"http://box.local:18789", "BOX.local:18789", NULL, false, NULL},
    {"https://box.tail.ts.net", "box.tail.ts.net", NULL, false, NULL},
    {"http://127.0.0.1.evil.example", "x", NULL, true, "origin not allowed"},
    {"http://localhost@evil.example", "x", NULL, true, "origin missing or invalid"},
    {"https://ui.example", "x", "https://ui.example", false, NULL},
    {"HTTPS://UI.example", "x", "https://ui.example", false, NULL},
    {"https://ui.example", "x", "*", false, NULL},
    {"null", "x", "*", false, "origin missing or invalid"},
    {"", "x", "*", false, "origin missing or invalid"},
    {"http://", "x", "*", false, "origin missing or invalid"},
    {"http://[", "x", NULL, true, "origin missing or invalid"},
};

START_TEST(test_origin)
{
    struct settings s = {.doc = NULL};
    const char *why;

    if (origins[_i].listed) {
        s.origins[s.origin_count++] = origins[_i].listed;
        s.origin_any = strcmp(origins[_i].listed, "*") == 0;
    }
    why = origin_refused(&s, view_str(origins[_i].origin), view_str(origins[_i].host),
                         origins[_i].local);
    ck_assert_msg((why == NULL) == (origins[_i].want == NULL), "%s: %s", origins[_i].origin,
                  why ? why : "allowed");
    if (why)
        ck_assert_str_eq(why, origins[_i].want);
}
END_TEST

START_TEST(test_throttle_far)
{
    static struct throttle t;
    struct view a = V("203.0.113.9"), b = V("203.0.113.10");

    t.count = 0;
    for (unsigned i = 0; i < THROTTLE_FAILURES; i++) {
        ck_assert_uint_eq(throttle_locked(&t, THROTTLE_SECRET, a, 1000), 0);
        ck_assert_uint_eq(throttle_failed(&t, THROTTLE_SECRET, a, false, 1000), 0);
    }
    ck_assert_uint_eq(throttle_locked(&t, THROTTLE_SECRET, a, 1000), THROTTLE_LOCK_MS);
    ck_assert_uint_eq(throttle_locked(&t, THROTTLE_SECRET, b, 1000), 0);
    ck_assert_uint_eq(throttle_locked(&t, THROTTLE_SECRET, a, 1000 + THROTTLE_LOCK_MS), 0);
    /* slow enough is never locked */
    t.count = 0;
    for (unsigned i = 0; i < 100; i++)
        (void)throttle_failed(&t, THROTTLE_SECRET, a, false, 1000 + i * (THROTTLE_WINDOW_MS / 5));
    ck_assert_uint_eq(
        throttle_locked(&t, THROTTLE_SECRET, a, 1000 + 100 * (THROTTLE_WINDOW_MS / 5)), 0);
    throttle_ok(&t, THROTTLE_SECRET, a);
    ck_assert_uint_eq(t.count, 0);
}
END_TEST

/* 30 a minute for each method and caller; the oldest is forgotten when there are too many. */
START_TEST(test_pace)
{
    static struct control_pace p;
    struct view patch = V("config.patch"), apply = V("config.apply");
    char who[16];

    p.count = 0;
    for (unsigned i = 0; i < CONTROL_CALLS; i++)
        ck_assert_uint_eq(control_pace_take(&p, patch, V("a"), 1000 + i), 0);
    ck_assert_uint_eq(control_pace_take(&p, patch, V("a"), 2000), CONTROL_WINDOW_MS - 1000);
    ck_assert_uint_eq(control_pace_take(&p, patch, V("b"), 2000), 0);
    ck_assert_uint_eq(control_pace_take(&p, apply, V("a"), 2000), 0);
    ck_assert_uint_eq(control_pace_take(&p, patch, V("a"), 999 + CONTROL_WINDOW_MS), 1);
    ck_assert_uint_eq(control_pace_take(&p, patch, V("a"), 1000 + CONTROL_WINDOW_MS), 0);
    for (unsigned i = 0; i < CONTROL_CALLERS; i++) {
        (void)snprintf(who, sizeof(who), "c%u", i);
        ck_assert_uint_eq(control_pace_take(&p, patch, view_str(who), 100000 + i), 0);
    }
    ck_assert_uint_eq(p.count, CONTROL_CALLERS);
    ck_assert_uint_eq(control_pace_take(&p, patch, V("a"), 100000 + CONTROL_CALLERS), 0);
}
END_TEST

START_TEST(test_throttle_local)
{
    static const uint64_t waits[] = {250, 500, 1000, 2000, 4000, 5000, 5000};
    static struct throttle t;

    t.count = 0;
    for (size_t i = 0; i < COUNT_OF(waits); i++)
        ck_assert_uint_eq(throttle_failed(&t, THROTTLE_SECRET, V("127.0.0.1"), true, 1000),
                          waits[i]);
    ck_assert_uint_eq(throttle_locked(&t, THROTTLE_SECRET, V("127.0.0.1"), 1000), 0);
    ck_assert_uint_eq(
        throttle_failed(&t, THROTTLE_SECRET, V("127.0.0.1"), true, 1001 + THROTTLE_WINDOW_MS), 250);
}
END_TEST

START_TEST(test_throttle_full)
{
    static struct throttle t;
    char key[32];

    t.count = 0;
    for (unsigned i = 0; i < THROTTLE_ADDRESSES + 1; i++) {
        int n = snprintf(key, sizeof(key), "10.0.%u.%u", i / 256, i % 256);

        (void)throttle_failed(&t, THROTTLE_SECRET, view_of(key, (size_t)n), false, 1000 + i);
    }
    ck_assert_uint_eq(t.count, THROTTLE_ADDRESSES);
}
END_TEST

static const struct {
    unsigned scopes;
    enum conn_role role;
    enum scope needs;
    enum verdict want;
    enum scope missing;
} verdicts[] = {
    {0, CONN_OPERATOR, SCOPE_ANY, VERDICT_ALLOWED, 0},
    {0, CONN_NODE, SCOPE_ANY, VERDICT_ALLOWED, 0},
    {0, CONN_NODE, SCOPE_NODE, VERDICT_ALLOWED, 0},
    {0, CONN_NODE, SCOPE_READ, VERDICT_NOT_NODE, 0},
    {SCOPE_ADMIN, CONN_OPERATOR, SCOPE_NODE, VERDICT_NOT_OPERATOR, 0},
    {SCOPE_ADMIN, CONN_OPERATOR, SCOPE_PAIRING, VERDICT_ALLOWED, 0},
    {SCOPE_READ, CONN_OPERATOR, SCOPE_READ, VERDICT_ALLOWED, 0},
    {SCOPE_READ, CONN_OPERATOR, SCOPE_WRITE, VERDICT_MISSING, SCOPE_WRITE},
    {SCOPE_READ, CONN_OPERATOR, SCOPE_SESSIONS_READ, VERDICT_ALLOWED, 0},
    {SCOPE_READ, CONN_OPERATOR, SCOPE_SESSIONS_WRITE, VERDICT_MISSING, SCOPE_WRITE},
    {SCOPE_READ, CONN_OPERATOR, SCOPE_DYNAMIC, VERDICT_MISSING, SCOPE_WRITE},
    {SCOPE_WRITE, CONN_OPERATOR, SCOPE_READ, VERDICT_ALLOWED, 0},
    {SCOPE_WRITE, CONN_OPERATOR, SCOPE_DYNAMIC, VERDICT_ALLOWED, 0},
    {SCOPE_WRITE, CONN_OPERATOR, SCOPE_ADMIN, VERDICT_MISSING, SCOPE_ADMIN},
    {SCOPE_WRITE, CONN_OPERATOR, SCOPE_APPROVALS, VERDICT_MISSING, SCOPE_APPROVALS},
    {SCOPE_SESSIONS_READ, CONN_OPERATOR, SCOPE_SESSIONS_READ, VERDICT_ALLOWED, 0},
    {SCOPE_SESSIONS_READ, CONN_OPERATOR, SCOPE_READ, VERDICT_MISSING, SCOPE_READ},
    {SCOPE_SESSIONS_WRITE, CONN_OPERATOR, SCOPE_SESSIONS_READ, VERDICT_ALLOWED, 0},
    {SCOPE_SESSIONS_WRITE, CONN_OPERATOR, SCOPE_WRITE, VERDICT_MISSING, SCOPE_WRITE},
    {0, CONN_OPERATOR, SCOPE_SESSIONS_READ, VERDICT_MISSING, SCOPE_READ},
};

START_TEST(test_verdict)
{
    struct identity who = {.role = verdicts[_i].role, .scopes = scope_expand(verdicts[_i].scopes)};
    enum scope missing = (enum scope)0;

    ck_assert_int_eq(authority_judge(&who, verdicts[_i].needs, &missing), verdicts[_i].want);
    if (verdicts[_i].want == VERDICT_MISSING)
        ck_assert_str_eq(scope_name(missing), scope_name(verdicts[_i].missing));
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_proof, 0, (int)COUNT_OF(proofs));
    tcase_add_test(tc, test_pem);
    tcase_add_loop_test(tc, test_origin, 0, (int)COUNT_OF(origins));
    tcase_add_test(tc, test_pace);
    tcase_add_test(tc, test_throttle_far);
    tcase_add_test(tc, test_throttle_local);
    tcase_add_test(tc, test_throttle_full);
    tcase_add_loop_test(tc, test_verdict, 0, (int)COUNT_OF(verdicts));
}

CK_MAIN("admit")
