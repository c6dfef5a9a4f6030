/* Every way in x good, bad, missing, wrong-kind credentials: the exact code. Against the hub's own
 * binary; HUB_BIN names it. */
#include "ck.h"
#include "fake_device.h"
#include "hub_drive.h"
#include "mem.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

static char dir[64];
static struct hub_drive *d;

static int rm(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/modes-XXXXXX");
    ck_assert(mkdtemp(dir));
}

static void teardown(void)
{
    hub_drive_free(&d);
    (void)nftw(dir, rm, 8, FTW_DEPTH | FTW_PHYS);
}

static void start(const char *conf)
{
    d = hub_drive_start(getenv("HUB_BIN"), dir, conf);
    ck_assert_msg(d != NULL, "the hub did not start with %s", conf);
    hub_drive_front(d, 0);
}

#define PASSWORD "\"x\":\"authModePassword\""
#define NONE     "\"x\":\"authModeNone\""
#define PROXY(more)                                                                                \
    "\"x\":\"authModeProxy\",\"gateway\":{\"auth\":{\"identityScopes\":{\"Ann@example.com\":["     \
    "\"operator.admin\"],\"bob\":[\"operator.read\",\"operator.write\"]},\"trustedProxy\":{"       \
    "\"userHeader\":\"x-user\"," more "}}}"
#define OK_MSG  "\"ok\":true"
#define MISSING "gateway token missing (use this gateway's gateway.auth.token or pair the device)"

/* A device that nobody knows, on this machine: what decides is the credential. */
static const struct {
    const char *name, *conf, *auth, *secret, *want;
} modes[] = {
    {"token", "", "\"token\":\"test-token-0123456789\"", "test-token-0123456789",
     "\"method\":\"token\""},
    {"token, wrong", "", "\"token\":\"x\"", "x",
     "\"AUTH_TOKEN_MISMATCH\",\"authReason\":\"token_mismatch\",\"canRetryWithDeviceToken\":true,"
     "\"recommendedNextStep\":\"retry_with_device_token\""},
    {"token, cut", "", "\"token\":\"test-token-012345678\"", "test-token-012345678",
     "AUTH_TOKEN_MISMATCH"},
    {"token, longer", "", "\"token\":\"test-token-01234567890\"", "test-token-01234567890",
     "AUTH_TOKEN_MISMATCH"},
    {"token, missing", "", NULL, NULL,
     "\"AUTH_TOKEN_MISSING\",\"authReason\":\"token_missing\",\"canRetryWithDeviceToken\":false,"
     "\"recommendedNextStep\":\"update_auth_configuration\""},
    {"token, empty", "", "\"token\":\"\"", NULL, "AUTH_TOKEN_MISSING"},
    {"token as a password", "", "\"password\":\"test-token-0123456789\"", NULL,
     "AUTH_TOKEN_MISSING"},
    {"token as a device token", "", "\"deviceToken\":\"test-token-0123456789\"",
     "test-token-0123456789", "AUTH_DEVICE_TOKEN_MISMATCH"},
    {"token as a setup code", "", "\"bootstrapToken\":\"test-token-0123456789\"",
     "test-token-0123456789", "AUTH_BOOTSTRAP_TOKEN_INVALID"},
    {"token, right, and a wrong device token", "",
     "\"token\":\"test-token-0123456789\",\"deviceToken\":\"x\"", "test-token-0123456789",
     "\"method\":\"token\""},
    {"two wrong ones", "", "\"token\":\"y\",\"deviceToken\":\"x\"", "y",
     "\"AUTH_TOKEN_MISMATCH\",\"authReason\":\"token_mismatch\",\"canRetryWithDeviceToken\":"
     "false"},
    {"password", PASSWORD, "\"password\":\"password-0123456789\"", NULL, "\"method\":\"password\""},
    {"password, wrong", PASSWORD, "\"password\":\"x\"", NULL,
     "\"AUTH_PASSWORD_MISMATCH\",\"authReason\":\"password_mismatch\","
     "\"canRetryWithDeviceToken\":false,\"recommendedNextStep\":\"update_auth_credentials\""},
    {"password, missing", PASSWORD, NULL, NULL,
     "\"AUTH_PASSWORD_MISSING\",\"authReason\":\"password_missing\""},
    {"password as a token", PASSWORD, "\"token\":\"password-0123456789\"", "password-0123456789",
     "AUTH_PASSWORD_MISSING"},
    {"token in mode password", PASSWORD, "\"token\":\"test-token-0123456789\"",
     "test-token-0123456789", "AUTH_PASSWORD_MISSING"},
    {"none", NONE, NULL, NULL, "\"method\":\"none\""},
    {"none, with anything", NONE, "\"token\":\"x\",\"password\":\"y\"", "x", "\"method\":\"none\""},
    {"proxy, directly", PROXY("\"allowLoopback\":true"), NULL, NULL,
     "\"AUTH_UNAUTHORIZED\",\"authReason\":\"trusted_proxy_untrusted_source\""},
    {"proxy, the password here", PROXY("\"allowLoopback\":true"),
     "\"password\":\"password-0123456789\"", NULL, "\"method\":\"password\""},
    {"proxy, a wrong password here", PROXY("\"allowLoopback\":true"), "\"password\":\"x\"", NULL,
     "AUTH_PASSWORD_MISMATCH"},
    {"proxy, the token", PROXY("\"allowLoopback\":true"), "\"token\":\"test-token-0123456789\"",
     "test-token-0123456789", "AUTH_UNAUTHORIZED"},
};

