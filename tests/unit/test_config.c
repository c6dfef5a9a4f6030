/* The configuration: what is taken, what is refused and with which words. */
#include "ck.h"
#include "config.h"
#include "json.h"
#include "mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* An environment of our own: "NAME=value" rows. */
struct vars {
    const char *const *row;
};

static const char *env_in(void *ctx, const char *name)
{
    const struct vars *v = ctx;
    size_t n = strlen(name);

    for (const char *const *r = v->row; r && *r; r++)
        if (strncmp(*r, name, n) == 0 && (*r)[n] == '=')
            return *r + n + 1;
    return NULL;
}

static const char *const usual[] = {"HOME=/home/someone", "MOCK_KEY=sk-mock-canary", "SPACE=a b",
                                    "EMPTY=", NULL};

struct loaded {
    struct config *c;
    struct config_report report;
    struct err e;
    int r;
};

static void load_with(struct loaded *l, struct config_source *src, const char *text,
                      const char *const *env)
{
    struct vars v = {env};

    memset(l, 0, sizeof(*l));
    config_report_init(&l->report);
    if (text)
        src->text = view_str(text);
    src->env = env_in;
    src->env_ctx = &v;
    l->r = config_load(&l->c, src, &l->report, &l->e);
}

static void load(struct loaded *l, const char *text)
{
    load_with(l, &(struct config_source){.port = NULL}, text, usual);
}

static void unload(struct loaded *l)
{
    config_free(&l->c);
    config_report_fini(&l->report);
}

/* The report's text, for messages and searches. */
static const char *words(struct loaded *l)
{
    static char text[65536];
    struct buf b = BUF_INIT(sizeof(text) - 1);

    config_report_print(&l->report, &b);
    (void)snprintf(text, sizeof(text), "%.*s", VIEW_FMT(buf_view(&b)));
    buf_fini(&b);
    return text;
}

/* Word for word what the documentation shows and what the first users have. */
static const char real_input[] =
    "{ gateway: { mode: \"local\", port: 18789, bind: \"loopback\",\n"
    "             auth: { mode: \"token\", token: \"\xe2\x80\xa6\" },\n"
    "             http: { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: "
    "true } } } },\n"
    "  agents: { defaults: { model: { primary: \"mock/mock-1\", fallbacks: [] }, maxConcurrent: 4, "
    "timeoutSeconds: 600 } },\n"
    "  models: { providers: { mock: { baseUrl: \"http://127.0.0.1:9999/v1\", apiKey: "
    "\"${MOCK_KEY}\", api: \"openai-completions\",\n"
    "                                 models: [{ id: \"mock-1\", name: \"Mock\" }] } } } }\n";

START_TEST(test_real_input)
{
    struct loaded l;
    const struct conf *c;

    load(&l, real_input);
    ck_assert_msg(l.r == 0, "%s", l.e.text);
    ck_assert_msg(l.report.errors + l.report.warnings == 0, "%s", words(&l));
    c = config_conf(l.c);
    ck_assert_uint_eq(c->gateway_mode, CONF_MODE_LOCAL);
    ck_assert_uint_eq(c->gateway_port, 18789);
    ck_assert_uint_eq(c->gateway_bind, CONF_BIND_LOOPBACK);
    ck_assert_uint_eq(c->gateway_auth_mode, CONF_AUTH_TOKEN);
    ck_assert(secret_eq(&c->gateway_auth_token, V("\xe2\x80\xa6")));
    ck_assert(c->http_chat_completions && c->http_responses);
    ck_assert_str_eq(c->agents_model, "mock/mock-1");
    ck_assert_uint_eq(json_array_size(c->agents_fallbacks), 0);
    ck_assert_uint_eq(c->agents_max_concurrent, 4);
    ck_assert_uint_eq(c->agents_timeout_s, 600);
    ck_assert_str_eq(json_string_value(json_at(config_doc(l.c), "models.providers.mock.apiKey")),
                     "sk-mock-canary");
    ck_assert_int_eq(config_set_token(l.c, V("x"), &l.e), ERR_CONFLICT);
    unload(&l);
}
END_TEST

START_TEST(test_defaults)
{
    struct loaded l;
    const struct conf *c;

    load(&l, "{}");
    ck_assert_msg(l.r == 0, "%s", l.e.text);
    c = config_conf(l.c);
    ck_assert_uint_eq(c->gateway_port, 18789);
    ck_assert_uint_eq(c->gateway_bind, CONF_BIND_LOOPBACK);
    ck_assert_uint_eq(c->gateway_auth_mode, CONF_AUTH_TOKEN);
    ck_assert_uint_eq(c->gateway_auth_token.n, 0);
    ck_assert_str_eq(c->agents_model, "demo/demo");
    ck_assert_uint_eq(c->agents_max_concurrent, 4);
    ck_assert_uint_eq(c->subagents_max_concurrent, 8);
    ck_assert_uint_eq(c->gateway_handshake_timeout_ms, 15000);
    ck_assert_uint_eq(c->limits_preauth_per_address, 32);
    ck_assert_uint_eq(c->limits_payload_bytes, 26214400);
    ck_assert_uint_eq(c->limits_store_bytes, 17179869184u);
    ck_assert_uint_eq(c->logging_level, CONF_LOG_INFO);
    ck_assert_uint_eq(c->gateway_reload_mode, CONF_RELOAD_HYBRID);
    ck_assert_uint_eq(c->logging_style, CONF_STYLE_AUTO);
    ck_assert(c->agents_workspace == NULL && c->gateway_custom_bind_host == NULL);
    ck_assert_int_eq(config_set_token(l.c, V("made"), &l.e), 0);
    ck_assert(secret_eq(&c->gateway_auth_token, V("made")));
    ck_assert_str_eq(json_string_value(json_at(config_doc(l.c), "gateway.auth.token")), "made");
    ck_assert_int_eq(config_set_token(l.c, V("again"), &l.e), ERR_CONFLICT);
    unload(&l);
}
END_TEST

