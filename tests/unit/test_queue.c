/* The queue of a session (queue.h), when it begins anew (fresh.h), whether it is answered
 * (sendpolicy.h), what a channel says of a message (source.h), which message is a command
 * (command.h): the parts that decide without a store. */
#include "chat.h"
#include "ck.h"
#include "command.h"
#include "fresh.h"
#include "json.h"
#include "sendpolicy.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static json_t *doc_of(const char *text)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    ck_assert_msg(json_parse(view_str(text), &doc, &e) == 0, "%s: %s", text, e.text);
    return doc;
}

static struct session session_of(const char *key, const char *rest)
{
    struct session s = {.key = mem_dup(key, strlen(key)), .rest = mem_dup(rest, strlen(rest))};

    (void)snprintf(s.agent, sizeof(s.agent), "main");
    return s;
}

/* ---- settings ---- */

static const struct {
    const char *name, *conf, *rest, *channel, *mode;
    uint32_t debounce;
    unsigned cap;
    const char *drop;
} settings[] = {
    {"nothing said", "{}", "", "x", "steer", 500, 20, "summarize"},
    {"all said",
     "{\"messages\":{\"queue\":{\"mode\":\"collect\",\"debounceMs\":7,\"cap\":3,\"drop\":\"old\"}}"
     "}",
     "", "x", "collect", 7, 3, "old"},
    {"of the channel",
     "{\"messages\":{\"queue\":{\"mode\":\"collect\",\"byChannel\":{\"x\":\"interrupt\"},"
     "\"debounceMsByChannel\":{\"x\":9}}}}",
     "", "x", "interrupt", 9, 20, "summarize"},
    {"of another channel", "{\"messages\":{\"queue\":{\"byChannel\":{\"x\":\"interrupt\"}}}}", "",
     "y", "steer", 500, 20, "summarize"},
    {"no channel", "{\"messages\":{\"queue\":{\"byChannel\":{\"\":\"interrupt\"}}}}", "", "",
     "steer", 500, 20, "summarize"},
    {"the session's own wins",
     "{\"messages\":{\"queue\":{\"mode\":\"collect\",\"byChannel\":{\"x\":\"interrupt\"}}}}",
     "\"queueMode\":\"followup\",\"queueCap\":5,\"queueDebounceMs\":0,\"queueDrop\":\"new\"", "x",
     "followup", 0, 5, "new"},
    {"old names",
     "{\"messages\":{\"queue\":{\"mode\":\"queue\",\"byChannel\":{\"x\":\"steer+backlog\"}}}}", "",
     "x", "followup", 500, 20, "summarize"},
    {"nonsense is passed over",
     "{\"messages\":{\"queue\":{\"mode\":\"zz\",\"cap\":0,\"debounceMs\":-1,\"drop\":\"zz\"}}}",
     "\"queueMode\":\"zz\",\"queueCap\":0,\"queueDebounceMs\":-3,\"queueDrop\":7", "x", "steer",
     500, 20, "summarize"},
};

START_TEST(test_settings)
{
    json_t *conf = doc_of(settings[_i].conf);
    struct session s = session_of("agent:main:main", settings[_i].rest);
    struct queue_set q;

    queue_settings(conf, &s, view_str(settings[_i].channel), &q);
    ck_assert_msg(strcmp(queue_mode_name(q.mode), settings[_i].mode) == 0, "%s: %s",
                  settings[_i].name, queue_mode_name(q.mode));
    ck_assert_msg(q.debounce_ms == settings[_i].debounce, "%s: %u", settings[_i].name,
                  q.debounce_ms);
    ck_assert_msg(q.cap == settings[_i].cap, "%s: %u", settings[_i].name, q.cap);
    ck_assert_msg(strcmp(queue_drop_name(q.drop), settings[_i].drop) == 0, "%s", settings[_i].name);
    session_fini(&s);
    json_decref(conf);
}
END_TEST

/* ---- /queue ---- */

