/* Devices against the hub's own binary: pairing, tokens, setup codes, who may do what to whom, and
 * what ends a connection. HUB_BIN names it. */
#include "ck.h"
#include "fake_device.h"
#include "hub_drive.h"
#include "json.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#define ALL    "operator.admin,operator.read,operator.write,operator.approvals,operator.pairing"
#define TOKEN  "\"token\":\"test-token-0123456789\""
#define SECRET "test-token-0123456789"
#define BACKEND                                                                                    \
    "{\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"gateway-client\",\"version\":"      \
    "\"1\","                                                                                       \
    "\"platform\":\"linux\",\"mode\":\"backend\"},\"auth\":{" TOKEN                                \
    "},\"scopes\":[\"operator.%s\"]}"

static char dir[64];
static struct hub_drive *d;
static struct fake_device one, two;
static char token[64], token2[64];

static int rm(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

static void start(const char *conf)
{
    d = hub_drive_start(getenv("HUB_BIN"), dir, conf);
    ck_assert_msg(d != NULL, "the hub did not start");
    hub_drive_front(d, 0);
}

/* The same store, another configuration. Not by a reload: that has no answer to wait for. */
static void again(const char *conf)
{
    hub_drive_free(&d);
    start(conf);
}

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/devices-XXXXXX");
    ck_assert(mkdtemp(dir));
    fake_device_make(&one, 1);
    fake_device_make(&two, 2);
    start("");
}

static void teardown(void)
{
    hub_drive_free(&d);
    (void)nftw(dir, rm, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct hub_drive_from here = {"127.0.0.1", "127.0.0.1:18789", "", "", CONN_LOCAL};
static const struct hub_drive_from far = {"203.0.113.9", "gw.example", "", "", 0};

static const char *come(uint64_t conn, const struct fake_device *dev, struct fake_wish w,
                        const struct hub_drive_from *from, bool want)
{
    struct buf b = BUF_INIT(65536);
    const struct hub_note *n;

    fake_device_params(dev, &w, &b);
    n = hub_drive_connect_as(d, 0, conn, buf_view(&b).p, from);
    buf_fini(&b);
    ck_assert_msg(n != NULL, "no answer");
    ck_assert_msg((n->type == MSG_connect_ok) == want, "%s", n->text);
    return n->text;
}

static const char *with_token(uint64_t conn, const struct fake_device *dev, const char *scopes,
                              const struct hub_drive_from *from, bool want)
{
    return come(conn, dev, (struct fake_wish){.scopes = scopes, .auth = TOKEN, .secret = SECRET},
                from, want);
}

static const char *with_device_token(uint64_t conn, const struct fake_device *dev,
                                     const char *scopes, const char *t, bool want)
{
    char auth[128];

    snprintf(auth, sizeof(auth), "\"deviceToken\":\"%s\"", t);
    return come(conn, dev, (struct fake_wish){.scopes = scopes, .auth = auth, .secret = t}, &far,
                want);
}

static void backend(uint64_t conn, const char *scope)
{
    char params[512];
    const struct hub_note *n;

    snprintf(params, sizeof(params), BACKEND, scope);
    n = hub_drive_connect(d, 0, conn, params, "", "127.0.0.1:18789", true);
    ck_assert(n && n->type == MSG_connect_ok);
}

/* The text behind "key":" up to the quote. */
static void take(const char *text, const char *key, char *out, size_t room)
{
    char pattern[64];
    const char *at;

    snprintf(pattern, sizeof(pattern), "\"%s\":\"", key);
    at = strstr(text, pattern);
    ck_assert_msg(at != NULL, "%s: %s", key, text);
    at += strlen(pattern);
    ck_assert(strcspn(at, "\"") < room);
    snprintf(out, room, "%.*s", (int)strcspn(at, "\""), at);
}

/* arg takes the place of %s. */
static const char *ask(uint64_t conn, const char *method, const char *params, const char *arg)
{
    const char *at = strstr(params, "%s"), *got;
    char text[512];

    if (at)
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - params), params, arg, at + 2);
    got = hub_drive_call(d, 0, conn, method, at ? text : params);
    ck_assert(got != NULL);
    return got;
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "%s\n in %s", part, text);
}

