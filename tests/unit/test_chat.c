/* Messages of a transcript, session keys and the free part of a session's row: the pure parts of
 * the hub's turns. */
#include "chat.h"
#include "ck.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>

static struct agent_conf agents[] = {{.id = "main"}, {.id = "work"}};
static struct settings settings = {.agents = agents, .agent_count = 2};
static struct runs runs = {.conf = {.main_key = "main"}};
static struct hub hub = {.settings = &settings, .runs = &runs};

#define A4   "aaaa"
#define A16  A4 A4 A4 A4
#define A64  A16 A16 A16 A16
#define A256 A64 A64 A64 A64

/* ---- keys ---- */

static const struct {
    const char *name, *asked, *agent, *want;
    int rc;
} keys[] = {
    {"main", "main", "", "agent:main:main", 0},
    {"global is main", "global", "", "agent:main:main", 0},
    {"bare", "foo", "", "agent:main:foo", 0},
    {"bare of an agent", "foo", "work", "agent:work:foo", 0},
    {"full", "agent:work:foo:bar", "", "agent:work:foo:bar", 0},
    {"the key's agent wins", "agent:work:foo", "main", "agent:work:foo", 0},
    {"lower case", "Agent:Work:FOO", "", "agent:work:foo", 0},
    {"trimmed", "  foo\n", "", "agent:main:foo", 0},
    {"beyond ASCII", "f\xc3\xb6\xc3\xb6", "", "agent:main:f\xc3\xb6\xc3\xb6", 0},
    {"unknown agent", "agent:zz:foo", "", "agent:zz:foo", ERR_NOT_FOUND},
    {"empty", "", "", NULL, ERR_INVALID},
    {"blank", " \t", "", NULL, ERR_INVALID},
    {"space inside", "a b", "", NULL, ERR_INVALID},
    {"control inside",
     "a\x01"
     "b",
     "", NULL, ERR_INVALID},
    {"nothing behind the agent", "agent:main:", "", NULL, ERR_INVALID},
    {"no agent id", "agent::foo", "", NULL, ERR_INVALID},
    {"an agent's id in its one spelling", "foo", " Work ", "agent:work:foo", 0},
    {"case of a Signal group", "agent:work:signal:group:AbC+dEf/1==", "",
     "agent:work:signal:group:AbC+dEf/1==", 0},
    {"case of a Matrix room", "agent:work:Matrix:Channel:!RoOm:Server.Org", "",
     "agent:work:matrix:channel:!RoOm:Server.Org", 0},
    {"nobody else's", "agent:work:slack:channel:C0AB", "", "agent:work:slack:channel:c0ab", 0},
    {"at the limit", A256 A64 A64 A64 A16 A16 A16 A4 "a", "", "full", 0},
    {"over the limit", A256 A64 A64 A64 A16 A16 A16 A4 "aa", "", NULL, ERR_INVALID},
    {"far over", A256 A256 A4, "", NULL, ERR_INVALID},
};

START_TEST(test_key)
{
    struct session_key k;
    struct err e = ERR_INIT;
    int rc = session_key(&hub, view_str(keys[_i].asked), view_str(keys[_i].agent), &k, &e);

    ck_assert_msg(rc == keys[_i].rc, "%s: %d %s", keys[_i].name, rc, e.text);
    if (keys[_i].want && strcmp(keys[_i].want, "full") == 0)
        ck_assert_msg(k.n == SESSION_KEY_MAX, "%s: %zu", keys[_i].name, k.n);
    else if (keys[_i].want)
        ck_assert_msg(strcmp(k.s, keys[_i].want) == 0 && k.n == strlen(k.s), "%s: %s",
                      keys[_i].name, k.s);
}
END_TEST

/* ---- stored messages ---- */

static const struct {
    const char *name, *msg, *role, *content;
} splits[] = {
    {"user", "{\"role\":\"user\",\"content\":\"hi\",\"timestamp\":1}", "user", "\"hi\""},
    {"escapes", "{\"role\":\"user\",\"content\":\"a\\\"b\\\\\",\"x\":1}", "user", "\"a\\\"b\\\\\""},
    {"assistant",
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"yo\"}],\"x\":1}",
     "assistant", "\"yo\""},
    {"two blocks",
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
     "\"text\":\"b\"}]}",
     "assistant", "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]"},
    {"other order", "{\"content\":\"c\",\"role\":\"system\"}", "system", "\"c\""},
    {"no role", "{\"content\":\"c\"}", NULL, NULL},
    {"no content", "{\"role\":\"user\"}", NULL, NULL},
    {"not an object", "[]", NULL, NULL},
    {"cut", "{\"role\":\"user\",\"content\":\"hi", NULL, NULL},
    {"empty", "", NULL, NULL},
};

