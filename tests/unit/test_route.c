/* Ids, session keys, the index and the router, piece by piece; the recorded answers of the
 * reference are test_route_vectors. */
#include "ask.h"
#include "ck.h"
#include "explain.h"
#include "json.h"
#include "jtext.h"
#include "mem.h"

/* ---- ids ---- */

#define X16 "xxxxxxxxxxxxxxxx"
#define X63 X16 X16 X16 "xxxxxxxxxxxxxxx"

static const struct {
    const char *name, *in, *agent, *account;
} ids[] = {
    {"empty", "", "main", "default"},
    {"blank", " \t\n\v\f ", "main", "default"},
    {"all Unicode's blanks", "\u00a0\u3000\ufeff\u2028 Ops \u2003", "ops", "ops"},
    {"fine", "ops_1-a", "ops_1-a", "ops_1-a"},
    {"case", "OPS", "ops", "ops"},
    {"dash behind a fine name stays", "ops-", "ops-", "ops-"},
    {"dash behind another goes", "my ops-", "my-ops", "my-ops"},
    {"dash before goes", "-ops", "ops", "ops"},
    {"underscore before stays", "_ops", "_ops", "_ops"},
    {"runs", "a  !! b", "a-b", "a-b"},
    {"dashes beside a run", "a -b", "a--b", "a--b"},
    {"nothing usable", "!!!", "main", "default"},
    {"only dashes", "----", "main", "default"},
    {"Unicode", "\u00dcn\u00efcode Name", "n-code-name", "n-code-name"},
    {"Kelvin sign becomes a letter", "\u212aelvin", "kelvin", "kelvin"},
    {"dotted I", "\u0130x", "i-x", "i-x"},
    {"63", X63, X63, X63},
    {"64", X63 "y", X63 "y", X63 "y"},
    {"65", X63 "yz", X63 "y", X63 "y"},
    {"65 with a blank", X63 " z", X63 "-", X63 "-"},
    {"never an account", "__proto__", "__proto__", "default"},
    {"never an account either", "Prototype", "prototype", "default"},
    {"nor this", " constructor ", "constructor", "default"},
};

START_TEST(test_ids)
{
    struct id id;

    ids_agent(view_str(ids[_i].in), &id);
    ck_assert_msg(strcmp(id.s, ids[_i].agent) == 0, "%s: agent %s", ids[_i].name, id.s);
    ck_assert_uint_eq(id.n, strlen(id.s));
    ids_account(view_str(ids[_i].in), &id);
    ck_assert_msg(strcmp(id.s, ids[_i].account) == 0, "%s: account %s", ids[_i].name, id.s);
    ck_assert_uint_eq(id.n, strlen(id.s));
}
END_TEST

static const struct {
    const char *name, *in, *want;
} folds[] = {
    {"ascii", "AbC", "abc"},
    {"latin", "\u00c4\u00d8\u00df", "\u00e4\u00f8\u00df"},
    {"greek", "\u0394\u03a9", "\u03b4\u03c9"},
    {"cyrillic", "\u0416\u042f\u0401", "\u0436\u044f\u0451"},
    {"every second", "\u0100\u0101\u0139", "\u0101\u0101\u013a"},
    {"grows", "\u023a", "\u2c65"},
    {"four bytes", "\U00010400", "\U00010428"},
    {"no case", "\u65e5\u672c", "\u65e5\u672c"},
    {"not UTF-8", "\xff\xc0\x80Z\xe2\x82", "\xff\xc0\x80z\xe2\x82"},
    {"surrogate bytes", "\xed\xa0\x80", "\xed\xa0\x80"},
};

START_TEST(test_fold)
{
    char s[64];
    struct fold t = {.p = s, .max = sizeof(s)};

    fold_lower(&t, view_str(folds[_i].in));
    ck_assert_msg(view_eq(fold_view(&t), view_str(folds[_i].want)), "%s: %.*s", folds[_i].name,
                  VIEW_FMT(fold_view(&t)));
}
END_TEST

