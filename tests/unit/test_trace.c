/* traceparent: what is one, and what goes on from it. */
#include "ck.h"
#include "mem.h"
#include "trace.h"

#include <string.h>

#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const struct {
    const char *name, *text;
    bool good;
} rows[] = {
    {"good", GOOD, true},
    {"not sampled", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true},
    {"a later version", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
    {"empty", "", false},
    {"one short", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", false},
    {"one long", GOOD "0", false},
    {"upper case", "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01", false},
    {"no digit", "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01", false},
    {"no such version", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
    {"no trace", "00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
    {"no span", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
    {"other dashes", "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01", false},
};

START_TEST(test_read)
{
    struct view got = trace_read(view_str(rows[_i].text));

    ck_assert_msg((got.n == TRACE_LEN) == rows[_i].good, "%s", rows[_i].name);
    ck_assert_msg(rows[_i].good || got.n == 0, "%s", rows[_i].name);
}
END_TEST

START_TEST(test_child)
{
    unsigned char id[16] = {0xab, [15] = 0x01}, zero[16] = {0};
    char out[TRACE_LEN + 1];

    trace_child(view_str(GOOD), zero, 0x0123456789abcdef, out);
    ck_assert_str_eq(out, "00-0af7651916cd43dd8448eb211c80319c-0123456789abcdef-01");
    trace_child(VIEW_EMPTY, id, 1, out);
    ck_assert_str_eq(out, "00-ab000000000000000000000000000001-0000000000000001-01");
    trace_child(VIEW_EMPTY, zero, 1, out); /* never one that others refuse */
    ck_assert_uint_eq(trace_read(view_str(out)).n, TRACE_LEN);
    ck_assert(view_eq(trace_id(view_str(GOOD)), V("0af7651916cd43dd8448eb211c80319c")));
    ck_assert_uint_eq(trace_id(VIEW_EMPTY).n, 0);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_read, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_child);
}
CK_MAIN("trace")