/* The file: absent, explicit but absent, empty, cut, too large, not a file; and the embedded text.
 */
START_TEST(test_file)
{
    char dir[] = "/tmp/test_config_XXXXXX", path[64];
    struct config_source src = {.state_dir = dir};
    struct loaded l;
    FILE *f;

    ck_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/openclaw.json", dir);
    load_with(&l, &src, NULL, usual);
    ck_assert_msg(l.r == 0 && l.report.errors + l.report.warnings == 0, "%s", words(&l));
    ck_assert(!config_exists(l.c));
    ck_assert_str_eq(config_path_of(l.c), path);
    unload(&l);

    {
        char named[80];
        const char *env[] = {named, NULL};

        (void)snprintf(named, sizeof(named), "OPENCLAW_CONFIG_PATH=%s/other", dir);
        load_with(&l, &src, NULL, env);
        ck_assert_msg(l.r == 0 && strstr(words(&l), "OPENCLAW_CONFIG_PATH: warning: "), "%s",
                      words(&l));
        unload(&l);
    }
    src.must_exist = true;
    load_with(&l, &src, NULL, usual);
    ck_assert_int_eq(l.r, ERR_NOT_FOUND);
    unload(&l);
    src.must_exist = false;
    src.path = path;
    load_with(&l, &src, NULL, usual);
    ck_assert_int_eq(l.r, ERR_NOT_FOUND);
    ck_assert_msg(strstr(words(&l), path), "%s", words(&l));
    unload(&l);

    f = fopen(path, "w");
    ck_assert(f && fclose(f) == 0 && chmod(path, 0600) == 0);
    load_with(&l, &src, NULL, usual);
    ck_assert_msg(l.r == ERR_INVALID, "an empty file is refused");
    unload(&l);

    for (size_t n = 1; n + 2 < sizeof(real_input) - 1; n += 7) { /* half written at any place */
        f = fopen(path, "w");
        ck_assert(f && fwrite(real_input, n, 1, f) == 1 && fclose(f) == 0);
        load_with(&l, &src, NULL, usual);
        ck_assert_msg(l.r == ERR_INVALID && l.report.errors == 1 && l.report.issue[0].line,
                      "%zu: %s", n, words(&l));
        unload(&l);
    }
    ck_assert(chmod(path, 0666) == 0);
    f = fopen(path, "w");
    ck_assert(f && fputs(real_input, f) >= 0 && fclose(f) == 0);
    load_with(&l, &src, NULL, usual);
    ck_assert_msg(l.r == 0 && config_exists(l.c) && strstr(words(&l), "chmod 600"), "%s",
                  words(&l));
    unload(&l);
    ck_assert(truncate(path, 5 * 1024 * 1024) == 0);
    load_with(&l, &src, NULL, usual);
    ck_assert_int_eq(l.r, ERR_LIMIT);
    unload(&l);
    ck_assert(unlink(path) == 0 && mkdir(path, 0700) == 0);
    load_with(&l, &src, NULL, usual);
    ck_assert_int_lt(l.r, 0);
    unload(&l);
    ck_assert(rmdir(path) == 0 && rmdir(dir) == 0);
}
END_TEST

static const struct {
    const char *name, *port, *bind, *token;
    const char *env[3];
    const char *text;
    unsigned want_port, want_bind;
    const char *want_token, *want_words;
} overrides[] = {
    {"nothing", NULL, NULL, NULL, {NULL}, "{gateway:{port:1}}", 1, CONF_BIND_LOOPBACK, "", NULL},
    {"env over file",
     NULL,
     NULL,
     NULL,
     {"OPENCLAW_GATEWAY_PORT=2", NULL},
     "{gateway:{port:1}}",
     2,
     0,
     "",
     NULL},
    {"flag over env",
     "3",
     NULL,
     NULL,
     {"OPENCLAW_GATEWAY_PORT=2", NULL},
     "{gateway:{port:1}}",
     3,
     0,
     "",
     NULL},
    {"env token",
     NULL,
     NULL,
     NULL,
     {"OPENCLAW_GATEWAY_TOKEN=$t", NULL},
     "{}",
     18789,
     0,
     "$t",
     NULL},
    {"flag token", NULL, NULL, "u", {"OPENCLAW_GATEWAY_TOKEN=t", NULL}, "{}", 18789, 0, "u", NULL},
    {"empty env", NULL, NULL, NULL, {"OPENCLAW_GATEWAY_PORT=", NULL}, "{}", 18789, 0, "", NULL},
    {"lan", NULL, "lan", NULL, {NULL}, "{}", 18789, CONF_BIND_LAN, "", NULL},
    {"host", NULL, "10.0.0.1", NULL, {NULL}, "{}", 18789, CONF_BIND_CUSTOM, "", NULL},
    {"bad flag",
     "70000",
     NULL,
     NULL,
     {NULL},
     "{}",
     0,
     0,
     NULL,
     "--port: gateway.port: must be a whole number from 1 to 65535"},
    {"bad flag 2", "1x", NULL, NULL, {NULL}, "{}", 0, 0, NULL, "--port"},
    {"bad env",
     NULL,
     NULL,
     NULL,
     {"OPENCLAW_GATEWAY_PORT=0", NULL},
     "{}",
     0,
     0,
     NULL,
     "OPENCLAW_GATEWAY_PORT: gateway.port"},
    {"bad bind", NULL, "lann", NULL, {NULL}, "{}", 0, 0, NULL, "--bind: gateway.bind"},
    {"network",
     NULL,
     "10.0.0.0/8",
     NULL,
     {NULL},
     "{}",
     0,
     0,
     NULL,
     "gateway.customBindHost: must be one address"},
    {"none and lan",
     NULL,
     "lan",
     NULL,
     {NULL},
     "{gateway:{auth:{mode:'none'}}}",
     0,
     0,
     NULL,
     "gateway.auth.mode: none is refused"},
    {"bad file under a flag",
     "5",
     NULL,
     NULL,
     {NULL},
     "{gateway:{port:'x'}}",
     0,
     0,
     NULL,
     "gateway.port"},
};

