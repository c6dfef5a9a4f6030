#include "fsm.h"

#include <stddef.h>

const char *fsm_state_name(enum fsm_state s)
{
    static const char *const names[FSM_STATE_COUNT] = {"down",     "starting", "up",
                                                       "stopping", "backoff",  "failed"};

    return s < FSM_STATE_COUNT ? names[s] : "?";
}

/* It died and is wanted: start again at once, or after a while when it dies again and again. */
static enum fsm_action after_death(struct fsm *f, uint64_t now_ms)
{
    uint32_t cap = f->was_up && !f->gave_up ? FSM_UP_BACKOFF_MAX_MS : FSM_BACKOFF_MAX_MS;
    uint64_t wait = FSM_BACKOFF_MS, calm = f->gave_up ? FSM_BACKOFF_MAX_MS : FSM_BURST_MS;

    f->failures = f->was_up ? 0 : f->failures + 1;
    if (f->crowd == 0 || now_ms - f->first_ms > calm + f->wait_ms) {
        f->crowd = 0;
        f->first_ms = now_ms;
    }
    f->crowd++;
    f->was_up = f->gave_up = false;
    if (f->failures >= FSM_FAILURES_MAX) {
        f->state = FSM_FAILED;
        f->wait_ms = FSM_BACKOFF_MAX_MS;
        return FSM_WAIT;
    }
    if (f->crowd <= FSM_BURST) {
        f->state = FSM_STARTING;
        f->wait_ms = 0;
        return FSM_SPAWN;
    }
    for (unsigned i = FSM_BURST + 1; i < f->crowd && wait < cap; i++)
        wait *= 2;
    f->first_ms = now_ms; /* the row goes on while the next death is near the end of the wait */
    f->wait_ms = (uint32_t)(wait < cap ? wait : cap);
    f->state = FSM_BACKOFF;
    return FSM_WAIT;
}

static enum fsm_action start(struct fsm *f)
{
    f->state = FSM_STARTING;
    f->was_up = false;
    return FSM_SPAWN;
}

static enum fsm_action rest(struct fsm *f)
{
    f->state = FSM_DOWN;
    f->crowd = f->failures = 0;
    f->was_up = false;
    return FSM_REST;
}

enum fsm_action fsm_step(struct fsm *f, enum fsm_event ev, uint64_t now_ms)
{
    if (ev == FSM_EV_START)
        f->wanted = true;
    if (ev == FSM_EV_STOP)
        f->wanted = false;

    switch (f->state) {
    case FSM_DOWN:
        return ev == FSM_EV_START ? start(f) : ev == FSM_EV_STOP ? FSM_NOTHING : FSM_BUG;

    case FSM_STARTING:
    case FSM_UP:
        switch (ev) {
        case FSM_EV_START:
            return FSM_NOTHING;
        case FSM_EV_READY:
            if (f->state == FSM_UP)
                return FSM_BUG;
            f->state = FSM_UP;
            f->was_up = true;
            f->failures = 0;
            return FSM_ANNOUNCE;
        case FSM_EV_EXIT:
            return f->wanted ? after_death(f, now_ms) : rest(f);
        case FSM_EV_REFUSED:
            f->state = FSM_FAILED;
            f->wait_ms = 0; /* nothing but a new configuration helps */
            return FSM_NOTHING;
        case FSM_EV_HUNG:
            f->state = FSM_STOPPING;
            return FSM_KILL;
        case FSM_EV_STOP:
            f->state = FSM_STOPPING;
            return FSM_TELL;
        case FSM_EV_TIMER:
        case FSM_EVENT_COUNT:
            return FSM_BUG;
        }
        return FSM_BUG;

    case FSM_STOPPING:
        switch (ev) {
        case FSM_EV_EXIT:
        case FSM_EV_REFUSED:
            return f->wanted ? after_death(f, now_ms) : rest(f);
        case FSM_EV_HUNG:
            return FSM_KILL;
        case FSM_EV_START:
        case FSM_EV_STOP:
        case FSM_EV_READY: /* said before it saw our STOP */
            return FSM_NOTHING;
        case FSM_EV_TIMER:
        case FSM_EVENT_COUNT:
            return FSM_BUG;
        }
        return FSM_BUG;

    case FSM_BACKOFF:
    case FSM_FAILED:
        switch (ev) {
        case FSM_EV_TIMER:
            return f->wanted ? start(f) : rest(f);
        case FSM_EV_START: /* a new configuration: at once */
            f->crowd = f->failures = 0;
            return start(f);
        case FSM_EV_STOP:
            return rest(f);
        case FSM_EV_READY:
        case FSM_EV_EXIT:
        case FSM_EV_REFUSED:
        case FSM_EV_HUNG:
        case FSM_EVENT_COUNT:
            return FSM_BUG;
        }
        return FSM_BUG;

    case FSM_STATE_COUNT:
        break;
    }
    return FSM_BUG;
}