static const struct {
    const char *json, *want;
} numbers[] = {
    {"\" 42 \"", "42"},
    {"-100123", "-100123"},
    {"9223372036854775807", "9223372036854775807"},
    {"1.5", "1.5"},
    {"-0.0", "0"},
    {"1e3", "1000"},
    {"123e20", "1.23e+22"},
    {"1e20", "100000000000000000000"},
    {"1e21", "1e+21"},
    {"0.1", "0.1"},
    {"1e-6", "0.000001"},
    {"1.5e-7", "1.5e-7"},
    {"1.7976931348623157e308", "1.7976931348623157e+308"},
    {"-2.2250738585072014e-308", "-2.2250738585072014e-308"},
    {"true", ""},
    {"null", ""},
    {"[1]", ""},
};

START_TEST(test_numbers)
{
    char room[JTEXT_NUMBER_MAX];
    struct err e = ERR_INIT;
    json_t *v = NULL;
    struct view got;

    ck_assert(json_parse(view_str(numbers[_i].json), &v, &e) == 0);
    got = jtext_id(v, room);
    ck_assert_msg(view_eq(got, view_str(numbers[_i].want)), "%s: %.*s", numbers[_i].json,
                  VIEW_FMT(got));
    json_decref(v);
}
END_TEST

/* ---- functions by name: input, answer ---- */

#define PARSE        "parseAgentSessionKey"
#define SHAPE        "classifySessionKeyShape"
#define STORE        "toAgentStoreSessionKey"
#define THREAD       "resolveThreadSessionKeys"
#define SPLIT        "parseThreadSessionSuffix"
#define TARGET       "parseSessionDeliveryRoute"
#define TYPE         "deriveSessionChatType"
#define PARENT       "resolveThreadParentSessionKey"
#define HISTORY      "buildGroupHistoryKey"
#define ROUTE        "resolveAgentRoute"
#define TELEGRAM     "telegramInbound"
#define REFUSED(why) "{\"error\":\"INVALID_REQUEST\",\"message\":\"" why "\"}"
#define KEY(k)       "{\"sessionKey\":\"" k "\"}"