START_TEST(test_modes)
{
    static const struct hub_drive_from here = {"127.0.0.1", "127.0.0.1:18789", "", "", CONN_LOCAL};
    struct fake_wish w = {
        .scopes = "operator.read", .auth = modes[_i].auth, .secret = modes[_i].secret};
    struct buf b = BUF_INIT(65536);
    const struct hub_note *n;
    struct fake_device dev;

    start(modes[_i].conf);
    fake_device_make(&dev, 7);
    fake_device_params(&dev, &w, &b);
    n = hub_drive_connect_as(d, 0, 1, buf_view(&b).p, &here);
    ck_assert(n != NULL);
    ck_assert_msg(strstr(n->text, modes[_i].want), "%s: %s", modes[_i].name, n->text);
    ck_assert_msg(n->type == MSG_connect_ok || strstr(n->text, "INVALID_REQUEST"), "%s: %s",
                  modes[_i].name, n->text);
    buf_fini(&b);
}
END_TEST

#define UI(scopes)                                                                                 \
    "{\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"openclaw-control-ui\",\"version\":" \
    "\"1\",\"platform\":\"web\",\"mode\":\"webchat\"},\"scopes\":[" scopes "]}"

/* A page without a device behind the proxy. */
static const struct {
    const char *name, *conf, *headers;
    unsigned flags;
    const char *want;
} proxied[] = {
    {"a user with scopes", PROXY("\"requiredHeaders\":[]"), "x-user: ann@EXAMPLE.com\n",
     CONN_PROXIED,
     "\"method\":\"trusted-proxy\",\"role\":\"operator\",\"scopes\":[\"operator.admin\"]"},
    {"a user without", PROXY("\"requiredHeaders\":[]"), "x-user: eve\n", CONN_PROXIED,
     "\"scopes\":[]"},
    {"names are exact", PROXY("\"requiredHeaders\":[]"), "x-user: Bob\n", CONN_PROXIED,
     "\"scopes\":[]"},
    {"capped", PROXY("\"requiredHeaders\":[]"), "x-openclaw-scopes: operator.read\nx-user: bob\n",
     CONN_PROXIED, "\"scopes\":[\"operator.read\",\"operator.sessions.read\"]"},
    {"capped to nothing", PROXY("\"requiredHeaders\":[]"), "x-openclaw-scopes: \nx-user: bob\n",
     CONN_PROXIED, "\"scopes\":[]"},
    {"two caps are none", PROXY("\"requiredHeaders\":[]"),
     "x-openclaw-scopes: operator.admin\nx-openclaw-scopes: operator.admin\nx-user: bob\n",
     CONN_PROXIED, "\"scopes\":[]"},
    {"two users are none", PROXY("\"requiredHeaders\":[]"),
     "x-user: bob\nx-user: ann@example.com\n", CONN_PROXIED, "\"AUTH_IDENTITY_HEADER_REQUIRED\""},
    {"no user", PROXY("\"requiredHeaders\":[]"), "", CONN_PROXIED,
     "\"AUTH_IDENTITY_HEADER_REQUIRED\",\"authReason\":\"trusted_proxy_missing_header_x-user\""},
    {"a blank user", PROXY("\"requiredHeaders\":[]"), "x-user:   \n", CONN_PROXIED,
     "trusted_proxy_missing_header_x-user"},
    {"a header that must be there", PROXY("\"requiredHeaders\":[\"x-proof\"]"), "x-user: bob\n",
     CONN_PROXIED, "trusted_proxy_missing_header_x-proof"},
    {"on the list", PROXY("\"allowUsers\":[\"bob\"]"), "x-user: bob\n", CONN_PROXIED,
     "\"method\":\"trusted-proxy\""},
    {"not on the list", PROXY("\"allowUsers\":[\"bob\"]"), "x-user: bobby\n", CONN_PROXIED,
     "\"authReason\":\"trusted_proxy_user_not_allowed\""},
    {"from this machine", PROXY("\"requiredHeaders\":[]"), "x-user: bob\n",
     CONN_PROXIED | CONN_LOCAL, "\"authReason\":\"trusted_proxy_loopback_source\""},
    {"from this machine, allowed", PROXY("\"allowLoopback\":true"), "x-user: bob\n",
     CONN_PROXIED | CONN_LOCAL, "\"method\":\"trusted-proxy\""},
    {"not a proxy", PROXY("\"requiredHeaders\":[]"), "x-user: bob\n", 0,
     "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"},
};

