#include "buf.h"
#include "ck.h"
#include "jw.h"
#include "mem.h"
#include "num.h"

#include <stdio.h>

START_TEST(test_limits)
{
    static const struct {
        const char *name;
        size_t add;
        bool failed;
    } rows[] = {{"empty", 0, false}, {"under", 99, false}, {"at", 100, false}, {"over", 101, true}};
    struct buf b;
    char fill[128] = {0};

    buf_init(&b, 100);
    buf_put(&b, fill, rows[_i].add);
    ck_assert_msg(b.failed == rows[_i].failed, "%s", rows[_i].name);
    ck_assert_msg(b.n == (rows[_i].failed ? 0 : rows[_i].add), "%s", rows[_i].name);
    buf_fini(&b);
}
END_TEST

START_TEST(test_eat_and_reuse)
{
    struct buf b;
    uint64_t in = 0, out = 0;

    buf_init(&b, 1000);
    for (int i = 0; i < 5000;
         i++) { /* a sliding window: what comes out is what went in, in order */
        for (int k = 0; k < 7; k++)
            buf_put_char(&b, (char)in++);
        while (b.n > 40) {
            ck_assert_int_eq((char)out++, b.p[b.off]);
            buf_eat(&b, 1);
        }
    }
    ck_assert(!b.failed);
    ck_assert_uint_le(b.cap, 1024);
    buf_fini(&b);
}
END_TEST

START_TEST(test_no_memory)
{
    struct buf b;

    buf_init(&b, 1000);
    mem_fail_after(1, 0);
    buf_put_str(&b, "x");
    ck_assert(b.failed);
    buf_put_str(&b, "y");
    ck_assert_uint_eq(b.n, 0);
    buf_reset(&b, 0);
    buf_put_str(&b, "z");
    ck_assert_uint_eq(b.n, 1);
    buf_fini(&b);
}
END_TEST

static const struct {
    const char *name;
    const char *in;
    const char *want;
} escapes[] = {
    {"plain", "abc", "abc"},
    {"quote", "a\"b\\c", "a\\\"b\\\\c"},
    {"controls", "\n\t\r\x01\x1f", "\\n\\t\\r\\u0001\\u001f"},
    {"utf8", "h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"bad utf8", "a\xff\xc0\x80z", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"},
    {"surrogate", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"cut", "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
};

START_TEST(test_escape)
{
    struct buf b;

    buf_init(&b, 1000);
    jw_escape(&b, view_str(escapes[_i].in));
    ck_assert_msg(view_eq(buf_view(&b), view_str(escapes[_i].want)), "%s: %.*s", escapes[_i].name,
                  VIEW_FMT(buf_view(&b)));
    /* plain is what is written as it is; beyond ASCII nobody looks */
    if (jw_is_plain(view_str(escapes[_i].in)))
        ck_assert_str_eq(escapes[_i].in, escapes[_i].want);
    ck_assert_int_eq(jw_is_plain(view_str(escapes[_i].in)), _i == 0);
    buf_fini(&b);
}
END_TEST

START_TEST(test_decimal)
{
    char room[BUF_DECIMAL_MAX], want[32];
    uint64_t v = 1;

    for (unsigned i = 0; i < 200; i++) { /* both sides of each power of ten, then anything */
        for (uint64_t k = 0; k < 3; k++) {
            uint64_t n = v - 1 + k;

            snprintf(want, sizeof(want), "%llu", (unsigned long long)n);
            ck_assert(view_eq(buf_decimal(n, room), view_str(want)));
        }
        v = i < 19 ? v * 10 : v * 6364136223846793005u + 1442695040888963407u;
    }
}
END_TEST

START_TEST(test_writer)
{
    struct buf b;
    struct jw w = JW_INIT(&b);

    buf_init(&b, 1000);
    jw_obj(&w);
    jw_kstr(&w, "a", V("x"));
    jw_key(&w, "b");
    jw_arr(&w);
    jw_u64(&w, 1);
    jw_obj(&w);
    jw_obj_end(&w);
    jw_null(&w);
    jw_arr_end(&w);
    jw_kbool(&w, "c", true);
    jw_ki64(&w, "d", INT64_MIN);
    jw_obj_end(&w);
    ck_assert(view_eq(buf_view(&b),
                      V("{\"a\":\"x\",\"b\":[1,{},null],\"c\":true,\"d\":-9223372036854775808}")));
    buf_fini(&b);
}
END_TEST

static const struct {
    const char *text;
    uint64_t min, max;
    int want;
} nums[] = {
    {"", 0, 10, ERR_INVALID},
    {"0", 0, 10, 0},
    {"10", 0, 10, 0},
    {"11", 0, 10, ERR_LIMIT},
    {"1x", 0, 10, ERR_INVALID},
    {"-1", 0, 10, ERR_INVALID},
    {" 1", 0, 10, ERR_INVALID},
    {"18446744073709551615", 0, UINT64_MAX, 0},
    {"18446744073709551616", 0, UINT64_MAX, ERR_LIMIT},
    {"3", 4, 10, ERR_LIMIT},
};

START_TEST(test_num)
{
    struct err e = ERR_INIT;
    uint64_t v = 77;
    int r = num_u64(view_str(nums[_i].text), nums[_i].min, nums[_i].max, &v, &e);

    ck_assert_msg(r == nums[_i].want, "%s: %d", nums[_i].text, r);
    ck_assert_msg(r == 0 || v == 77, "%s: output touched", nums[_i].text);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_limits, 0, 4);
    tcase_add_test(tc, test_eat_and_reuse);
    tcase_add_test(tc, test_no_memory);
    tcase_add_loop_test(tc, test_escape, 0, (int)COUNT_OF(escapes));
    tcase_add_test(tc, test_decimal);
    tcase_add_test(tc, test_writer);
    tcase_add_loop_test(tc, test_num, 0, (int)COUNT_OF(nums));
}
CK_MAIN("buf")