static const struct {
    const char *fn, *in, *want;
} answers[] = {
    {PARSE, KEY("Agent:Ops:Foo"), "{\"agentId\":\"ops\",\"rest\":\"foo\"}"},
    {PARSE, KEY("agent:a:b::c"), "{\"agentId\":\"a\",\"rest\":\"b::c\"}"},
    {PARSE, KEY("agent:a::b"), "null"},
    {PARSE, KEY("agent:a:"), "null"},
    {PARSE, KEY("agent::b"), "null"},
    {PARSE, KEY("agent:a"), "null"},
    {PARSE, KEY("main"), "null"},
    {PARSE, KEY(""), "null"},
    {PARSE, KEY("agent:M:Signal:Group:AbC==:Thread:XyZ"),
     "{\"agentId\":\"m\",\"rest\":\"signal:group:AbC==:thread:xyz\"}"},
    {PARSE, KEY("agent:M:Matrix:Channel:!AbC:Hs.Org:Thread:$EvT"),
     "{\"agentId\":\"m\",\"rest\":\"matrix:channel:!AbC:Hs.Org:thread:$EvT\"}"},
    {PARSE, KEY("agent:M:Matrix:Direct:@Bob:Hs"),
     "{\"agentId\":\"m\",\"rest\":\"matrix:direct:@bob:hs\"}"},
    {PARSE, KEY("agent:M:xmatrix:channel:!A"),
     "{\"agentId\":\"m\",\"rest\":\"xmatrix:channel:!a\"}"},
    {PARSE, KEY("agent:M:xsignal:group:A"), "{\"agentId\":\"m\",\"rest\":\"xsignal:group:a\"}"},
    {SHAPE, KEY("AGENT:a:b"), "\"agent\""},
    {SHAPE, KEY("agent:a::b"), "\"malformed_agent\""},
    {SHAPE, KEY("agent:"), "\"malformed_agent\""},
    {SHAPE, KEY("agent"), "\"legacy_or_alias\""},
    {SHAPE, KEY("main"), "\"legacy_or_alias\""},
    {SHAPE, "{}", "\"missing\""},
    {STORE, "{\"agentId\":\"ops\",\"requestKey\":\" \"}", "\"agent:ops:main\""},
    {STORE, "{\"agentId\":\"ops\",\"requestKey\":\"Desk\",\"mainKey\":\"desk\"}",
     "\"agent:ops:desk\""},
    {STORE, "{\"agentId\":\"ops\",\"requestKey\":\"signal:group:AbC\"}",
     "\"agent:ops:signal:group:AbC\""},
    {STORE, "{\"agentId\":\"ops\",\"requestKey\":\"Matrix:Group:!AbC:H\"}",
     "\"agent:ops:matrix:group:!AbC:H\""},
    {THREAD, "{\"baseSessionKey\":\"b\",\"threadId\":77}", "{\"sessionKey\":\"b:thread:77\"}"},
    {THREAD, "{\"baseSessionKey\":\"b\",\"threadId\":null,\"parentSessionKey\":\"p\"}",
     "{\"sessionKey\":\"b\"}"},
    {THREAD, "{\"baseSessionKey\":\"b\",\"threadId\":\"T\",\"parentSessionKey\":\"p\"}",
     "{\"sessionKey\":\"b:thread:t\",\"parentSessionKey\":\"p\"}"},
    {SPLIT, KEY("a:thread:b:THREAD:C"), "{\"baseSessionKey\":\"a:thread:b\",\"threadId\":\"C\"}"},
    {SPLIT, KEY("agent:main:main"), "{\"baseSessionKey\":\"agent:main:main\"}"},
    {SPLIT, KEY("a:thread:"), "{\"baseSessionKey\":\"a\"}"},
    {TARGET, KEY("agent:m:slack:channel:c1:thread:1.2"),
     "{\"channel\":\"slack\",\"peerId\":\"c1\",\"peerKind\":\"channel\",\"threadId\":\"1.2\"}"},
    {TARGET, KEY("agent:m:msteams:channel:19:x@y"),
     "{\"channel\":\"msteams\",\"peerId\":\"19:x@y\",\"peerKind\":\"channel\"}"},
    {TARGET, KEY("agent:m:telegram:biz:group:42"), "null"},
    {TARGET, KEY("agent:m:direct:42"), "null"},
    {TARGET, KEY("agent:m:subagent:1-2"), "null"},
    {TARGET, KEY("agent:m:slack:direct:"), "null"},
    {TARGET, KEY("global"), "null"},
    {TYPE, KEY("agent:m:slack:channel:x"), "\"channel\""},
    {TYPE, KEY("agent:m:x:dm:y"), "\"direct\""},
    {TYPE, KEY("agent:m:discord:guild-1:channel-2"), "\"channel\""},
    {TYPE, KEY("agent:m:discord:acc:guild-1:channel-2"), "\"channel\""},
    {TYPE, KEY("agent:m:main"), "\"unknown\""},
    {PARENT, KEY("a:topic:1:thread:2"), "\"a:topic:1\""},
    {PARENT, KEY("a:thread:1:topic:2"), "\"a:thread:1\""},
    {PARENT, KEY("agent:m:main"), "null"},
    {PARENT, KEY(":thread:1"), "null"},
    {HISTORY, "{\"channel\":\" \",\"peerKind\":\"group\",\"peerId\":\"\"}",
     "\"unknown:default:group:unknown\""},
    {TELEGRAM,
     "{\"cfg\":{\"channels\":{\"telegram\":{\"accounts\":{\"zed\":{},\"abc\":{}}}}},"
     "\"accountId\":\"abc\",\"chatId\":4,\"senderId\":\"4\",\"threadSpec\":{\"scope\":\"dm\"}}",
     "{\"agentId\":\"main\",\"matchedBy\":\"default\",\"routeSessionKey\":\"agent:main:main\","
     "\"sessionKey\":\"agent:main:main\"}"},
    {TELEGRAM,
     "{\"accountId\":\"zed\",\"chatId\":4,\"isGroup\":true,\"senderId\":\"4\","
     "\"threadSpec\":{\"scope\":\"none\"}}",
     "{\"agentId\":\"main\",\"matchedBy\":\"default\",\"routeSessionKey\":"
     "\"agent:main:telegram:group:4\",\"sessionKey\":\"agent:main:telegram:group:4\"}"},
    {TELEGRAM,
     "{\"cfg\":{\"agents\":{\"list\":[{\"id\":\"a\"}]}},\"chatId\":4,\"isGroup\":true,"
     "\"threadSpec\":{\"scope\":\"forum\",\"id\":2},\"topicAgentId\":\"ghost\"}",
     "{\"error\":\"AGENT_SELECTION_REQUIRED\"}"},
    {"nothing", "{}", REFUSED("fn: no such function")},
    {ROUTE, "[]", REFUSED("not a JSON object")},
    {ROUTE, "{}", REFUSED("channel: must be a string")},
    {ROUTE, "{\"channel\":5}", REFUSED("channel: must be a string")},
    {ROUTE, "{\"channel\":\"c\",\"peer\":\"x\"}", REFUSED("peer: must be an object")},
    {ROUTE, "{\"channel\":\"c\",\"memberRoleIds\":{}}", REFUSED("memberRoleIds: must be an array")},
    {ROUTE, "{\"channel\":\"c\",\"cfg\":[]}", REFUSED("cfg: must be an object")},
    {ROUTE, "{\"channel\":\"c\",\"cfg\":null,\"peer\":null,\"accountId\":null}",
     "{\"agentId\":\"main\",\"channel\":\"c\",\"accountId\":\"default\",\"dmScope\":\"main\","
     "\"groupScope\":\"per-group\",\"sessionKey\":\"agent:main:main\",\"mainSessionKey\":"
     "\"agent:main:main\",\"lastRoutePolicy\":\"main\",\"matchedBy\":\"default\"}"},
};