START_TEST(test_proxied)
{
    const struct hub_note *n;
    struct hub_drive_from from = {"203.0.113.9", "gw.local", "https://gw.local",
                                  proxied[_i].headers, proxied[_i].flags};

    start(proxied[_i].conf);
    n = hub_drive_connect_as(d, 0, 1, UI("\"operator.admin\""), &from);
    ck_assert(n != NULL);
    ck_assert_msg(strstr(n->text, proxied[_i].want), "%s: %s", proxied[_i].name, n->text);
}
END_TEST

static const char *try_secret(uint64_t conn, const char *member, const char *secret,
                              const struct hub_drive_from *from)
{
    char params[512];
    const struct hub_note *n;

    snprintf(params, sizeof(params),
             "{\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"gateway-client\","
             "\"version\":\"1\",\"platform\":\"l\",\"mode\":\"backend\"},\"auth\":{\"%s\":\"%s\"}}",
             member, secret);
    n = hub_drive_connect_as(d, 0, conn, params, from);
    ck_assert(n != NULL);
    return n->text;
}

/* From afar: the eleventh wrong one is not even looked at, the right one neither; another kind of
 * secret and another address are. */
START_TEST(test_lock)
{
    static const struct hub_drive_from a = {"203.0.113.1", "gw", "", "", 0},
                                       b = {"203.0.113.2", "gw", "", "", 0};
    const char *t;

    start("");
    for (unsigned i = 0; i < 10; i++) {
        t = try_secret(1 + i, "token", "wrong", &a);
        ck_assert_msg(strstr(t, "AUTH_TOKEN_MISMATCH"), "%u: %s", i, t);
    }
    t = try_secret(20, "token", "wrong", &a);
    ck_assert_msg(strstr(t, "\"AUTH_RATE_LIMITED\",\"authReason\":\"rate_limited\""), "%s", t);
    ck_assert_msg(strstr(t, "\"retryable\":true,\"retryAfterMs\":"), "%s", t);
    ck_assert(strstr(try_secret(21, "token", hub_drive_token, &a), "AUTH_RATE_LIMITED"));
    ck_assert(strstr(try_secret(22, "deviceToken", "x", &a), "AUTH_DEVICE_TOKEN_MISMATCH"));
    ck_assert(strstr(try_secret(23, "token", hub_drive_token, &b), OK_MSG));
    ck_assert(strstr(try_secret(24, "token", hub_drive_token, &a), "AUTH_RATE_LIMITED"));
}
END_TEST

/* Not one of the other fields of auth keeps wrong tokens from being counted. */
static const char *const beside[] = {"deviceToken", "bootstrapToken", "password",
                                     "approvalRuntimeToken", "agentRuntimeIdentityToken"};

START_TEST(test_lock_beside)
{
    static const struct hub_drive_from a = {"203.0.113.1", "gw", "", "", 0};
    char member[96];
    const char *t = NULL;

    start("");
    snprintf(member, sizeof(member), "%s\":\"made-up\",\"token", beside[_i]);
    for (unsigned i = 0; i < 11; i++)
        t = try_secret(1 + i, member, "wrong", &a);
    ck_assert_msg(strstr(t, "AUTH_RATE_LIMITED"), "%s: %s", beside[_i], t);
}
END_TEST

