/* The life of an outgoing message: the table, the parts, the heap. */
#include "ck.h"
#include "deliver.h"
#include "deliver_heap.h"
#include "deliver_split.h"

#include <stdio.h>

static const struct deliver_policy policy = {.attempts = 5,
                                             .delay_ms = {5000, 25000, 120000, 600000}};

enum { LONG = 86400000 };

#define QUEUED  DELIVERY_QUEUED
#define SENDING DELIVERY_SENDING
#define SENT    DELIVERY_SENT
#define UNKNOWN DELIVERY_UNKNOWN
#define DEAD    DELIVERY_DEAD
#define DROPPED DELIVERY_DROPPED

static const struct {
    const char *name;
    enum delivery_state from;
    bool maybe;
    uint32_t attempts, part, parts;
    enum deliver_event ev;
    uint64_t left, after;
    bool repeatable;
    enum deliver_action action;
    enum delivery_state to;
    uint64_t wait;
} rows[] = {
    {"start", QUEUED, 0, 0, 0, 1, DELIVER_EV_START, LONG, 0, 0, DELIVER_SEND, SENDING, 0},
    {"start too late", QUEUED, 0, 0, 0, 1, DELIVER_EV_START, 0, 0, 0, DELIVER_END, DEAD, 0},
    {"start too late, maybe", QUEUED, 1, 1, 0, 1, DELIVER_EV_START, 0, 0, 1, DELIVER_END, UNKNOWN,
     0},
    {"start at the last moment", QUEUED, 0, 0, 0, 1, DELIVER_EV_START, 1, 0, 0, DELIVER_SEND,
     SENDING, 0},
    {"expired", QUEUED, 0, 2, 0, 1, DELIVER_EV_EXPIRE, 0, 0, 0, DELIVER_END, DEAD, 0},
    {"expired, maybe", QUEUED, 1, 2, 0, 1, DELIVER_EV_EXPIRE, 0, 0, 1, DELIVER_END, UNKNOWN, 0},
    {"dropped while it waits", QUEUED, 0, 1, 0, 1, DELIVER_EV_DROP, LONG, 0, 0, DELIVER_END,
     DROPPED, 0},
    {"no more waiting", QUEUED, 0, 3, 0, 1, DELIVER_EV_RETRY, LONG, 0, 0, DELIVER_WAIT, QUEUED, 0},
    {"late word while it waits", QUEUED, 1, 1, 0, 1, DELIVER_EV_OK, LONG, 0, 1, DELIVER_END, SENT,
     0},
    {"word of what was not sent", QUEUED, 0, 0, 0, 1, DELIVER_EV_OK, LONG, 0, 0, DELIVER_NOTHING,
     QUEUED, 0},
    {"failure of what was not sent", QUEUED, 0, 1, 0, 1, DELIVER_EV_PERMANENT, LONG, 0, 0,
     DELIVER_NOTHING, QUEUED, 0},
    {"its file later", QUEUED, 0, 0, 0, 1, DELIVER_EV_UNREADY, LONG, 0, 0, DELIVER_WAIT, QUEUED,
     5000},
    {"its file later, once too often", QUEUED, 0, 4, 0, 1, DELIVER_EV_UNREADY, LONG, 0, 0,
     DELIVER_END, DEAD, 0},
    {"its file later, and it expires", QUEUED, 0, 0, 0, 1, DELIVER_EV_UNREADY, 5000, 0, 0,
     DELIVER_END, DEAD, 0},
    {"its file never", QUEUED, 0, 0, 0, 1, DELIVER_EV_NEVER, LONG, 0, 0, DELIVER_END, DEAD, 0},
    {"its file, while it is sent", SENDING, 0, 1, 0, 1, DELIVER_EV_NEVER, LONG, 0, 0,
     DELIVER_NOTHING, SENDING, 0},
    {"taken", SENDING, 0, 1, 0, 1, DELIVER_EV_OK, LONG, 0, 0, DELIVER_END, SENT, 0},
    {"taken after its time", SENDING, 0, 1, 0, 1, DELIVER_EV_OK, 0, 0, 0, DELIVER_END, SENT, 0},
    {"a part taken", SENDING, 0, 3, 0, 2, DELIVER_EV_OK, LONG, 0, 0, DELIVER_WAIT, QUEUED, 0},
    {"the last part taken", SENDING, 1, 1, 1, 2, DELIVER_EV_OK, LONG, 0, 1, DELIVER_END, SENT, 0},
    {"1st failure", SENDING, 0, 1, 0, 1, DELIVER_EV_TRANSIENT, LONG, 0, 0, DELIVER_WAIT, QUEUED,
     5000},
    {"2nd failure", SENDING, 0, 2, 0, 1, DELIVER_EV_TRANSIENT, LONG, 0, 0, DELIVER_WAIT, QUEUED,
     25000},
    {"3rd failure", SENDING, 0, 3, 0, 1, DELIVER_EV_TRANSIENT, LONG, 0, 0, DELIVER_WAIT, QUEUED,
     120000},
    {"4th failure", SENDING, 0, 4, 0, 1, DELIVER_EV_TRANSIENT, LONG, 0, 0, DELIVER_WAIT, QUEUED,
     600000},
    {"5th failure", SENDING, 0, 5, 0, 1, DELIVER_EV_TRANSIENT, LONG, 0, 0, DELIVER_END, DEAD, 0},
    {"5th failure, maybe", SENDING, 1, 5, 0, 1, DELIVER_EV_TRANSIENT, LONG, 0, 1, DELIVER_END,
     UNKNOWN, 0},
    {"retry-after is longer", SENDING, 0, 1, 0, 1, DELIVER_EV_TRANSIENT, LONG, 7000, 0,
     DELIVER_WAIT, QUEUED, 7000},
    {"retry-after is shorter", SENDING, 0, 1, 0, 1, DELIVER_EV_TRANSIENT, LONG, 3000, 0,
     DELIVER_WAIT, QUEUED, 5000},
    {"expires just after", SENDING, 0, 1, 0, 1, DELIVER_EV_TRANSIENT, 5001, 0, 0, DELIVER_WAIT,
     QUEUED, 5000},
    {"expires before", SENDING, 0, 1, 0, 1, DELIVER_EV_TRANSIENT, 5000, 0, 0, DELIVER_END, DEAD, 0},
    {"permanent", SENDING, 0, 1, 0, 1, DELIVER_EV_PERMANENT, LONG, 0, 0, DELIVER_END, DEAD, 0},
    {"permanent in the middle", SENDING, 0, 1, 1, 3, DELIVER_EV_PERMANENT, LONG, 0, 0, DELIVER_END,
     DEAD, 0},
    {"lost", SENDING, 0, 1, 0, 1, DELIVER_EV_LOST, LONG, 0, 0, DELIVER_END, UNKNOWN, 0},
    {"lost, platform knows ids", SENDING, 0, 1, 0, 1, DELIVER_EV_LOST, LONG, 0, 1, DELIVER_WAIT,
     QUEUED, 5000},
    {"lost for the 5th time", SENDING, 1, 5, 0, 1, DELIVER_EV_LOST, LONG, 0, 1, DELIVER_END,
     UNKNOWN, 0},
    {"lost and expired", SENDING, 0, 1, 0, 1, DELIVER_EV_LOST, 0, 0, 1, DELIVER_END, UNKNOWN, 0},
    {"never had", SENDING, 0, 1, 0, 1, DELIVER_EV_UNSENT, LONG, 0, 0, DELIVER_WAIT, QUEUED, 0},
    {"never had, the 9th time", SENDING, 0, 9, 0, 1, DELIVER_EV_UNSENT, LONG, 0, 0, DELIVER_WAIT,
     QUEUED, 0},
    {"never had, too late now", SENDING, 0, 1, 0, 1, DELIVER_EV_UNSENT, 0, 0, 0, DELIVER_END, DEAD,
     0},
    {"never had, an earlier one maybe", SENDING, 1, 2, 0, 1, DELIVER_EV_UNSENT, 0, 0, 1,
     DELIVER_END, UNKNOWN, 0},
    {"later", SENDING, 0, 1, 0, 1, DELIVER_EV_LATER, LONG, 7000, 0, DELIVER_WAIT, QUEUED, 7000},
    {"later, it does not say when", SENDING, 0, 1, 0, 1, DELIVER_EV_LATER, LONG, 0, 0, DELIVER_WAIT,
     QUEUED, 1000},
    {"later, for the 9th time", SENDING, 0, 9, 0, 1, DELIVER_EV_LATER, LONG, 300, 0, DELIVER_WAIT,
     QUEUED, 300},
    {"later than it may wait", SENDING, 0, 1, 0, 1, DELIVER_EV_LATER, 7000, 7000, 0, DELIVER_END,
     DEAD, 0},
    {"later, said of what waits", QUEUED, 0, 1, 0, 1, DELIVER_EV_LATER, LONG, 7000, 0,
     DELIVER_NOTHING, QUEUED, 0},
    {"never had, said of what waits", QUEUED, 0, 1, 0, 1, DELIVER_EV_UNSENT, LONG, 0, 0,
     DELIVER_NOTHING, QUEUED, 0},
    {"started twice", SENDING, 0, 1, 0, 1, DELIVER_EV_START, LONG, 0, 0, DELIVER_NOTHING, SENDING,
     0},
    {"expires while it is sent", SENDING, 0, 1, 0, 1, DELIVER_EV_EXPIRE, 0, 0, 0, DELIVER_NOTHING,
     SENDING, 0},
    {"dropped while it is sent", SENDING, 0, 1, 0, 1, DELIVER_EV_DROP, LONG, 0, 0, DELIVER_NOTHING,
     SENDING, 0},
    {"unknown, late word", UNKNOWN, 1, 1, 0, 1, DELIVER_EV_OK, LONG, 0, 0, DELIVER_END, SENT, 0},
    {"unknown, late word, more parts", UNKNOWN, 1, 1, 0, 2, DELIVER_EV_OK, LONG, 0, 0,
     DELIVER_NOTHING, UNKNOWN, 0},
    {"unknown, never by itself", UNKNOWN, 1, 1, 0, 1, DELIVER_EV_START, LONG, 0, 1, DELIVER_NOTHING,
     UNKNOWN, 0},
    {"unknown, by hand", UNKNOWN, 1, 1, 0, 1, DELIVER_EV_RETRY, LONG, 0, 0, DELIVER_WAIT, QUEUED,
     0},
    {"unknown, dropped", UNKNOWN, 1, 1, 0, 1, DELIVER_EV_DROP, LONG, 0, 0, DELIVER_END, DROPPED, 0},
    {"dead, by hand", DEAD, 0, 5, 0, 1, DELIVER_EV_RETRY, LONG, 0, 0, DELIVER_WAIT, QUEUED, 0},
    {"dead, dropped", DEAD, 0, 5, 0, 1, DELIVER_EV_DROP, LONG, 0, 0, DELIVER_END, DROPPED, 0},
    {"dead stays dead", DEAD, 0, 5, 0, 1, DELIVER_EV_OK, LONG, 0, 0, DELIVER_NOTHING, DEAD, 0},
    {"sent is sent", SENT, 0, 0, 1, 1, DELIVER_EV_RETRY, LONG, 0, 0, DELIVER_NOTHING, SENT, 0},
    {"sent, lost", SENT, 0, 0, 1, 1, DELIVER_EV_LOST, LONG, 0, 1, DELIVER_NOTHING, SENT, 0},
    {"dropped is dropped", DROPPED, 0, 0, 0, 1, DELIVER_EV_RETRY, LONG, 0, 0, DELIVER_NOTHING,
     DROPPED, 0},
};