START_TEST(test_silent)
{
    const char *t;

    backend(9, "pairing");
    t = with_token(1, &one, ALL, &here, true);
    has(t, "\"method\":\"token\"");
    take(t, "deviceToken", token, sizeof(token));
    ck_assert_uint_eq(strlen(token), 43);
    ck_assert(hub_drive_wait(d, MSG_event, 0, 0, "\"decision\":\"approved\"") != NULL);
    /* the same token each time, also from elsewhere and by itself */
    take(with_token(2, &one, "operator.read", &far, true), "deviceToken", token2, sizeof(token2));
    ck_assert_str_eq(token, token2);
    t = with_device_token(3, &one, "operator.read", token, true);
    has(t, "\"method\":\"device-token\",\"role\":\"operator\",\"scopes\":[\"operator.read\"]");
    take(t, "deviceToken", token2, sizeof(token2));
    ck_assert_str_eq(token, token2);
    /* in the old field */
    {
        char auth[128];

        snprintf(auth, sizeof(auth), "\"token\":\"%s\"", token);
        t = come(4, &one,
                 (struct fake_wish){.scopes = "operator.read", .auth = auth, .secret = token}, &far,
                 true);
        has(t, "\"method\":\"device-token\"");
    }
    /* of another device, of another role */
    has(with_device_token(5, &two, "operator.read", token, false), "AUTH_DEVICE_TOKEN_MISMATCH");
    {
        char auth[128];

        snprintf(auth, sizeof(auth), "\"deviceToken\":\"%s\"", token);
        t = come(6, &one,
                 (struct fake_wish){.client = "node-host",
                                    .mode = "node",
                                    .role = "node",
                                    .auth = auth,
                                    .secret = token},
                 &far, false);
        has(t, "AUTH_DEVICE_TOKEN_MISMATCH");
    }
    /* after a restart of the hub it is the same store and the same token */
    hub_drive_kill(d);
    hub_drive_free(&d);
    start("");
    has(with_device_token(7, &one, ALL, token, true), token);
}
END_TEST

