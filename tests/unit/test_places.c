/* Places before hello: the bound, the reserve and who loses it, what is told, what is given back.
 */
#include "ck.h"
#include "mem.h"
#include "places.h"

enum { BOUND = 32, RESERVE = 8, MANY = 200 };

static struct places all;
static struct place p[MANY];

static void begin(void)
{
    places_init(&all);
    for (int i = 0; i < MANY; i++)
        place_init(&p[i]);
}

/* Who went for it: an index, -1 nobody, -2 refused. */
static int take(int i, uint64_t key)
{
    struct place *out = NULL;

    if (places_take(&all, key, BOUND, RESERVE, &p[i], &out) == PLACES_FULL)
        return -2;
    ck_assert(!out || !out->addr);
    return out ? (int)(out - p) : -1;
}

static void empty(void)
{
    for (int i = 0; i < MANY; i++)
        places_give(&all, &p[i]);
    for (int i = 0; i < PLACES_BUCKETS; i++)
        ck_assert_ptr_null(all.bucket[i]);
}

START_TEST(test_flood)
{
    int refused = 0, i;

    begin();
    for (i = 0; i < BOUND + RESERVE; i++)
        ck_assert_msg(take(i, 7) == -1, "%d", i);
    for (; i < 80; i++) {
        int got = take(i, 7), nth = i - BOUND - RESERVE + 1;

        if (nth % PLACES_TELL == 0) {
            ck_assert_msg(got == -2, "%d", i);
            refused++;
        } else { /* the oldest of the reserve, never one of the first */
            ck_assert_msg(got >= BOUND && got < i, "%d: %d", i, got);
        }
    }
    ck_assert_int_eq(refused, 5);
    ck_assert_int_eq(take(80, 8), -1); /* another address feels nothing */
    ck_assert_int_ge(take(81, 7), BOUND);
    empty();
}
END_TEST

START_TEST(test_oldest_goes)
{
    begin();
    for (int i = 0; i < BOUND + RESERVE; i++)
        (void)take(i, 1);
    for (int i = 0; i < PLACES_TELL - 1; i++)
        ck_assert_int_eq(take(BOUND + RESERVE + i, 1), BOUND + i);
    empty();
}
END_TEST

START_TEST(test_who_speaks_stays)
{
    begin();
    for (int i = 0; i < BOUND + RESERVE; i++)
        (void)take(i, 1);
    places_spoke(&p[BOUND]);
    ck_assert_int_eq(take(100, 1), BOUND + 1);
    for (int i = 0; i < MANY; i++)
        if (p[i].addr)
            places_spoke(&p[i]);
    ck_assert_int_eq(take(101, 1), -2); /* nobody is silent */
    places_give(&all, &p[100]);
    ck_assert_int_eq(take(102, 1), -1); /* room in the reserve */
    places_give(&all, &p[0]);
    ck_assert_int_eq(take(103, 1), -1); /* and below the bound */
    ck_assert(!p[103].reserve);
    empty();
}
END_TEST

START_TEST(test_bounds)
{
    begin();
    for (int i = 0; i < BOUND; i++)
        (void)take(i, 1);
    for (int i = 0; i < BOUND; i++)
        ck_assert(!p[i].reserve);
    (void)take(BOUND, 1);
    ck_assert(p[BOUND].reserve);
    empty();
    places_give(&all, &p[0]); /* twice is harmless */
}
END_TEST

START_TEST(test_no_memory)
{
    struct place *out;

    begin();
    mem_fail_after(1, 1);
    ck_assert_int_eq(places_take(&all, 1, BOUND, RESERVE, &p[0], &out), PLACES_FULL);
    mem_fail_after(0, 0);
    empty();
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_flood);
    tcase_add_test(tc, test_oldest_goes);
    tcase_add_test(tc, test_who_speaks_stays);
    tcase_add_test(tc, test_bounds);
    tcase_add_test(tc, test_no_memory);
}
CK_MAIN("places")