static const struct {
    const char *args, *rest; /* NULL: refused, nothing changes */
} orders[] = {
    {"", ""},
    {"collect", "\"queueMode\":\"collect\""},
    {"Coalesce", "\"queueMode\":\"collect\""},
    {"interrupt cap:1000", "\"queueMode\":\"interrupt\",\"queueCap\":1000"},
    {"cap:1001", NULL},
    {"cap:0", NULL},
    {"cap:", NULL},
    {"debounce:500", "\"queueDebounceMs\":500"},
    {"debounce:500ms", "\"queueDebounceMs\":500"},
    {"debounce:0.5s", "\"queueDebounceMs\":500"},
    {"debounce:2m", "\"queueDebounceMs\":120000"},
    {"debounce:24h", "\"queueDebounceMs\":86400000"},
    {"debounce:25h", NULL},
    {"debounce:.", NULL},
    {"debounce:1.2.3s", NULL},
    {"debounce:5x", NULL},
    {"debounce:-5", NULL},
    {"debounce:99999999999999999", NULL},
    {"drop:oldest debounce:1s", "\"queueDebounceMs\":1000,\"queueDrop\":\"old\""},
    {"drop:zz", NULL},
    {"collect nonsense", NULL},
    {"collect:3", NULL},
    {"default", ""},
    {"reset followup", "\"queueMode\":\"followup\""},
};

START_TEST(test_order)
{
    bool want = orders[_i].rest != NULL, got;
    struct session s = session_of("agent:main:main", "");
    struct buf say = BUF_INIT(4 * KIB);
    json_t *conf = doc_of("{}");

    got = queue_command(conf, &s, view_str(orders[_i].args), &say);
    ck_assert_msg(got == want, "%s: %.*s", orders[_i].args, VIEW_FMT(buf_view(&say)));
    ck_assert_msg(strcmp(s.rest, want ? orders[_i].rest : "") == 0, "%s: %s", orders[_i].args,
                  s.rest);
    ck_assert_msg(say.n > 0, "%s: no word", orders[_i].args);
    got = queue_command(conf, &s, V("default"), &say);
    ck_assert_msg(got && s.rest[0] == '\0', "%s: default leaves %s", orders[_i].args, s.rest);
    session_fini(&s);
    buf_fini(&say);
    json_decref(conf);
}
END_TEST

/* ---- who waits where ---- */

/* Each message: rank, sender, "" for a client. Order: places of arrival as they stand afterwards.
 */
static const struct {
    const char *name;
    struct {
        uint8_t rank;
        const char *who;
    } said[5];
    const char *order;
} places[] = {
    {"as they come", {{0, "a"}, {0, "b"}, {0, "a"}}, "012"},
    {"a mention first", {{0, "a"}, {0, "b"}, {2, "c"}}, "201"},
    {"a mention before a reply", {{0, "a"}, {1, "b"}, {2, "c"}, {1, "d"}}, "2130"},
    {"nobody overtakes himself", {{0, "a"}, {0, "b"}, {2, "a"}}, "021"},
    {"nor a client", {{0, ""}, {2, "b"}, {0, ""}, {2, "c"}}, "0123"},
};

static struct run fakes[5];

static void arrive(struct live *l, size_t i, uint8_t rank, const char *who)
{
    struct run *r = &fakes[i], *before, **at;

    *r = (struct run){.rank = rank};
    (void)snprintf(r->who, sizeof(r->who), "%s", who);
    (void)snprintf(r->route, sizeof(r->route), "%s", who[0] ? "there" : "");
    before = queue_place(l, r);
    at = before ? &before->next : &l->waiting;
    r->next = *at;
    *at = r;
}

START_TEST(test_place)
{
    struct live l = {.waiting = NULL};
    char got[8] = "";

    for (size_t i = 0; i < 5 && places[_i].said[i].who; i++)
        arrive(&l, i, places[_i].said[i].rank, places[_i].said[i].who);
    for (const struct run *r = l.waiting; r; r = r->next) {
        size_t n = strlen(got);

        got[n] = (char)('0' + (r - fakes));
    }
    ck_assert_msg(strcmp(got, places[_i].order) == 0, "%s: %s", places[_i].name, got);
}
END_TEST

/* ---- when the first may start: each message at a time, with a pause ---- */

