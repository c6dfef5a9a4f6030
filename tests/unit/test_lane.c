#include "ck.h"
#include "fd.h"
#include "lane.h"
#include "mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct lanes *make(unsigned main_n, unsigned cron_n)
{
    struct lanes *l = NULL;
    struct err e = ERR_INIT;

    ck_assert_int_eq(lanes_new(&l, &e), 0);
    ck_assert_int_eq(lanes_set(l, V("main"), main_n, &e), 0);
    ck_assert_int_eq(lanes_set(l, V("cron"), cron_n, &e), 0);
    return l;
}

static enum lane_known push(struct lanes *l, uint64_t id, const char *lane, const char *session)
{
    struct lane_job j = {
        .id = id, .attempt = 1, .lane = view_str(lane), .session = view_str(session)};
    enum lane_known k = LANE_NEW;
    struct err e = ERR_INIT;

    j.payload = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(lanes_push(l, &j, &k, &e), 0);
    if (k != LANE_NEW)
        fd_close(&j.payload);
    return k;
}

/* The id of the next job, 0 when none may start. */
static uint64_t next(struct lanes *l, unsigned agent)
{
    struct lane_job j;

    if (!lanes_next(l, agent, 1000, &j))
        return 0;
    ck_assert_int_ge(j.payload, 0);
    fd_close(&j.payload);
    return j.id;
}

START_TEST(test_concurrency)
{
    struct lanes *l = make(2, 1);

    ck_assert_int_eq(push(l, 1, "main", "a"), LANE_NEW);
    push(l, 2, "main", "b");
    push(l, 3, "main", "c");
    ck_assert_uint_eq(next(l, 0), 1);
    ck_assert_uint_eq(next(l, 0), 2);
    ck_assert_uint_eq(next(l, 0), 0);
    ck_assert(lanes_done(l, 1, 1));
    ck_assert(!lanes_done(l, 1, 1));
    ck_assert_uint_eq(next(l, 0), 3);
    ck_assert_uint_eq(lanes_running_on(l, 0), 2);
    lanes_free(&l);
}
END_TEST

START_TEST(test_session_order)
{
    struct lanes *l = make(4, 4);

    push(l, 1, "main", "a");
    push(l, 2, "main", "a");
    push(l, 3, "cron", "a"); /* another lane, same session: still one at a time */
    push(l, 4, "main", "b");
    ck_assert_uint_eq(next(l, 0), 1);
    ck_assert_uint_eq(next(l, 0), 4);
    ck_assert_uint_eq(next(l, 0), 0);
    ck_assert(lanes_done(l, 1, 1));
    ck_assert_uint_ne(next(l, 0), 0);
    ck_assert_uint_eq(next(l, 0), 0);
    lanes_free(&l);
}
END_TEST

START_TEST(test_known_and_cancel)
{
    struct lanes *l = make(1, 1);
    unsigned agent = 99;

    push(l, 1, "main", "a");
    ck_assert_int_eq(push(l, 1, "main", "a"), LANE_WAITING);
    ck_assert_uint_eq(next(l, 7), 1);
    ck_assert_int_eq(push(l, 1, "main", "a"), LANE_RUNNING);
    push(l, 2, "main", "b");
    ck_assert_int_eq(lanes_cancel(l, 2, &agent), LANE_WAITING);
    ck_assert_int_eq(lanes_cancel(l, 2, &agent), LANE_NEW);
    ck_assert_int_eq(lanes_cancel(l, 1, &agent), LANE_RUNNING);
    ck_assert_uint_eq(agent, 7);
    ck_assert(!lanes_done(l, 1, 2)); /* another attempt's end means nothing */
    ck_assert(lanes_done(l, 1, 1));
    ck_assert(lanes_idle(l));
    lanes_free(&l);
}
END_TEST

static uint64_t lost_sum;
static void on_lost(void *ctx, uint64_t id, uint32_t attempt)
{
    (void)ctx;
    lost_sum += id * 10 + attempt;
}

START_TEST(test_lost)
{
    struct lanes *l = make(4, 1);

    for (uint64_t i = 1; i <= 4; i++) {
        char s[8];

        (void)snprintf(s, sizeof(s), "s%d", (int)i);
        push(l, i, "main", s);
        ck_assert_uint_eq(next(l, i % 2), i);
    }
    lost_sum = 0;
    lanes_lost(l, 1, on_lost, NULL);
    ck_assert_uint_eq(lost_sum, 11 + 31);
    ck_assert_uint_eq(lanes_running_on(l, 0), 2);
    ck_assert_uint_eq(lanes_running_on(l, 1), 0);
    lanes_free(&l);
}
END_TEST

