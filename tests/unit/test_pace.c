/* workers/hub/pace.h: who may go when. */
#include "ck.h"

#include "mem.h"
#include "pace.h"

#include <stdio.h>

enum { HOUR = 3600000 };

struct step {
    uint64_t at_ms;
    const char *chat;
    uint32_t wait_ms; /* 0: it goes */
    uint64_t done_ms; /* 0: not answered */
};

/* When it may go, chat and account asked: in so many ms. Counted when that is now. */
static uint64_t ask(struct pace *p, const char *chat, uint64_t now)
{
    uint64_t a = pace_chat(p, view_str(chat), now), b = pace_account(p, now);
    uint64_t at = a > b ? a : b;

    ck_assert(at == 0 || at > now);
    if (at)
        return at - now;
    pace_take(p, view_str(chat), now);
    return 0;
}

static void play(struct pace *p, const struct step *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t got = ask(p, s[i].chat, s[i].at_ms);

        ck_assert_msg(got == s[i].wait_ms, "step %zu: waits %u, not %u", i, (unsigned)got,
                      s[i].wait_ms);
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
    struct pace p = {.limits = {.chat_gap_ms = 1000}};

    play(&p, steps, COUNT_OF(steps));
}
END_TEST

START_TEST(account_in_any_second)
{
    static const struct step steps[] = {
        {5000, "a", 0, 0},   {5100, "a", 0, 0}, {5200, "b", 0, 0},
        {5300, "c", 700, 0}, {5999, "c", 1, 0}, {6000, "c", 0, 0},
        {6000, "d", 100, 0}, {6100, "d", 0, 0}, {6100, "e", 100, 0},
    };
    struct pace p = {.limits = {.account_n = 3, .account_ms = 1000}};

    play(&p, steps, COUNT_OF(steps));
}
END_TEST

START_TEST(refused_is_not_counted)
{
    static const struct step steps[] = {
        {5000, "a", 0, 0},   {5000, "b", 0, 0},   {5001, "a", 999, 0},
        {5002, "a", 998, 0}, {5003, "c", 997, 0}, /* the account, though the chat is free */
        {6000, "a", 0, 0},   {6000, "c", 0, 0},
    };
    struct pace p = {.limits = {.chat_gap_ms = 1000, .account_n = 2, .account_ms = 1000}};

    play(&p, steps, COUNT_OF(steps));
}
END_TEST

START_TEST(rooms_in_any_minute)
{
    struct pace p = {.limits = {.chat_gap_ms = 1000, .room_per_min = 20, .rooms = "-@"}};
    uint64_t now = HOUR, sent[100];
    unsigned n = 0;

    for (; n < 100; now += 250)
        if (ask(&p, "-1001", now) == 0)
            sent[n++] = now;
    for (unsigned i = 20; i < n; i++)
        ck_assert_uint_ge(sent[i] - sent[i - 20], 60000);
    for (unsigned i = 1; i < n; i++)
        ck_assert_uint_ge(sent[i] - sent[i - 1], 1000);
    ck_assert_uint_eq(sent[99] - sent[0], 4 * 60000 + 19 * 1000); /* and no slower than that */
    for (unsigned i = 0; i < 40; i++)                             /* a person is no room */
        ck_assert_uint_eq(ask(&p, "1001", now + i * 1000), 0);
}
END_TEST

/* However the same chat is written, and whatever stands behind it. */
static const struct {
    const char *one, *other;
    bool same;
} spellings[] = {
    {"42", "42", true},
    {"42", "43", false},
    {"42", "telegram:42", true},
    {"tg:group:-100", "-100:topic:7", true},
    {"-100:topic:8", "telegram:-100:topic:7", true},
    {"19:abc@thread", "19:abd@thread", false},
    {"!room:server", "!room:elsewhere", false},
    {"x:", "y:", false},
    {"", ":", false},
};

START_TEST(one_chat_one_key)
{
    struct pace p = {.limits = {.chat_gap_ms = 1000}};

    ck_assert_uint_eq(ask(&p, spellings[_i].one, HOUR), 0);
    ck_assert_msg((ask(&p, spellings[_i].other, HOUR) == 1000) == spellings[_i].same, "%s, %s",
                  spellings[_i].one, spellings[_i].other);
}
END_TEST