/* A secret in the wrong place is not repeated. */
START_TEST(test_no_echo)
{
    static const char *const rows[] = {
        "{gateway:{auth:{mode:'hunter2'}}}",
        "{gateway:{auth:{token:['hunter2']}}}",
        "{models:{providers:{p:{baseUrl:'http://me:hunter2@h/'}}}}",
        "{models:{providers:{p:{baseUrl:'http://h/',headers:{a:'hunter2\\n'}}}}}",
        "{env:{vars:{A:'hunter2'}},gateway:{bind:'${A}'}}",
        "{env:{vars:{A:'hunter2'}},gateway:{trustedProxies:['${A}']}}",
        "{gateway:{auth:{token:{source:'env',id:'hunter2'}}}}",
        "{gateway:{aut:'hunter2'},zzzz:'hunter2',channels:{x:'hunter2'}}",
    };
    struct loaded l;

    load(&l, rows[_i]);
    ck_assert_msg(l.report.errors + l.report.warnings > 0, "%s", rows[_i]);
    ck_assert_msg(!strstr(words(&l), "hunter2"), "%s", words(&l));
    ck_assert_msg(!strstr(l.e.text, "hunter2"), "%s", l.e.text);
    unload(&l);
}
END_TEST

/* A mistake on the command line is reported beside those of the file. */
START_TEST(test_override_and_file)
{
    struct config_source src = {.port = "x"};
    struct loaded l;

    load_with(&l, &src, "{logging:{level:1},gateway:7}", usual);
    ck_assert_int_eq(l.r, ERR_INVALID);
    ck_assert_msg(l.report.errors == 3 && strstr(words(&l), "--port: gateway.port"), "%s",
                  words(&l));
    unload(&l);
}
END_TEST

START_TEST(test_overrides)
{
    struct config_source src = {
        .port = overrides[_i].port, .bind = overrides[_i].bind, .token = overrides[_i].token};
    const char *env[4] = {"HOME=/h", overrides[_i].env[0],
                          overrides[_i].env[0] ? overrides[_i].env[1] : NULL, NULL};
    struct loaded l;

    load_with(&l, &src, overrides[_i].text, env);
    if (overrides[_i].want_words) {
        ck_assert_msg(l.r == ERR_INVALID && strstr(words(&l), overrides[_i].want_words), "%s: %s",
                      overrides[_i].name, words(&l));
    } else {
        ck_assert_msg(l.r == 0, "%s: %s", overrides[_i].name, l.e.text);
        ck_assert_msg(config_conf(l.c)->gateway_port == overrides[_i].want_port, "%s",
                      overrides[_i].name);
        ck_assert_msg(config_conf(l.c)->gateway_bind == overrides[_i].want_bind, "%s",
                      overrides[_i].name);
        ck_assert_msg(overrides[_i].want_token[0] == 0
                          ? config_conf(l.c)->gateway_auth_token.n == 0
                          : secret_eq(&config_conf(l.c)->gateway_auth_token,
                                      view_str(overrides[_i].want_token)),
                      "%s", overrides[_i].name);
    }
    unload(&l);
}
END_TEST

#define PROVIDER(rest) "{models:{providers:{p:{baseUrl:'http://127.0.0.1/'," rest "}}}}"

