/* What a model says to us inside its answer. */
#include "ck.h"
#include "mem.h"
#include "tags.h"

#include <stdio.h>

static const struct {
    const char *in, *want, *id;
    bool current, voice;
} rows[] = {
    {"hello", "hello", "", false, false},
    {"[[reply_to_current]] hello", "hello", "", true, false},
    {"[[ Reply_To_Current ]]hello", "hello", "", true, false},
    {"[[reply_to: 42 ]] hello", "hello", "42", false, false},
    {"a [[audio_as_voice]] b", "a b", "", false, true},
    {"[[reply_to:]] x", "[[reply_to:]] x", "", false, false},
    {"[[something]] x", "[[something]] x", "", false, false},
    {"[[reply_to_current", "[[reply_to_current", "", false, false},
    {"[[reply_to_\ncurrent]]", "[[reply_to_\ncurrent]]", "", false, false},
    {"```\n[[reply_to_current]]\n```\n", "```\n[[reply_to_current]]\n```\n", "", false, false},
    {"[[", "[[", "", false, false},
    {"", "", "", false, false},
};

START_TEST(test_tags)
{
    struct buf out = BUF_INIT(4096);
    struct tags t;

    tags_read(view_str(rows[_i].in), &out, &t);
    ck_assert_msg(view_eq(buf_view(&out), view_str(rows[_i].want)), "%s: %.*s", rows[_i].in,
                  VIEW_FMT(buf_view(&out)));
    ck_assert_msg(view_eq(t.reply_to, view_str(rows[_i].id)), "%s", rows[_i].in);
    ck_assert(t.reply_to_current == rows[_i].current && t.audio_as_voice == rows[_i].voice);
    buf_fini(&out);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_tags, 0, (int)COUNT_OF(rows));
}

CK_MAIN("tags")