START_TEST(test_requests)
{
    char id[64], id2[64];
    const char *t;

    backend(9, "admin");
    t = with_token(1, &one, "operator.read,operator.write", &far, false);
    has(t, "\"code\":\"NOT_PAIRED\",\"message\":\"pairing required: device is not approved yet\","
           "\"details\":{\"code\":\"PAIRING_REQUIRED\",\"reason\":\"not-paired\",\"requestId\":\"");
    take(t, "requestId", id, sizeof(id));
    has(t, "\"remediationHint\":\"Approve this device from the pending pairing requests.\"");
    ck_assert(hub_drive_wait(d, MSG_event, 0, 0, "device.pair.requested") != NULL);
    /* the same wish keeps its number, another one gets a new one */
    take(with_token(2, &one, "operator.read,operator.write", &far, false), "requestId", id2,
         sizeof(id2));
    ck_assert_str_eq(id, id2);
    take(with_token(3, &one, ALL, &far, false), "requestId", id2, sizeof(id2));
    ck_assert_str_ne(id, id2);
    has(ask(9, "device.pair.approve", "{\"requestId\":\"%s\"}", id), "unknown requestId");
    /* it outlives the hub */
    hub_drive_kill(d);
    hub_drive_free(&d);
    start("");
    backend(9, "admin");
    has(ask(9, "device.pair.reject", "{\"requestId\":\"%s\"}", id2), "\"ok\":true");
    ck_assert(hub_drive_wait(d, MSG_event, 0, 0, "\"decision\":\"rejected\"") != NULL);
    take(with_token(4, &one, "operator.read", &far, false), "requestId", id, sizeof(id));
    t = ask(9, "device.pair.approve", "{\"requestId\":\"%s\"}", id);
    has(t, "\"approvedVia\":\"owner\"");
    has(t, "\"tokens\":[{\"role\":\"operator\",\"scopes\":[\"operator.read\"]");
    ck_assert_msg(!strstr(t, "\"token\":"), "%s", t);
    take(with_token(5, &one, "operator.read", &far, true), "deviceToken", token, sizeof(token));
    /* more scopes: by the shared secret a request, by the device token an error */
    t = with_token(6, &one, "operator.admin", &far, false);
    has(t, "\"reason\":\"scope-upgrade\"");
    has(t, "\"approvedRoles\":[\"operator\"],\"approvedScopes\":[\"operator.read\"]");
    has(with_device_token(7, &one, "operator.admin", token, false), "AUTH_SCOPE_MISMATCH");
    /* another role, another platform */
    t = come(
        8, &one,
        (struct fake_wish){
            .client = "node-host", .mode = "node", .role = "node", .auth = TOKEN, .secret = SECRET},
        &far, false);
    has(t, "\"reason\":\"role-upgrade\"");
    has(t, "\"recommendedNextStep\":\"wait_then_retry\",\"retryable\":true");
    t = come(10, &one,
             (struct fake_wish){
                 .scopes = "operator.read", .platform = "darwin", .auth = TOKEN, .secret = SECRET},
             &here, false);
    has(t, "\"reason\":\"metadata-upgrade\"");
    t = hub_drive_call(d, 0, 9, "device.pair.list", "{}");
    has(t, "\"isRepair\":true");
    has(t, "\"connected\":true");
}
END_TEST

static const struct {
    const char *name, *client, *mode, *origin;
    bool local, in;
} silent[] = {
    {"cli here", "cli", "cli", "", true, true},
    {"cli elsewhere", "cli", "cli", "", false, false},
    {"test client here", "test", "test", "", true, true},
    {"a page that is not the UI's", "test", "test", "http://127.0.0.1:18789", true, false},
    {"the UI's page", "openclaw-control-ui", "webchat", "http://127.0.0.1:18789", true, true},
    {"the helper", "gateway-client", "backend", "", true, true},
    {"the helper elsewhere", "gateway-client", "backend", "", false, false},
    {"a page as the helper", "gateway-client", "backend", "http://127.0.0.1:18789", true, false},
};

START_TEST(test_silent_rules)
{
    struct hub_drive_from from = silent[_i].local ? here : far;

    from.origin = silent[_i].origin;
    (void)come(1, &one,
               (struct fake_wish){.client = silent[_i].client,
                                  .mode = silent[_i].mode,
                                  .scopes = ALL,
                                  .auth = TOKEN,
                                  .secret = SECRET},
               &from, silent[_i].in);
}
END_TEST

START_TEST(test_silent_off)
{
    again("\"gateway\":{\"nodes\":{\"pairing\":{\"autoApproveLocal\":false}}}");
    has(with_token(1, &one, ALL, &here, false), "not-paired");
}
END_TEST

/* gateway.nodes.pairing.autoApproveCidrs: new nodes of these networks, and nothing beyond. */
static const struct {
    const char *name, *role, *client, *mode, *scopes, *peer, *origin;
    uint32_t flags;
    bool in;
} networks[] = {
    {"node", "node", "node-host", "node", NULL, "203.0.113.9", "", 0, true},
    {"node through a proxy elsewhere", "node", "node-host", "node", NULL, "203.0.113.9", "",
     CONN_PROXIED, true},
    {"node, six", "node", "node-host", "node", NULL, "2001:db8:7::1", "", 0, true},
    {"node of another network", "node", "node-host", "node", NULL, "203.0.114.9", "", 0, false},
    {"node that something here speaks for", "node", "node-host", "node", NULL, "203.0.113.9", "",
     CONN_PROXIED | CONN_LOCAL, false},
    {"node with scopes", "node", "node-host", "node", "operator.read", "203.0.113.9", "", 0, false},
    {"a page as a node", "node", "node-host", "node", NULL, "203.0.113.9", "https://gw.example", 0,
     false},
    {"webchat as a node", "node", "webchat", "webchat", NULL, "203.0.113.9", "", 0, false},
    {"operator", NULL, "cli", "cli", "operator.read", "203.0.113.9", "", 0, false},
    {"operator without scopes", NULL, "cli", "cli", NULL, "203.0.113.9", "", 0, false},
};
#define CIDRS                                                                                      \
    "\"gateway\":{\"nodes\":{\"pairing\":{\"autoApproveCidrs\":[\"203.0.113.0/"                    \
    "24\",\"2001:db8:7::/48\"]"                                                                    \
    "}}}"