/* Refused: the place and the words. */
static const struct {
    const char *text, *key, *words;
} bad[] = {
    {"", "", "expected a value"},
    {"[]", "", "must be a map"},
    {"1", "", "must be a map"},
    {"{", "", "expected a key"},
    {"{a:1,a:2}", "", "there already"},
    {"{gateway:{port:1},gateway:{}}", "", "there already"},
    {"{gateway:1}", "gateway", "must be a map"},
    {"{gateway:[]}", "gateway", "must be a map"},
    {"{gateway:null}", "gateway", "must be a map"},
    {"{gateway:{port:0}}", "gateway.port", "0: must be a whole number from 1 to 65535"},
    {"{gateway:{port:65536}}", "gateway.port", "from 1 to 65535"},
    {"{gateway:{port:-1}}", "gateway.port", "from 1 to 65535"},
    {"{gateway:{port:1.5}}", "gateway.port", "whole number"},
    {"{gateway:{port:1e300}}", "gateway.port", "whole number"},
    {"{gateway:{port:'18789'}}", "gateway.port", "whole number"},
    {"{gateway:{port:true}}", "gateway.port", "whole number"},
    {"{gateway:{port:null}}", "gateway.port", "null is no value"},
    {"{gateway:{port:{}}}", "gateway.port", "whole number"},
    {"{gateway:{port:[1]}}", "gateway.port", "whole number"},
    {"{gateway:{mode:'remote'}}", "gateway.mode", "clients"},
    {"{gateway:{mode:'Local'}}", "gateway.mode", "must be one of local remote"},
    {"{gateway:{mode:1}}", "gateway.mode", "must be a text"},
    {"{gateway:{mode:''}}", "gateway.mode", "must be one of"},
    {"{gateway:{bind:'0.0.0.0'}}", "gateway.bind", "loopback lan auto custom"},
    {"{gateway:{bind:'tailnet'}}", "gateway.bind", "not supported"},
    {"{gateway:{bind:'custom'}}", "gateway.bind", "customBindHost"},
    {"{gateway:{bind:'custom',customBindHost:'localhost'}}", "gateway.customBindHost",
     "IP address"},
    {"{gateway:{bind:'custom',customBindHost:'10.0.0.0/8'}}", "gateway.customBindHost",
     "one address"},
    {"{gateway:{auth:{mode:'none'},bind:'lan'}}", "gateway.auth.mode", "refused"},
    {"{gateway:{auth:{mode:'none'},bind:'auto'}}", "gateway.auth.mode", "refused"},
    {"{gateway:{auth:{mode:'none'},bind:'custom',customBindHost:'0.0.0.0'}}", "gateway.auth.mode",
     "refused"},
    {"{gateway:{auth:{mode:'none'},bind:'custom',customBindHost:'::'}}", "gateway.auth.mode",
     "refused"},
    {"{gateway:{auth:{mode:'password'}}}", "gateway.auth.mode", "password is not supported"},
    {"{gateway:{auth:{mode:'trusted-proxy'}}}", "gateway.auth.mode", "not supported"},
    {"{gateway:{auth:{mode:'tailscale'}}}", "gateway.auth.mode", "not supported"},
    {"{gateway:{auth:{mode:'off'}}}", "gateway.auth.mode", "must be one of"},
    {"{gateway:{auth:{rateLimit:{maxAttempts:0}}}}", "gateway.auth.rateLimit.maxAttempts",
     "must be a whole"},
    {"{gateway:{auth:{mode:null}}}", "gateway.auth.mode", "null"},
    {"{gateway:{auth:'none'}}", "gateway.auth", "must be a map"},
    {"{gateway:{auth:{mod:'none'}}}", "gateway.auth.mod", "did you mean gateway.auth.mode?"},
    {"{gateway:{auth:{tokn:'x'}}}", "gateway.auth.tokn", "did you mean gateway.auth.token?"},
    {"{gateway:{auth:{token:''}}}", "gateway.auth.token", "must not be empty"},
    {"{gateway:{auth:{token:5}}}", "gateway.auth.token", "must be a text or {source"},
    {"{gateway:{auth:{token:'${NOT_SET}'}}}", "gateway.auth.token", "NOT_SET is not set"},
    {"{gateway:{auth:{token:'${EMPTY}'}}}", "gateway.auth.token", "EMPTY is not set"},
    {"{gateway:{auth:{token:'a\\0b'}}}", "gateway.auth.token", "NUL"},
    {"{gateway:{auth:{token:{source:'env'}}}}", "gateway.auth.token", "{source, provider, id}"},
    {"{gateway:{auth:{token:{source:'env',id:'NOT_SET'}}}}", "gateway.auth.token",
     "NOT_SET is not set"},
    {"{gateway:{auth:{token:{source:'env',id:'lower'}}}}", "gateway.auth.token", "capitals"},
    {"{gateway:{auth:{token:{source:'exec',id:'x'}}}}", "gateway.auth.token", "cage"},
    {"{gateway:{auth:{token:{source:'vault',id:'x'}}}}", "gateway.auth.token", "env or file"},
    {"{gateway:{auth:{token:{source:'file',id:'relative'}}}}", "gateway.auth.token", "absolute"},
    {"{gateway:{auth:{token:{source:'file',id:'/nowhere/x'}}}}", "gateway.auth.token",
     "no such file"},
    {"{gateway:{auth:{token:{source:'file',provider:'p',id:'/x'}}}}", "gateway.auth.token",
     "secrets.providers"},
    {"{gateway:{auth:{token:{source:'env',id:'SPACE',more:1}}}}", "gateway.auth.token",
     "{source, provider, id}"},
    {"{secrets:{providers:{p:{source:'env',allowlist:['A']}}},gateway:{auth:{token:{source:'env',"
     "provider:'p',id:'SPACE'}}}}",
     "gateway.auth.token", "allowlist"},
    {"{gateway:{tls:{enabled:true}}}", "gateway.tls.enabled", "not supported"},
    {"{gateway:{tls:{enabled:'yes'}}}", "gateway.tls.enabled", "true or false"},
    {"{gateway:{trustedProxies:'10.0.0.1'}}", "gateway.trustedProxies", "list of texts"},
    {"{gateway:{trustedProxies:['10.0.0.1','any']}}", "gateway.trustedProxies[1]", "IP address"},
    {"{gateway:{trustedProxies:['10.0.0.0/33']}}", "gateway.trustedProxies[0]", "IP address"},
    {"{gateway:{trustedProxies:[1]}}", "gateway.trustedProxies[0]", "must be a text"},
    {"{gateway:{controlUi:{allowedOrigins:['example.com']}}}",
     "gateway.controlUi.allowedOrigins[0]", "origin"},
    {"{gateway:{controlUi:{allowedOrigins:['https://a/b']}}}",
     "gateway.controlUi.allowedOrigins[0]", "origin"},
    {"{gateway:{controlUi:{enabled:1}}}", "gateway.controlUi.enabled", "true or false"},
    {"{gateway:{handshakeTimeoutMs:99}}", "gateway.handshakeTimeoutMs", "100 to 600000"},
    {"{gateway:{workers:{fronts:65}}}", "gateway.workers.fronts", "0 to 64"},
    {"{gateway:{workers:{hangMs:1000,heartbeatMs:1000}}}", "gateway.workers.hangMs", "twice"},
    {"{logging:{level:'loud'}}", "logging.level", "silent fatal error"},
    {"{agents:{defaults:{model:''}}}", "agents.defaults.model", "must not be empty"},
    {"{agents:{defaults:{model:'/x'}}}", "agents.defaults.model", "provider/model"},
    {"{agents:{defaults:{model:'x/'}}}", "agents.defaults.model", "provider/model"},
    {"{agents:{defaults:{model:'alias'}}}", "agents.defaults.model.primary", "alias"},
    {"{agents:{defaults:{model:{primary:5}}}}", "agents.defaults.model.primary", "must be a text"},
    {"{agents:{defaults:{model:{fallbacks:'a/b'}}}}", "agents.defaults.model.fallbacks",
     "list of texts"},
    {"{agents:{defaults:{maxConcurrent:0}}}", "agents.defaults.maxConcurrent", "1 to 1024"},
    {"{agents:{defaults:{timeoutSeconds:'1h'}}}", "agents.defaults.timeoutSeconds", "whole number"},
    {"{agents:{list:{}}}", "agents.list", "must be a list"},
    {"{agents:{list:[{}]}}", "agents.list[0]", "id is missing"},
    {"{agents:{list:[{id:'a b'}]}}", "agents.list[0].id", "letters"},
    {"{agents:{list:[{id:'a',default:true},{id:'a'}]}}", "agents.list[1]", "the id is that of"},
    {"{agents:{list:[{id:'a'},{id:'b'}]}}", "agents.list", "none marked default"},
    {"{agents:{list:[{id:'a',default:true},{id:'b',default:true}]}}", "agents.list", "2 agents"},
    {"{agents:{entries:{'a b':{}}}}", "agents.entries[\"a b\"]", "letters"},
    {"{agents:{$include:'x.json5'}}", "agents.$include", "$include"},
    {"{$include:'x.json5'}", "$include", "$include"},
    {"{models:{providers:[]}}", "models.providers", "must be a map"},
    {"{models:{providers:{'a/b':{baseUrl:'http://h/'}}}}", "models.providers[\"a/b\"]", "letters"},
    {"{models:{providers:{p:{}}}}", "models.providers.p", "baseUrl is missing"},
    {"{models:{providers:{demo:{baseUrl:'http://h/'}}}}", "models.providers.demo", "built-in"},
    {"{models:{providers:{p:{baseUrl:'ftp://h/'}}}}", "models.providers.p.baseUrl", "http"},
    {"{models:{providers:{p:{baseUrl:'http://u:p@h/'}}}}", "models.providers.p.baseUrl",
     "no user or password"},
    {"{models:{providers:{p:{baseUrl:'http://h:0/'}}}}", "models.providers.p.baseUrl", "http(s)"},
    {"{models:{providers:{p:{baseUrl:'http:///x'}}}}", "models.providers.p.baseUrl", "http(s)"},
    {"{models:{providers:{p:{baseUrl:'http://h/\\n'}}}}", "models.providers.p.baseUrl", "http(s)"},
    {PROVIDER("api:'gopher'"), "models.providers.p.api", "must be one of"},
    {PROVIDER("apiKey:['x']"), "models.providers.p.apiKey", "must be a text or"},
    {PROVIDER("apiKey:'${NOT_SET}'"), "models.providers.p.apiKey", "NOT_SET is not set"},
    {PROVIDER("headers:{'a b':'x'}"), "models.providers.p.headers[\"a b\"]", "name of a header"},
    {PROVIDER("headers:{a:'x\\r\\ny:z'}"), "models.providers.p.headers.a", "control characters"},
    {PROVIDER("models:{}"), "models.providers.p.models", "must be a list"},
    {PROVIDER("models:[{}]"), "models.providers.p.models[0]", "id is missing"},
    {PROVIDER("models:['m']"), "models.providers.p.models[0]", "must be a map"},
    {PROVIDER("models:[{id:'m'},{id:'m'}]"), "models.providers.p.models[1]", "the id is that of"},
    {PROVIDER("models:[{id:'m',contextWindow:0}]"), "models.providers.p.models[0].contextWindow",
     "from 1"},
    {PROVIDER("models:[{id:'m',cost:{input:-1}}]"), "models.providers.p.models[0].cost.input",
     "from 0"},
    {"{gateway:{auth:{token:'same-one'}},models:{providers:{p:{baseUrl:'http://h/"
     "',apiKey:'same-one'}}}}",
     "gateway.auth.token", "also the apiKey"},
    {"{models:{retry:{minDelayMs:100,maxDelayMs:99}}}", "models.retry.maxDelayMs", "less than"},
    {"{session:{dmScope:'per-person'}}", "session.dmScope", "must be one of"},
    {"{session:{reset:{atHour:24}}}", "session.reset.atHour", "0 to 23"},
    {"{messages:{queue:{mode:'sometimes'}}}", "messages.queue.mode", "must be one of"},
    {"{env:{vars:{A:1}}}", "env.vars.A", "must be a text"},
};