START_TEST(test_step)
{
    struct deliver d = {.state = rows[_i].from,
                        .maybe = rows[_i].maybe,
                        .attempts = rows[_i].attempts,
                        .part = rows[_i].part,
                        .parts = rows[_i].parts};
    struct deliver was = d;
    struct deliver_facts f = {.left_ms = rows[_i].left,
                              .retry_after_ms = rows[_i].after,
                              .repeatable = rows[_i].repeatable};
    enum deliver_action a = deliver_step(&d, rows[_i].ev, &f, &policy);

    ck_assert_msg(a == rows[_i].action, "%s: action %d", rows[_i].name, (int)a);
    ck_assert_msg(d.state == rows[_i].to, "%s: %s", rows[_i].name, deliver_state_name(d.state));
    if (a == DELIVER_WAIT)
        ck_assert_msg(d.wait_ms == rows[_i].wait, "%s: waits %llu", rows[_i].name,
                      (unsigned long long)d.wait_ms);
    if (a == DELIVER_NOTHING)
        ck_assert_msg(memcmp(&d, &was, sizeof(d)) == 0, "%s: changed all the same", rows[_i].name);
}
END_TEST

/* Whatever comes in whatever order: the platform is never given a part that it may have, unless it
 * knows ids or a person said so; attempts keep their limit; parts are not skipped. */