START_TEST(test_rule)
{
    static const struct hub_drive_from a = {"127.0.0.1", "gw", "", "", CONN_LOCAL};

    start("\"gateway\":{\"auth\":{\"rateLimit\":{\"maxAttempts\":2,\"exemptLoopback\":false}}}");
    (void)try_secret(1, "token", "wrong", &a);
    (void)try_secret(2, "token", "wrong", &a);
    ck_assert(strstr(try_secret(3, "token", hub_drive_token, &a), "AUTH_RATE_LIMITED"));
}
END_TEST

/* What came in by the old password leaves with it; what came in by a device's token stays. */
START_TEST(test_password_changed)
{
    static const struct hub_drive_from here = {"127.0.0.1", "127.0.0.1:18789", "", "", CONN_LOCAL};
    const struct hub_note *n;

    start(PASSWORD);
    ck_assert(strstr(try_secret(1, "password", "password-0123456789", &here), OK_MSG));
    hub_drive_reload(d, dir, PASSWORD ",\"y\":\"passwordOther\"", hub_drive_token);
    n = hub_drive_wait(d, MSG_conn_close, 1, 0, NULL);
    ck_assert(n && n->code == 4001);
    ck_assert_str_eq(n->text, "gateway auth changed");
    ck_assert(
        strstr(try_secret(2, "password", "password-0123456789", &here), "AUTH_PASSWORD_MISMATCH"));
    ck_assert(strstr(try_secret(3, "password", "another-password", &here), OK_MSG));
    hub_drive_reload(d, dir, "", hub_drive_token); /* another mode */
    ck_assert(hub_drive_wait(d, MSG_conn_close, 3, 0, NULL) != NULL);
}
END_TEST

/* The configuration changes while there is no hub: the ticket of the old one opens nothing. */
static const struct {
    const char *before, *secret, *after;
    bool stays;
} returns[] = {
    {"", "token\":\"test-token-0123456789", "", true},
    {"", "token\":\"test-token-0123456789", PASSWORD, false},
    {"", "token\":\"test-token-0123456789", NONE, false},
    {PASSWORD, "password\":\"password-0123456789", PASSWORD, true},
    {PASSWORD, "password\":\"password-0123456789", PASSWORD ",\"y\":\"passwordOther\"", false},
    {NONE, "token\":\"", NONE, true},
    {NONE, "token\":\"", "", false},
};

START_TEST(test_returns)
{
    static const struct hub_drive_from here = {"127.0.0.1", "127.0.0.1:18789", "", "", CONN_LOCAL};
    struct buf ticket = BUF_INIT(65536);
    const struct hub_note *n;
    struct err e = ERR_INIT;
    char params[512];

    start(returns[_i].before);
    snprintf(params, sizeof(params),
             "{\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"cli\",\"version\":\"1\","
             "\"platform\":\"l\",\"mode\":\"cli\"},\"auth\":{\"%s\"}}",
             returns[_i].secret);
    n = hub_drive_connect_as(d, 0, 1, params, &here);
    ck_assert(n && n->type == MSG_connect_ok);
    buf_put(&ticket, n->extra, n->extra_len);
    hub_drive_kill(d);
    hub_drive_free(&d);
    start(returns[_i].after);
    ck_assert(msg_send_conn_resume(hub_drive_link(d, 0),
                                   &(struct ipc_conn_resume){.conn_id = 1,
                                                             .peer = V("127.0.0.1"),
                                                             .ticket = buf_view(&ticket)},
                                   &e) == 0);
    if (returns[_i].stays) {
        ck_assert(strstr(hub_drive_call(d, 0, 1, "health", "{}"), "\"ok\":true"));
        ck_assert(hub_drive_none(d, MSG_conn_close, 1, NULL));
    } else {
        n = hub_drive_wait(d, MSG_conn_close, 1, 0, NULL);
        ck_assert(n && n->code == 4001);
    }
    buf_fini(&ticket);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_modes, 0, (int)COUNT_OF(modes));
    tcase_add_loop_test(tc, test_proxied, 0, (int)COUNT_OF(proxied));
    tcase_add_test(tc, test_lock);
    tcase_add_loop_test(tc, test_lock_beside, 0, (int)COUNT_OF(beside));
    tcase_add_loop_test(tc, test_returns, 0, (int)COUNT_OF(returns));
    tcase_add_test(tc, test_rule);
    tcase_add_test(tc, test_password_changed);
}

CK_MAIN("modes")