START_TEST(test_bad)
{
    struct loaded l;
    bool found = false;

    load(&l, bad[_i].text);
    ck_assert_msg(l.r == ERR_INVALID && !l.c, "%s: %d %s", bad[_i].text, l.r, l.e.text);
    for (unsigned i = 0; i < l.report.count; i++) {
        const struct config_issue *x = &l.report.issue[i];

        found |= x->error && strcmp(x->path, bad[_i].key) == 0 && strstr(x->text, bad[_i].words);
        if (x->error && bad[_i].key[0] && !x->origin)
            ck_assert_msg(x->line == 1 && x->column > 0, "%s: no place for %s", bad[_i].text,
                          x->path);
    }
    ck_assert_msg(found, "%s: %s", bad[_i].text, words(&l));
    unload(&l);
}
END_TEST

/* Taken, with these words or none. */
static const struct {
    const char *text, *words;
} good[] = {
    {"{gateway:{port:18789.0}}", NULL},
    {"{gateway:{port:0x4965}}", NULL},
    {"{gateway:{auth:{mode:'none'}}}", "every program on this machine"},
    {"{gateway:{auth:{mode:'none'},bind:'custom',customBindHost:'127.0.0.2'}}", "every program"},
    {"{gateway:{bind:'custom',customBindHost:'10.1.2.3'}}", NULL},
    {"{gateway:{auth:{token:{source:'env',id:'SPACE'}}}}", NULL},
    {"{gateway:{auth:{token:{source:'env',provider:'default',id:'SPACE'}}}}", NULL},
    {"{env:{vars:{MY_TOKEN:'t'}},gateway:{auth:{token:'${MY_TOKEN}'}}}", NULL},
    {"{gateway:{auth:{token:'${MY_TOKEN}'}},env:{MY_TOKEN:'t'}}", NULL},
    {"{gateway:{auth:{token:'$${NOT_SET} $x ${lower} $'}}}", NULL},
    {"{gateway:{trustedProxies:['10.0.0.0/8','::1','fd00::/8']}}", NULL},
    {"{gateway:{controlUi:{allowedOrigins:['*','https://a.b:8443','http://[::1]:1']}}}", NULL},
    {"{gateway:{prot:1}}", "gateway.prot: unknown key; did you mean gateway.port?"},
    {"{gatewy:{}}", "gatewy: unknown key; did you mean gateway?"},
    {"{port:1}", "did you mean gateway.port?"},
    {"{gateway:{zzzzzzzz:1}}", "gateway.zzzzzzzz: unknown key\n"},
    {"{channels:{telegram:{botToken:'x'}}}", "channels: known, not supported by this build"},
    {"{plugins:{},hooks:{},cron:{},skills:{},tools:{},browser:{},ui:{}}",
     "ui: known, not supported"},
    {"{agents:{defaults:{heartbeat:{every:'30m'}}}}", "agents.defaults.heartbeat: known"},
    {"{agents:{defaults:{maxConcurent:3}}}", "did you mean agents.defaults.maxConcurrent?"},
    {"{session:{mainKey:'x'}}", "always called main"},
    {"{meta:{lastTouchedVersion:'x'},wizard:{},$schema:'x',gateway:{remote:{url:'ws://x'}}}", NULL},
    {"{agents:{defaults:{model:'anthropic/claude'}}}", "anthropic is not in models.providers"},
    {"{agents:{defaults:{models:{'demo/demo':{alias:'d'}},model:'d'}}}", NULL},
    {"{agents:{list:[{id:'a',model:{primary:'demo/demo'}}]}}", NULL},
    {"{agents:{entries:{a:{default:true},b:{model:'demo/demo'}}}}", NULL},
    {"{agents:{ownership:'explicit',entries:{a:{},b:{}}}}", NULL},
    {PROVIDER("api:'ollama'"), "ollama is not supported"},
    {PROVIDER("headers:{'X-Org':'${MOCK_KEY}'},params:{a:{b:['${SPACE}']}}"), NULL},
    {"{models:{providers:{p:{baseUrl:'http://10.0.0.1/',apiKey:'x'}}}}", "not https"},
    {"{gateway:{tls:{enabled:false}}}", NULL},
    {"{agents:{defaults:{timeoutSeconds:0}}}", NULL},
    {"{agents:{defaults:{timeoutSeconds:86400}}}", NULL},
    {"{agents:{defaults:{timeoutSeconds:86401}}}", "the longest turn is a day"},
    {"{gateway:{controlUi:{dangerouslyDisableDeviceAuth:true}}}", "token alone"},
    {"{session:{resetTriggers:['/new','/reset'],reset:{mode:'daily',atHour:4}}}", NULL},
};