START_TEST(test_limit)
{
    struct lanes *l = make(1, 1);
    struct lane_job j = {
        .id = 0, .attempt = 1, .lane = V("main"), .session = V("s"), .payload = -1};
    enum lane_known k;
    struct err e = ERR_INIT;

    for (j.id = 1; j.id <= LANE_JOBS_MAX - LANE_SHARE; j.id++)
        ck_assert_int_eq(lanes_push(l, &j, &k, &e), 0);
    ck_assert_int_eq(lanes_push(l, &j, &k, &e), ERR_LIMIT);
    j.lane = V("cron"); /* its share is still there */
    for (; j.id <= LANE_JOBS_MAX; j.id++)
        ck_assert_int_eq(lanes_push(l, &j, &k, &e), 0);
    ck_assert_int_eq(lanes_push(l, &j, &k, &e), ERR_LIMIT);
    j.lane = V("nowhere");
    ck_assert_int_lt(lanes_push(l, &j, &k, &e), 0);
    lanes_free(&l);
}
END_TEST

START_TEST(test_unstart)
{
    struct lanes *l = make(1, 1);
    struct lane_job j;

    push(l, 1, "main", "a");
    push(l, 2, "main", "b");
    ck_assert(lanes_next(l, 0, 1000, &j));
    lanes_unstart(l, j.id, j.payload);
    ck_assert_uint_eq(next(l, 0), 1); /* still the first */
    lanes_free(&l);
}
END_TEST

/* However much one lane may run, the last places of the agents go to lanes that have none. */
START_TEST(test_room)
{
    struct lanes *l = make(100, 100);
    struct err e = ERR_INIT;
    struct lane_job j;
    unsigned room = 5;
    char s[8];

    ck_assert_int_eq(lanes_set(l, V("nested"), 100, &e), 0);
    for (uint64_t i = 1; i <= 9; i++) {
        (void)snprintf(s, sizeof(s), "s%d", (int)i);
        push(l, i, "main", s);
    }
    for (; lanes_next(l, 0, room, &j); room--)
        fd_close(&j.payload);
    ck_assert_uint_eq(room, 2); /* three of five */
    push(l, 20, "cron", "c1");
    push(l, 21, "cron", "c2");
    ck_assert(lanes_next(l, 0, room--, &j));
    fd_close(&j.payload);
    ck_assert_uint_eq(j.id, 20);
    ck_assert(!lanes_next(l, 0, room, &j)); /* the last one is nested's */
    push(l, 30, "nested", "n1");
    ck_assert(lanes_next(l, 0, room--, &j));
    fd_close(&j.payload);
    ck_assert_uint_eq(j.id, 30);
    ck_assert(lanes_done(l, 30, 1));
    ck_assert(!lanes_next(l, 0, 1, &j));
    lanes_free(&l);
    l = make(100, 100); /* a single place is anybody's */
    push(l, 1, "main", "a");
    ck_assert(lanes_next(l, 0, 1, &j));
    fd_close(&j.payload);
    lanes_free(&l);
}
END_TEST

/* A session with many jobs and others with one each: how many jobs start before each one's first.
 */
START_TEST(test_fair)
{
    struct lanes *l = make(1, 1);
    uint64_t running, first_of[4] = {0}, started = 0;

    for (uint64_t i = 1; i <= 200; i++)
        push(l, i, "main", "flood");
    running = next(l, 0);
    for (uint64_t s = 1; s <= 3; s++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "s%d", (int)s);
        push(l, 1000 + s, "main", name);
    }
    while (running) {
        ck_assert(lanes_done(l, running, 1));
        running = next(l, 0);
        started++;
        if (running > 1000)
            first_of[running - 1000] = started;
    }
    for (uint64_t s = 1; s <= 3; s++)
        ck_assert_msg(first_of[s] >= 1 && first_of[s] <= s + 1, "session %d started as number %d",
                      (int)s, (int)first_of[s]);
    ck_assert_uint_eq(started, 203);
    lanes_free(&l);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_room);
    tcase_add_test(tc, test_fair);
    tcase_add_test(tc, test_concurrency);
    tcase_add_test(tc, test_session_order);
    tcase_add_test(tc, test_known_and_cancel);
    tcase_add_test(tc, test_lost);
    tcase_add_test(tc, test_limit);
    tcase_add_test(tc, test_unstart);
}
CK_MAIN("lane")
