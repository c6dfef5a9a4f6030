/* Who may use which tool: layers, lists, groups, patterns; and the schema that models are given. */
#include "buf.h"
#include "ck.h"
#include "json.h"
#include "jw.h"
#include "mem.h"
#include "params.h"
#include "tool_policy.h"

#include <string.h>

#define MAIN "agent:main:main"

static const struct {
    const char *name, *conf, *tool, *agent, *model, *session;
    bool outside, stranger;
    const char *no; /* the layer that refuses, or NULL */
} cases[] = {
    {"nothing set", "{}", "sessions_list", "main", "", MAIN, 0, 0, NULL},
    {"deny", "{tools:{deny:['sessions_list']}}", "sessions_list", "main", "", MAIN, 0, 0,
     "tools.allow"},
    {"deny of another", "{tools:{deny:['sessions']}}", "sessions_list", "main", "", MAIN, 0, 0,
     NULL},
    {"deny of a group", "{tools:{deny:['group:sessions']}}", "sessions_list", "main", "", MAIN, 0,
     0, "tools.allow"},
    {"group in other case", "{tools:{deny:[' Group:Sessions ']}}", "sessions_list", "main", "",
     MAIN, 0, 0, "tools.allow"},
    {"group of another", "{tools:{deny:['group:agents']}}", "sessions_list", "main", "", MAIN, 0, 0,
     NULL},
    {"everything ours", "{tools:{deny:['group:openclaw']}}", "message", "main", "", MAIN, 0, 0,
     "tools.allow"},
    {"exec is not in that", "{tools:{deny:['group:openclaw']}}", "exec", "main", "", MAIN, 0, 0,
     NULL},
    {"pattern", "{tools:{deny:['sess*_l*t']}}", "sessions_list", "main", "", MAIN, 0, 0,
     "tools.allow"},
    {"pattern of another", "{tools:{deny:['sess*_x']}}", "sessions_list", "main", "", MAIN, 0, 0,
     NULL},
    {"everything", "{tools:{deny:['*']}}", "sessions_list", "main", "", MAIN, 0, 0, "tools.allow"},
    {"older name", "{tools:{deny:['bash']}}", "exec", "main", "", MAIN, 0, 0, "tools.allow"},
    {"allow", "{tools:{allow:['message']}}", "message", "main", "", MAIN, 0, 0, NULL},
    {"not in allow", "{tools:{allow:['message']}}", "sessions_list", "main", "", MAIN, 0, 0,
     "tools.allow"},
    {"alsoAllow widens", "{tools:{allow:['message'],alsoAllow:['group:sessions']}}",
     "sessions_list", "main", "", MAIN, 0, 0, NULL},
    {"alsoAllow alone", "{tools:{alsoAllow:['message']}}", "sessions_list", "main", "", MAIN, 0, 0,
     NULL},
    {"empty allow", "{tools:{allow:[]}}", "sessions_list", "main", "", MAIN, 0, 0, NULL},
    {"deny beats allow", "{tools:{allow:['message'],deny:['mess*']}}", "message", "main", "", MAIN,
     0, 0, "tools.allow"},
    {"profile", "{tools:{profile:'minimal'}}", "session_status", "main", "", MAIN, 0, 0, NULL},
    {"not of the profile", "{tools:{profile:'minimal'}}", "sessions_list", "main", "", MAIN, 0, 0,
     "tools.profile"},
    {"profile widened", "{tools:{profile:'minimal',alsoAllow:['sessions_list']}}", "sessions_list",
     "main", "", MAIN, 0, 0, NULL},
    {"profile full", "{tools:{profile:'full'}}", "agents_list", "main", "", MAIN, 0, 0, NULL},
    {"profile and deny", "{tools:{profile:'coding',deny:['sessions_list']}}", "sessions_list",
     "main", "", MAIN, 0, 0, "tools.allow"},
    {"allow does not widen a profile", "{tools:{profile:'minimal',allow:['message']}}", "message",
     "main", "", MAIN, 0, 0, "tools.profile"},
    {"the agent's profile instead",
     "{tools:{profile:'minimal'},agents:{list:[{id:'a',tools:{profile:'coding'}}]}}",
     "sessions_list", "a", "", "agent:a:main", 0, 0, NULL},
    {"another agent's",
     "{tools:{profile:'minimal'},agents:{list:[{id:'a',tools:{profile:'coding'}},{id:'b'}]}}",
     "sessions_list", "b", "", "agent:b:main", 0, 0, "tools.profile"},
    {"the agent's own alsoAllow instead",
     "{tools:{profile:'minimal',alsoAllow:['message']},agents:{list:[{id:'a',tools:{alsoAllow:['"
     "sessions_list']}}]}}",
     "message", "a", "", "agent:a:main", 0, 0, "tools.profile"},
    {"the agent's deny", "{agents:{list:[{id:'a',tools:{deny:['message']}}]}}", "message", "a", "",
     "agent:a:main", 0, 0, "agents.list.tools.allow"},
    {"the agent widens nothing",
     "{tools:{deny:['message']},agents:{list:[{id:'a',tools:{allow:['message']}}]}}", "message",
     "a", "", "agent:a:main", 0, 0, "tools.allow"},
    {"by provider", "{tools:{byProvider:{x:{deny:['message']}}}}", "message", "main", "x/m", MAIN,
     0, 0, "tools.byProvider.allow"},
    {"by another provider", "{tools:{byProvider:{y:{deny:['message']}}}}", "message", "main", "x/m",
     MAIN, 0, 0, NULL},
    {"by model", "{tools:{byProvider:{'X/M':{deny:['message']}}}}", "message", "main", "x/m", MAIN,
     0, 0, "tools.byProvider.allow"},
    {"the model before its provider",
     "{tools:{byProvider:{x:{deny:['message']},'x/m':{deny:['exec']}}}}", "message", "main", "x/m",
     MAIN, 0, 0, NULL},
    {"no model", "{tools:{byProvider:{x:{deny:['message']}}}}", "message", "main", "", MAIN, 0, 0,
     NULL},
    {"profile by provider", "{tools:{byProvider:{x:{profile:'minimal'}}}}", "message", "main",
     "x/m", MAIN, 0, 0, "tools.byProvider.profile"},
    {"the agent's by provider",
     "{agents:{list:[{id:'a',tools:{byProvider:{x:{allow:['message']}}}}]}}", "sessions_list", "a",
     "x/m", "agent:a:main", 0, 0, "agents.list.tools.byProvider.allow"},
    {"subagent", "{}", "message", "main", "", "agent:main:subagent:1", 0, 0, "tools.subagents"},
    {"subagent, leaf", "{}", "sessions_list", "main", "", "agent:main:subagent:1", 0, 0,
     "tools.subagents"},
    {"subagent, other tool", "{}", "web_fetch", "main", "", "agent:main:subagent:1", 0, 0, NULL},
    {"subagent, denied", "{tools:{subagents:{tools:{deny:['web_*']}}}}", "web_fetch", "main", "",
     "agent:main:subagent:1", 0, 0, "tools.subagents"},
    {"subagent in a name", "{}", "message", "main", "", "agent:main:xsubagent:1", 0, 0, NULL},
    {"HTTP", "{}", "sessions_list", "main", "", MAIN, 1, 0, NULL},
    {"HTTP, not meant for it", "{}", "sessions_send", "main", "", MAIN, 1, 0,
     "gateway.tools.allow"},
    {"HTTP, opened", "{gateway:{tools:{allow:['sessions_send']}}}", "sessions_send", "main", "",
     MAIN, 1, 0, NULL},
    {"HTTP, a pattern opens nothing", "{gateway:{tools:{allow:['sess*','group:sessions']}}}",
     "sessions_send", "main", "", MAIN, 1, 0, "gateway.tools.allow"},
    {"HTTP, closed", "{gateway:{tools:{deny:['group:sessions']}}}", "sessions_list", "main", "",
     MAIN, 1, 0, "gateway.tools.deny"},
    {"HTTP, closed beats opened",
     "{gateway:{tools:{allow:['sessions_send'],deny:['sessions_send']}}}", "sessions_send", "main",
     "", MAIN, 1, 0, "gateway.tools.deny"},
    {"HTTP, opened is no policy",
     "{gateway:{tools:{allow:['sessions_send']}},tools:{deny:['sessions_send']}}", "sessions_send",
     "main", "", MAIN, 1, 0, "tools.allow"},
    {"turns do not care for HTTP", "{gateway:{tools:{deny:['*']}}}", "sessions_send", "main", "",
     MAIN, 0, 0, NULL},
    {"owner", "{}", "gateway", "main", "", MAIN, 0, 0, NULL},
    {"not the owner", "{}", "gateway", "main", "", MAIN, 0, 1, "owner"},
    {"not the owner, whatever is opened",
     "{gateway:{tools:{allow:['gateway']}},tools:{allow:['gateway']}}", "gateway", "main", "", MAIN,
     1, 1, "owner"},
    {"a list that is none", "{tools:{deny:'message',allow:5}}", "message", "main", "", MAIN, 0, 0,
     NULL},
    {"entries that are none", "{tools:{allow:[5,null,'']}}", "message", "main", "", MAIN, 0, 0,
     "tools.allow"},
};

