/* What leaves the supervisor: slices for workers, differences at a reload, config.get and
 * config.schema. */
#include "ck.h"
#include "config.h"
#include "config_keys.h"
#include "json.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Every value that must stay in its place has CANARY in it. */
static const char planted[] =
    "// nothing to hide here\n"
    "{ env: { vars: { PLAIN: 'CANARY-env' }, OTHER: 'CANARY-env2' },\n"
    "  gateway: { auth: { token: 'CANARY-token', password: 'CANARY-password' },\n"
    "    remote: { url: 'ws://x', token: 'CANARY-remote' }, customBindHost: '127.0.0.1' },\n"
    "  agents: { defaults: { params: { extra: { apiKey: 'CANARY-param' }, temperature: 0.5 } } },\n"
    "  models: { providers: {\n"
    "    p: { baseUrl: 'http://127.0.0.1/?k=CANARY-url', apiKey: \"CANARY-key\", headers: { 'X-A': "
    "'CANARY-header' },\n"
    "      models: [{ id: 'm', headers: { 'X-B': 'CANARY-header2' }, params: { auth_token: "
    "'CANARY-param2' } }] },\n"
    "    q: { baseUrl: 'http://127.0.0.1/', apiKey: '${PLAIN}' } } },\n"
    "  secrets: { providers: { f: { source: 'file', path: '/nowhere' } } },\n"
    "  channels: { telegram: { botToken: 'CANARY-bot', pin: 424242 } },\n"
    "  gatewy: { token: 'CANARY-slip' },\n"
    "  messages: { queue: { mode: 'collect' } } }\n";

static struct config *loaded(const char *text, struct config_report *report)
{
    struct config_source src = {.text = view_str(text)};
    struct config *c = NULL;
    struct err e = ERR_INIT;

    setenv("HOME", "/home/someone", 1);
    config_report_init(report);
    ck_assert_msg(config_load(&c, &src, report, &e) == 0, "%s", e.text);
    return c;
}

static const char *dumped(const json_t *doc)
{
    static char text[262144];
    struct buf b = BUF_INIT(sizeof(text) - 1);
    struct err e = ERR_INIT;

    ck_assert_int_eq(json_dump(doc, &b, &e), 0);
    (void)snprintf(text, sizeof(text), "%.*s", VIEW_FMT(buf_view(&b)));
    buf_fini(&b);
    return text;
}

/* Every canary a role may see; any other one must be absent. */
static const struct {
    enum role role;
    const char *may[8];
} sees[] = {
    {ROLE_FRONT, {NULL}},
    {ROLE_HUB, {"CANARY-token", "CANARY-password", NULL}}, /* until slice.c hashes them */
    {ROLE_AGENT,
     {"CANARY-key", "CANARY-header", "CANARY-header2", "CANARY-url", "CANARY-param",
      "CANARY-param2", "CANARY-env", NULL}},
};

START_TEST(test_canaries)
{
    struct config_report report;
    struct config *c = loaded(planted, &report);
    struct err e = ERR_INIT;
    json_t *slice = NULL;
    const char *text;

    ck_assert_int_eq(config_slice(c, sees[_i].role, &slice, &e), 0);
    text = dumped(slice);
    for (const char *at = strstr(text, "CANARY"); at; at = strstr(at + 1, "CANARY")) {
        size_t n = strcspn(at, "\"");
        bool may = false;

        for (size_t i = 0; i < 8 && sees[_i].may[i]; i++)
            may |= strlen(sees[_i].may[i]) == n && strncmp(at, sees[_i].may[i], n) == 0;
        ck_assert_msg(may, "%s sees %.*s", role_name(sees[_i].role), (int)n, at);
    }
    for (size_t i = 0; i < 8 && sees[_i].may[i]; i++)
        ck_assert_msg(strstr(text, sees[_i].may[i]), "%s: no %s", role_name(sees[_i].role),
                      sees[_i].may[i]);
    json_decref(slice);
    config_free(&c);
    config_report_fini(&report);
}
END_TEST