static const struct {
    const char *name;
    int64_t at[4]; /* 0: no more */
    uint32_t pause;
    int64_t now, due;
} dues[] = {
    {"no pause", {1000}, 0, 1000, 0},
    {"just come", {1000}, 500, 1000, 1500},
    {"quiet", {1000}, 500, 1500, 0},
    {"quiet since the last", {1000, 1400}, 500, 1500, 1900},
    {"patience ends", {1000, 1900, 2800, 3400}, 500, 3410, 3500},
    {"patience has ended", {1000, 1900, 2800, 3500}, 500, 3500, 0},
    {"the clock was set back", {100000}, 500, 1000, 0},
};

START_TEST(test_due)
{
    struct live l = {.waiting = NULL};
    int64_t got;

    for (size_t i = 0; i < 4 && dues[_i].at[i]; i++) {
        fakes[i] = (struct run){.accepted_ms = dues[_i].at[i], .pause_ms = dues[_i].pause};
        if (i)
            fakes[i - 1].next = &fakes[i];
    }
    l.waiting = &fakes[0];
    got = queue_due(&l, dues[_i].now);
    ck_assert_msg(got == dues[_i].due, "%s: %lld", dues[_i].name, (long long)got);
}
END_TEST

START_TEST(test_gathered_alone)
{
    struct live l = {.waiting = &fakes[0]};

    fakes[0] = (struct run){
        .accepted_ms = 1000, .pause_ms = 500, .gather = true, .who = "a", .route = "x"};
    fakes[1] = (struct run){
        .accepted_ms = 1100, .pause_ms = 500, .gather = true, .who = "a", .route = "x"};
    fakes[0].next = &fakes[1];
    ck_assert_int_eq(queue_due(&l, 1200), 1600);
    ck_assert(queue_together(&fakes[0], &fakes[1]));
    fakes[1].who[0] = 'b'; /* somebody else waits behind it */
    ck_assert(!queue_together(&fakes[0], &fakes[1]));
    ck_assert_int_eq(queue_due(&l, 1200), 0);
    fakes[1].who[0] = 'a';
    fakes[1].route[0] = 'y'; /* the same person elsewhere */
    ck_assert(!queue_together(&fakes[0], &fakes[1]));
}
END_TEST

/* ---- begins anew ---- */

#define H 3600000ll