/* ' for ", and names without quotes: rows stay readable */
static json_t *parse(const char *text)
{
    struct buf b = BUF_INIT(64 << 10);
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    for (const char *p = text; *p;) {
        if (*p == '\'') {
            buf_put_char(&b, '"');
            for (p++; *p != '\''; p++)
                buf_put_char(&b, *p);
            buf_put_char(&b, '"');
            p++;
        } else if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')) {
            size_t n = strcspn(p, ":,]}");

            if (p[n] == ':')
                buf_put_char(&b, '"');
            buf_put(&b, p, n);
            if (p[n] == ':')
                buf_put_char(&b, '"');
            p += n;
        } else {
            buf_put_char(&b, *p++);
        }
    }
    ck_assert_msg(json_parse(buf_view(&b), &doc, &e) == 0, "%s: %s", text, e.text);
    buf_fini(&b);
    return doc;
}

START_TEST(test_layers)
{
    struct view model = view_str(cases[_i].model);
    size_t slash = view_find(model, '/');
    json_t *conf = parse(cases[_i].conf);
    struct tool_asker a = {.conf = conf,
                           .agent = view_str(cases[_i].agent),
                           .provider = view_of(model.p, slash),
                           .model = view_from(model, slash < model.n ? slash + 1 : slash),
                           .session = view_str(cases[_i].session),
                           .outside = cases[_i].outside,
                           .owner = !cases[_i].stranger};
    enum tool_index i = tool_find(view_str(cases[_i].tool));
    const char *no = "?";

    ck_assert_msg(i < TOOLS_ALL, "%s: no tool %s", cases[_i].name, cases[_i].tool);
    ck_assert_msg(tool_allowed(&a, tool_row(i), &no) == !cases[_i].no, "%s: %s", cases[_i].name,
                  no ? no : "allowed");
    ck_assert_msg(cases[_i].no ? no && strcmp(no, cases[_i].no) == 0 : !no, "%s: %s",
                  cases[_i].name, no ? no : "allowed");
    json_decref(conf);
}
END_TEST