static void check_answer(const char *fn, const char *in, const char *want)
{
    struct buf b = BUF_INIT(64 * KIB);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;
    json_t *input = NULL;

    ck_assert_msg(json_parse(view_str(in), &input, &e) == 0, "%s: %s", in, e.text);
    ask_or_error(NULL, view_str(fn), input, &w);
    ck_assert_msg(view_eq(buf_view(&b), view_str(want)), "%s %s: %.*s", fn, in,
                  VIEW_FMT(buf_view(&b)));
    json_decref(input);
    buf_fini(&b);
}

START_TEST(test_answers)
{
    check_answer(answers[_i].fn, answers[_i].in, answers[_i].want);
}
END_TEST

/* ---- the router: configuration, message, "agent matchedBy key" ---- */

#define ROSTER                                                                                     \
    "\"agents\":{\"list\":[{\"id\":\"main\",\"default\":true},{\"id\":\"x\"},{\"id\":\"y\"}]}"
#define LINKS                                                                                      \
    "\"session\":{\"dmScope\":\"per-peer\",\"identityLinks\":{\"first\":[\" Telegram:1 \"],"       \
    "\"second\":[\"1\",\"2\"],\" \":[\"3\"],\"no\":\"3\",\"third\":[\"\",null,\"unknown\"]}}"
#define BIND(a, match) "{\"agentId\":\"" a "\",\"match\":{\"channel\":\"c\"" match "}}"
#define MSG(more)      "{\"channel\":\"c\"" more "}"
#define PEER(k, id)    ",\"peer\":{\"kind\":\"" k "\",\"id\":\"" id "\"}"

