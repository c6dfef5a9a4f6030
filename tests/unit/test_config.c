/* The configuration: what is taken, what is refused and with which words. */
#include "config_load.h"

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
    {"{gateway:{auth:{mode:'password'}}}", "gateway.auth.mode", "password needs"},
    {"{gateway:{bind:'lan',auth:{mode:'tailscale'}}}", "gateway.auth.mode",
     "needs gateway.bind loopback"},
    {"{gateway:{auth:{identityScopes:{'a@b':['operator.root']}}}}", "gateway.auth.identityScopes",
     "is no scope"},
    {"{gateway:{auth:{mode:'trusted-proxy'}}}", "gateway.auth.mode", "gateway.trustedProxies"},
    {"{gateway:{bind:'lan',auth:{mode:'tailscale'}}}", "gateway.auth.mode",
     "needs gateway.bind loopback"},
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
    {"{gateway:{tls:{certPath:5}}}", "gateway.tls.certPath", "text"},
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
    {"{acp:{port:1}}", "acp: known, not supported by this build"},
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

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_real_input);
    tcase_add_test(tc, test_defaults);
    tcase_add_loop_test(tc, test_bad, 0, COUNT_OF(bad));
    tcase_add_loop_test(tc, test_good, 0, COUNT_OF(good));
    tcase_add_loop_test(tc, test_counts, 0, COUNT_OF(counts));
    tcase_add_test(tc, test_all_problems);
}

CK_MAIN("config")
