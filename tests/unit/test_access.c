/* Who may speak: the whole decision as a table; ids that look alike; addresses that strangers name.
 */
#include "access.h"
#include "ck.h"
#include "json5.h"
#include "mem.h"
#include "net_guard.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

static const char *const prefixes[] = {"tg:", "telegram:", NULL};
static const struct channel_ops ops = {.id_prefixes = prefixes};
static const struct channel_ops own_list = {.id_prefixes = prefixes, .groups_own_list = true};

#define D PEER_DIRECT
#define G PEER_GROUP

static const struct {
    const char *name, *conf, *paired;
    enum channel_peer kind;
    const char *sender, *peer;
    enum access_verdict want;
    bool may_command, own;
} rows[] = {
    {"nothing said: pairing", "{}", "[]", D, "7", "7", ACCESS_ASK, false, false},
    {"pairing, paired", "{}", "[\"7\"]", D, "7", "7", ACCESS_ALLOW, true, false},
    {"pairing, listed", "{allowFrom:['7']}", "[]", D, "7", "7", ACCESS_ALLOW, true, false},
    {"a number is an id", "{allowFrom:[7]}", "[]", D, "7", "7", ACCESS_ALLOW, true, false},
    {"prefixes", "{allowFrom:['tg: 7','TELEGRAM:8']}", "[]", D, "8", "8", ACCESS_ALLOW, true,
     false},
    {"two prefixes", "{allowFrom:['telegram:tg:8']}", "[]", D, "8", "8", ACCESS_ALLOW, true, false},
    {"part of an id", "{dmPolicy:'allowlist',allowFrom:['77']}", "[]", D, "7", "7", ACCESS_BLOCK,
     false, false},
    {"allowlist ignores pairing", "{dmPolicy:'allowlist'}", "[\"7\"]", D, "7", "7", ACCESS_BLOCK,
     false, false},
    {"allowlist with star", "{dmPolicy:'allowlist',allowFrom:['*']}", "[]", D, "7", "7",
     ACCESS_ALLOW, false, false},
    {"open", "{dmPolicy:'open',allowFrom:['*']}", "[]", D, "7", "7", ACCESS_ALLOW, false, false},
    {"open without star is closed", "{dmPolicy:'open'}", "[]", D, "7", "7", ACCESS_BLOCK, false,
     false},
    {"disabled", "{dmPolicy:'disabled',allowFrom:['*','7']}", "[\"7\"]", D, "7", "7", ACCESS_BLOCK,
     true, false},
    {"a word we do not know", "{dmPolicy:'Open',allowFrom:[]}", "[]", D, "7", "7", ACCESS_BLOCK,
     false, false},
    {"the old place", "{dm:{policy:'disabled'}}", "[\"7\"]", D, "7", "7", ACCESS_BLOCK, true,
     false},
    {"nobody", "{dmPolicy:'open',allowFrom:['*','']}", "[\"\"]", D, "", "7", ACCESS_BLOCK, false,
     false},
    {"an empty entry", "{allowFrom:['','  ','tg:']}", "[]", D, "7", "7", ACCESS_ASK, false, false},
    {"a name is no id", "{dmPolicy:'allowlist',allowFrom:['@ann','ann','Ann']}", "[]", D, "7", "7",
     ACCESS_BLOCK, false, false},
    {"a name where that is dangerous",
     "{dmPolicy:'allowlist',dangerouslyAllowNameMatching:true,allowFrom:['@ann']}", "[]", D, "7",
     "7", ACCESS_ALLOW, true, false},
    {"a paired name never", "{dangerouslyAllowNameMatching:true}", "[\"ann\"]", D, "7", "7",
     ACCESS_ASK, false, false},
    {"a bot is not asked", "{}", "[]", D, "bot", "7", ACCESS_BLOCK, false, false},
    {"group: nothing said", "{}", "[]", G, "7", "-1", ACCESS_BLOCK, false, false},
    {"group: paired does not count", "{groups:{'*':{}}}", "[\"7\"]", G, "7", "-1", ACCESS_BLOCK,
     false, false},
    {"group: allowFrom", "{groups:{'*':{}},allowFrom:['7']}", "[]", G, "7", "-1", ACCESS_ALLOW,
     true, false},
    {"group: no map, no list of its own", "{allowFrom:['7']}", "[]", G, "7", "-1", ACCESS_BLOCK,
     true, false},
    {"group: groupAllowFrom", "{groupAllowFrom:['7']}", "[]", G, "7", "-1", ACCESS_ALLOW, true,
     false},
    {"group: its own list is empty", "{groups:{'*':{}},allowFrom:['7'],groupAllowFrom:[]}", "[]", G,
     "7", "-1", ACCESS_BLOCK, false, false},
    {"group: another one", "{groups:{'-2':{}},groupAllowFrom:['7']}", "[]", G, "7", "-1",
     ACCESS_BLOCK, true, false},
    {"group: another one, open", "{groupPolicy:'open',groups:{'-2':{}}}", "[]", G, "7", "-1",
     ACCESS_BLOCK, false, false},
    {"group: open", "{groupPolicy:'open'}", "[]", G, "7", "-1", ACCESS_ALLOW, false, false},
    {"group: open to some", "{groupPolicy:'open',groups:{'-1':{allowFrom:['8']}}}", "[]", G, "7",
     "-1", ACCESS_BLOCK, false, false},
    {"group: some of its own", "{groups:{'-1':{allowFrom:['7']}}}", "[]", G, "7", "-1",
     ACCESS_ALLOW, false, false},
    {"group: switched off", "{groupPolicy:'open',groups:{'-1':{enabled:false}}}", "[]", G, "7",
     "-1", ACCESS_BLOCK, false, false},
    {"group: disabled", "{groupPolicy:'disabled',groups:{'-1':{}},groupAllowFrom:['*']}", "[]", G,
     "7", "-1", ACCESS_BLOCK, false, false},
    {"group: no falling back", "{groups:{'*':{}},allowFrom:['7']}", "[]", G, "7", "-1",
     ACCESS_BLOCK, false, true},
    {"group: a star may not command", "{groups:{'*':{}},groupAllowFrom:['*']}", "[]", G, "7", "-1",
     ACCESS_ALLOW, false, false},
};

