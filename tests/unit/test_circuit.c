/* tests/unit/test_circuit.c - when a provider is left alone, and how often a request is repeated.
 */
#include "circuit.h"
#include "ck.h"
#include "mem.h"

/* What happens, a letter a step: '.' success, 'x' failure, '1'..'9' that many tenths of the open
 * time pass, '?' it may be asked, '!' it may not. */
static const struct {
    const char *name, *steps;
} rows[] = {
    {"new", "?"},
    {"nine failures", "xxxxxxxxx?"},
    {"ten failures", "xxxxxxxxxx!"},
    {"half of twenty", "x.x.x.x.x.x.x.x.x.x!"},
    {"less than half of twenty", "..x.x.x.x.x.x.x.x...x.?"},
    {"successes push failures out", "xxxxxxxxx....................x?"},
    {"slow failures", "xxxxx6xxxx?5x?"},
    {"shut for 30 s, then one may try", "xxxxxxxxxx!9!1?!"},
    {"the one that tries succeeds", "xxxxxxxxxx55?.??"},
    {"and fails", "xxxxxxxxxx55?x!9!1?"},
    {"and never tells", "xxxxxxxxxx55?!9!1?"},
    {"open again after ten more only", "xxxxxxxxxx55?.xxxxxxxxx?x!"},
    {"word of one that was under way", "xxxxxxxxxx!.?"},
};

START_TEST(test_rows)
{
    struct circuit c = {0};
    uint64_t now = 1000000, wait;

    for (const char *s = rows[_i].steps; *s; s++) {
        wait = 0;
        if (*s == '.' || *s == 'x')
            circuit_saw(&c, now, *s == 'x');
        else if (*s >= '1' && *s <= '9')
            now += (uint64_t)(*s - '0') * CIRCUIT_OPEN_MS / 10;
        else
            ck_assert_msg(circuit_may(&c, now, &wait) == (*s == '?'), "%s: step %d", rows[_i].name,
                          (int)(s - rows[_i].steps));
        ck_assert_msg(*s != '!' || (wait > 0 && wait <= CIRCUIT_OPEN_MS), "%s", rows[_i].name);
    }
}
END_TEST

START_TEST(test_budget)
{
    struct circuit c = {0};
    uint64_t now = 5;
    unsigned n = 0;

    while (circuit_retry(&c, now))
        n++;
    ck_assert_uint_eq(n, CIRCUIT_RETRIES); /* for a quiet day */
    for (int i = 0; i < 1000; i++) {       /* all first attempts fail: a tenth is repeated */
        circuit_asked(&c, now);
        n += circuit_retry(&c, now);
    }
    ck_assert_uint_eq(n, CIRCUIT_RETRIES + 100);
    now += CIRCUIT_RETRY_EVERY_MS - 1;
    ck_assert(!circuit_retry(&c, now));
    now++;
    ck_assert(circuit_retry(&c, now));
    ck_assert(!circuit_retry(&c, now));
    now += 1000ull * CIRCUIT_RETRY_EVERY_MS; /* saved up, within bounds */
    for (n = 0; circuit_retry(&c, now); n++)
        ;
    ck_assert_uint_eq(n, CIRCUIT_RETRIES);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_rows, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_budget);
}
CK_MAIN("circuit")