static const struct {
    const char *name, *config, *msg, *want;
} routes[] = {
    {"wildcard takes an empty id", "\"bindings\":[" BIND("x", PEER("direct", "*")) "]",
     MSG(PEER("direct", "")), "x binding.peer.wildcard agent:x:main"},
    {"wildcard of a group takes a channel", "\"bindings\":[" BIND("x", PEER("group", "*")) "]",
     MSG(PEER("channel", "Q")), "x binding.peer.wildcard agent:x:c:channel:q"},
    {"wildcard takes no parent", "\"bindings\":[" BIND("x", PEER("group", "*")) "]",
     MSG(",\"parentPeer\":{\"kind\":\"group\",\"id\":\"*\"}"), "main default agent:main:main"},
    {"a peer named * is no exact one", "\"bindings\":[" BIND("x", PEER("group", "*")) "]",
     MSG(PEER("group", "*")), "x binding.peer.wildcard agent:x:c:group:*"},
    {"group with an empty id", "\"agents\":{}", MSG(PEER("group", " ")),
     "main default agent:main:c:group:unknown"},
    {"unknown kind matches nothing", "\"bindings\":[" BIND("x", PEER("group", "*")) "]",
     MSG(PEER("Room", "7")), "main default agent:main:c:room:7"},
    {"no channel", "\"session\":{\"dmScope\":\"per-channel-peer\"}",
     "{\"channel\":\" \",\"peer\":{\"kind\":\"dm\",\"id\":\"7\"}}",
     "main default agent:main:unknown:direct:7"},
    {"roles first, in source order",
     ROSTER ",\"bindings\":[" BIND("x", ",\"guildId\":\"g\",\"roles\":[\"r2\",\"r1\"]") "," BIND(
         "y", ",\"guildId\":\"g\",\"roles\":[\"r1\"]") "]",
     MSG(",\"guildId\":\"g\",\"memberRoleIds\":[\"r1\",\" r2 \"]"),
     "x binding.guild+roles agent:x:main"},
    {"later account-specific loses to any account",
     ROSTER ",\"bindings\":[" BIND("x", ",\"accountId\":\"*\",\"guildId\":\"g\"") "," BIND(
         "y", ",\"guildId\":\"g\"") "]",
     MSG(",\"guildId\":\"g\""), "x binding.guild agent:x:main"},
    {"earlier account-specific wins",
     ROSTER ",\"bindings\":[" BIND("y", ",\"guildId\":\"g\"") "," BIND(
         "x", ",\"accountId\":\"*\",\"guildId\":\"g\"") "]",
     MSG(",\"guildId\":\"g\""), "y binding.guild agent:y:main"},
    {"peer and team",
     ROSTER ",\"bindings\":[" BIND("x", PEER("group", "1") ",\"teamId\":\"t\"") "," BIND(
         "y", PEER("group", "1")) "]",
     MSG(PEER("group", "1") ",\"teamId\":\"u\""), "y binding.peer agent:y:c:group:1"},
    {"parent with guild",
     ROSTER ",\"bindings\":[" BIND("x", PEER("channel", "p") ",\"guildId\":5") "]",
     MSG(PEER("channel",
              "t") ",\"guildId\":\"5\",\"parentPeer\":{\"kind\":\"group\",\"id\":\"p\"}"),
     "x binding.peer.parent agent:x:c:channel:t"},
    {"parent without a peer", ROSTER ",\"bindings\":[" BIND("x", PEER("channel", "p")) "]",
     MSG(",\"parentPeer\":{\"kind\":\"channel\",\"id\":\"p\"}"),
     "x binding.peer.parent agent:x:main"},
    {"team with roles",
     ROSTER ",\"bindings\":[" BIND("x", ",\"teamId\":\"t\",\"roles\":[\"r\"]") "]",
     MSG(",\"teamId\":\"t\",\"memberRoleIds\":[\"r\"]"), "x binding.team agent:x:main"},
    {"channel with roles",
     ROSTER ",\"bindings\":[" BIND("x", ",\"accountId\":\"*\",\"roles\":[\"r\"]") "]",
     MSG(",\"memberRoleIds\":[\"r\"]"), "x binding.channel agent:x:main"},
    {"empty peer object is unmatchable", ROSTER ",\"bindings\":[" BIND("x", ",\"peer\":{}") "]",
     MSG(""), "main default agent:main:main"},
    {"null peer is absent", ROSTER ",\"bindings\":[" BIND("x", ",\"peer\":null") "]", MSG(""),
     "x binding.account agent:x:main"},
    {"no such bindings", ROSTER ",\"bindings\":[1,null,{},{\"match\":3},{\"match\":{}}]", MSG(""),
     "main default agent:main:main"},
    {"bindings that are none", ROSTER ",\"bindings\":{}", MSG(""), "main default agent:main:main"},
    {"binding without an agent", ROSTER ",\"bindings\":[{\"match\":{\"channel\":\"c\"}}]", MSG(""),
     "main binding.account agent:main:main"},
    {"two defaults",
     "\"agents\":{\"list\":[{\"id\":\"a\",\"default\":true},{\"id\":\"b\","
     "\"default\":true}]}",
     MSG(""), "AGENT_SELECTION_REQUIRED"},
    {"the same agent twice", "\"agents\":{\"list\":[{\"id\":\"a\"},{\"id\":\"A\"}]}", MSG(""),
     "a default agent:a:main"},
    {"a binding needs no default",
     "\"agents\":{\"list\":[{\"id\":\"a\"},{\"id\":\"b\"}]},"
     "\"bindings\":[" BIND("b", "") "]",
     MSG(""), "b binding.account agent:b:main"},
    {"owner unknown",
     "\"agents\":{\"ownership\":\"explicit\",\"list\":[{\"id\":\"a\"},{\"id\":\"b\"}"
     "],\"defaults\":{\"systemAgent\":{\"agentId\":\"z\"}}}",
     MSG(""), "AGENT_SELECTION_REQUIRED"},
    {"owner without ownership",
     "\"agents\":{\"list\":[{\"id\":\"a\"},{\"id\":\"b\"}],\"defaults\":{"
     "\"systemAgent\":{\"agentId\":\"a\"}}}",
     MSG(""), "AGENT_SELECTION_REQUIRED"},
    {"caller's agent unknown", ROSTER, MSG(",\"defaultAgentId\":\"ghost\""),
     "AGENT_SELECTION_REQUIRED"},
    {"caller's agent does not beat a binding", ROSTER ",\"bindings\":[" BIND("x", "") "]",
     MSG(",\"defaultAgentId\":\"y\""), "x binding.account agent:x:main"},
    {"caller's scope", ROSTER ",\"session\":{\"dmScope\":\"per-peer\"}",
     MSG(PEER("direct", "1") ",\"dmScope\":\"per-channel-peer\""),
     "main default agent:main:c:direct:1"},
    {"caller's group scope", ROSTER, MSG(PEER("group", "1") ",\"groupScope\":\"main\""),
     "main default agent:main:main"},
    {"links: the first name in order", LINKS,
     "{\"channel\":\"Telegram\",\"peer\":{\"kind\":\"direct\",\"id\":\"1\"}}",
     "main default agent:main:direct:first"},
    {"links: another channel", LINKS, MSG(PEER("direct", "1")),
     "main default agent:main:direct:second"},
    {"links: a blank name and no list are passed over", LINKS, MSG(PEER("direct", "3")),
     "main default agent:main:direct:3"},
    {"links: nobody is somebody too", LINKS, MSG(PEER("direct", "")),
     "main default agent:main:direct:third"},
    {"signal group that looks like more", "\"agents\":{}",
     "{\"channel\":\"Signal\",\"peer\":{\"kind\":\"group\",\"id\":\"AbC:DeF\"}}",
     "main default agent:main:signal:group:AbC:def"},
    {"signal channel is folded", "\"agents\":{}",
     "{\"channel\":\"signal\",\"peer\":{\"kind\":\"channel\",\"id\":\"AbC\"}}",
     "main default agent:main:signal:channel:abc"},
};