/* The order of keys in the file does not reach the workers. */
START_TEST(test_order)
{
    struct config_report report;
    struct config *a =
        loaded("{gateway:{port:1,bind:'loopback'},models:{providers:{b:{baseUrl:'http://h/'},"
               "a:{baseUrl:'http://h/'}}}}",
               &report);
    struct config *b;
    struct err e = ERR_INIT;
    char first[65536];

    config_report_fini(&report);
    b = loaded("{models:{providers:{a:{baseUrl:'http://h/'},b:{baseUrl:'http://h/'}}},"
               "gateway:{bind:'loopback',port:1}}",
               &report);
    for (int role = ROLE_FRONT; role < ROLE_COUNT; role++) {
        json_t *x = NULL, *y = NULL;

        ck_assert_int_eq(config_slice(a, (enum role)role, &x, &e), 0);
        ck_assert_int_eq(config_slice(b, (enum role)role, &y, &e), 0);
        (void)snprintf(first, sizeof(first), "%s", dumped(x));
        ck_assert_str_eq(first, dumped(y));
        json_decref(x);
        json_decref(y);
    }
    config_free(&a);
    config_free(&b);
    config_report_fini(&report);
}
END_TEST

/* The shapes that workers rely on. */
START_TEST(test_shape)
{
    static const struct {
        enum role role;
        const char *path, *want; /* want NULL: absent */
    } rows[] = {
        {ROLE_FRONT, "gateway.port", "18789"},
        {ROLE_FRONT, "gateway.limits.preauthBytes", "65536"},
        {ROLE_FRONT, "gateway.auth", "{\"allowTailscale\":false,\"mode\":\"token\"}"},
        {ROLE_FRONT, "models", NULL},
        {ROLE_HUB, "gateway.auth.mode", "\"token\""},
        {ROLE_HUB, "agents.defaults.model.primary", "\"p/m\""},
        {ROLE_HUB, "agents.defaults.model.fallbacks", "[\"p/n\"]"},
        {ROLE_HUB, "models.providers.p.baseUrl", NULL},
        {ROLE_HUB, "models.providers.p.models",
         "[{\"id\":\"m\",\"name\":\"M\",\"reasoning\":false},{\"id\":\"n\",\"reasoning\":true}]"},
        {ROLE_HUB, "agents.list",
         "[{\"default\":true,\"id\":\"x\",\"model\":{\"primary\":\"demo/demo\"}},{\"id\":\"y\"}]"},
        {ROLE_HUB, "agents.entries", NULL},
        {ROLE_HUB, "session.dmScope", "\"main\""},
        {ROLE_AGENT, "models.providers.p.baseUrl", "\"http://127.0.0.1/\""},
        {ROLE_AGENT, "models.timeouts.connectMs", "10000"},
        {ROLE_AGENT, "session", NULL},
        {ROLE_AGENT, "gateway.auth", NULL},
        {ROLE_AGENT, "secrets", NULL},
        {ROLE_AGENT, "env", NULL},
    };
    struct config_report report;
    struct config *c = loaded(
        "{agents:{defaults:{models:{'p/n':{alias:'nn'}},model:{primary:'p/m',fallbacks:['nn']}},"
        "entries:{x:{default:true,model:'demo/demo'},y:{}}},env:{vars:{A:'b'}},"
        "models:{providers:{p:{baseUrl:'http://127.0.0.1/"
        "',models:[{id:'m',name:'M'},{id:'n',reasoning:true}]}}}}",
        &report);
    struct err e = ERR_INIT;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_t *slice = NULL, *v;

        ck_assert_int_eq(config_slice(c, rows[i].role, &slice, &e), 0);
        v = json_at(slice, rows[i].path);
        ck_assert_msg(!v == !rows[i].want, "%s: %s", role_name(rows[i].role), rows[i].path);
        if (v)
            ck_assert_str_eq(dumped(v), rows[i].want);
        json_decref(slice);
    }
    config_free(&c);
    config_report_fini(&report);
}
END_TEST

#define HOT      (1u << CONFIG_HOT)
#define RESTART  (1u << CONFIG_RESTART)
#define HANDOVER (1u << CONFIG_HANDOVER)