START_TEST(test_networks)
{
    struct hub_drive_from from = {networks[_i].peer, "gw.example", networks[_i].origin, "",
                                  networks[_i].flags};
    struct fake_wish w = {.role = networks[_i].role,
                          .client = networks[_i].client,
                          .mode = networks[_i].mode,
                          .scopes = networks[_i].scopes,
                          .auth = TOKEN,
                          .secret = SECRET};

    (void)come(1, &one, w, &from, false); /* unset: nobody */
    again(CIDRS);
    (void)come(2, &one, w, &from, networks[_i].in);
    if (!networks[_i].in)
        return;
    w.auth = "\"token\":\"wrong\""; /* the network is no credential */
    w.secret = "wrong";
    (void)come(3, &two, w, &from, false);
    w.auth = TOKEN;
    w.secret = SECRET;
    w.platform = "darwin"; /* and approves nothing but the first time */
    (void)come(4, &one, w, &from, false);
}
END_TEST

/* What ends a connection, and that it stays out. */
START_TEST(test_ends)
{
    const struct hub_note *n;
    const char *t;

    backend(9, "admin");
    take(with_token(1, &one, ALL, &here, true), "deviceToken", token, sizeof(token));
    (void)with_device_token(2, &one, ALL, token, true);
    t = ask(9, "device.token.rotate", "{\"deviceId\":\"%s\",\"role\":\"operator\"}", one.id);
    has(t, "\"tokenDelivery\":\"withheld-cross-device\"");
    ck_assert(!strstr(t, "\"token\":"));
    n = hub_drive_wait(d, MSG_conn_close, 0, 0, NULL);
    ck_assert(n && n->conn == 2 && n->code == 4001);
    has(with_device_token(3, &one, ALL, token, false), "AUTH_DEVICE_TOKEN_MISMATCH");
    take(with_token(4, &one, ALL, &here, true), "deviceToken", token2, sizeof(token2));
    ck_assert_str_ne(token, token2);
    (void)with_device_token(5, &one, ALL, token2, true);
    has(ask(9, "device.token.revoke", "{\"deviceId\":\"%s\",\"role\":\"operator\"}", one.id),
        "\"revokedAtMs\":");
    n = hub_drive_wait(d, MSG_conn_close, 5, 0, NULL);
    ck_assert(n && n->code == 4001);
    has(with_device_token(6, &one, ALL, token2, false), "AUTH_DEVICE_TOKEN_MISMATCH");
    /* the device itself, by rotating its own */
    take(with_token(7, &one, ALL, &here, true), "deviceToken", token, sizeof(token));
    (void)with_device_token(8, &one, "operator.pairing", token, true);
    t = ask(8, "device.token.rotate",
            "{\"deviceId\":\"%s\",\"role\":\"operator\",\"scopes\":[\"operator.admin\","
            "\"operator.pairing\"]}",
            one.id);
    has(t, "\"tokenDelivery\":\"in-band\"");
    has(t, "\"scopes\":[\"operator.pairing\"]");
    take(t, "token", token2, sizeof(token2));
    n = hub_drive_wait(d, MSG_conn_close, 8, 0, NULL);
    ck_assert(n && n->code == 4001);
    has(with_device_token(10, &one, "operator.admin", token2, false), "AUTH_SCOPE_MISMATCH");
    (void)with_device_token(11, &one, "operator.pairing", token2, true);
    /* removed: everything that came in as it */
    has(ask(9, "device.pair.remove", "{\"deviceId\":\"%s\"}", one.id), "\"ok\":true");
    n = hub_drive_wait(d, MSG_conn_close, 11, 0, NULL);
    ck_assert(n && n->code == 4001);
    ck_assert_str_eq(n->text, "device removed");
    ck_assert(hub_drive_wait(d, MSG_conn_close, 1, 0, NULL) != NULL);
    has(ask(9, "device.pair.remove", "{\"deviceId\":\"%s\"}", one.id), "unknown deviceId");
    has(with_device_token(12, &one, "operator.pairing", token2, false),
        "AUTH_DEVICE_TOKEN_MISMATCH");
}
END_TEST