START_TEST(test_any_order)
{
    uint32_t seed = 4711;
    struct deliver d = {.parts = 3};

    for (int i = 0; i < 300000; i++) {
        struct deliver was = d;
        struct deliver_facts f;
        enum deliver_event ev;
        enum deliver_action a;

        seed = seed * 1103515245u + 12345u;
        ev = (enum deliver_event)((seed >> 16) % DELIVER_EVENT_COUNT);
        f = (struct deliver_facts){.left_ms = seed >> 9 & 1 ? LONG : 0,
                                   .repeatable = seed >> 10 & 1};
        a = deliver_step(&d, ev, &f, &policy);
        ck_assert_uint_le(d.excused, d.attempts);
        ck_assert_uint_le(d.attempts - d.excused, policy.attempts);
        /* no number twice: late words are told from new ones by it; a try to get a file counts */
        if (a == DELIVER_SEND || (ev == DELIVER_EV_UNREADY && was.state == QUEUED))
            ck_assert_uint_eq(d.attempts, was.attempts + 1);
        else if (d.part == was.part)
            ck_assert_uint_eq(d.attempts, was.attempts);
        ck_assert(d.part == was.part || (d.part == was.part + 1 && ev == DELIVER_EV_OK));
        ck_assert((a == DELIVER_SEND) == (was.state == QUEUED && d.state == SENDING));
        ck_assert(was.state != SENDING || ev != DELIVER_EV_LOST || d.maybe);
        if (was.state == SENDING && ev == DELIVER_EV_LOST && !f.repeatable)
            ck_assert_int_eq(d.state, UNKNOWN);
        if (was.maybe && !d.maybe)
            ck_assert(ev == DELIVER_EV_OK || ev == DELIVER_EV_RETRY);
        if (d.state == SENT || d.state == DROPPED)
            d = (struct deliver){.parts = 3};
    }
}
END_TEST

