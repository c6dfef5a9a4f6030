/* A change of the configuration over RPC: what becomes of the text, what is kept, what is refused.
 */
#include "config_load.h"
#include "config_write.h"

#define HIDDEN "\"" CONFIG_SENTINEL "\""

static const char file[] =
    "{ // mine\n"
    "  gateway: { port: 18789, bind: 'loopback', auth: { mode: 'token', token: 'the-token-canary' "
    "} },\n"
    "  agents: { defaults: { model: { primary: 'm/a' }, maxConcurrent: 4 },\n"
    "            list: [{ id: 'one', name: 'One', default: true }, { id: 'two', name: 'Two' }] },\n"
    "  models: { providers: { m: { baseUrl: 'https://m.example/v1', apiKey: 'key-canary-m', api: "
    "'openai-completions', models: [{ id: 'a' }] },\n"
    "                         n: { baseUrl: 'http://n.example/v1', apiKey: '${MOCK_KEY}', api: "
    "'openai-completions', models: [{ id: 'b' }] } } } }\n";

static const char key[] = "0123456789abcdef0123456789abcdef";

enum { SET = CONFIG_WRITE_SET, PATCH = CONFIG_WRITE_PATCH };

static const struct {
    const char *name;
    int how;
    const char *given; /* in a patch: and behind @ its replacePaths, a line each */
    int want;          /* 0, or the error's code */
    const char *has;   /* in the new text; in the sentence when it is refused */
    const char *hasnt; /* not in the text, nor in the sentence */
} rows[] = {
    {"a number", PATCH, "{agents:{defaults:{maxConcurrent:7}}}", 0, "maxConcurrent: 7", "4 }"},
    {"cleared", PATCH, "{agents:{defaults:{maxConcurrent:null}}}", 0, "{ primary: 'm/a' } }",
     "maxConcurrent"},
    {"secrets stay", PATCH, "{agents:{defaults:{maxConcurrent:7}}}", 0, "key-canary-m",
     CONFIG_SENTINEL},
    {"variables stay", PATCH, "{agents:{defaults:{maxConcurrent:7}}}", 0, "${MOCK_KEY}", "sk-mock"},
    {"nothing", PATCH, "{}", 0, "// mine", NULL},
    {"the same", PATCH, "{gateway:{port:18789}}", 0, "// mine", NULL},
    {"a list by id", PATCH, "{agents:{list:[{id:'two',name:'Zwei'}]}}", 0, "'Zwei'", "'Two'"},
    {"the others of it", PATCH, "{agents:{list:[{id:'two',name:'Zwei'}]}}", 0,
     "'One', default: true }", NULL},
    {"one more", PATCH, "{agents:{list:[{id:'three'}]}}", 0, "'Two' }, { id: 'three' }]", NULL},
    {"kept in a patch", PATCH, "{models:{providers:{m:{apiKey:" HIDDEN "}}}}", 0, "key-canary-m",
     CONFIG_SENTINEL},
    {"nothing to keep", PATCH, "{models:{providers:{m:{name2:" HIDDEN "}}}}", ERR_INVALID,
     "models.providers.m.name2", "canary"},
    {"a new key", PATCH, "{models:{providers:{m:{apiKey:'another'}}}}", 0, "another",
     "key-canary-m"},
    {"a new service", PATCH,
     "{models:{providers:{q:{baseUrl:'http://q.example/"
     "v1',apiKey:'qq',api:'openai-completions',models:[{id:'c'}]}}}}",
     0, "q.example", NULL},
    {"a key sent elsewhere", PATCH, "{models:{providers:{m:{baseUrl:'http://evil.example/v1'}}}}",
     ERR_DENIED, "models.providers.m.baseUrl", "canary"},
    {"kept, sent elsewhere", PATCH,
     "{models:{providers:{m:{baseUrl:'http://evil.example/v1',apiKey:" HIDDEN "}}}}", ERR_DENIED,
     "m.baseUrl", "canary"},
    {"another key elsewhere", PATCH,
     "{models:{providers:{m:{baseUrl:'http://new.example/v1',apiKey:'k2'}}}}", 0, "new.example",
     "key-canary-m"},
    {"without its key elsewhere", PATCH,
     "{models:{providers:{m:{baseUrl:'http://new.example/v1',apiKey:null}}}}", 0, "new.example",
     "key-canary-m"},
    {"a variable as key", PATCH, "{models:{providers:{m:{apiKey:'${HOME}'}}}}", ERR_DENIED,
     "m.apiKey", "/home"},
    {"a file as key", PATCH, "{models:{providers:{m:{apiKey:{source:'file',id:'/etc/passwd'}}}}}",
     ERR_DENIED, "m.apiKey", "root"},
    {"a variable as name", PATCH, "{agents:{list:[{id:'one',name:'${MOCK_KEY}'}]}}", ERR_DENIED,
     "name", "sk-mock"},
    {"opens the bind", PATCH, "{gateway:{bind:'lan'}}", ERR_DENIED, "gateway.bind", NULL},
    {"clears the bind", PATCH, "{gateway:{bind:null}}", 0, "18789",
     "\"bind\""}, /* loopback is the default */
    {"opens the door", PATCH, "{gateway:{auth:{mode:'none'}}}", ERR_DENIED, "gateway.auth", NULL},
    {"another token", PATCH, "{gateway:{auth:{token:'mine'}}}", ERR_DENIED, "gateway.auth.token",
     "canary"},
    {"no token", PATCH, "{gateway:{auth:null}}", ERR_DENIED, "gateway.auth", "canary"},
    {"no gateway", PATCH, "{gateway:null}", ERR_DENIED, "gateway.auth", "canary"},
    {"variables", PATCH, "{env:{vars:{X:'1'}}}", ERR_DENIED, "env", NULL},
    {"wrong type", PATCH, "{agents:{defaults:{maxConcurrent:'x'}}}", ERR_INVALID, "maxConcurrent",
     "canary"},
    {"out of range", PATCH, "{agents:{defaults:{maxConcurrent:0}}}", ERR_INVALID, "maxConcurrent",
     NULL},
    {"no map", PATCH, "[1]", ERR_INVALID, "map", NULL},
    {"no JSON5", PATCH, "{a:", ERR_INVALID, "line 1", NULL},
    {"empty", SET, "", ERR_INVALID, NULL, NULL},
    {"whole", SET,
     "{ // kept\n gateway: {port: 18789, auth: {mode: 'token', token: " HIDDEN
     "}}, models: {providers: {m: {baseUrl: "
     "'https://m.example/v1', apiKey: '" CONFIG_SENTINEL
     "', api: 'openai-completions', models: [{id: 'a'}]}}}, "
     "agents: {defaults: {model: {primary: 'm/a'}}} }",
     0, "// kept", CONFIG_SENTINEL},
    {"whole, its secrets", SET,
     "{ gateway: {auth: {mode: 'token', token: " HIDDEN
     "}}, models: {providers: {m: {baseUrl: 'https://m.example/v1', "
     "apiKey: " HIDDEN ", api: 'openai-completions', models: [{id: 'a'}]}}} }",
     0, "token: \"the-token-canary\"", CONFIG_SENTINEL},
    {"hidden with an escape", SET,
     "{ gateway: {auth: {mode: 'token', token: \"\\u005f_OPENCLAW_REDACTED__\"}} }", ERR_INVALID,
     "hidden", "canary"},
    {"a key moved to another place", SET,
     "{ gateway: {auth: {mode: 'token', token: " HIDDEN
     "}}, models: {providers: {z: {baseUrl: 'http://z.example/v1', "
     "apiKey: " HIDDEN ", api: 'openai-completions', models: [{id: 'a'}]}}} }",
     ERR_INVALID, "providers.z.apiKey", "canary"},
    {"a first channel", PATCH, "{channels:{telegram:{enabled:true,botToken:'1:abc'}}}", 0,
     "channels: { telegram: { enabled: true, botToken: '1:abc' } }", NULL},
    {"who may write to it", PATCH, "{channels:{telegram:{botToken:'1:abc',dmPolicy:'open'}}}",
     ERR_DENIED, "channels.telegram", NULL},
    {"from a variable", PATCH, "{channels:{telegram:{botToken:'${HOME}'}}}", ERR_DENIED,
     "channels.telegram", "/home"},
    {"from a file", PATCH, "{channels:{telegram:{botToken:{source:'file',id:'/etc/passwd'}}}}",
     ERR_DENIED, "channels.telegram", "root"},
    {"a channel with lists in a list", PATCH,
     "{channels:{irc:{host:'h',nick:'n',channels:[['#a']]}}}", ERR_DENIED, "channels.irc", NULL},
    {"another server", PATCH, "{channels:{telegram:{botToken:'1:a',apiRoot:'http://e.example'}}}",
     ERR_DENIED, "channels.telegram", NULL},
    {"a program as a channel", PATCH, "{channels:{mine:{command:['/bin/sh']}}}", ERR_DENIED,
     "channels.mine", NULL},
    {"a program as telegram", PATCH, "{channels:{telegram:{botToken:'1:a',command:['/bin/sh']}}}",
     ERR_DENIED, "channels.telegram", NULL},
    {"the comment stays", PATCH, "{agents:{defaults:{maxConcurrent:7}}}", 0, "{ // mine\n", NULL},
    {"a list less", PATCH, "{agents:{list:null}}", ERR_DENIED, "agents.list", "canary"},
    {"a list less, named", PATCH, "{agents:{list:null}}@agents.defaults\nagents.list", 0,
     "maxConcurrent: 4 } },", "list"},
    {"named by what is above", PATCH, "{agents:{list:null}}@agents", ERR_DENIED, "agents.list",
     NULL},
    {"a map with lists less", PATCH, "{models:{providers:{n:null}}}", ERR_DENIED,
     "models.providers.n.models", NULL},
    {"a map with lists less, named", PATCH,
     "{models:{providers:{n:null}}}@models.providers.n.models", 0, "m.example", "n.example"},
    {"a list as a whole", PATCH, "{agents:{list:[{id:'two',name:'Zwei'}]}}@agents.list", 0,
     "list: [{ id: 'two', name: 'Zwei' }] }", "'one'"},
    {"a list in a list", PATCH, "{agents:{list:[{id:'two',name:'Zwei'}]}}@agents.list[]", 0,
     "'One'", "'Two'"},
    {"of a machine", SET,
     "{\n  \"gateway\": {\n    \"port\": 18790,\n    \"bind\": \"loopback\",\n    \"auth\": {\n    "
     "  "
     "\"mode\": \"token\",\n      \"token\": " HIDDEN "\n    }\n  }\n}\n",
     0, "{ // mine\n  gateway: { port: 18790, bind: 'loopback'", "agents"},
    {"of a hand", SET,
     "{ // yours\n  gateway: {port: 18790, auth: {mode: 'token', token: " HIDDEN "}}}", 0,
     "{ // yours\n  gateway: {port: 18790, auth: {mode: 'token', token: \"the-token-canary\"}}}",
     "mine"},
    {"the token left out", SET, "{}", ERR_DENIED, "gateway.auth.token", "canary"},
};