/* Its ticket does not bring back who was thrown out while there was no hub. */
START_TEST(test_resume)
{
    const struct hub_note *n;
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT(65536), ticket = BUF_INIT(65536);

    backend(9, "admin");
    fake_device_params(&one, &(struct fake_wish){.scopes = ALL, .auth = TOKEN, .secret = SECRET},
                       &b);
    n = hub_drive_connect_as(d, 0, 1, buf_view(&b).p, &here);
    ck_assert(n && n->type == MSG_connect_ok);
    buf_put(&ticket, n->extra, n->extra_len);
    for (int gone = 0; gone < 2; gone++) {
        if (gone)
            has(ask(9, "device.pair.remove", "{\"deviceId\":\"%s\"}", one.id), "\"ok\":true");
        hub_drive_kill(d);
        hub_drive_free(&d);
        start("");
        backend(9, "admin");
        ck_assert(msg_send_conn_resume(hub_drive_link(d, 0),
                                       &(struct ipc_conn_resume){.conn_id = 1,
                                                                 .peer = V("127.0.0.1"),
                                                                 .ticket = buf_view(&ticket)},
                                       &e) == 0);
        if (gone)
            ck_assert(hub_drive_wait(d, MSG_conn_close, 1, 0, NULL) != NULL);
        else
            has(hub_drive_call(d, 0, 1, "device.pair.list", "{}"), one.id);
    }
    buf_fini(&b);
    buf_fini(&ticket);
}
END_TEST

/* A device without admin has itself only. */
START_TEST(test_denied)
{
    static const struct {
        const char *method, *params, *want;
    } calls[] = {
        {"device.pair.remove", "{\"deviceId\":\"%s\"}", "device pairing removal denied"},
        {"device.pair.rename", "{\"deviceId\":\"%s\",\"label\":\"x\"}",
         "device pairing rename denied"},
        {"device.token.rotate", "{\"deviceId\":\"%s\",\"role\":\"operator\"}",
         "device token rotation denied"},
        {"device.token.revoke", "{\"deviceId\":\"%s\",\"role\":\"operator\"}",
         "device token revocation denied"},
    };
    char id[64];

    (void)with_token(1, &one, "operator.pairing", &here, true);
    (void)with_token(2, &two, ALL, &here, true);
    backend(3, "pairing");
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        has(ask(1, calls[i].method, calls[i].params, two.id), calls[i].want);
        has(ask(3, calls[i].method, calls[i].params, two.id), calls[i].want);
        has(ask(1, calls[i].method, calls[i].params, "no-such"), calls[i].want);
    }
    has(ask(1, "device.pair.setupCode", "{}", ""), "missing scope: operator.admin");
    /* requests of others, and beyond itself */
    {
        struct fake_device three;

        fake_device_make(&three, 3);
        take(with_token(4, &three, "operator.read", &far, false), "requestId", id, sizeof(id));
    }
    has(ask(1, "device.pair.approve", "{\"requestId\":\"%s\"}", id),
        "device pairing approval denied");
    has(ask(1, "device.pair.reject", "{\"requestId\":\"%s\"}", id),
        "device pairing rejection denied");
    has(ask(3, "device.pair.approve", "{\"requestId\":\"%s\"}", id),
        "\"code\":\"INVALID_REQUEST\",\"message\":\"missing scope: operator.read\"");
    take(hub_drive_call(d, 0, 1, "device.scopes.requestUpgrade",
                        "{\"scopes\":[\"operator.admin\"]}"),
         "requestId", id, sizeof(id));
    has(ask(1, "device.pair.approve", "{\"requestId\":\"%s\"}", id),
        "missing scope: operator.admin");
    has(ask(2, "device.scopes.waitUpgrade", "{\"requestId\":\"%s\"}", id),
        "scope upgrade expired or not found");
    has(with_token(5, &one, "operator.admin", &far, false), "scope-upgrade");
}
END_TEST