START_TEST(test_split)
{
    struct view role, content;
    bool ok = chat_msg_split(view_str(splits[_i].msg), &role, &content);

    ck_assert_msg(ok == (splits[_i].role != NULL), "%s", splits[_i].name);
    if (ok) {
        ck_assert_msg(view_eq(role, view_str(splits[_i].role)), "%s: %.*s", splits[_i].name,
                      VIEW_FMT(role));
        ck_assert_msg(view_eq(content, view_str(splits[_i].content)), "%s: %.*s", splits[_i].name,
                      VIEW_FMT(content));
    }
}
END_TEST

static const struct {
    const char *name, *content;
    size_t max;
    bool fold;
    const char *want;
} texts[] = {
    {"whole", "\"hello\"", 10, false, "hello"},
    {"one more than needed", "\"hello\"", 6, false, "hello"},
    {"exactly", "\"hello\"", 5, false, "hello"},
    {"cut", "\"hello\"", 4, false, "hell"},
    {"folded", "\"  a\\n\\n b \\t\"", 20, true, "a b"},
    {"not folded", "\"a\\nb\"", 20, false, "a\nb"},
    {"block", "[{\"type\":\"text\",\"text\":\"in here\"},{}]", 20, false, "in here"},
    {"no text", "[{\"type\":\"image\"}]", 20, false, ""},
    {"character not cut", "\"a\xc3\xa9\"", 2, false, "a"},
    {"character whole", "\"a\xc3\xa9\"", 3, false, "a\xc3\xa9"},
    {"escaped character", "\"\\u00e9\\u00e9\"", 3, false, "\xc3\xa9"},
    {"many escapes", "\"\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\"", 3, false,
     "AAA"},
    {"empty", "\"\"", 5, true, ""},
    {"number", "5", 5, true, ""},
};

START_TEST(test_text)
{
    struct buf out = BUF_INIT(1024);

    chat_msg_text(view_str(texts[_i].content), texts[_i].max, texts[_i].fold, &out);
    ck_assert_msg(view_eq(buf_view(&out), view_str(texts[_i].want)), "%s: '%.*s'", texts[_i].name,
                  VIEW_FMT(buf_view(&out)));
    buf_fini(&out);
}
END_TEST

static const struct {
    const char *name, *text;
    size_t want;
} wholes[] = {
    {"empty", "", 0},
    {"ascii", "abc", 3},
    {"two of two", "\xc3\xa9", 2},
    {"one of two", "a\xc3", 1},
    {"two of three", "a\xe2\x82", 1},
    {"three of three", "a\xe2\x82\xac", 4},
    {"one of four", "\xf0", 0},
    {"three of four", "ab\xf0\x9f\x98", 2},
    {"four of four", "\xf0\x9f\x98\x80", 4},
};

START_TEST(test_whole)
{
    size_t n = chat_whole(view_str(wholes[_i].text));

    ck_assert_msg(n == wholes[_i].want, "%s: %zu", wholes[_i].name, n);
}
END_TEST

/* What is written can be taken apart again, whatever the text. */
START_TEST(test_round_trip)
{
    static const char *const samples[] = {
        "", "plain", "\"\\\n\t\x01", "\xf0\x9f\x98\x80 }}]", "}]\"}", "\xff\xfe", "\\"};
    struct session_key k;
    struct live l = {.s = {.sid = 1}};
    char run_id[] = "run-1", empty[] = "";
    struct run r = {.run_id = run_id, .row_id = run_id, .options = empty, .live = &l};
    struct err e = ERR_INIT;

    ck_assert_int_eq(session_key(&hub, V("main"), VIEW_EMPTY, &k, &e), 0);
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct buf user = BUF_INIT(4096), reply = BUF_INIT(4096), quoted = BUF_INIT(4096),
                   out = BUF_INIT(8192);
        struct jw w = JW_INIT(&quoted), ow = JW_INIT(&out);
        struct view role, content;

        jw_cstr(&w, samples[i]);
        chat_msg_user(&user, &r, view_str(samples[i]), 1);
        ck_assert_msg(chat_msg_split(buf_view(&user), &role, &content) &&
                          view_eq(role, V("user")) && view_eq(content, buf_view(&quoted)),
                      "user %zu: %.*s", i, VIEW_FMT(buf_view(&user)));
        chat_msg_assistant(&reply, &r, "id-1", view_str(samples[i]), 1);
        ck_assert_msg(chat_msg_split(buf_view(&reply), &role, &content) &&
                          view_eq(role, V("assistant")) && view_eq(content, buf_view(&quoted)),
                      "reply %zu: %.*s", i, VIEW_FMT(buf_view(&reply)));
        chat_msg_numbered(&ow, buf_view(&reply), 7);
        ck_assert_msg(view_ends(buf_view(&out), V(",\"seq\":7}}")), "%.*s",
                      VIEW_FMT(buf_view(&out)));
        buf_fini(&user);
        buf_fini(&reply);
        buf_fini(&quoted);
        buf_fini(&out);
    }
}
END_TEST