START_TEST(test_names)
{
    static const struct {
        const char *asked, *found; /* NULL: none */
    } rows[] = {{"sessions_list", "sessions_list"},
                {" Sessions_List ", "sessions_list"},
                {"bash", "exec"},
                {"Apply-Patch", "apply_patch"},
                {"cron", "automations"},
                {"", NULL},
                {"*", NULL},
                {"group:sessions", NULL},
                {"sessions_lis", NULL}};

    for (size_t k = 0; k < COUNT_OF(rows); k++) {
        enum tool_index i = tool_find(view_str(rows[k].asked));

        ck_assert_msg(rows[k].found
                          ? i < TOOLS_ALL && view_eq(tool_row(i)->name, view_str(rows[k].found))
                          : i == TOOLS_ALL,
                      "%s", rows[k].asked);
    }
    for (unsigned i = 0; i < TOOLS_ALL; i++) {
        const struct tool_row *t = tool_row((enum tool_index)i);

        ck_assert_msg(tool_find(t->name) == i, "%.*s twice", VIEW_FMT(t->name));
        ck_assert_msg((t->owner != TOOL_OF_NOBODY) == (i < TOOLS_SERVED), "%.*s",
                      VIEW_FMT(t->name));
        ck_assert_msg(i >= TOOLS_SERVED || (t->params && t->help && t->help[0]), "%.*s",
                      VIEW_FMT(t->name));
    }
}
END_TEST

static const struct {
    const char *params, *schema;
} schemas[] = {
    {"", "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"},
    {"a!:str(..9), b:int(1..), c:num, d:bool",
     "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"minLength\":1,"
     "\"maxLength\":9},"
     "\"b\":{\"type\":\"integer\",\"minimum\":1},\"c\":{\"type\":\"number\"},\"d\":{\"type\":"
     "\"boolean\"}},"
     "\"required\":[\"a\"],\"additionalProperties\":false}"},
    {"m:one/two, l:[on/off](0..3), x:any, ...",
     "{\"type\":\"object\",\"properties\":{\"m\":{\"type\":\"string\",\"enum\":[\"one\",\"two\"]},"
     "\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"on\",\"off\"]},"
     "\"minItems\":0,\"maxItems\":3},\"x\":{}}}"},
    {"v:bool/all, o:{k!:text}, n:str/null, w:only",
     "{\"type\":\"object\",\"properties\":{\"v\":{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":"
     "\"string\",\"enum\":[\"all\"]}]},"
     "\"o\":{\"type\":\"object\",\"properties\":{\"k\":{\"type\":\"string\"}},\"required\":[\"k\"],"
     "\"additionalProperties\":false},"
     "\"n\":{\"anyOf\":[{\"type\":\"string\",\"minLength\":1},{\"type\":\"null\"}]},"
     "\"w\":{\"type\":\"string\",\"enum\":[\"only\"]}},\"additionalProperties\":false}"},
};

START_TEST(test_schema)
{
    struct buf b = BUF_INIT(8 << 10);
    struct jw w = JW_INIT(&b);
    struct params *p = NULL;
    struct err e = ERR_INIT;

    ck_assert_msg(params_compile(&p, schemas[_i].params, &e) == 0, "%s", e.text);
    params_schema(p, &w);
    ck_assert_msg(view_eq(buf_view(&b), view_str(schemas[_i].schema)), "%s: %.*s",
                  schemas[_i].params, VIEW_FMT(buf_view(&b)));
    params_free(&p);
    buf_fini(&b);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_layers, 0, (int)COUNT_OF(cases));
    tcase_add_test(tc, test_names);
    tcase_add_loop_test(tc, test_schema, 0, (int)COUNT_OF(schemas));
}
CK_MAIN("tool_policy")