START_TEST(test_good)
{
    struct loaded l;

    load(&l, good[_i].text);
    ck_assert_msg(l.r == 0, "%s: %s", good[_i].text, l.e.text);
    if (good[_i].words)
        ck_assert_msg(strstr(words(&l), good[_i].words), "%s: %s", good[_i].text, words(&l));
    else
        ck_assert_msg(l.report.warnings == 0, "%s: %s", good[_i].text, words(&l));
    unload(&l);
}
END_TEST

/* Limits at n and n + 1: what a list or all lists together may hold. */
static const struct {
    const char *name, *before, *item, *after;
    unsigned limit;
} counts[] = {
    {"proxies", "{gateway:{trustedProxies:[", "'::1',", "]}}", 64},
    {"fallbacks", "{agents:{defaults:{model:{fallbacks:[", "'demo/demo',", "]}}}}", 15},
    {"agents", "{agents:{ownership:'explicit',list:[", "{id:'a%u'},", "]}}", 256},
    {"entries", "{agents:{ownership:'explicit',list:[{id:'b'}],entries:{", "a%u:{},", "}}}", 255},
    {"providers", "{models:{providers:{", "p%u:{baseUrl:'http://h/'},", "}}}", 128},
    {"models", "{models:{providers:{p:{baseUrl:'http://h/',models:[", "{id:'m%u'},", "]}}}}", 1024},
    {"headers", "{models:{providers:{p:{baseUrl:'http://h/',headers:{", "h%u:'v',", "}}}}}", 32},
};