static const struct {
    const char *from, *to;
    unsigned total, reloads, hot, restart;
    const char *path;
} diffs[] = {
    {"{}", "{}", 0, 0, 0, 0, NULL},
    {"{}", "{gateway:{port:18789}}", 0, 0, 0, 0, NULL},
    {"{gateway:{port:1}}", "{gateway:{port:2}}", 1, HANDOVER, R_FRONT | R_HUB, 0, "gateway.port"},
    {"{}", "{logging:{level:'debug'}}", 1, HOT, 0, 0, "logging.level"},
    {"{}", "{gateway:{trustedProxies:['::1']}}", 1, RESTART, 0, R_FRONT | R_HUB,
     "gateway.trustedProxies"},
    {"{gateway:{auth:{token:'a'}}}", "{gateway:{auth:{token:'b'}}}", 1, HOT, R_HUB, 0,
     "gateway.auth.token"},
    {"{gateway:{auth:{token:'a'}}}", "{}", 1, HOT, R_HUB, 0, "gateway.auth.token"},
    {"{}", "{channels:{telegram:{}}}", 1, RESTART, 0, R_CHANNEL, "channels.telegram"},
    {"{zzzz:1}", "{zzzz:2}", 0, 0, 0, 0, NULL},
    {"{}", "{models:{providers:{p:{baseUrl:'http://h/'}}}}", 2, HOT, R_HUB | R_AGENT, 0,
     "models.providers.p.models"},
    {"{models:{providers:{p:{baseUrl:'http://h/'}}}}",
     "{models:{providers:{p:{baseUrl:'http://i/'}}}}", 1, HOT, R_AGENT, 0,
     "models.providers.p.baseUrl"},
    {"{agents:{defaults:{model:'demo/demo'}}}", "{}", 0, 0, 0, 0, NULL},
    {"{session:{dmScope:'main'},agents:{defaults:{maxConcurrent:4}}}",
     "{session:{dmScope:'per-peer'},agents:{defaults:{maxConcurrent:5}}}", 2, HOT, R_HUB, 0,
     "session.dmScope"},
};

START_TEST(test_diff)
{
    struct config_report report;
    struct config *a = loaded(diffs[_i].from, &report), *b;
    struct config_diff d;
    struct err e = ERR_INIT;
    bool found = diffs[_i].path == NULL;

    config_report_fini(&report);
    b = loaded(diffs[_i].to, &report);
    ck_assert_int_eq(config_diff(a, b, &d, &e), 0);
    ck_assert_msg(d.total == diffs[_i].total, "%d: %u", _i, d.total);
    ck_assert_msg(d.reloads == diffs[_i].reloads, "%d: %x", _i, d.reloads);
    ck_assert_msg(d.hot_roles == diffs[_i].hot, "%d: %x", _i, d.hot_roles);
    ck_assert_msg(d.restart_roles == diffs[_i].restart, "%d: %x", _i, d.restart_roles);
    for (unsigned i = 0; i < d.count; i++)
        found |= diffs[_i].path && strcmp(d.change[i].path, diffs[_i].path) == 0;
    ck_assert_msg(found, "%d: no %s", _i, diffs[_i].path);
    config_diff_fini(&d);
    config_free(&a);
    config_free(&b);
    config_report_fini(&report);
}
END_TEST

/* More changes than are listed: all are counted. */
START_TEST(test_diff_limit)
{
    struct buf b = BUF_INIT(65536);
    struct config_report report;
    struct config *a = loaded("{}", &report), *c;
    struct config_diff d;
    struct err e = ERR_INIT;

    config_report_fini(&report);
    buf_put_str(&b, "{models:{providers:{");
    for (int i = 0; i < 100; i++)
        buf_printf(&b, "p%d:{baseUrl:'http://h/'},", i);
    buf_put_str(&b, "}}}");
    buf_put_char(&b, 0);
    c = loaded(buf_view(&b).p, &report);
    ck_assert_int_eq(config_diff(a, c, &d, &e), 0);
    ck_assert_uint_eq(d.count, CONFIG_CHANGES_MAX);
    ck_assert_uint_eq(d.total, 200);
    config_diff_fini(&d);
    config_free(&a);
    config_free(&c);
    config_report_fini(&report);
    buf_fini(&b);
}
END_TEST

