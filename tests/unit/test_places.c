/* Places before hello: the bound, the reserve and who loses it, who waits, what is told, what is
 * given back. */
#include "ck.h"
#include "mem.h"
#include "places.h"

enum { BOUND = 32, RESERVE = 8, MANY = 600 };

static struct places all;
static struct place p[MANY];
static uint64_t now;

static void begin(void)
{
    places_init(&all);
    now = 1000;
    for (int i = 0; i < MANY; i++)
        place_init(&p[i]);
}

enum { NOBODY = -1, WAITS = -2, REFUSED = -3 };

/* Who went for it: an index, or one of the above. */
static int take(int i, uint64_t key)
{
    struct place *out = NULL;
    enum places_answer a = places_take(&all, key, BOUND, RESERVE, now, &p[i], &out);

    ck_assert(!out || !out->addr);
    return a == PLACES_FULL ? REFUSED : a == PLACES_WAIT ? WAITS : out ? (int)(out - p) : NOBODY;
}

static void give(int i)
{
    places_give(&all, &p[i], now);
}

/* Who has a place now, or NOBODY. */
static int granted(void)
{
    struct place *g = places_granted(&all);

    ck_assert(!g || (g->addr && !g->waits && g->since_ms == now));
    return g ? (int)(g - p) : NOBODY;
}

static int evicted(void)
{
    struct place *g = places_evict(&all, now);

    return g ? (int)(g - p) : NOBODY;
}

/* All places of an address. */
static void fill(uint64_t key)
{
    for (int i = 0; i < BOUND + RESERVE; i++)
        ck_assert_msg(take(i, key) == NOBODY, "%d", i);
}

static void empty(void)
{
    for (int i = 0; i < MANY; i++)
        give(i);
    ck_assert(!places_crowded(&all) && !places_granted(&all));
    for (int i = 0; i < PLACES_BUCKETS; i++)
        ck_assert_ptr_null(all.bucket[i]);
}

/* Many who mean it, all at once: nobody is refused, nobody loses a place. */
START_TEST(test_burst)
{
    int next = BOUND + RESERVE;

    begin();
    fill(7);
    for (int i = next; i < 256; i++)
        ck_assert_int_eq(take(i, 7), WAITS);
    ck_assert_int_eq(evicted(), NOBODY);
    ck_assert_int_eq(granted(), NOBODY);
    for (int i = 0; i < 256; i++) {
        places_spoke(&p[i]);
        now += 5; /* in all far more than a silent one has */
        ck_assert_int_eq(evicted(), NOBODY);
        give(i); /* hello */
        ck_assert_int_eq(granted(), next < 256 ? next : NOBODY);
        next++;
        if (i == 30)
            break;
    }
    ck_assert_int_eq(take(300, 8), NOBODY); /* another address feels nothing */
    empty();
}
END_TEST

/* Connections that only sit there: a few at a time make room, some are told. */
START_TEST(test_flood)
{
    int refused = 0;

    begin();
    fill(7);
    ck_assert_int_eq(take(40, 7), WAITS);
    now += PLACES_SILENT_MS;
    ck_assert_int_eq(evicted(), NOBODY);
    now++;
    ck_assert_int_eq(evicted(), BOUND); /* the oldest of the reserve, never one of the first */
    ck_assert_int_eq(granted(), 40);
    ck_assert_int_eq(evicted(), NOBODY); /* nobody waits any more */
    for (int i = 41; i < 80; i++) {
        int got = take(i, 7), nth = i - 40 + 1;

        now += PLACES_SILENT_MS + 1;
        if (nth % PLACES_TELL == 0) {
            ck_assert_msg(got == REFUSED, "%d", i);
            refused++;
        } else {
            ck_assert_msg(got >= BOUND && got < i, "%d: %d", i, got);
        }
    }
    ck_assert_int_eq(refused, 5);
    for (int i = 80; i < 87; i++)
        (void)take(i, 7);
    now += PLACES_FLOOD_MS; /* the next would be the one that is told, but it is over */
    ck_assert_int_ge(take(87, 7), BOUND);
    empty();
}
END_TEST

START_TEST(test_who_speaks_stays)
{
    begin();
    fill(1);
    now += PLACES_SILENT_MS + 1;
    places_spoke(&p[BOUND]);
    ck_assert_int_eq(take(100, 1), BOUND + 1);
    for (int i = 0; i < MANY; i++)
        if (p[i].addr)
            places_spoke(&p[i]);
    now += PLACES_SILENT_MS + 1;
    ck_assert_int_eq(take(101, 1), WAITS); /* nobody is silent */
    ck_assert_int_eq(take(102, 1), WAITS);
    ck_assert_int_eq(take(103, 1), WAITS);
    ck_assert_int_eq(evicted(), NOBODY);
    give(101); /* it does not wait any longer */
    give(100);
    ck_assert_int_eq(granted(), 102); /* room in the reserve */
    ck_assert(p[102].reserve);
    give(0);
    ck_assert_int_eq(granted(), 103); /* and below the bound */
    ck_assert(!p[103].reserve);
    ck_assert(!places_crowded(&all));
    empty();
}
END_TEST

/* It ends between being given a place and being told: the next one has it. */
START_TEST(test_granted_and_gone)
{
    begin();
    fill(1);
    ck_assert_int_eq(take(100, 1), WAITS);
    ck_assert_int_eq(take(101, 1), WAITS);
    give(5);
    give(100);
    ck_assert_int_eq(granted(), 101);
    ck_assert_int_eq(granted(), NOBODY);
    empty();
}
END_TEST

START_TEST(test_waiting_max)
{
    begin();
    fill(1);
    for (int i = 0; i < PLACES_WAITING_MAX; i++)
        ck_assert_int_eq(take(BOUND + RESERVE + i, 1), WAITS);
    ck_assert_int_eq(take(MANY - 1, 1), REFUSED);
    give(BOUND + RESERVE + 7);
    ck_assert_int_eq(take(MANY - 1, 1), WAITS);
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
    give(0); /* twice is harmless */
}
END_TEST

START_TEST(test_no_memory)
{
    struct place *out;

    begin();
    mem_fail_after(1, 1);
    ck_assert_int_eq(places_take(&all, 1, BOUND, RESERVE, now, &p[0], &out), PLACES_FULL);
    mem_fail_after(0, 0);
    empty();
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_flood);
    tcase_add_test(tc, test_burst);
    tcase_add_test(tc, test_granted_and_gone);
    tcase_add_test(tc, test_waiting_max);
    tcase_add_test(tc, test_who_speaks_stays);
    tcase_add_test(tc, test_bounds);
    tcase_add_test(tc, test_no_memory);
}
CK_MAIN("places")