/* A platform that says "later" for ever is asked less and less often, and no attempt of the few is
 * spent; what the channel never had is given to it at once. */
START_TEST(test_excused)
{
    struct deliver d = {.parts = 1};
    struct deliver_facts f = {.left_ms = LONG, .retry_after_ms = 500};
    uint64_t last = 0;

    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(deliver_step(&d, DELIVER_EV_START, &f, &policy), DELIVER_SEND);
        ck_assert_int_eq(deliver_step(&d, DELIVER_EV_LATER, &f, &policy), DELIVER_WAIT);
        ck_assert_uint_ge(d.wait_ms, last);
        ck_assert_uint_eq(d.wait_ms == 500, i < 3);
        last = d.wait_ms;
    }
    ck_assert_uint_eq(last, 64000);
    for (uint32_t i = 0; i < policy.attempts; i++) {
        ck_assert_int_eq(deliver_step(&d, DELIVER_EV_START, &f, &policy), DELIVER_SEND);
        ck_assert_int_eq(deliver_step(&d, DELIVER_EV_UNSENT, &f, &policy), DELIVER_WAIT);
        ck_assert_uint_eq(d.wait_ms, 0);
        ck_assert_int_eq(deliver_step(&d, DELIVER_EV_START, &f, &policy), DELIVER_SEND);
        ck_assert_int_eq(deliver_step(&d, DELIVER_EV_TRANSIENT, &f, &policy),
                         i + 1 < policy.attempts ? DELIVER_WAIT : DELIVER_END);
        if (i < DELIVER_DELAYS)
            ck_assert_uint_eq(d.wait_ms, policy.delay_ms[i]);
    }
    ck_assert_int_eq(d.state, DEAD);
}
END_TEST

/* ---- parts ---- */

