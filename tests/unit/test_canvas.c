/* tests/unit/test_canvas.c - tickets of the canvas: only ours, only whole; and which paths below a
 * folder may be looked for. */
#include "canvas.h"
#include "ck.h"
#include "folder.h"

static struct mac *key_of(unsigned char fill)
{
    unsigned char bytes[32];
    struct mac *m = NULL;
    struct err e = ERR_INIT;

    memset(bytes, fill, sizeof(bytes));
    ck_assert_int_eq(mac_new(&m, bytes, sizeof(bytes), &e), 0);
    return m;
}

static const struct canvas_ticket tickets[] = {
    {0, 0, 0}, {1, 2, 3}, {UINT64_MAX, 65535, UINT32_MAX}, {0x0102030405060708u, 7, 1800000000u}};

START_TEST(test_ticket)
{
    struct mac *ours = key_of(1), *other = key_of(2);
    char text[CANVAS_TICKET_LEN + 1], bad[CANVAS_TICKET_LEN + 2];
    struct canvas_ticket got;
    struct err e = ERR_INIT;

    ck_assert_int_eq(canvas_ticket_seal(ours, &tickets[_i], text, &e), 0);
    ck_assert_uint_eq(strlen(text), CANVAS_TICKET_LEN);
    ck_assert(canvas_ticket_open(ours, view_str(text), &got));
    ck_assert_uint_eq(got.conn_id, tickets[_i].conn_id);
    ck_assert_uint_eq(got.front, tickets[_i].front);
    ck_assert_uint_eq(got.until_s, tickets[_i].until_s);
    ck_assert(!canvas_ticket_open(other, view_str(text), &got));
    for (size_t n = 0; n < CANVAS_TICKET_LEN; n++) {
        ck_assert_msg(!canvas_ticket_open(ours, view_of(text, n), &got), "%zu characters", n);
        for (const char *c = "AZaz09-_.=%+/ "; *c; c++) {
            memcpy(bad, text, sizeof(text));
            bad[n] = *c;
            ck_assert_msg(bad[n] == text[n] || !canvas_ticket_open(ours, view_str(bad), &got),
                          "%c at %zu", *c, n);
        }
    }
    memcpy(bad, text, CANVAS_TICKET_LEN);
    memcpy(bad + CANVAS_TICKET_LEN, "A", 2);
    ck_assert(!canvas_ticket_open(ours, view_str(bad), &got));
    mac_free(&ours);
    mac_free(&other);
}
END_TEST

static const struct {
    struct view path;
    bool good;
} paths[] = {
    {{"", 0}, true},        {{"a", 1}, true},        {{"a/b.c", 5}, true}, {{"a/", 2}, true},
    {{"/", 1}, false},      {{"/a", 2}, false},      {{"a//b", 4}, false}, {{".", 1}, false},
    {{"..", 2}, false},     {{"a/..", 4}, false},    {{"a/.b", 4}, false}, {{".git/x", 6}, false},
    {{"a/../b", 6}, false}, {{"a\\b", 3}, false},    {{"a\0b", 3}, false}, {{"a..b", 4}, true},
    {{"a/...", 5}, false},  {{"\xc3\xa4", 2}, true}, {{"a b", 3}, true},
};

START_TEST(test_path)
{
    ck_assert_msg(folder_path_good(paths[_i].path) == paths[_i].good, "%.*s",
                  VIEW_FMT(paths[_i].path));
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_ticket, 0, sizeof(tickets) / sizeof(*tickets));
    tcase_add_loop_test(tc, test_path, 0, sizeof(paths) / sizeof(*paths));
}

CK_MAIN("canvas")
