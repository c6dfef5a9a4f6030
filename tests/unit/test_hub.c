/* The hub's own binary, driven over its lines: handshake, authority, presence, tickets, stop.
 * HUB_BIN names it. */
#include "ck.h"
#include "hub_drive.h"
#include "view.h"

#include <stdio.h>
#include <string.h>

#include <ftw.h>
#include <unistd.h>

static char dir[64];
static struct hub_drive *d;

#define CLIENT(id, mode)                                                                           \
    "\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"" id                                 \
    "\",\"version\":\"1\",\"platform\":\"linux\",\"mode\":\"" mode "\"}"
#define TOKEN ",\"auth\":{\"token\":\"test-token-0123456789\"}"
#define ADMIN ",\"scopes\":[\"operator.admin\"]"
#define READ  ",\"scopes\":[\"operator.read\"]"

static int rm(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/hub-XXXXXX");
    ck_assert(mkdtemp(dir));
    d = hub_drive_start(getenv("HUB_BIN"), dir, "");
    ck_assert_msg(d != NULL, "the hub did not start");
    hub_drive_front(d, 0);
}

static void teardown(void)
{
    hub_drive_free(&d);
    (void)nftw(dir, rm, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct {
    const char *name, *params, *origin;
    bool local;
    unsigned close; /* 0: accepted */
    const char *want, *reason;
} connects[] = {
    {"token", "{" CLIENT("gateway-client", "backend") TOKEN ADMIN "}", "", true, 0,
     "\"scopes\":[\"operator.admin\"]", NULL},
    {"cli", "{" CLIENT("cli", "cli") TOKEN READ "}", "", true, 0,
     "\"auth\":{\"method\":\"token\",\"role\":\"operator\",\"scopes\":[\"operator.read\"]}", NULL},
    {"test client", "{" CLIENT("test", "test") TOKEN ADMIN "}", "", true, 0, "\"scopes\":[]", NULL},
    {"from afar", "{" CLIENT("cli", "cli") TOKEN ADMIN "}", "", false, 0, "\"scopes\":[]", NULL},
    {"wrong token", "{" CLIENT("gateway-client", "backend") ",\"auth\":{\"token\":\"wrong\"}}", "",
     true, 1008,
     "\"code\":\"INVALID_REQUEST\",\"message\":\"unauthorized: gateway token mismatch (provide "
     "gateway auth "
     "token)\",\"details\":{\"code\":\"AUTH_TOKEN_MISMATCH\",\"authReason\":\"token_mismatch\","
     "\"canRetryWithDeviceToken\":false,\"recommendedNextStep\":\"update_auth_credentials\"}",
     "unauthorized: gateway token mismatch (provide gateway auth token)"},
    {"no credentials", "{" CLIENT("gateway-client", "backend") "}", "", true, 1008,
     "\"code\":\"NOT_PAIRED\",\"message\":\"device identity "
     "required\",\"details\":{\"code\":\"DEVICE_IDENTITY_REQUIRED\"}",
     "device identity required"},
    {"unknown id", "{" CLIENT("my-app", "backend") TOKEN "}", "", true, 1008,
     "invalid connect params: at /client/id: must be equal to one of the allowed values",
     "invalid connect params: at /client/id"},
    {"extra field", "{" CLIENT("cli", "cli") TOKEN ",\"foo\":1}", "", true, 1008,
     "invalid connect params: at root: unexpected property 'foo'", "invalid connect"},
    {"missing field",
     "{\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"cli\",\"platform\":\"l\",\"mode\":"
     "\"cli\"}}",
     "", true, 1008, "invalid connect params: at /client: must have required property 'version'",
     "invalid connect"},
    {"not an object", "[]", "", true, 1008, "invalid connect params: must be object",
     "invalid connect params: must be object"},
    {"protocol 3",
     "{\"minProtocol\":3,\"maxProtocol\":3,\"client\":{\"id\":\"test\",\"version\":\"1\","
     "\"platform\":\"l\",\"mode\":\"test\"}" TOKEN ADMIN "}",
     "", true, 0, "\"protocol\":3", NULL},
    {"protocol 3, scopes",
     "{\"minProtocol\":3,\"maxProtocol\":3,\"client\":{\"id\":\"test\",\"version\":\"1\","
     "\"platform\":\"l\",\"mode\":\"test\"}" TOKEN ADMIN "}",
     "", true, 0, "\"scopes\":[\"operator.admin\"]", NULL},
    {"protocol 2",
     "{\"minProtocol\":2,\"maxProtocol\":2,\"client\":{\"id\":\"cli\",\"version\":\"1\","
     "\"platform\":\"l\",\"mode\":\"cli\"}}",
     "", true, 1002,
     "\"details\":{\"code\":\"PROTOCOL_MISMATCH\",\"clientMinProtocol\":2,\"clientMaxProtocol\":2,"
     "\"expectedProtocol\":4,\"minimumProbeProtocol\":3}",
     "protocol mismatch"},
    {"protocol 3 probe",
     "{\"minProtocol\":3,\"maxProtocol\":3,\"client\":{\"id\":\"openclaw-probe\",\"version\":\"1\","
     "\"platform\":\"l\",\"mode\":\"probe\"}" TOKEN "}",
     "", true, 0, "\"protocol\":4", NULL},
    {"protocol 5",
     "{\"minProtocol\":5,\"maxProtocol\":6,\"client\":{\"id\":\"cli\",\"version\":\"1\","
     "\"platform\":\"l\",\"mode\":\"cli\"}}",
     "", true, 1002, "PROTOCOL_MISMATCH", "protocol mismatch"},
    {"role viewer", "{" CLIENT("cli", "cli") TOKEN ",\"role\":\"viewer\"}", "", true, 1008,
     "invalid role", "invalid role"},
    {"role worker", "{" CLIENT("cli", "cli") TOKEN ",\"role\":\"worker\"}", "", true, 1008, "",
     "invalid-handshake"},
    {"node without device", "{" CLIENT("node-host", "node") TOKEN ",\"role\":\"node\"}", "", true,
     1008, "NOT_PAIRED", "device identity required"},
    {"control ui without device", "{" CLIENT("openclaw-control-ui", "webchat") TOKEN "}",
     "http://127.0.0.1:18789", true, 1008, "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
     "control ui requires"},
    {"control ui, foreign page", "{" CLIENT("openclaw-control-ui", "webchat") TOKEN "}",
     "https://evil.example", true, 1008, "\"reason\":\"origin not allowed\"", "origin not allowed"},
    {"webchat without origin", "{" CLIENT("webchat", "webchat") TOKEN "}", "", true, 1008,
     "\"reason\":\"origin missing or invalid\"", "origin not allowed"},
    {"unproved device",
     "{" CLIENT("cli", "cli") TOKEN ",\"device\":{\"id\":\"x\",\"publicKey\":\"y\",\"signature\":"
                                    "\"z\",\"signedAt\":1,\"nonce\":\"n\"}}",
     "", true, 1008, "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device identity mismatch"},
};

START_TEST(test_connect)
{
    const struct hub_note *n = hub_drive_connect(d, 0, 7, connects[_i].params, connects[_i].origin,
                                                 "127.0.0.1:18789", connects[_i].local);

    ck_assert_msg(n != NULL, "%s: no answer", connects[_i].name);
    ck_assert_msg((n->type == MSG_connect_ok) == (connects[_i].close == 0), "%s: %s",
                  connects[_i].name, n->text);
    ck_assert_msg(strstr(n->text, connects[_i].want), "%s: %s", connects[_i].name, n->text);
    if (connects[_i].close) {
        ck_assert_msg(n->code == connects[_i].close, "%s: close %u", connects[_i].name, n->code);
        ck_assert_msg(strncmp(n->extra, connects[_i].reason, strlen(connects[_i].reason)) == 0,
                      "%s: reason %s", connects[_i].name, n->extra);
        ck_assert_msg(n->extra_len <= 120, "%s: reason too long", connects[_i].name);
        if (!*connects[_i].want)
            ck_assert_msg(n->text_len == 0, "%s: a response", connects[_i].name);
    }
}
END_TEST

static void join(uint64_t conn, const char *params)
{
    const struct hub_note *n = hub_drive_connect(d, 0, conn, params, "", "127.0.0.1:18789", true);

    ck_assert_msg(n && n->type == MSG_connect_ok, "%s", n ? n->text : "no answer");
}

static const struct {
    const char *name, *scopes, *method, *params, *want;
} calls[] = {
    {"health needs nothing", "", "health", "", "\"ok\":true,\"payload\":{\"ok\":true"},
    {"status", "operator.read", "status", "{}", "\"runtimeVersion\":\"2026.9.6\""},
    {"status without scope", "", "status", "{}",
     "\"code\":\"FORBIDDEN\",\"message\":\"missing scope: "
     "operator.read\",\"details\":{\"code\":\"MISSING_SCOPE\",\"missingScope\":\"operator.read\","
     "\"requiredScopes\":[\"operator.read\"]}"},
    {"unserved, other scope", "operator.read", "exec.approval.list", "{}",
     "missing scope: operator.approvals"},
    {"unserved, reader", "operator.read", "tts.status", "{}", "missing scope: operator.admin"},
    {"unknown, reader", "operator.read", "no.such", "{}", "missing scope: operator.admin"},
    {"unknown, admin", "operator.admin", "no.such.method", "{}",
     "\"code\":\"INVALID_REQUEST\",\"message\":\"unknown method: no.such.method\"}"},
    {"unserved, admin", "operator.admin", "tts.status", "{}", "unknown method: tts.status"},
    {"for nodes", "operator.admin", "node.event", "{\"event\":\"x\"}",
     "unauthorized role: operator"},
    {"connect again", "operator.admin", "connect", "{}",
     "connect is only valid as the first request"},
    {"send without write", "operator.read", "chat.send", "{}", "missing scope: operator.write"},
    {"send without target", "operator.admin", "chat.send", "{}",
     "\"details\":{\"code\":\"SESSION_MUTATION_TARGET_REQUIRED\",\"method\":\"chat.send\"}"},
    {"send with too much", "operator.admin", "chat.send",
     "{\"sessionKey\":\"agent:main:x\",\"message\":\"x\",\"idempotencyKey\":\"i\",\"bogus\":1}",
     "invalid chat.send params: at root: unexpected property 'bogus'"},
    {"params of a wrong type", "operator.admin", "models.list", "[1]",
     "invalid models.list params: must be object"},
    {"an unknown view", "operator.admin", "models.list", "{\"view\":\"x\"}",
     "at /view: must be equal to one of the allowed values"},
    {"presence", "operator.read", "system-presence", "", "\"ok\":true,\"payload\":[{\"host\":"},
    {"models", "operator.read", "models.list", "{}", "\"id\":\"demo\""},
    {"agents", "operator.read", "agents.list", "{}", "\"defaultId\":\"main\""},
    {"identity", "operator.read", "agent.identity.get", "{\"sessionKey\":\"agent:main:main\"}",
     "\"payload\":{\"agentId\":\"main\",\"name\":\"Assistant\",\"nameSource\":\"default\","
     "\"avatar\":\"A\"}"},
    {"unknown agent", "operator.read", "agent.identity.get", "{\"agentId\":\"x\"}",
     "UNKNOWN_AGENT_ID"},
    {"config", "operator.read", "config.get", "{}", "\"payload\":{\"path\":\"/x/openclaw.json\""},
    {"heartbeat", "operator.read", "last-heartbeat", "{}", "\"payload\":null"},
    {"machine", "operator.read", "system.info", "{}", "\"platform\":\"linux\""},
    {"lanes", "operator.read", "diagnostics.lanes", "{}", "\"lanes\":[]"},
    {"turns", "operator.read", "stats.turns", "{\"minutes\":1}", "\"tokensOut\":0}]"},
    {"note", "operator.admin", "system-event", "{\"text\":\"Node: x\",\"reason\":\"launch\"}",
     "\"payload\":{\"ok\":true}"},
};

START_TEST(test_call)
{
    char params[512];
    const char *text;

    snprintf(params, sizeof(params),
             "{" CLIENT("gateway-client", "backend") TOKEN ",\"scopes\":[%s%s%s]}",
             *calls[_i].scopes ? "\"" : "", calls[_i].scopes, *calls[_i].scopes ? "\"" : "");
    join(1, params);
    text = hub_drive_call(d, 0, 1, calls[_i].method, calls[_i].params);
    ck_assert_msg(text && strstr(text, calls[_i].want), "%s: %s", calls[_i].name,
                  text ? text : "no answer");
}
END_TEST

START_TEST(test_bad_role_closes)
{
    const struct hub_note *n;

    join(1, "{" CLIENT("cli", "cli") TOKEN ADMIN "}");
    for (int i = 0; i < 10; i++) {
        ck_assert(hub_drive_none(d, MSG_conn_close, 1, NULL));
        ck_assert(
            strstr(hub_drive_call(d, 0, 1, "node.event", "{}"), "unauthorized role: operator"));
    }
    n = hub_drive_wait(d, MSG_conn_close, 1, 0, NULL);
    ck_assert(n && n->code == 1008);
    ck_assert_str_eq(n->text, "repeated unauthorized calls");
}
END_TEST

START_TEST(test_presence)
{
    const struct hub_note *n;

    join(1, "{" CLIENT("cli", "cli") TOKEN READ "}");
    ck_assert_msg(hub_drive_none(d, MSG_event, 0, "\"presence\""), "a CLI is not listed");
    join(2, "{" CLIENT("test", "test") TOKEN "}");
    n = hub_drive_wait(d, MSG_event, 0, 0, "\"clientId\":\"test\"");
    ck_assert(n && n->code == AUD_READ && n->req == (EVENT_DROPPABLE | EVENT_SEQ));
    ck_assert(
        strstr(n->text,
               "{\"type\":\"event\",\"event\":\"presence\",\"payload\":{\"presence\":[{\"host\":"));
    ck_assert(strstr(n->text, ",\"stateVersion\":{\"presence\":2,\"health\":1}"));
    hub_drive_front_close(d, 0);
    hub_drive_front(d, 0);
    ck_assert(hub_drive_wait(d, MSG_snapshot, 0, 0, "ready") != NULL);
    join(3, "{" CLIENT("cli", "cli") TOKEN READ "}");
    ck_assert(strstr(hub_drive_call(d, 0, 3, "system-presence", ""), "\"reason\":\"disconnect\""));
}
END_TEST

START_TEST(test_resume)
{
    const struct hub_note *n = hub_drive_connect(
        d, 0, 5, "{" CLIENT("gateway-client", "backend") TOKEN READ "}", "", "x", true);
    struct err e = ERR_INIT;
    char ticket[4096];
    size_t len = n->extra_len;

    ck_assert(len < sizeof(ticket));
    memcpy(ticket, n->extra, len);
    hub_drive_free(&d);
    d = hub_drive_start(getenv("HUB_BIN"), dir, "");
    hub_drive_front(d, 0);
    /* its own ticket: everything as before */
    ck_assert(msg_send_conn_resume(hub_drive_link(d, 0),
                                   &(struct ipc_conn_resume){.conn_id = 5,
                                                             .peer = V("127.0.0.1"),
                                                             .ticket = view_of(ticket, len)},
                                   &e) == 0);
    ck_assert(strstr(hub_drive_call(d, 0, 5, "status", "{}"), "runtimeVersion"));
    ck_assert(strstr(hub_drive_call(d, 0, 5, "chat.send", "{}"), "missing scope: operator.write"));
    /* another connection's */
    ck_assert(msg_send_conn_resume(
                  hub_drive_link(d, 0),
                  &(struct ipc_conn_resume){.conn_id = 6, .ticket = view_of(ticket, len)},
                  &e) == 0);
    n = hub_drive_wait(d, MSG_conn_close, 6, 0, NULL);
    ck_assert(n && n->code == 4001);
    ck_assert_str_eq(n->text, "gateway auth changed");
    /* every changed byte */
    for (size_t i = 0; i < len; i += 7) {
        ticket[i] ^= 1;
        ck_assert(msg_send_conn_resume(
                      hub_drive_link(d, 0),
                      &(struct ipc_conn_resume){.conn_id = 100 + i, .ticket = view_of(ticket, len)},
                      &e) == 0);
        ck_assert(hub_drive_wait(d, MSG_conn_close, 100 + i, 0, "gateway auth changed") != NULL);
        ticket[i] ^= 1;
    }
}
END_TEST

START_TEST(test_reload)
{
    static const char models[] =
        "\"agents\":{\"list\":[{\"id\":\"main\"},{\"id\":\"work\",\"default\":true}],\"defaults\":{"
        "\"model\":{\"primary\":\"p/m\"}}},"
        "\"models\":{\"providers\":{\"p\":{\"models\":[{\"id\":\"m\",\"name\":\"M\","
        "\"contextWindow\":8000}]}}}";
    const struct hub_note *n;

    join(1, "{" CLIENT("cli", "cli") TOKEN READ "}");
    hub_drive_reload(d, dir, models, hub_drive_token);
    ck_assert(hub_drive_wait(d, MSG_event, 0, 0, "\"health\"") != NULL);
    ck_assert(strstr(hub_drive_call(d, 0, 1, "models.list", "{}"),
                     "{\"id\":\"m\",\"name\":\"M\",\"provider\":\"p\",\"contextWindow\":8000"));
    ck_assert(strstr(hub_drive_call(d, 0, 1, "agents.list", "{}"), "\"defaultId\":\"work\""));
    /* a slice that cannot be leaves everything as it was */
    hub_drive_reload(d, dir, "\"x\":\"authModeUnknown\"", hub_drive_token);
    ck_assert(strstr(hub_drive_call(d, 0, 1, "agents.list", "{}"), "\"defaultId\":\"work\""));
    ck_assert(hub_drive_none(d, MSG_conn_close, 0, NULL));
    /* another token ends what the old one began */
    hub_drive_reload(d, dir, models, "another-token");
    n = hub_drive_wait(d, MSG_conn_close, 0, 0, NULL);
    ck_assert(n && n->code == 4001 && n->conn == 1);
    ck_assert_str_eq(n->text, "gateway auth changed");
    n = hub_drive_connect(d, 0, 2, "{" CLIENT("cli", "cli") TOKEN READ "}", "", "x", true);
    ck_assert(n && n->type == MSG_connect_refused);
    n = hub_drive_connect(d, 0, 3,
                          "{" CLIENT("cli", "cli") READ ",\"auth\":{\"token\":\"another-token\"}}",
                          "", "x", true);
    ck_assert(n && n->type == MSG_connect_ok);
}
END_TEST

START_TEST(test_logs)
{
    struct err e = ERR_INIT;
    const char *got;

    join(1, "{" CLIENT("cli", "cli") TOKEN READ "}");
    ck_assert(
        strstr(hub_drive_call(d, 0, 1, "logs.tail", "{}"), "\"cursor\":0,\"size\":0,\"lines\":[]"));
    ck_assert(
        msg_send_log_lines(hub_drive_sup(d),
                           &(struct ipc_log_lines){.lines = V("{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n")},
                           &e) == 0);
    ck_assert(hub_drive_none(d, MSG_conn_close, 0, NULL));
    got = hub_drive_call(d, 0, 1, "logs.tail", "{\"limit\":2}");
    ck_assert_msg(strstr(got, "\"cursor\":24,\"size\":24,\"lines\":[\"{\\\"b\\\":2}\",\"{\\\"c\\\":"
                              "3}\"],\"truncated\":true,\"reset\":false,\"skippedBytes\":8"),
                  "%s", got);
    got = hub_drive_call(d, 0, 1, "logs.tail", "{\"cursor\":16}");
    ck_assert_msg(strstr(got, "\"lines\":[\"{\\\"c\\\":3}\"],\"truncated\":false,\"reset\":false}"),
                  "%s", got);
    got = hub_drive_call(d, 0, 1, "logs.tail", "{\"cursor\":24}");
    ck_assert_msg(strstr(got, "\"lines\":[],\"truncated\":false,\"reset\":false}"), "%s", got);
    got = hub_drive_call(d, 0, 1, "logs.tail", "{\"cursor\":9999}");
    ck_assert_msg(strstr(got, "\"reset\":true"), "%s", got);
    got = hub_drive_call(d, 0, 1, "logs.tail", "{\"maxBytes\":9}");
    ck_assert_msg(strstr(got, "\"lines\":[\"{\\\"c\\\":3}\"],\"truncated\":true"), "%s", got);
    /* a line of ours gets the members that stock clients show */
    ck_assert(msg_send_log_lines(
                  hub_drive_sup(d),
                  &(struct ipc_log_lines){
                      .lines = V("{\"ts\":\"T\",\"event\":\"a.b\",\"n\":1,\"s\":\"x\"}\n")},
                  &e) == 0);
    ck_assert(hub_drive_none(d, MSG_conn_close, 0, NULL));
    got = hub_drive_call(d, 0, 1, "logs.tail", "{\"cursor\":24}");
    ck_assert_msg(strstr(got, "\\\"time\\\":\\\"T\\\"") &&
                      strstr(got, "\\\"message\\\":\\\"a.b n=1 s=x\\\"}\""),
                  "%s", got);
}
END_TEST

START_TEST(test_stop)
{
    struct err e = ERR_INIT;

    join(1, "{" CLIENT("cli", "cli") TOKEN READ "}");
    ck_assert(msg_send_stop(hub_drive_sup(d), &(struct ipc_stop){.grace_ms = 5000}, &e) == 0);
    ck_assert(hub_drive_wait(d, MSG_event, 0, 0,
                             "\"shutdown\",\"payload\":{\"reason\":\"gateway stopping\"}") != NULL);
    ck_assert(hub_drive_wait(d, MSG_conn_close, 0, 0, "service restart") != NULL);
    ck_assert_int_eq(hub_drive_exit_status(d), 0);
}
END_TEST

START_TEST(test_flood)
{
    double rpc, connect;

    for (uint64_t i = 1; i <= 8; i++)
        join(i, "{" CLIENT("gateway-client", "backend") TOKEN ADMIN "}");
    rpc = hub_drive_flood(d, 0, 8, 128, 20000, "system-presence");
    connect = hub_drive_flood_connect(d, 0, 32, 5000,
                                      "{" CLIENT("gateway-client", "backend") TOKEN ADMIN "}");
    printf("system-presence %.0f/s, connect %.0f/s\n", rpc, connect);
    ck_assert(rpc > 0 && connect > 0);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_connect, 0, (int)(sizeof(connects) / sizeof(connects[0])));
    tcase_add_loop_test(tc, test_call, 0, (int)(sizeof(calls) / sizeof(calls[0])));
    tcase_add_test(tc, test_bad_role_closes);
    tcase_add_test(tc, test_presence);
    tcase_add_test(tc, test_resume);
    tcase_add_test(tc, test_reload);
    tcase_add_test(tc, test_logs);
    tcase_add_test(tc, test_stop);
    tcase_add_test(tc, test_flood);
}

CK_MAIN("hub")