static struct view hash_now(const struct config *c, json_t **own)
{
    struct err e = ERR_INIT;

    ck_assert_int_eq(config_hash(c, view_str(key), own, &e), 0);
    return json_view_of(*own);
}

static int attempt(struct loaded *l, int how, const char *given, struct view hash, struct buf *text,
                   struct buf *details, struct err *e)
{
    struct vars v = {usual};
    struct config_source src = {.env = env_in, .env_ctx = &v};
    size_t n = how == PATCH ? strcspn(given, "@") : strlen(given);
    struct config_write w = {.how = (enum config_write_how)how,
                             .given = view_of(given, n),
                             .replace = view_str(given[n] ? given + n + 1 : ""),
                             .hash = hash,
                             .hash_key = view_str(key)};

    return config_write(l->c, &src, &w, text, details, e);
}

START_TEST(test_rows)
{
    struct buf text = BUF_INIT(65536), details = BUF_INIT(65536);
    struct err e = ERR_INIT;
    json_t *hash = NULL;
    struct loaded l;
    struct view in;
    int r;

    load(&l, file);
    ck_assert_msg(l.r == 0, "%s", words(&l));
    r = attempt(&l, rows[_i].how, rows[_i].given, hash_now(l.c, &hash), &text, &details, &e);
    ck_assert_msg(r == rows[_i].want, "%s: %d %s", rows[_i].name, r, e.text);
    in = r == 0 ? buf_view(&text) : view_str(e.text);
    if (rows[_i].has)
        ck_assert_msg(memmem(in.p, in.n, rows[_i].has, strlen(rows[_i].has)) != NULL,
                      "%s: lacks %s: %.*s", rows[_i].name, rows[_i].has, VIEW_FMT(in));
    if (rows[_i].hasnt)
        ck_assert_msg(memmem(in.p, in.n, rows[_i].hasnt, strlen(rows[_i].hasnt)) == NULL,
                      "%s: has %s: %.*s", rows[_i].name, rows[_i].hasnt, VIEW_FMT(in));
    ck_assert_msg(memmem(buf_view(&details).p, details.n, "canary", 6) == NULL,
                  "%s: a secret in the details", rows[_i].name);
    json_decref(hash);
    buf_fini(&text);
    buf_fini(&details);
    unload(&l);
}
END_TEST