START_TEST(test_upgrade)
{
    struct err e = ERR_INIT;
    const struct hub_note *n;
    char id[64], params[128];

    backend(9, "admin");
    (void)with_token(1, &one, "operator.read", &here, true);
    take(hub_drive_call(d, 0, 1, "device.scopes.requestUpgrade",
                        "{\"scopes\":[\"operator.write\"]}"),
         "requestId", id, sizeof(id));
    snprintf(params, sizeof(params), "{\"requestId\":\"%s\"}", id);
    ck_assert(msg_send_rpc(hub_drive_link(d, 0),
                           &(struct ipc_rpc){.conn_id = 1,
                                             .req = 77,
                                             .method = V("device.scopes.waitUpgrade"),
                                             .params = view_str(params)},
                           &e) == 0);
    has(hub_drive_call(d, 0, 9, "device.pair.approve", params), "\"ok\":true");
    n = hub_drive_wait(d, MSG_reply, 1, 77, NULL);
    ck_assert(n != NULL);
    has(n->text, "\"status\":\"approved\"");
    has(n->text, "\"scopes\":[\"operator.write\"]");
    take(n->text, "deviceToken", token, sizeof(token));
    ck_assert_uint_eq(strlen(token), 43);
    /* who asks late hears the same; another device hears nothing */
    has(ask(1, "device.scopes.waitUpgrade", "{\"requestId\":\"%s\"}", id), token);
    has(ask(9, "device.scopes.waitUpgrade", "{\"requestId\":\"%s\"}", id),
        "scope upgrade expired or not found");
    (void)with_token(2, &one, "operator.write", &far, true);
}
END_TEST