START_TEST(test_counts)
{
    for (unsigned over = 0; over < 2; over++) {
        struct buf b = BUF_INIT(1024 * 1024);
        struct loaded l;
        char item[128];

        buf_put_str(&b, counts[_i].before);
        for (unsigned i = 0; i < counts[_i].limit + over; i++) {
            const char *at = strstr(counts[_i].item, "%u");

            if (at)
                (void)snprintf(item, sizeof(item), "%.*s%u%s", (int)(at - counts[_i].item),
                               counts[_i].item, i, at + 2);
            buf_put_str(&b, at ? item : counts[_i].item);
        }
        buf_put_str(&b, counts[_i].after);
        buf_put_char(&b, 0);
        load(&l, buf_view(&b).p);
        ck_assert_msg((l.r == 0) == (over == 0), "%s, %u over: %s", counts[_i].name, over,
                      words(&l));
        ck_assert_msg(!over || strstr(words(&l), "limit "), "%s: %s", counts[_i].name, words(&l));
        unload(&l);
        buf_fini(&b);
    }
}
END_TEST

START_TEST(test_all_problems)
{
    struct loaded l;
    char text[4096] = "{\n";
    struct buf b = BUF_INIT(65536);

    load(&l, "{\n  gateway: {\n    port: 0,\n    bind: \"x\",\n    prot: 1,\n  },\n\tlogging: { "
             "level: 3 } }");
    ck_assert_int_eq(l.r, ERR_INVALID);
    ck_assert_uint_eq(l.report.errors, 3);
    ck_assert_uint_eq(l.report.warnings, 1);
    ck_assert_msg(strstr(words(&l), ":3:5: gateway.port: "), "%s", words(&l));
    ck_assert_msg(strstr(words(&l), ":4:5: gateway.bind: "), "%s", words(&l));
    ck_assert_msg(strstr(words(&l), ":5:5: warning: gateway.prot: "), "%s", words(&l));
    ck_assert_msg(strstr(words(&l), ":7:13: logging.level: "), "%s", words(&l));
    ck_assert_msg(strstr(l.e.text, "gateway.port") && strstr(l.e.text, "and 2 more"), "%s",
                  l.e.text);
    unload(&l);

    for (int i = 0; i < CONFIG_ISSUES_MAX + 5; i++) /* warnings give way to errors */
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "zzzzzz%d: 1,\n", i);
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "gateway: { port: 0 } }");
    load(&l, text);
    ck_assert_int_eq(l.r, ERR_INVALID);
    ck_assert_uint_eq(l.report.count, CONFIG_ISSUES_MAX);
    ck_assert_msg(strstr(words(&l), "gateway.port") && strstr(words(&l), "6 more"), "%s",
                  words(&l));
    unload(&l);

    /* --check-config says what the start says */
    load(&l, "{gateway:{port:0}}");
    {
        struct config_source src = {.text = V("{gateway:{port:0}}")};
        struct err e = ERR_INIT;

        setenv("HOME", "/home/someone", 1);
        ck_assert_int_eq(config_check(&src, &b, &e), l.r);
        ck_assert_str_eq(e.text, l.e.text);
        ck_assert(view_eq(buf_view(&b), view_str(words(&l))));
    }
    unload(&l);
    buf_fini(&b);
}
END_TEST

/* References into files. */
START_TEST(test_secret_files)
{
    static const struct {
        const char *content, *provider, *id, *want;
    } rows[] = {
        {"  value\n", "", "", "value"},
        {"", "", "", NULL},
        {"{\"a\":{\"b/c\":\"deep\"}}", "mode:'json'", "/a/b~1c", "deep"},
        {"{\"a\":1}", "mode:'json'", "/a", NULL},
        {"{\"a\":", "mode:'json'", "/a", NULL},
        {"{\"a\":\"x\"}", "mode:'json'", "a", NULL},
        {"{\"a\":\"x\"}", "", "/b", NULL},
        {"whole\n", "mode:'singleValue'", "value", "whole"},
        {"\xff", "mode:'singleValue'", "value", NULL},
    };
    char path[] = "/tmp/test_config_XXXXXX", text[512];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int fd = i ? open(path, O_WRONLY | O_TRUNC) : mkstemp(path);
        struct loaded l;

        ck_assert(fd >= 0);
        ck_assert(write(fd, rows[i].content, strlen(rows[i].content)) >= 0 && close(fd) == 0);
        if (rows[i].id[0])
            (void)snprintf(text, sizeof(text),
                           "{gateway:{auth:{token:{source:'file',provider:'p',id:'%s'}}},"
                           "secrets:{providers:{p:{source:'file',path:'%s',%s}}}}",
                           rows[i].id, path, rows[i].provider);
        else
            (void)snprintf(text, sizeof(text), "{gateway:{auth:{token:{source:'file',id:'%s'}}}}",
                           path);
        if (strstr(text, "',}"))
            *(strstr(text, "',}") + 1) = ' ';
        load(&l, text);
        ck_assert_msg((l.r == 0) == (rows[i].want != NULL), "%zu: %s", i, words(&l));
        if (rows[i].want)
            ck_assert_msg(secret_eq(&config_conf(l.c)->gateway_auth_token, view_str(rows[i].want)),
                          "%zu", i);
        unload(&l);
    }
    unlink(path);
}
END_TEST

