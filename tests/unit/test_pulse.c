/* The minutes of the charts: what counts where, what a minute of three hours ago must not show. */
#include "ck.h"
#include "mem.h"
#include "pulse.h"

#include <string.h>

static const int64_t minute = 60000, base = (int64_t)29000000 * 60000;

/* What the last so many minutes say, as text. */
static const char *said(const struct pulse *p, int64_t now, unsigned minutes)
{
    static char text[64 * 1024];
    struct buf b = BUF_INIT(sizeof(text));
    struct jw w = JW_INIT(&b);

    pulse_write(p, now, minutes, &w);
    ck_assert(b.n < sizeof(text));
    memcpy(text, b.p, b.n);
    text[b.n] = 0;
    buf_fini(&b);
    return text;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;

    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

START_TEST(test_minutes)
{
    static const struct {
        unsigned asked, got;
    } rows[] = {
        {1, 1}, {60, 60}, {PULSE_MINUTES, PULSE_MINUTES}, {PULSE_MINUTES + 1, PULSE_MINUTES}};
    static struct pulse p;

    memset(&p, 0, sizeof(p));
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        ck_assert_uint_eq(count(said(&p, base, rows[i].asked), "\"at\""), rows[i].got);
    ck_assert_uint_eq(count(said(&p, -5, 10), "\"at\""), 1); /* a clock before 1970 */
}
END_TEST

START_TEST(test_sums)
{
    static struct pulse p;

    memset(&p, 0, sizeof(p));
    pulse_turn(&p, base + 10, true, 100);
    pulse_turn(&p, base + 59999, true, 300);
    pulse_turn(&p, base + 20, false, 9000);
    pulse_turn(&p, base + 30, true, -7); /* the clock was set back: no huge number */
    pulse_tokens(&p, base, 5, 7);
    ck_assert_str_eq(said(&p, base, 1), "[{\"at\":1740000000000,\"ok\":3,\"failed\":1,\"msSum\":"
                                        "400,\"msMax\":300,\"tokensIn\":5,\"tokensOut\":7}]");
    ck_assert_uint_eq(count(said(&p, base + minute, 2), "\"ok\":3"), 1);
    ck_assert_uint_eq(count(said(&p, base + minute, 2), "\"ok\":0"), 1);
}
END_TEST

/* The place of a minute is used again after PULSE_MINUTES: it shows the new one only. */
START_TEST(test_around)
{
    static struct pulse p;
    int64_t later = base + PULSE_MINUTES * minute;

    memset(&p, 0, sizeof(p));
    pulse_turn(&p, base, true, 1);
    ck_assert_uint_eq(count(said(&p, later - minute, PULSE_MINUTES), "\"ok\":1"), 1);
    ck_assert_uint_eq(count(said(&p, later, PULSE_MINUTES), "\"ok\":1"), 0);
    pulse_turn(&p, later, false, 1);
    ck_assert_uint_eq(count(said(&p, later, PULSE_MINUTES), "\"failed\":1"), 1);
    ck_assert_uint_eq(count(said(&p, later, PULSE_MINUTES), "\"ok\":1"), 0);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_minutes);
    tcase_add_test(tc, test_sums);
    tcase_add_test(tc, test_around);
}
CK_MAIN("pulse")