static void bootstrap(char *auth, size_t room, const char *code_of, char *out)
{
    char code[4096], text[4096];
    size_t n = 0;
    unsigned bits = 0, have = 0;

    take(code_of, "setupCode", code, sizeof(code));
    for (const char *s = code; *s; s++) {
        static const char digits[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

        bits = bits << 6 | (unsigned)(strchr(digits, *s) - digits);
        if ((have += 6) >= 8)
            text[n++] = (char)(bits >> (have -= 8));
    }
    text[n] = 0;
    take(text, "bootstrapToken", out, 64);
    snprintf(auth, room, "\"bootstrapToken\":\"%s\"", out);
}

START_TEST(test_setup_code)
{
    struct fake_wish w = {.client = "openclaw-ios", .mode = "ui", .scopes = "operator.read"};
    char auth[128], boot[64], setup_id[64];
    const char *t;

    backend(9, "admin");
    t = hub_drive_call(d, 0, 9, "device.pair.setupCode", "{}");
    has(t, "\"access\":\"full\"");
    take(t, "setupId", setup_id, sizeof(setup_id));
    bootstrap(auth, sizeof(auth), t, boot);
    w.auth = "\"bootstrapToken\":\"nope\"";
    w.secret = "nope";
    has(come(1, &one, w, &far, false), "AUTH_BOOTSTRAP_TOKEN_INVALID");
    w.auth = auth;
    w.secret = boot;
    t = come(2, &one, w, &far, true);
    has(t, "\"method\":\"bootstrap-token\"");
    has(t, "\"deviceTokens\":[{\"deviceToken\":\"");
    take(t, "deviceToken", token, sizeof(token));
    ck_assert(hub_drive_wait(d, MSG_event, 0, 0, "device.pair.setup.completed") != NULL);
    has(ask(9, "device.pair.setupStatus", "{\"setupId\":\"%s\"}", setup_id), one.id);
    has(come(3, &two, w, &far, false), "AUTH_BOOTSTRAP_TOKEN_INVALID"); /* once */
    has(come(4, &one, w, &far, false), "AUTH_BOOTSTRAP_TOKEN_INVALID");
    (void)come(5, &one,
               (struct fake_wish){
                   .client = "openclaw-ios",
                   .mode = "ui",
                   .scopes = "operator.write",
                   .auth = (snprintf(auth, sizeof(auth), "\"deviceToken\":\"%s\"", token), auth),
                   .secret = token},
               &far, true);
    t = hub_drive_call(d, 0, 9, "device.pair.setupCode",
                       "{\"publicUrl\":\"ws://192.168.1.9:18789\"}");
    has(t, "\"access\":\"limited\",\"accessDowngraded\":true");
    has(hub_drive_call(d, 0, 9, "device.pair.setupCode", "{\"publicUrl\":\"ftp://x\"}"),
        "INVALID_REQUEST");
}
END_TEST

/* ---- no sequence of calls raises anybody's scopes ---- */

enum { ACTORS = 4, STEPS = 120 };

static const char *const scope_names[] = {"operator.read", "operator.write", "operator.pairing",
                                          "operator.approvals", "operator.admin"};
enum { WITHOUT_ADMIN = 15 };

static unsigned next_random(uint64_t *x)
{
    *x = *x * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(*x >> 33);
}

static void put_set(char *out, size_t room, unsigned set, const char *quote)
{
    size_t n = 0;

    out[0] = 0;
    for (size_t i = 0; i < COUNT_OF(scope_names); i++)
        if (set & 1u << i)
            n += (size_t)snprintf(out + n, room - n, "%s%s%s%s", n ? "," : "", quote,
                                  scope_names[i], quote);
}

/* The scopes that this text grants behind the last "scopes":[ before end. */
static unsigned granted_in(const char *textual)
{
    const char *at = strstr(textual, "\"scopes\":["), *end = at ? strchr(at, ']') : NULL;
    unsigned set = 0;

    for (size_t i = 0; end && i < COUNT_OF(scope_names); i++) {
        const char *hit = strstr(at, scope_names[i]);

        if (hit && hit < end)
            set |= 1u << i;
    }
    return set;
}

/* Devices without admin, each with scopes of its own that the owner gave, do to themselves and each
 * other whatever they like. What one of them has in the end is no more than what it had. */
START_TEST(test_never_more)
{
    uint64_t x = (uint64_t)_i * 7919 + 1, conn = 100;
    struct fake_device dev[ACTORS];
    unsigned owned[ACTORS];
    char tokens[ACTORS][64] = {{0}}, requests[ACTORS][64] = {{0}};

    for (unsigned i = 0; i < ACTORS; i++) {
        char set[256];

        fake_device_make(&dev[i], 10 + i);
        owned[i] = (next_random(&x) & WITHOUT_ADMIN) | 4; /* pairing: or nothing is allowed */
        put_set(set, sizeof(set), owned[i], "");
        take(with_token(1 + i, &dev[i], set, &here, true), "deviceToken", tokens[i],
             sizeof(tokens[i]));
    }
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned who = next_random(&x) % ACTORS, whom = next_random(&x) % ACTORS,
                 set = next_random(&x) & 31;
        char scopes[256], params[640], auth[128];
        const struct hub_note *note;
        struct buf b = BUF_INIT(65536);
        const char *got;

        /* comes by its device's token, with as much as it likes */
        put_set(scopes, sizeof(scopes), set, "");
        snprintf(auth, sizeof(auth), "\"deviceToken\":\"%s\"", tokens[who]);
        fake_device_params(
            &dev[who], &(struct fake_wish){.scopes = scopes, .auth = auth, .secret = tokens[who]},
            &b);
        note = hub_drive_connect_as(d, 0, ++conn, buf_view(&b).p, &far);
        buf_fini(&b);
        ck_assert(note != NULL);
        if (note->type == MSG_connect_ok)
            ck_assert_msg(!(granted_in(note->text) & ~(owned[who] | (owned[who] & 2 ? 1u : 0))),
                          "step %u: device %u with %x came in with %x", step, who, owned[who],
                          granted_in(note->text));
        else if (!strstr(note->text, "AUTH_SCOPE_MISMATCH"))
            ck_assert_msg(strstr(note->text, "AUTH_DEVICE_TOKEN_MISMATCH") ||
                              strstr(note->text, "AUTH_RATE_LIMITED"),
                          "%s", note->text);
        if (note->type != MSG_connect_ok)
            continue;
        put_set(scopes, sizeof(scopes), set, "\"");
        switch (next_random(&x) % 6) {
        case 0:
        case 1:
            snprintf(params, sizeof(params),
                     "{\"deviceId\":\"%s\",\"role\":\"operator\",\"scopes\":[%s]}", dev[whom].id,
                     scopes);
            got = hub_drive_call(d, 0, conn, "device.token.rotate", params);
            if (strstr(got, "\"token\":\"")) {
                ck_assert(whom == who);
                take(got, "token", tokens[who], sizeof(tokens[who]));
            }
            break;
        case 2:
            snprintf(params, sizeof(params), "{\"scopes\":[%s]}", scopes);
            got = hub_drive_call(d, 0, conn, "device.scopes.requestUpgrade", params);
            if (strstr(got, "requestId"))
                take(got, "requestId", requests[who], sizeof(requests[who]));
            break;
        case 3:
        case 4:
            snprintf(params, sizeof(params), "{\"requestId\":\"%s\"}", requests[whom]);
            got = hub_drive_call(d, 0, conn, "device.pair.approve", params);
            if (strstr(got, "\"ok\":true"))
                ck_assert_msg(whom == who, "step %u: %u approved for %u", step, who, whom);
            break;
        default:
            got = hub_drive_call(d, 0, conn, "device.pair.setupCode", "{}");
            ck_assert(!strstr(got, "\"ok\":true"));
        }
        ck_assert(got != NULL);
    }
}
END_TEST

/* Not judged: what a proved device costs. */
START_TEST(test_rate)
{
    struct fake_wish w = {.scopes = ALL, .auth = TOKEN, .secret = SECRET};
    struct buf b = BUF_INIT(65536);

    (void)with_token(1, &one, ALL, &here, true);
    fake_device_params(&one, &w, &b);
    printf("connect with a device %.0f/s\n",
           hub_drive_flood_connect(d, 0, 16, 4000, buf_view(&b).p));
    buf_fini(&b);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_silent);
    tcase_add_test(tc, test_requests);
    tcase_add_loop_test(tc, test_silent_rules, 0, (int)COUNT_OF(silent));
    tcase_add_test(tc, test_silent_off);
    tcase_add_loop_test(tc, test_networks, 0, (int)COUNT_OF(networks));
    tcase_add_test(tc, test_ends);
    tcase_add_test(tc, test_resume);
    tcase_add_test(tc, test_denied);
    tcase_add_test(tc, test_upgrade);
    tcase_add_test(tc, test_setup_code);
    tcase_add_test(tc, test_rate);
    tcase_add_loop_test(tc, test_never_more, 0, 20);
}

CK_MAIN("devices")