/* Times are hours and milliseconds of 2026-03-10, UTC. */
static const struct {
    const char *name, *conf, *channel;
    enum fresh_type type;
    int64_t began, last, now;
    bool fresh;
} ages[] = {
    {"never", "{}", "", FRESH_DIRECT, 1, 1, 100000 * H, true},
    {"none", "{\"session\":{\"reset\":{\"mode\":\"none\",\"idleMinutes\":1}}}", "", FRESH_DIRECT, 1,
     1, 100000 * H, true},
    {"daily, the same day", "{\"session\":{\"reset\":{\"mode\":\"daily\"}}}", "", FRESH_DIRECT,
     4 * H, 4 * H, 27 * H, true},
    {"daily, at the hour", "{\"session\":{\"reset\":{\"mode\":\"daily\"}}}", "", FRESH_DIRECT,
     4 * H, 4 * H, 28 * H, false},
    {"daily, just before it began", "{\"session\":{\"reset\":{\"mode\":\"daily\"}}}", "",
     FRESH_DIRECT, 4 * H - 1, 5 * H, 6 * H, false},
    {"daily, at another hour", "{\"session\":{\"reset\":{\"atHour\":23}}}", "", FRESH_DIRECT,
     22 * H, 22 * H, 23 * H, false},
    {"idle, not yet", "{\"session\":{\"reset\":{\"mode\":\"idle\",\"idleMinutes\":60}}}", "",
     FRESH_DIRECT, 1 * H, 9 * H, 10 * H, true},
    {"idle", "{\"session\":{\"reset\":{\"mode\":\"idle\",\"idleMinutes\":60}}}", "", FRESH_DIRECT,
     1 * H, 9 * H, 10 * H + 1, false},
    {"idle without a pause", "{\"session\":{\"reset\":{\"mode\":\"idle\"}}}", "", FRESH_DIRECT,
     1 * H, 1 * H, 1000 * H, true},
    {"the old name", "{\"session\":{\"idleMinutes\":60}}", "", FRESH_DIRECT, 1 * H, 0, 3 * H,
     false},
    {"of a group",
     "{\"session\":{\"resetByType\":{\"group\":{\"mode\":\"idle\",\"idleMinutes\":60}}}}", "",
     FRESH_GROUP, 1 * H, 1 * H, 3 * H, false},
    {"not of a direct one",
     "{\"session\":{\"resetByType\":{\"group\":{\"mode\":\"idle\",\"idleMinutes\":60}}}}", "",
     FRESH_DIRECT, 1 * H, 1 * H, 3 * H, true},
    {"a type with a pause only is daily, too",
     "{\"session\":{\"resetByType\":{\"thread\":{\"idleMinutes\":6000}}}}", "", FRESH_THREAD, 1 * H,
     1 * H, 5 * H, false},
    {"a channel wins outright",
     "{\"session\":{\"reset\":{\"mode\":\"daily\"},\"resetByChannel\":{\"x\":{\"mode\":\"none\"}}}"
     "}",
     "x", FRESH_DIRECT, 1 * H, 1 * H, 500 * H, true},
    {"another channel does not",
     "{\"session\":{\"reset\":{\"mode\":\"daily\"},\"resetByChannel\":{\"x\":{\"mode\":\"none\"}}}"
     "}",
     "y", FRESH_DIRECT, 1 * H, 1 * H, 500 * H, false},
    {"a clock that was set back", "{\"session\":{\"reset\":{\"mode\":\"daily\"}}}", "",
     FRESH_DIRECT, 100 * H, 100 * H, 1 * H, true},
};

START_TEST(test_fresh)
{
    static const int64_t day = 1773100800000ll; /* 2026-03-10T00:00:00Z */
    json_t *conf = doc_of(ages[_i].conf);
    struct fresh_policy p;

    setenv("TZ", "UTC", 1);
    tzset();
    fresh_policy(conf, ages[_i].type, view_str(ages[_i].channel), &p);
    ck_assert_msg(fresh_is(&p, day + ages[_i].began, ages[_i].last ? day + ages[_i].last : 0,
                           day + ages[_i].now) == ages[_i].fresh,
                  "%s", ages[_i].name);
    json_decref(conf);
}
END_TEST

/* ---- answered ---- */

#define RULES(rules) "{\"session\":{\"sendPolicy\":{\"rules\":[" rules "]}}}"
#define DENY(match)  "{\"action\":\"deny\",\"match\":{" match "}}"

static const struct {
    const char *name, *conf, *rest, *key, *channel, *type;
    bool yes;
} policies[] = {
    {"nothing said", "{}", "", "agent:main:main", "x", "direct", true},
    {"its own word", "{}", "\"sendPolicy\":\"deny\"", "agent:main:main", "x", "direct", false},
    {"its own word wins", RULES(DENY("\"channel\":\"x\"")), "\"sendPolicy\":\"allow\"",
     "agent:main:main", "x", "direct", true},
    {"channel", RULES(DENY("\"channel\":\"X\"")), "", "agent:main:main", "x", "direct", false},
    {"another channel", RULES(DENY("\"channel\":\"y\"")), "", "agent:main:main", "x", "direct",
     true},
    {"channel of the key", RULES(DENY("\"channel\":\"x\"")), "", "agent:main:x:group:g1", "", "",
     false},
    {"channel it was last spoken to from", RULES(DENY("\"channel\":\"x\"")),
     "\"deliveryContext\":{\"channel\":\"x\",\"to\":\"7\"}", "agent:main:main", "", "", false},
    {"type", RULES(DENY("\"chatType\":\"group\"")), "", "agent:main:x:group:g1", "", "", false},
    {"another type", RULES(DENY("\"chatType\":\"group\"")), "", "agent:main:x:channel:g1", "", "",
     true},
    {"dm is direct", RULES(DENY("\"chatType\":\"dm\"")), "", "agent:main:x:direct:g1", "x",
     "direct", false},
    {"prefix behind the agent", RULES(DENY("\"keyPrefix\":\"cron:\"")), "", "agent:main:cron:1", "",
     "", false},
    {"prefix of the whole", RULES(DENY("\"rawKeyPrefix\":\"agent:main:cron:\"")), "",
     "agent:main:cron:1", "", "", false},
    {"a raw prefix is of the whole", RULES(DENY("\"rawKeyPrefix\":\"cron:\"")), "",
     "agent:main:cron:1", "", "", true},
    {"both must hold", RULES(DENY("\"channel\":\"x\",\"chatType\":\"group\"")), "",
     "agent:main:main", "x", "direct", true},
    {"the first deny wins over a later allow",
     RULES("{\"action\":\"allow\",\"match\":{\"channel\":\"x\"}}," DENY("\"chatType\":\"direct\"")),
     "", "agent:main:main", "x", "direct", false},
    {"default deny", "{\"session\":{\"sendPolicy\":{\"default\":\"deny\"}}}", "", "agent:main:main",
     "x", "direct", false},
    {"an allow against default deny",
     "{\"session\":{\"sendPolicy\":{\"default\":\"deny\",\"rules\":[{\"match\":{\"channel\":\"x\"}}"
     "]}}}",
     "", "agent:main:main", "x", "direct", true},
};

