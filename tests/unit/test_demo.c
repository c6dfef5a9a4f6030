/* tests/unit/test_demo.c - the built-in model: what it repeats, and in which pieces. */
#include "ck.h"
#include "demo.h"
#include "mem.h"
#include "utf8.h"

static const struct {
    const char *name, *job, *part; /* part: what its answer holds; NULL: no echo */
} rows[] = {
    {"text", "{\"messages\":[{\"role\":\"user\",\"content\":\" hi there \"}]}",
     "You wrote: \"hi there\"."},
    {"parts",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"},{\"type\":\"text\","
     "\"text\":\"p\"}]}]}",
     "\"p\"."},
    {"the last of the user's",
     "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},{"
     "\"role\":\"assistant\",\"content\":\"c\"}]}",
     "\"b\"."},
    {"nothing", "{\"messages\":[]}", NULL},
    {"no messages", "{}", NULL},
    {"no document", "[]", NULL},
    {"odd content", "{\"messages\":[{\"role\":\"user\",\"content\":7}]}", NULL},
};

START_TEST(test_answers)
{
    struct buf out = BUF_INIT(DEMO_TEXT_MAX);
    struct err e = ERR_INIT;
    json_t *job = NULL;
    const char *want = rows[_i].part ? rows[_i].part : "You wrote";

    ck_assert_int_eq(json_parse(view_str(rows[_i].job), &job, &e), 0);
    demo_answer(job, &out);
    ck_assert_msg(!out.failed &&
                      (memmem(out.p, out.n, want, strlen(want)) != NULL) == (rows[_i].part != NULL),
                  "%s: %.*s", rows[_i].name, VIEW_FMT(buf_view(&out)));
    ck_assert(memmem(out.p, out.n, "openclaw.json", 13));
    json_decref(job);
    buf_fini(&out);
}
END_TEST

/* Characters of 1 to 4 bytes at every place of the cuts: no piece ends inside one. */
START_TEST(test_pieces)
{
    static const char *const chars[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    struct err e = ERR_INIT;

    for (size_t lead = 0; lead < 70; lead++) {
        struct buf text = BUF_INIT(4096), out = BUF_INIT(DEMO_TEXT_MAX);
        json_t *job;
        struct view rest;

        for (size_t i = 0; i < lead; i++)
            buf_put_char(&text, i % 9 ? 'x' : ' ');
        while (text.n < 400)
            buf_put_str(&text, chars[_i]);
        job = json_pack("{s:[{s:s,s:s%}]}", "messages", "role", "user", "content", text.p, text.n);
        ck_assert_ptr_nonnull(job);
        demo_answer(job, &out);
        ck_assert_int_eq(buf_check(&out, &e), 0);
        ck_assert(utf8_valid(buf_view(&out)));
        rest = buf_view(&out);
        while (rest.n) {
            size_t n = demo_piece(rest);

            ck_assert_uint_gt(n, 0);
            ck_assert_uint_le(n, 80);
            ck_assert_msg(utf8_valid(view_of(rest.p, n)), "%zu", lead);
            rest = view_from(rest, n);
        }
        json_decref(job);
        buf_fini(&text);
        buf_fini(&out);
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_answers, 0, (int)COUNT_OF(rows));
    tcase_add_loop_test(tc, test_pieces, 0, 4);
}

CK_MAIN("demo")