/* The platform says "later": to one chat, and when that comes to many, to all. */
START_TEST(told_to_wait)
{
    struct pace p = {.limits = {.chat_gap_ms = 0}};

    pace_later(&p, V("a"), HOUR, 5000, false);
    ck_assert_uint_eq(ask(&p, "a", HOUR + 1), 4999);
    ck_assert_uint_eq(ask(&p, "b", HOUR + 1), 0);
    pace_later(&p, V("a"), HOUR + 1, 1000, false); /* not sooner than it said before */
    ck_assert_uint_eq(ask(&p, "a", HOUR + 2), 4998);
    pace_later(&p, V("b"), HOUR + 2, 1000, false);
    ck_assert_uint_eq(ask(&p, "z", HOUR + 2), 0);
    pace_later(&p, V("c"), HOUR + 2, 3000, false);
    ck_assert_uint_eq(ask(&p, "z", HOUR + 2), 3000);
    ck_assert_uint_eq(ask(&p, "z", HOUR + 3002), 0);
    ck_assert_uint_eq(ask(&p, "a", HOUR + 5000), 0);
    pace_later(&p, V("d"), 2 * (uint64_t)HOUR, 7000, true); /* it says so itself */
    ck_assert_uint_eq(ask(&p, "z", 2 * (uint64_t)HOUR), 7000);
    pace_later(&p, V("d"), 3 * (uint64_t)HOUR, UINT64_MAX, false);
    ck_assert_uint_eq(ask(&p, "d", 3 * (uint64_t)HOUR), PACE_LATER_MAX_MS);
}
END_TEST

START_TEST(no_limits)
{
    struct pace p = {.limits = {.chat_gap_ms = 0}};

    for (int i = 0; i < 1000; i++)
        ck_assert_uint_eq(ask(&p, "a", 0), 0);
}
END_TEST

/* Who was quiet longest is forgotten; who has to wait is not, while anybody else can be. */
START_TEST(more_chats_than_places)
{
    struct pace p = {.limits = {.chat_gap_ms = 1000}};
    char name[16];

    pace_later(&p, V("paused"), 5000, HOUR, false);
    for (uint64_t i = 0; i < 10 * PACE_CHATS; i++) {
        (void)snprintf(name, sizeof(name), "chat%llu", (unsigned long long)i);
        ck_assert_uint_eq(ask(&p, name, 5000 + i * 10), 0);
    }
    ck_assert_uint_eq(ask(&p, "paused", 5000 + 10 * PACE_CHATS * 10), HOUR - 100 * PACE_CHATS);
    ck_assert_uint_gt(ask(&p, name, 5000 + 10 * PACE_CHATS * 10), 0);
    for (int i = 0; i < 2 * PACE_CHATS; i++) {
        (void)snprintf(name, sizeof(name), "later%d", i);
        pace_later(&p, view_str(name), 50000, HOUR, false); /* of no harm */
    }
    pace_done(&p, V("nobody"), 9000); /* is nobody's */
}
END_TEST

START_TEST(rates_beyond_the_tables)
{
    struct pace p = {
        .limits = {.room_per_min = 1000, .account_n = 1000, .account_ms = 1000, .rooms = "#"}};
    unsigned went = 0;

    for (int i = 0; i < 1000; i++)
        went += ask(&p, "a", 5000) == 0;
    ck_assert_uint_eq(went, PACE_ACCOUNT_MAX);
    went = 0;
    for (int i = 0; i < 1000; i++)
        went += ask(&p, "#a", 7000) == 0;
    ck_assert_uint_eq(went, PACE_ROOM_MAX);
    p.limits.account_n = 2; /* another limit than before: the count begins anew */
    ck_assert_uint_eq(ask(&p, "b", 9000), 0);
    ck_assert_uint_eq(ask(&p, "b", 9000), 0);
    ck_assert_uint_eq(ask(&p, "b", 9001), 999);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, chats_do_not_hold_up_each_other);
    tcase_add_test(tc, account_in_any_second);
    tcase_add_test(tc, refused_is_not_counted);
    tcase_add_test(tc, rooms_in_any_minute);
    tcase_add_loop_test(tc, one_chat_one_key, 0, (int)COUNT_OF(spellings));
    tcase_add_test(tc, told_to_wait);
    tcase_add_test(tc, no_limits);
    tcase_add_test(tc, more_chats_than_places);
    tcase_add_test(tc, rates_beyond_the_tables);
}

CK_MAIN("pace")
