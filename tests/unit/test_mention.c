/* Whether a text names an agent. */
#include "ck.h"
#include "json.h"
#include "mem.h"
#include "mention.h"

#include <stdio.h>

static const struct {
    const char *name, *patterns, *agent, *emoji, *text;
    unsigned bad;
    bool yes;
} rows[] = {
    {"nobody has a name", NULL, "", "", "anything", 0, false},
    {"the name", NULL, "Clawd", "", "hello clawd!", 0, true},
    {"with a sign before it", NULL, "Clawd", "", "mail@clawd", 0, true},
    {"inside another word", NULL, "Clawd", "", "clawdia", 0, false},
    {"behind another word", NULL, "Clawd", "", "reclawd", 0, false},
    {"beyond ASCII", NULL, "J\xc3\xbcrgen", "", "J\xc3\x9cRGEN, komm", 0, true},
    {"a letter beyond ASCII behind it", NULL, "J\xc3\xbcrgen", "", "j\xc3\xbcrgen\xc3\xa9", 0,
     false},
    {"two words", NULL, "Mister Claw", "", "dear MISTER   claw", 0, true},
    {"signs in it mean nothing", NULL, "C.*d", "", "clawd", 0, false},
    {"signs in it are found", NULL, "C.*d", "", "say c.*D", 0, true},
    {"the emoji", NULL, "Clawd", "\xf0\x9f\xa6\x9e", "look \xf0\x9f\xa6\x9e there", 0, true},
    {"characters nobody sees", NULL, "Clawd", "",
     "cl\xe2\x80\x8b"
     "a\xe2\x81\xa0wd",
     0, true},
    {"a pattern", "[\"\\\\bbot\\\\b\"]", "Clawd", "", "Bot, help", 0, true},
    {"patterns instead of the name", "[\"\\\\bbot\\\\b\"]", "Clawd", "", "clawd, help", 0, false},
    {"none at all", "[]", "Clawd", "", "clawd", 0, false},
    {"a wrong one is passed over", "[\"(\",\"bot\",7,\"\"]", "Clawd", "", "bot", 3, true},
    {"an endless one costs little", "[\"^(a+)+$\"]", "", "",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 0,
     false},
    {"and the next one is asked", "[\"^(a+)+$\",\"!\"]", "", "",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 0,
     true},
    {"bytes that are no UTF-8", NULL, "Clawd", "", "\xff\xfe clawd \xe2\x80", 0, true},
    {"a callout is no way out", "[\"(?C1)x\"]", "", "", "x", 0, true},
};

START_TEST(test_mention)
{
    struct mention *m = NULL;
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    unsigned bad = 99;

    if (rows[_i].patterns)
        ck_assert_int_eq(json_parse(view_str(rows[_i].patterns), &doc, &e), 0);
    ck_assert_int_eq(
        mention_new(&m, doc, view_str(rows[_i].agent), view_str(rows[_i].emoji), &bad, &e), 0);
    ck_assert_msg(bad == rows[_i].bad, "%s: %u", rows[_i].name, bad);
    ck_assert_msg(mention_in(m, view_str(rows[_i].text)) == rows[_i].yes, "%s", rows[_i].name);
    mention_free(&m);
    mention_free(&m);
    json_decref(doc);
}
END_TEST

/* At the limits: one pattern byte, one pattern, one text byte more. */
START_TEST(test_limits)
{
    static char text[MENTION_TEXT_BYTES + 2], pattern[MENTION_PATTERN_BYTES + 2];
    struct mention *m = NULL;
    struct err e = ERR_INIT;
    json_t *doc = json_array();
    unsigned bad;

    memset(pattern, 'p', sizeof(pattern) - 1);
    (void)json_array_append_new(doc, json_string(pattern));
    (void)json_array_append_new(doc, json_string(pattern + 1));
    ck_assert_int_eq(mention_new(&m, doc, VIEW_EMPTY, VIEW_EMPTY, &bad, &e), 0);
    ck_assert_uint_eq(bad, 1);
    mention_free(&m);
    json_array_clear(doc);
    for (unsigned i = 0; i < MENTION_PATTERNS_MAX + 1; i++)
        (void)json_array_append_new(doc, json_string("zz"));
    ck_assert_int_eq(mention_new(&m, doc, VIEW_EMPTY, VIEW_EMPTY, &bad, &e), 0);
    ck_assert_uint_eq(bad, 1);
    memset(text, '.', sizeof(text));
    memcpy(text + MENTION_TEXT_BYTES - 2, "zz", 2);
    ck_assert(mention_in(m, view_of(text, sizeof(text))));
    memcpy(text + MENTION_TEXT_BYTES - 2, ".zz", 3);
    ck_assert(!mention_in(m, view_of(text, sizeof(text))));
    ck_assert(!mention_in(m, VIEW_EMPTY));
    ck_assert(!mention_in(NULL, V("zz")));
    mention_free(&m);
    json_decref(doc);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_mention, 0, COUNT_OF(rows));
    tcase_add_test(tc, test_limits);
}

CK_MAIN("mention")