/* Small generator; the same mutations every time. */
static uint32_t next(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u;
    return *s >> 8;
}

/* One change of a valid file that an editor, a disk or a tired person makes. */
static void mutate(struct buf *b, uint32_t *seed)
{
    static const char *const words_in[] = {"null", "[]",       "{}", "\"\"", "0", "-1",
                                           "true", "\"none\"", "$",  "//",   "/*"};
    size_t at = next(seed) % b->n, n = 1 + next(seed) % 12;
    char *p = b->p + b->off;
    char keep[4096];
    size_t rest;

    if (at + n > b->n)
        n = b->n - at;
    rest = b->n - at - n;
    switch (next(seed) % 6) {
    case 0: /* cut */
        buf_cut(b, at);
        return;
    case 1: /* a byte */
        p[at] = (char)(next(seed) & 0x7f);
        return;
    case 2: /* swapped neighbours */
        if (at + 1 < b->n) {
            char c = p[at];

            p[at] = p[at + 1];
            p[at + 1] = c;
        }
        return;
    default:
        break;
    }
    memcpy(keep, p + at + n, rest);
    buf_cut(b, at); /* a piece gone, doubled, or replaced */
    if (next(seed) % 3)
        buf_put_str(b, words_in[next(seed) % COUNT_OF(words_in)]);
    buf_put(b, keep, rest);
}

START_TEST(test_mutations)
{
    uint32_t seed = 20260920;
    unsigned taken = 0;

    for (int i = 0; i < 5000; i++) {
        struct buf b = BUF_INIT(65536), report = BUF_INIT(65536);
        struct vars v = {usual};
        struct config_source src = {.env = env_in, .env_ctx = &v};
        struct loaded l;
        struct err e = ERR_INIT;

        buf_put_str(&b, real_input);
        for (unsigned k = 1 + next(&seed) % 3; k; k--)
            if (b.n)
                mutate(&b, &seed);
        buf_put_char(&b, 0);
        load(&l, buf_view(&b).p);
        src.text = view_str(buf_view(&b).p);
        ck_assert_int_eq(config_check(&src, &report, &e), l.r);
        if (l.r == 0) {
            const struct conf *c = config_conf(l.c);

            taken++;
            ck_assert_msg(c->gateway_auth_mode == CONF_AUTH_TOKEN ||
                              (c->gateway_auth_mode == CONF_AUTH_NONE &&
                               c->gateway_bind == CONF_BIND_LOOPBACK &&
                               strstr(buf_view(&b).p, "none")),
                          "%s", buf_view(&b).p);
            ck_assert_msg(c->gateway_bind == CONF_BIND_LOOPBACK, "%s", buf_view(&b).p);
            ck_assert(!strstr(buf_view(&b).p, "none") || c->gateway_auth_mode == CONF_AUTH_TOKEN);
        } else {
            ck_assert(l.r == ERR_INVALID && l.report.errors > 0 && l.e.text[0]);
        }
        unload(&l);
        buf_fini(&b);
        buf_fini(&report);
    }
    ck_assert_uint_gt(taken, 200); /* they are not all refused for their syntax */
}
END_TEST

static void *torture_alloc(size_t n)
{
    return mem_alloc(n);
}

/* Every allocation fails once: a clean error, nothing leaks (under the address sanitizer), then
 * success. */
START_TEST(test_no_memory)
{
    struct loaded l;
    uint64_t n = 1;

    json_set_alloc_funcs(torture_alloc, mem_free);
    for (;; n++) {
        mem_fail_after(n, 0);
        load(&l, real_input);
        mem_fail_after(0, 0);
        if (l.r == 0 && l.report.errors + l.report.warnings == 0) {
            unload(&l);
            break;
        }
        ck_assert_msg(l.r == ERR_NOMEM || l.r == ERR_LIMIT || l.r == ERR_INVALID, "%llu: %d %s",
                      (unsigned long long)n, l.r, l.e.text);
        ck_assert(!l.c);
        unload(&l);
        ck_assert_uint_lt(n, 100000);
    }
    ck_assert_uint_gt(n, 500);
    json_set_alloc_funcs(malloc, free);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_real_input);
    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_file);
    tcase_add_loop_test(tc, test_overrides, 0, COUNT_OF(overrides));
    tcase_add_test(tc, test_override_and_file);
    tcase_add_loop_test(tc, test_no_echo, 0, 8);
    tcase_add_loop_test(tc, test_bad, 0, COUNT_OF(bad));
    tcase_add_loop_test(tc, test_good, 0, COUNT_OF(good));
    tcase_add_loop_test(tc, test_counts, 0, COUNT_OF(counts));
    tcase_add_test(tc, test_all_problems);
    tcase_add_test(tc, test_secret_files);
    tcase_add_test(tc, test_mutations);
    tcase_add_test(tc, test_no_memory);
}

CK_MAIN("config")