static const struct {
    const char *name, *text;
    size_t limit;
    const char *parts[4];
} texts[] = {
    {"blank", " \n ", 100, {NULL}},
    {"one", " hello there ", 100, {"hello there"}},
    {"at the limit", "0123456789abcdef", 16, {"0123456789abcdef"}},
    {"one over", "0123456789abcdefg", 16, {"0123456789abcdef", "g"}},
    {"at a blank", "01234567 89abcdefg", 16, {"01234567", "89abcdefg"}},
    {"at a newline before a blank", "0123\n567 89 abcdefg", 16, {"0123", "567 89 abcdefg"}},
    {"blanks at a cut go", "0123456789abcdef   \n  x", 16, {"0123456789abcdef", "x"}},
    {"not inside a character", "0123456789abcde\xc3\xa4z", 16, {"0123456789abcde", "\xc3\xa4z"}},
    {"not UTF-8",
     "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
     16,
     {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", "\x80"}},
    {"a tiny limit is taken as 16", "0123456789abcdefg", 1, {"0123456789abcdef", "g"}},
};

START_TEST(test_split)
{
    struct buf b = BUF_INIT(MIB);
    struct view part;
    uint32_t n = 99, want = 0;
    struct err e = ERR_INIT;

    ck_assert_int_eq(deliver_split(view_str(texts[_i].text), texts[_i].limit, &b, &n, &e), 0);
    while (want < 4 && texts[_i].parts[want])
        want++;
    ck_assert_msg(n == want, "%s: %u parts", texts[_i].name, n);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert(deliver_part(buf_view(&b), i, &part));
        ck_assert_msg(view_eq(part, view_str(texts[_i].parts[i])), "%s: part %u is '%.*s'",
                      texts[_i].name, i, VIEW_FMT(part));
    }
    ck_assert(!deliver_part(buf_view(&b), n, &part));
    if (n) { /* a body cut anywhere has no last part */
        ck_assert(!deliver_part(view_of(buf_view(&b).p, b.n - 1), n - 1, &part));
        ck_assert(!deliver_part(view_of(buf_view(&b).p, 3), 0, &part));
    }
    buf_fini(&b);
}
END_TEST

START_TEST(test_split_many)
{
    static char text[DELIVER_PART_MIN * (DELIVER_PARTS_MAX + 1)];
    struct buf b = BUF_INIT(MIB);
    uint32_t n = 0;
    struct err e = ERR_INIT;

    memset(text, 'x', sizeof(text));
    ck_assert_int_eq(
        deliver_split(view_of(text, sizeof(text) - DELIVER_PART_MIN), DELIVER_PART_MIN, &b, &n, &e),
        0);
    ck_assert_uint_eq(n, DELIVER_PARTS_MAX);
    ck_assert_int_eq(deliver_split(view_of(text, sizeof(text)), DELIVER_PART_MIN, &b, &n, &e),
                     ERR_LIMIT);
    buf_fini(&b);
}
END_TEST

/* A channel that cuts text itself says where the rest begins. */
START_TEST(test_rest)
{
    struct deliver d = {.state = SENDING, .attempts = 3, .part = 0, .parts = 2, .maybe = true};
    struct deliver_facts f = {.left_ms = LONG, .next = 400};

    ck_assert_int_eq(deliver_step(&d, DELIVER_EV_OK, &f, &policy), DELIVER_WAIT);
    ck_assert(d.state == QUEUED && d.part == 0 && d.from == 400 && d.attempts == 0 && !d.maybe);
    ck_assert_uint_eq(d.wait_ms, 0);
    ck_assert_int_eq(deliver_step(&d, DELIVER_EV_START, &f, &policy), DELIVER_SEND);
    ck_assert_int_eq(deliver_step(&d, DELIVER_EV_TRANSIENT, &f, &policy), DELIVER_WAIT);
    ck_assert_uint_eq(d.from, 400); /* the rest, not the whole, once more */
    ck_assert_int_eq(deliver_step(&d, DELIVER_EV_START, &f, &policy), DELIVER_SEND);
    f.next = 0;
    ck_assert_int_eq(deliver_step(&d, DELIVER_EV_OK, &f, &policy), DELIVER_WAIT);
    ck_assert(d.part == 1 && d.from == 0);
    d = (struct deliver){.state = UNKNOWN, .part = 1, .parts = 2, .from = 7};
    f.next = 9; /* late, and there was more to say: a person decides */
    ck_assert_int_eq(deliver_step(&d, DELIVER_EV_OK, &f, &policy), DELIVER_NOTHING);
}
END_TEST

/* ---- the heap ---- */

START_TEST(test_heap)
{
    enum { N = 500 };
    static struct heap_entry x[N];
    struct heap h = {.at = NULL};
    struct err e = ERR_INIT;
    uint32_t seed = 7;
    uint64_t last = 0;
    unsigned in = 0;

    ck_assert_int_eq(deliver_heap_reserve(&h, N, &e), 0);
    for (int i = 0; i < 20000; i++) {
        struct heap_entry *k;

        seed = seed * 1103515245u + 12345u;
        k = &x[(seed >> 8) % N];
        in -= k->place != 0;
        if (seed >> 20 & 3) {
            deliver_heap_set(&h, k, seed >> 12);
            in++;
        } else {
            deliver_heap_remove(&h, k);
        }
        ck_assert_uint_eq(h.n, in);
    }
    while (deliver_heap_first(&h)) {
        ck_assert(deliver_heap_first(&h)->at_ms >= last);
        last = deliver_heap_first(&h)->at_ms;
        deliver_heap_remove(&h, deliver_heap_first(&h));
        in--;
    }
    ck_assert_uint_eq(in, 0);
    deliver_heap_fini(&h);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_step, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_rest);
    tcase_add_test(tc, test_excused);
    tcase_add_test(tc, test_any_order);
    tcase_add_loop_test(tc, test_split, 0, (int)COUNT_OF(texts));
    tcase_add_test(tc, test_split_many);
    tcase_add_test(tc, test_heap);
}

CK_MAIN("deliver")
