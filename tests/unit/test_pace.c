/* channels/base/pace.h: who may go when. */
#include "ck.h"

#include "pace.h"

#include <stdio.h>

struct step {
    uint64_t at_ms;
    const char *chat;
    uint32_t wait_ms; /* 0: it goes */
    uint64_t done_ms; /* 0: not answered */
};

static void play(struct pace *p, const struct step *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t got = pace_take(p, view_str(s[i].chat), s[i].at_ms);

        ck_assert_msg(got == s[i].wait_ms, "step %zu: waits %u, not %u", i, got, s[i].wait_ms);
        if (s[i].done_ms)
            pace_done(p, view_str(s[i].chat), s[i].done_ms);
    }
}

START_TEST(chats_do_not_hold_up_each_other)
{
    static const struct step steps[] = {
        {5000, "a", 0, 0},   {5000, "a", 1000, 0}, {5000, "b", 0, 0},
        {5400, "a", 600, 0}, {6000, "a", 0, 6300}, /* the gap counts from the answer */
        {7000, "a", 301, 0}, {7000, "c", 0, 0},    {7301, "a", 0, 0},
    };
    struct pace p = {.chat_gap_ms = 1000};

    play(&p, steps, sizeof(steps) / sizeof(steps[0]));
}
END_TEST

START_TEST(account_in_any_second)
{
    static const struct step steps[] = {
        {5000, "a", 0, 0},   {5100, "a", 0, 0}, {5200, "b", 0, 0},
        {5300, "c", 700, 0}, {5999, "c", 1, 0}, {6000, "c", 0, 0},
        {6000, "d", 100, 0}, {6100, "d", 0, 0}, {6100, "e", 100, 0},
    };
    struct pace p = {.per_s = 3};

    play(&p, steps, sizeof(steps) / sizeof(steps[0]));
}
END_TEST

START_TEST(refused_is_not_counted)
{
    static const struct step steps[] = {
        {5000, "a", 0, 0},   {5000, "b", 0, 0},   {5001, "a", 999, 0},
        {5002, "a", 998, 0}, {5003, "c", 997, 0}, /* the account, though the chat is free */
        {6000, "a", 0, 0},   {6000, "c", 0, 0},
    };
    struct pace p = {.chat_gap_ms = 1000, .per_s = 2};

    play(&p, steps, sizeof(steps) / sizeof(steps[0]));
}
END_TEST

START_TEST(no_limits)
{
    struct pace p = {0};

    for (int i = 0; i < 1000; i++)
        ck_assert_uint_eq(pace_take(&p, V("a"), 0), 0);
}
END_TEST

START_TEST(more_chats_than_places)
{
    struct pace p = {.chat_gap_ms = 1000};
    char name[16];

    for (int i = 0; i <= PACE_CHATS; i++) {
        uint32_t wait;

        (void)snprintf(name, sizeof(name), "chat%d", i);
        wait = pace_take(&p, view_str(name), 5000 + (uint64_t)i);
        ck_assert_uint_eq(wait, i < PACE_CHATS ? 0 : 1000 - PACE_CHATS);
    }
    ck_assert_uint_eq(pace_take(&p, V("late"), 6000), 0);  /* chat0's place */
    ck_assert_uint_eq(pace_take(&p, V("chat1"), 6000), 1); /* whose gap still runs */
    pace_done(&p, V("nobody"), 9000);                      /* is nobody's */
    ck_assert_uint_eq(pace_take(&p, V("chat1"), 6001), 0);
}
END_TEST

START_TEST(rate_beyond_the_table)
{
    struct pace p = {.per_s = 1000};
    unsigned went = 0;

    for (int i = 0; i < 1000; i++)
        went += pace_take(&p, V("a"), 5000) == 0;
    ck_assert_uint_eq(went, PACE_PER_S_MAX);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, chats_do_not_hold_up_each_other);
    tcase_add_test(tc, account_in_any_second);
    tcase_add_test(tc, refused_is_not_counted);
    tcase_add_test(tc, no_limits);
    tcase_add_test(tc, more_chats_than_places);
    tcase_add_test(tc, rate_beyond_the_table);
}

CK_MAIN("pace")