START_TEST(test_policy)
{
    json_t *conf = doc_of(policies[_i].conf);
    struct session s = session_of(policies[_i].key, policies[_i].rest);

    ck_assert_msg(sendpolicy_allows(conf, &s, view_str(policies[_i].channel),
                                    view_str(policies[_i].type)) == policies[_i].yes,
                  "%s", policies[_i].name);
    session_fini(&s);
    json_decref(conf);
}
END_TEST

/* ---- commands ---- */

static const struct {
    const char *text;
    enum command means;
    const char *args;
} words[] = {
    {"/new", COMMAND_NEW, ""},
    {" /NEW! ", COMMAND_NEW, ""},
    {"/new hello there", COMMAND_NEW, "hello there"},
    {"/new\nhello", COMMAND_NEW, "hello"},
    {"/fresh", COMMAND_NEW, ""},
    {"Guten Morgen", COMMAND_NEW, "Morgen"},
    {"/newer", COMMAND_NONE, ""},
    {"/status", COMMAND_STATUS, ""},
    {"/status of things", COMMAND_NONE, "of things"},
    {"/help?", COMMAND_HELP, ""},
    {"/queue collect cap:3", COMMAND_QUEUE, "collect cap:3"},
    {"/queue", COMMAND_QUEUE, ""},
    {"/activation always", COMMAND_ACTIVATION, "always"},
    {"/send off", COMMAND_SEND, "off"},
    {"send off", COMMAND_NONE, "off"},
    {"", COMMAND_NONE, ""},
    {"/", COMMAND_NONE, ""},
};

START_TEST(test_command)
{
    json_t *conf = doc_of("{\"session\":{\"resetTriggers\":[\"/fresh\",\"guten morgen\",7]}}");
    struct view args;
    enum command got = command_of(conf, view_str(words[_i].text), &args);

    ck_assert_msg(got == words[_i].means, "%s: %d", words[_i].text, (int)got);
    ck_assert_msg(view_eq(args, view_str(words[_i].args)), "%s: %.*s", words[_i].text,
                  VIEW_FMT(args));
    json_decref(conf);
}
END_TEST

/* ---- what a channel says ---- */

#define X64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X256 X64 X64 X64 X64