/* ---- stop words ---- */

static const struct {
    const char *text;
    bool stop;
} stops[] = {{"/stop", true}, {" STOP! ", true},     {"stop", true},     {"abort.", true},
             {"esc", true},   {"stop it", false},    {"/status", false}, {"stopping", false},
             {"", false},     {"please stop", false}};

START_TEST(test_stop)
{
    ck_assert_msg(chat_is_stop(view_str(stops[_i].text)) == stops[_i].stop, "%s", stops[_i].text);
}
END_TEST

/* ---- the free part of a row ---- */

START_TEST(test_rest)
{
    struct session_key k;
    struct session s;
    struct err e = ERR_INIT;
    char text[64];

    ck_assert_int_eq(session_key(&hub, V("main"), VIEW_EMPTY, &k, &e), 0);
    ck_assert_int_eq(session_init(&s, &k, &e), 0);
    ck_assert_uint_eq(session_rest(&s, "a").n, 0);
    ck_assert_int_eq(session_rest_set_str(&s, "a", V("x\"y"), &e), 0);
    ck_assert_int_eq(session_rest_set(&s, "b", V("{\"c\":1}"), &e), 0);
    ck_assert_str_eq(s.rest, "\"a\":\"x\\\"y\",\"b\":{\"c\":1}");
    ck_assert(view_eq(session_rest(&s, "b"), V("{\"c\":1}")));
    ck_assert(session_rest_str(&s, "a", text, sizeof(text)));
    ck_assert_str_eq(text, "x\"y");
    ck_assert(!session_rest_str(&s, "b", text, sizeof(text)));
    ck_assert_int_eq(session_rest_set(&s, "a", VIEW_EMPTY, &e), 0);
    ck_assert_str_eq(s.rest, "\"b\":{\"c\":1}");
    ck_assert_int_eq(session_rest_set(&s, "b", V("2"), &e), 0);
    ck_assert_str_eq(s.rest, "\"b\":2");
    for (int i = 1; i < SESSION_REST_MAX; i++) {
        (void)snprintf(text, sizeof(text), "k%d", i);
        ck_assert_msg(session_rest_set(&s, text, V("1"), &e) == 0, "%d: %s", i, e.text);
    }
    ck_assert_int_eq(session_rest_set(&s, "one-more", V("1"), &e), ERR_LIMIT);
    ck_assert_int_eq(session_rest_set(&s, "k3", V("\"changed\""), &e), 0);
    ck_assert(view_eq(session_rest(&s, "k3"), V("\"changed\"")));
    session_fini(&s);
    session_fini(&s);
}
END_TEST

/* ---- how a run ended ---- */

START_TEST(test_summary)
{
    static const char *const names[] = {"ok", "error", "aborted", "timeout"};
    char error[] = "it \"broke\"";
    struct run r = {.started_ms = 5, .ended_ms = 9, .accepted_ms = 4};
    struct run_summary s;

    (void)snprintf(r.answer_id, sizeof(r.answer_id), "msg-1");
    (void)snprintf(r.result.stop_reason, sizeof(r.result.stop_reason), "stop");
    r.result.error = error;
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        struct buf b = BUF_INIT(4096);

        r.result.end = (enum run_end)i;
        run_summary(&r, &b);
        run_summary_read(buf_view(&b), &s);
        ck_assert_str_eq(s.status, names[i]);
        ck_assert_str_eq(s.message_id, "msg-1");
        ck_assert_str_eq(s.error, error);
        ck_assert_int_eq(s.started_ms, 5);
        ck_assert_int_eq(s.ended_ms, 9);
        buf_fini(&b);
    }
    run_summary_read(V("not json"), &s);
    ck_assert_str_eq(s.status, "error");
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_key, 0, COUNT_OF(keys));
    tcase_add_loop_test(tc, test_split, 0, COUNT_OF(splits));
    tcase_add_loop_test(tc, test_text, 0, COUNT_OF(texts));
    tcase_add_loop_test(tc, test_whole, 0, COUNT_OF(wholes));
    tcase_add_test(tc, test_round_trip);
    tcase_add_loop_test(tc, test_stop, 0, COUNT_OF(stops));
    tcase_add_test(tc, test_rest);
    tcase_add_test(tc, test_summary);
}

CK_MAIN("chat")