START_TEST(test_routes)
{
    struct buf doc = BUF_INIT(16 * KIB), got = BUF_INIT(16 * KIB);
    struct err e = ERR_INIT;
    json_t *config = NULL, *msg = NULL;
    struct index *ix = NULL;
    struct ask_route q;
    struct route r;

    buf_printf(&doc, "{%s}", routes[_i].config);
    ck_assert_msg(json_parse(buf_view(&doc), &config, &e) == 0, "%s: %s", routes[_i].name, e.text);
    ck_assert_msg(json_parse(view_str(routes[_i].msg), &msg, &e) == 0, "%s", routes[_i].name);
    ck_assert(index_new(&ix, config, &e) == 0);
    json_decref(config); /* the index keeps nothing of it */
    ck_assert(ask_read(&q, msg, &e) == 0);
    if (route(ix, &q.in, &r, &e) < 0)
        buf_put_str(&got, route_error_name(e.code));
    else
        buf_printf(&got, "%s %s %s", r.agent.s, index_matched_by_name(r.matched_by), r.key.s);
    ck_assert_msg(view_eq(buf_view(&got), view_str(routes[_i].want)), "%s: %.*s", routes[_i].name,
                  VIEW_FMT(buf_view(&got)));
    json_decref(msg);
    index_free(&ix);
    buf_fini(&doc);
    buf_fini(&got);
}
END_TEST

/* ---- what the start says ---- */