START_TEST(test_access)
{
    struct channel_event ev = {.from = {.id = view_str(rows[_i].sender),
                                        .name = V("Ann"),
                                        .username = V("ann"),
                                        .bot = strcmp(rows[_i].sender, "bot") == 0},
                               .kind = rows[_i].kind,
                               .peer = view_str(rows[_i].peer)};
    json_t *conf = NULL, *paired = NULL;
    struct access got;
    struct err e = ERR_INIT;

    ck_assert_msg(json5_parse(view_str(rows[_i].conf), &conf, &e) == 0 &&
                      json5_parse(view_str(rows[_i].paired), &paired, &e) == 0,
                  "%s: %s", rows[_i].name, e.text);
    access_judge(rows[_i].own ? &own_list : &ops, conf, paired, &ev, NULL, &got);
    ck_assert_msg(got.verdict == rows[_i].want, "%s: %d (%s)", rows[_i].name, got.verdict, got.why);
    ck_assert_msg(got.may_command == rows[_i].may_command, "%s: may command: %d", rows[_i].name,
                  got.may_command);
    json_decref(conf);
    json_decref(paired);
}
END_TEST

/* ---- addresses ---- */

static bool public(const char *host)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *a = NULL;
    bool yes;

    if (getaddrinfo(host, "80", &hints, &a) != 0)
        return false; /* no address at all: nothing to connect to */
    yes = net_guard_public(a->ai_addr);
    freeaddrinfo(a);
    return yes;
}

static const char *const private4[] = {
    "127.0.0.1",      "127.255.255.254", "0.0.0.0",         "0.1.2.3",         "10.0.0.1",
    "10.255.255.255", "100.64.0.1",      "100.127.255.255", "169.254.169.254", "169.254.0.1",
    "172.16.0.1",     "172.31.255.255",  "192.0.0.8",       "192.0.2.1",       "192.88.99.1",
    "192.168.0.1",    "192.168.255.255", "198.18.0.1",      "198.19.255.255",  "198.51.100.7",
    "203.0.113.9",    "224.0.0.1",       "239.255.255.255", "240.0.0.1",       "255.255.255.255"};
static const char *const public4s[] = {
    "1.1.1.1",         "8.8.8.8",         "9.255.255.255",  "11.0.0.0",       "100.63.255.255",
    "100.128.0.0",     "126.255.255.255", "128.0.0.1",      "172.15.255.255", "172.32.0.0",
    "192.167.255.255", "192.169.0.0",     "198.17.255.255", "198.20.0.0",     "223.255.255.255"};
static const char *const private6[] = {
    "::",      "::1",          "fe80::1", "fc00::1", "fdff::1", "ff02::1", "2001:db8::1",
    "2001::1", "64:ff9b:1::a", "100::1",  "3fff::1", "::2",     "4000::1", "febf::1"};
static const char *const public6s[] = {"2606:4700:4700::1111", "2a00:1450:4001:80b::200e",
                                       "64:ff9b::808:808", "2002:808:808::1"};

/* Every way in which the C library reads an IPv4 address, and those in which IPv6 holds one: 12
 * spellings each. */
START_TEST(test_spellings)
{
    unsigned spellings = 0;

    for (size_t i = 0; i < COUNT_OF(private4) + COUNT_OF(public4s); i++) {
        bool want = i >= COUNT_OF(private4);
        const char *text = want ? public4s[i - COUNT_OF(private4)] : private4[i];
        unsigned a, b, c, d, n;
        char s[12][64];

        ck_assert_int_eq(sscanf(text, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
        n = a << 24 | b << 16 | c << 8 | d;
        (void)snprintf(s[0], 64, "%s", text);
        (void)snprintf(s[1], 64, "%u", n);
        (void)snprintf(s[2], 64, "0x%x", n);
        (void)snprintf(s[3], 64, "0%o", n);
        (void)snprintf(s[4], 64, "0%o.0%o.0%o.0%o", a, b, c, d);
        (void)snprintf(s[5], 64, "0x%x.%u.0x%x.%u", a, b, c, d);
        (void)snprintf(s[6], 64, "%u.%u", a, n & 0xffffff);
        (void)snprintf(s[7], 64, "%u.%u.%u", a, b, n & 0xffff);
        (void)snprintf(s[8], 64, "::ffff:%s", text);
        (void)snprintf(s[9], 64, "::ffff:%x:%x", n >> 16, n & 0xffff);
        (void)snprintf(s[10], 64, "64:ff9b::%s", text);
        (void)snprintf(s[11], 64, "2002:%x:%x::1", n >> 16, n & 0xffff);
        for (size_t k = 0; k < 12; k++) {
            ck_assert_msg(public(s[k]) == want, "%s is %s", s[k], want ? "refused" : "let through");
            spellings += !want;
        }
    }
    ck_assert_uint_ge(spellings, 300);
    for (size_t i = 0; i < COUNT_OF(private6); i++)
        ck_assert_msg(!public(private6[i]), "%s", private6[i]);
    for (size_t i = 0; i < COUNT_OF(public6s); i++)
        ck_assert_msg(public(public6s[i]), "%s", public6s[i]);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_access, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_spellings);
}

CK_MAIN("access")
