#include "ck.h"
#include "fsm.h"
#include "mem.h"

static const struct {
    const char *name;
    enum fsm_state from;
    bool wanted, was_up;
    enum fsm_event ev;
    enum fsm_action action;
    enum fsm_state to;
} steps[] = {
    {"start", FSM_DOWN, false, false, FSM_EV_START, FSM_SPAWN, FSM_STARTING},
    {"stop what is down", FSM_DOWN, false, false, FSM_EV_STOP, FSM_NOTHING, FSM_DOWN},
    {"exit of nothing", FSM_DOWN, false, false, FSM_EV_EXIT, FSM_BUG, FSM_DOWN},
    {"ready", FSM_STARTING, true, false, FSM_EV_READY, FSM_ANNOUNCE, FSM_UP},
    {"ready twice", FSM_UP, true, true, FSM_EV_READY, FSM_BUG, FSM_UP},
    {"crash while starting", FSM_STARTING, true, false, FSM_EV_EXIT, FSM_SPAWN, FSM_STARTING},
    {"crash while up", FSM_UP, true, true, FSM_EV_EXIT, FSM_SPAWN, FSM_STARTING},
    {"start takes too long", FSM_STARTING, true, false, FSM_EV_HUNG, FSM_KILL, FSM_STOPPING},
    {"hung", FSM_UP, true, true, FSM_EV_HUNG, FSM_KILL, FSM_STOPPING},
    {"killed one ends, is wanted", FSM_STOPPING, true, true, FSM_EV_EXIT, FSM_SPAWN, FSM_STARTING},
    {"killed one ends, is not wanted", FSM_STOPPING, false, true, FSM_EV_EXIT, FSM_REST, FSM_DOWN},
    {"told to stop", FSM_UP, true, true, FSM_EV_STOP, FSM_TELL, FSM_STOPPING},
    {"does not stop", FSM_STOPPING, false, true, FSM_EV_HUNG, FSM_KILL, FSM_STOPPING},
    {"late ready", FSM_STOPPING, false, false, FSM_EV_READY, FSM_NOTHING, FSM_STOPPING},
    {"bad configuration", FSM_STARTING, true, false, FSM_EV_REFUSED, FSM_NOTHING, FSM_FAILED},
    {"new configuration", FSM_FAILED, true, false, FSM_EV_START, FSM_SPAWN, FSM_STARTING},
    {"backoff over", FSM_BACKOFF, true, false, FSM_EV_TIMER, FSM_SPAWN, FSM_STARTING},
    {"stop while in backoff", FSM_BACKOFF, true, false, FSM_EV_STOP, FSM_REST, FSM_DOWN},
    {"failed is tried again", FSM_FAILED, true, false, FSM_EV_TIMER, FSM_SPAWN, FSM_STARTING},
};

START_TEST(test_step)
{
    struct fsm f = {
        .state = steps[_i].from, .wanted = steps[_i].wanted, .was_up = steps[_i].was_up};
    enum fsm_action a = fsm_step(&f, steps[_i].ev, 1000000);

    ck_assert_msg(a == steps[_i].action, "%s: action %d", steps[_i].name, (int)a);
    ck_assert_msg(f.state == steps[_i].to, "%s: state %s", steps[_i].name, fsm_state_name(f.state));
}
END_TEST

/* Whatever comes in whatever order: no state outside the table, and it never stays down while
 * wanted. */
START_TEST(test_any_order)
{
    uint32_t seed = 12345;
    struct fsm f = {.state = FSM_DOWN};
    uint64_t now = 1000;

    for (int i = 0; i < 200000; i++) {
        enum fsm_action a;

        seed = seed * 1103515245u + 12345u;
        now += seed >> 20;
        a = fsm_step(&f, (enum fsm_event)((seed >> 16) % FSM_EVENT_COUNT), now);
        ck_assert_int_lt(f.state, FSM_STATE_COUNT);
        ck_assert(f.state != FSM_DOWN || !f.wanted || a == FSM_BUG);
        ck_assert(a != FSM_WAIT || (f.wait_ms > 0 && f.wait_ms <= FSM_BACKOFF_MAX_MS));
    }
}
END_TEST

static uint32_t die(struct fsm *f, bool up, bool gave_up, uint64_t now)
{
    if (up)
        (void)fsm_step(f, FSM_EV_READY, now);
    f->gave_up = gave_up;
    if (fsm_step(f, FSM_EV_EXIT, now) == FSM_WAIT) {
        uint32_t wait = f->wait_ms;

        ck_assert_int_eq(fsm_step(f, FSM_EV_TIMER, now + wait), FSM_SPAWN);
        return wait;
    }
    return 0;
}

START_TEST(test_backoff)
{
    static const struct {
        bool up, gave_up;
        uint32_t wait[14];
    } rows[] = {
        /* five at once, then it doubles; ten without READY in a row are a failure: once a minute */
        {false, false, {0, 0, 0, 0, 0, 1000, 2000, 4000, 8000, 60000, 60000, 60000, 60000, 60000}},
        /* one that served before waits 5 s at most, however often */
        {true, false, {0, 0, 0, 0, 0, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000, 5000}},
        /* unless it says itself that it cannot go on */
        {true, true, {0, 0, 0, 0, 0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000}},
    };
    struct fsm f = {.state = FSM_DOWN};
    uint64_t now = 1000000;

    (void)fsm_step(&f, FSM_EV_START, now);
    for (size_t i = 0; i < COUNT_OF(rows[0].wait); i++) {
        uint32_t got = die(&f, rows[_i].up, rows[_i].gave_up, now);

        ck_assert_msg(got == rows[_i].wait[i], "row %d death %zu: waits %u, want %u", _i, i, got,
                      rows[_i].wait[i]);
        now += got + 100;
    }
    now += 3600 * 1000; /* an hour of peace, and one death is nothing */
    (void)fsm_step(&f, FSM_EV_READY, now);
    ck_assert_uint_eq(die(&f, true, false, now + 1000), 0);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_step, 0, (int)COUNT_OF(steps));
    tcase_add_test(tc, test_any_order);
    tcase_add_loop_test(tc, test_backoff, 0, 3);
}
CK_MAIN("fsm")