/* The state it was made from: none named, an old one, another key's. */
/* A platform's section that its owner has extended is changed in the file; one that is simple goes
 * as it came. */
START_TEST(test_channel_of_an_owner)
{
    static const struct {
        const char *file, *patch;
        int want;
    } owners[] = {
        {"{channels:{telegram:{botToken:'1:a',dmPolicy:'pairing'}}}",
         "{channels:{telegram:{botToken:'2:b'}}}", ERR_DENIED},
        {"{channels:{irc:{host:'a.example',nick:'n',password:'s'}}}",
         "{channels:{irc:{host:'evil.example'}}}", ERR_DENIED},
        {"{channels:{irc:{host:'a.example',nick:'n',password:'s'}}}", "{channels:{irc:null}}",
         ERR_DENIED},
        {"{channels:{irc:{host:'a.example',nick:'n'}}}", "{channels:{irc:{host:'b.example'}}}", 0},
        {"{channels:{telegram:{botToken:'${MOCK_KEY}'}}}", "{channels:{telegram:{enabled:false}}}",
         0},
        {"{channels:{telegram:{botToken:'1:a'}}}", "{channels:{telegram:null}}", 0},
    };
    struct buf text = BUF_INIT(65536), details = BUF_INIT(65536);
    struct err e = ERR_INIT;
    json_t *hash = NULL;
    struct loaded l;
    int r;

    load(&l, owners[_i].file);
    ck_assert_msg(l.r == 0, "%s", words(&l));
    r = attempt(&l, PATCH, owners[_i].patch, hash_now(l.c, &hash), &text, &details, &e);
    ck_assert_msg(r == owners[_i].want, "%s: %d %s", owners[_i].patch, r, e.text);
    json_decref(hash);
    buf_fini(&text);
    buf_fini(&details);
    unload(&l);
}
END_TEST

START_TEST(test_stale)
{
    struct buf text = BUF_INIT(65536), details = BUF_INIT(65536);
    struct err e = ERR_INIT;
    json_t *old = NULL;
    struct loaded l, other;

    load(&l, file);
    load(&other, "{}");
    ck_assert_int_eq(attempt(&l, PATCH, "{}", VIEW_EMPTY, &text, &details, &e), ERR_CONFLICT);
    ck_assert_msg(strstr(e.text, "base hash required") != NULL, "%s", e.text);
    ck_assert_int_eq(attempt(&l, PATCH, "{}", hash_now(other.c, &old), &text, &details, &e),
                     ERR_CONFLICT);
    ck_assert_msg(strstr(e.text, "re-run config.get") != NULL, "%s", e.text);
    ck_assert_uint_eq(text.n, 0);
    json_decref(old);
    buf_fini(&text);
    buf_fini(&details);
    unload(&l);
    unload(&other);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_rows, 0, (int)COUNT_OF(rows));
    tcase_add_loop_test(tc, test_channel_of_an_owner, 0, 6);
    tcase_add_test(tc, test_stale);
}
CK_MAIN("config_write")