START_TEST(test_redacted)
{
    struct config_report report;
    struct config *c = loaded(planted, &report);
    struct err e = ERR_INIT;
    json_t *doc = NULL, *again = NULL;
    const char *hash;

    ck_assert_int_eq(config_redacted(c, &report, V("key"), &doc, &e), 0);
    ck_assert_msg(!strstr(dumped(doc), "CANARY"), "%s", dumped(doc));
    ck_assert_msg(!strstr(dumped(doc), "424242"), "%s", dumped(doc));
    ck_assert_str_eq(json_string_value(json_at(doc, "parsed.gateway.auth.token")), CONFIG_SENTINEL);
    ck_assert_str_eq(json_string_value(json_at(doc, "config.models.providers.p.apiKey")),
                     CONFIG_SENTINEL);
    ck_assert_str_eq(json_string_value(json_at(doc, "config.messages.queue.mode")), "collect");
    ck_assert_int_eq(json_integer_value(json_at(doc, "runtimeConfig.gateway.port")), 18789);
    ck_assert(json_at(doc, "parsed.gateway.port") == NULL);
    ck_assert(json_is_true(json_at(doc, "valid")) && json_is_array(json_at(doc, "issues")));
    ck_assert_uint_ge(json_array_size(json_at(doc, "warnings")), 2);
    ck_assert(json_is_false(json_at(doc, "exists")) && json_is_null(json_at(doc, "raw")));
    hash = json_string_value(json_at(doc, "hash"));
    ck_assert(strncmp(hash, "hmac-sha256:v1:", 15) == 0 && strlen(hash) == 15 + 64);
    ck_assert_int_eq(config_redacted(c, &report, V("kez"), &again, &e), 0);
    ck_assert_str_ne(hash, json_string_value(json_at(again, "hash")));
    json_decref(doc);
    json_decref(again);
    config_free(&c);
    config_report_fini(&report);
}
END_TEST

/* The text of a file: exact but for the values, or nothing. */
static const struct {
    const char *text, *want; /* NULL: null */
} raws[] = {
    {"{ gateway: { port: 1 /* here */ } } // end\n",
     "{ gateway: { port: 1 /* here */ } } // end\n"},
    {"{gateway:{auth:{token:'abcd' , mode:\"token\"}}}",
     "{gateway:{auth:{token:\"__OPENCLAW_REDACTED__\" , mode:\"token\"}}}"},
    {"{'gateway':{\"auth\":{\"tok\\u0065n\":'a\\'b'}}}",
     "{'gateway':{\"auth\":{\"tok\\u0065n\":\"__OPENCLAW_REDACTED__\"}}}"},
    {"{gateway:{auth:{token:{source:'env',id:'HOME'}}}}",
     "{gateway:{auth:{token:{source:'env',id:'HOME'}}}}"},
    {"{// token: 'old'\n}", NULL},
    {"{/* aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa */}", NULL},
    {"{gateway:{auth:{token:'abcd'}},agents:{defaults:{workspace:'/abcd'}}}", NULL},
    {"{channels:{x:{y:['z',1,true,null]}}}",
     "{channels:{x:{y:[\"__OPENCLAW_REDACTED__\",\"__OPENCLAW_REDACTED__\",true,null]}}}"},
};

START_TEST(test_raw)
{
    char path[] = "/tmp/test_config_XXXXXX";
    struct config_source src = {.path = path};
    struct config_report report;
    struct config *c = NULL;
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");

    setenv("HOME", "/home/someone", 1);
    config_report_init(&report);
    ck_assert(f && fputs(raws[_i].text, f) >= 0 && fclose(f) == 0);
    ck_assert_msg(config_load(&c, &src, &report, &e) == 0, "%s", e.text);
    ck_assert_int_eq(config_redacted(c, &report, V("key"), &doc, &e), 0);
    if (raws[_i].want)
        ck_assert_pstr_eq(json_string_value(json_at(doc, "raw")), raws[_i].want);
    else
        ck_assert_msg(json_is_null(json_at(doc, "raw")), "%s", raws[_i].text);
    ck_assert(remove(path) == 0);
    json_decref(doc);
    config_free(&c);
    config_report_fini(&report);
}
END_TEST

START_TEST(test_schema)
{
    static const struct {
        const char *path, *want;
    } rows[] = {
        {"properties.gateway.properties.port.maximum", "65535"},
        {"properties.gateway.properties.port.default", "18789"},
        {"properties.gateway.properties.bind.type", "\"string\""},
        {"properties.agents.properties.defaults.properties.model.type", "[\"string\",\"object\"]"},
        {"properties.models.properties.providers.additionalProperties.properties.models.type",
         "\"array\""},
        {"properties.models.properties.providers.additionalProperties.properties.models.items."
         "properties.id.type",
         "\"string\""},
        {"properties.messages.properties.queue.properties.byChannel.additionalProperties.type",
         "\"string\""},
    };
    struct buf b = BUF_INIT(1024 * 1024);
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    ck_assert_int_eq(config_schema(&b, &e), 0);
    ck_assert_msg(json_parse(buf_view(&b), &doc, &e) == 0, "%s", e.text); /* also: no key twice */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_t *v = json_at(json_object_get(doc, "schema"), rows[i].path);

        ck_assert_msg(v != NULL, "%s", rows[i].path);
        ck_assert_str_eq(dumped(v), rows[i].want);
    }
    ck_assert(json_is_true(json_object_get(
        json_object_get(json_object_get(doc, "uiHints"), "gateway.auth.token"), "sensitive")));
    json_decref(doc);
    buf_fini(&b);
}
END_TEST