static const struct {
    const char *config, *want; /* "": all is well */
} checks[] = {
    {"{}", ""},
    {"{" ROSTER ",\"bindings\":[" BIND("x", "") "]}", ""},
    {"{\"agents\":{\"list\":[{\"id\":\"a\"},{\"id\":\"b\"}]}}", "agents: 2 agents, none of them"},
    {"{\"agents\":{\"entries\":{\"a\":{\"default\":true},\"b\":{\"default\":true}}}}",
     "agents: 2 agents, more than one"},
    {"{" ROSTER ",\"bindings\":[" BIND("x", "") "," BIND("Ghost", "") "]}",
     "bindings[1].agentId: no agent \"ghost\""},
    {"{" ROSTER ",\"bindings\":[{}]}", "bindings[0].match: missing"},
    {"{" ROSTER ",\"bindings\":[{\"match\":{}}]}", "bindings[0].match.channel"},
    {"{" ROSTER ",\"bindings\":[" BIND("x", ",\"peer\":{\"kind\":\"room\",\"id\":1}") "]}",
     "bindings[0].match.peer"},
};

START_TEST(test_check)
{
    struct err e = ERR_INIT;
    json_t *config = NULL;
    struct index *ix = NULL;
    int r;

    ck_assert(json_parse(view_str(checks[_i].config), &config, &e) == 0);
    ck_assert(index_new(&ix, config, &e) == 0);
    r = index_check(ix, &e);
    ck_assert_msg(r == (checks[_i].want[0] ? ERR_INVALID : 0), "%s", checks[_i].config);
    ck_assert_msg(strstr(e.text, checks[_i].want) == e.text, "%s: %s", checks[_i].config, e.text);
    json_decref(config);
    index_free(&ix);
}
END_TEST

/* ---- limits ---- */

static json_t *many(size_t n, size_t roles_each)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *roles = json_array();

        for (size_t k = 0; k < roles_each; k++)
            (void)json_array_append_new(roles, json_integer((json_int_t)k));
        (void)json_array_append_new(list,
                                    json_pack("{s:s,s:{s:s,s:i,s:o}}", "agentId", "a", "match",
                                              "channel", "c", "guildId", (int)i, "roles", roles));
    }
    return json_pack("{s:o}", "bindings", list);
}

static const struct {
    const char *name;
    size_t n, roles;
    int want;
} sizes[] = {
    {"9,999 bindings", 9999, 0, 0},    {"10,000", 10000, 0, 0},
    {"10,001", 10001, 0, ERR_LIMIT},   {"29,999 roles", 1, 29999, 0},
    {"30,000 roles", 1, 30000, 0},     {"30,001 roles", 1, 30001, ERR_LIMIT},
    {"30,000 in 10,000", 10000, 3, 0},
};

START_TEST(test_sizes)
{
    json_t *config = many(sizes[_i].n, sizes[_i].roles);
    struct index *ix = NULL;
    struct err e = ERR_INIT;

    ck_assert_msg(index_new(&ix, config, &e) == sizes[_i].want, "%s: %s", sizes[_i].name, e.text);
    ck_assert((ix != NULL) == (sizes[_i].want == 0));
    if (ix)
        ck_assert_uint_eq(index_count(ix), sizes[_i].n);
    index_free(&ix);
    json_decref(config);
}
END_TEST

static const struct {
    const char *name;
    size_t channel, peer, roles;
    int want;
} longs[] = {
    {"channel at", 128, 1, 0, 0},
    {"channel over", 129, 1, 0, ERR_LIMIT},
    {"key under", 1, SKEY_MAX - 20, 0, 0},
    {"key at", 1, SKEY_MAX - 19, 0, 0}, /* "agent:main:c:group:" before it */
    {"key over", 1, SKEY_MAX - 18, 0, ERR_LIMIT},
    {"roles at", 1, 1, ROUTE_ROLES_MAX, 0},
    {"roles over", 1, 1, ROUTE_ROLES_MAX + 1, ERR_LIMIT},
};

START_TEST(test_longs)
{
    static char text[SKEY_MAX + 1];
    static struct view roles[ROUTE_ROLES_MAX + 1];
    struct index *ix = NULL;
    struct err e = ERR_INIT;
    struct route r;
    struct route_in in = {.roles = roles, .roles_n = longs[_i].roles};

    memset(text, 'c', sizeof(text));
    for (size_t i = 0; i < COUNT_OF(roles); i++)
        roles[i] = V("r");
    in.channel = view_of(text, longs[_i].channel);
    in.peer = (struct route_peer){true, V("group"), view_of(text, longs[_i].peer)};
    ck_assert(index_new(&ix, NULL, &e) == 0);
    ck_assert_msg(route(ix, &in, &r, &e) == longs[_i].want, "%s: %s", longs[_i].name, e.text);
    index_free(&ix);
}
END_TEST