static const struct {
    const char *name, *peer;
    bool ok;
    const char *to, *sender;
    bool require, commands;
} sources[] = {
    {"direct", "{\"kind\":\"direct\",\"id\":\"7\"}", true, "7", "7", true, true},
    {"elsewhere", "{\"kind\":\"direct\",\"id\":\"7\",\"to\":\"chat:9\"}", true, "chat:9", "7", true,
     true},
    {"group", "{\"kind\":\"group\",\"id\":\"g\",\"senderId\":\"s\"}", true, "g", "s", true, false},
    {"group of a commander", "{\"kind\":\"group\",\"id\":\"g\",\"commands\":true}", true, "g", "",
     true, true},
    {"no mention needed", "{\"kind\":\"group\",\"id\":\"g\",\"requireMention\":false}", true, "g",
     "", false, false},
    {"no kind", "{\"id\":\"7\"}", true, "7", "", true, true},
    {"nobody", "{\"kind\":\"direct\"}", false, "", "", false, false},
    {"a list", "[1]", false, "", "", false, false},
    {"a number for an id", "{\"kind\":\"direct\",\"id\":7}", false, "", "", false, false},
    {"to at the limit", "{\"id\":\"" X256 X256 "\"}", true, X256 X256, "", true, true},
    {"to over it", "{\"id\":\"" X256 X256 "x\"}", false, "", "", false, false},
    {"thread over it", "{\"id\":\"7\",\"threadId\":\"" X256 "x\"}", false, "", "", false, false},
    {"sender over it", "{\"id\":\"7\",\"senderId\":\"" X256 "x\"}", false, "", "", false, false},
};

START_TEST(test_source)
{
    json_t *doc = doc_of(sources[_i].peer);
    static struct source s;
    bool ok = source_read(&s, "x", "default", doc);

    ck_assert_msg(ok == sources[_i].ok, "%s", sources[_i].name);
    if (ok) {
        ck_assert_msg(view_eq(s.to, view_str(sources[_i].to)), "%s", sources[_i].name);
        ck_assert_msg(view_eq(s.sender, view_str(sources[_i].sender)), "%s", sources[_i].name);
        ck_assert_msg(s.require_mention == sources[_i].require, "%s", sources[_i].name);
        ck_assert_msg(s.commands == sources[_i].commands, "%s", sources[_i].name);
    }
    json_decref(doc);
}
END_TEST

START_TEST(test_names)
{
    static struct source s;
    json_t *doc = doc_of("{\"kind\":\"group\",\"id\":\"g\",\"senderId\":\"a\",\"threadId\":\"t\"}");
    char route[2][SOURCE_NAME], who[2][SOURCE_NAME];
    struct buf b = BUF_INIT(4 * KIB);

    ck_assert(source_read(&s, "x", "default", doc));
    source_origin(&s, &b);
    buf_put_char(&b, '\0');
    source_names(buf_view(&b).p, route[0], who[0]);
    ck_assert(route[0][0] && who[0][0] && strcmp(route[0], who[0]) != 0);
    s.sender = V("b");
    s.reply_to = V("quoted");
    buf_reset(&b, 4 * KIB);
    source_origin(&s, &b);
    buf_put_char(&b, '\0');
    source_names(buf_view(&b).p, route[1], who[1]);
    ck_assert_str_eq(route[0], route[1]);
    ck_assert_str_ne(who[0], who[1]);
    s.thread = V("u");
    buf_reset(&b, 4 * KIB);
    source_origin(&s, &b);
    buf_put_char(&b, '\0');
    source_names(buf_view(&b).p, route[1], who[1]);
    ck_assert_str_ne(route[0], route[1]);
    source_names("\"thinking\":\"low\"", route[1], who[1]);
    ck_assert_str_eq(route[1], "");
    buf_fini(&b);
    json_decref(doc);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_settings, 0, COUNT_OF(settings));
    tcase_add_loop_test(tc, test_order, 0, COUNT_OF(orders));
    tcase_add_loop_test(tc, test_place, 0, COUNT_OF(places));
    tcase_add_loop_test(tc, test_due, 0, COUNT_OF(dues));
    tcase_add_test(tc, test_gathered_alone);
    tcase_add_loop_test(tc, test_fresh, 0, COUNT_OF(ages));
    tcase_add_loop_test(tc, test_policy, 0, COUNT_OF(policies));
    tcase_add_loop_test(tc, test_command, 0, COUNT_OF(words));
    tcase_add_loop_test(tc, test_source, 0, COUNT_OF(sources));
    tcase_add_test(tc, test_names);
}

CK_MAIN("queue")