/* The table itself: its order of names is that of the enums, its defaults are valid, no row is
 * there twice. */
START_TEST(test_table)
{
    static const struct {
        const char *path, *last;
        unsigned index;
    } enums[] = {
        {"gateway.mode", "remote", CONF_MODE_REMOTE},
        {"gateway.bind", "tailnet", CONF_BIND_TAILNET},
        {"gateway.auth.mode", "tailscale", CONF_AUTH_TAILSCALE},
        {"gateway.reload.mode", "restart", CONF_RELOAD_RESTART},
        {"logging.level", "trace", CONF_LOG_TRACE},
        {"logging.consoleStyle", "json", CONF_STYLE_JSON},
    };

    for (size_t i = 0; i < config_key_count(); i++) {
        const struct config_key *k = &config_keys[i];

        ck_assert_msg(k->help && k->help[0], "%s", k->path);
        ck_assert_msg(!(k->flags & K_SECRET) || !(k->roles & R_FRONT), "%s", k->path);
        ck_assert_msg(k->max >= k->min, "%s", k->path);
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(strcmp(k->path, config_keys[j].path) != 0, "%s is there twice", k->path);
        for (size_t j = 0; j < COUNT_OF(enums); j++)
            if (strcmp(k->path, enums[j].path) == 0) {
                const char *list = k->of;
                struct view choice = VIEW_EMPTY;
                unsigned n = 0;

                while (config_choice(&list, &choice))
                    n++;
                ck_assert_msg(view_eq(choice, view_str(enums[j].last)) && n == enums[j].index + 1,
                              "%s", k->path);
            }
    }
}
END_TEST

/* Every failing allocation of what is made from a loaded configuration. */
static void *failing_alloc(size_t n)
{
    return mem_alloc(n);
}

START_TEST(test_no_memory)
{
    struct config_report report;
    struct config *c, *d;
    struct config_report other;
    int r = -1;

    json_set_alloc_funcs(failing_alloc, mem_free);
    c = loaded(planted, &report);
    d = loaded("{}", &other);
    for (uint64_t n = 1; r < 0; n++) {
        json_t *slice = NULL, *get = NULL;
        struct config_diff diff = {.count = 0};
        struct buf b = BUF_INIT(1024 * 1024);
        struct err e = ERR_INIT;

        mem_fail_after(n, 0);
        (void)((r = config_slice(c, ROLE_AGENT, &slice, &e)) == 0 &&
               (r = config_diff(c, d, &diff, &e)) == 0 &&
               (r = config_redacted(c, &report, V("k"), &get, &e)) == 0 &&
               (r = config_schema(&b, &e)) == 0 && (r = config_docs(&b, &e)) == 0);
        mem_fail_after(0, 0);
        ck_assert_msg(r == 0 || (r == e.code && e.text[0]), "%d", r);
        json_decref(slice);
        json_decref(get);
        config_diff_fini(&diff);
        buf_fini(&b);
        ck_assert_uint_lt(n, 100000);
    }
    config_free(&c);
    config_free(&d);
    config_report_fini(&report);
    config_report_fini(&other);
    json_set_alloc_funcs(malloc, free);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_canaries, 0, COUNT_OF(sees));
    tcase_add_test(tc, test_order);
    tcase_add_test(tc, test_shape);
    tcase_add_loop_test(tc, test_diff, 0, COUNT_OF(diffs));
    tcase_add_test(tc, test_diff_limit);
    tcase_add_test(tc, test_redacted);
    tcase_add_loop_test(tc, test_raw, 0, COUNT_OF(raws));
    tcase_add_test(tc, test_schema);
    tcase_add_test(tc, test_table);
    tcase_add_test(tc, test_no_memory);
}

CK_MAIN("config_slice")