START_TEST(test_no_memory)
{
    json_t *config = many(10, 2);
    struct err e = ERR_INIT;
    struct index *ix = NULL;
    uint64_t n;

    (void)json_object_set_new(
        config, "session",
        json_pack("{s:s,s:{s:[s]}}", "dmScope", "per-peer", "identityLinks", "a", "1"));
    for (n = 1; n < 100; n++) {
        mem_fail_after(n, 0);
        if (index_new(&ix, config, &e) == 0)
            break;
        ck_assert_int_eq(e.code, ERR_NOMEM);
        ck_assert_ptr_null(ix);
    }
    mem_fail_after(0, 0);
    ck_assert_uint_gt(n, 8);
    ck_assert_uint_lt(n, 100);
    index_free(&ix);
    json_decref(config);
}
END_TEST

START_TEST(test_no_allocation)
{
    json_t *config = many(100, 2);
    struct err e = ERR_INIT;
    struct index *ix = NULL;
    struct view role = V("1");
    struct route_in in = {.channel = V("c"), .guild = V("99"), .roles = &role, .roles_n = 1};
    struct route r;
    uint64_t before;

    ck_assert(index_new(&ix, config, &e) == 0);
    before = mem_count();
    ck_assert(route(ix, &in, &r, &e) == 0);
    ck_assert_uint_eq(mem_count(), before);
    ck_assert_uint_eq(r.binding, 99);
    index_free(&ix);
    json_decref(config);
}
END_TEST

/* ---- in words ---- */

START_TEST(test_explain)
{
    static const char config[] =
        "{" ROSTER ",\"bindings\":[" BIND("y", "") "," BIND("x", PEER("direct", "1")) "," BIND(
            "y",
            PEER("direct",
                 "1")) "," BIND("y",
                                PEER("direct",
                                     "\\u001b2")) "," BIND("y",
                                                           ",\"teamId\":\"t\"") ",{\"agentId\":"
                                                                                "\"y\",\"match\":{"
                                                                                "\"channel\":\"d\"}"
                                                                                "}]}";
    static const char *const parts[] = {
        "agent x answers; matched by binding.peer\n",
        "won: bindings[1] (agent x: channel \"c\", account default, direct \"1\")\n",
        "session agent:x:main (the main session)\n",
        "bindings[0] (agent y: channel \"c\", account default): it matches too, but binding.peer "
        "is "
        "tried before binding.account\n",
        "it matches too, but stands later in the configuration\n",
        "direct \"?2\"): the conversation is \"1\"\n",
        "team \"t\"): the team is none\n",
        "1 binding of other channels\n",
    };
    struct route_in in = {.channel = V("c"), .peer = {true, V("direct"), V("1")}};
    struct buf out = BUF_INIT(64 * KIB);
    struct err e = ERR_INIT;
    struct index *ix = NULL;
    json_t *doc = NULL;

    ck_assert(json_parse(view_str(config), &doc, &e) == 0);
    ck_assert(index_new(&ix, doc, &e) == 0);
    ck_assert(explain(ix, &in, &out, &e) == 0);
    buf_put_char(&out, 0);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        ck_assert_msg(strstr(out.p + out.off, parts[i]) != NULL, "%s not in:\n%s", parts[i],
                      out.p + out.off);
    index_free(&ix);
    json_decref(doc);
    buf_fini(&out);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_ids, 0, (int)COUNT_OF(ids));
    tcase_add_loop_test(tc, test_fold, 0, (int)COUNT_OF(folds));
    tcase_add_loop_test(tc, test_numbers, 0, (int)COUNT_OF(numbers));
    tcase_add_loop_test(tc, test_answers, 0, (int)COUNT_OF(answers));
    tcase_add_loop_test(tc, test_routes, 0, (int)COUNT_OF(routes));
    tcase_add_loop_test(tc, test_check, 0, (int)COUNT_OF(checks));
    tcase_add_loop_test(tc, test_sizes, 0, (int)COUNT_OF(sizes));
    tcase_add_loop_test(tc, test_longs, 0, (int)COUNT_OF(longs));
    tcase_add_test(tc, test_no_memory);
    tcase_add_test(tc, test_no_allocation);
    tcase_add_test(tc, test_explain);
}
CK_MAIN("route")
