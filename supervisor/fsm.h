/*
 * supervisor/fsm.h - the life of one worker as a pure function: state x event -> next state and
 * what to do. Pure: no clock, no process, no memory; tested as a table.
 */
#ifndef FSM_H
#define FSM_H

#include <stdbool.h>
#include <stdint.h>

enum fsm_state {
    FSM_DOWN,     /* not wanted, or not started yet */
    FSM_STARTING, /* forked, has not said READY */
    FSM_UP,
    FSM_STOPPING, /* told to stop, or killed; its exit is awaited */
    FSM_BACKOFF,  /* dead, waits before the next start */
    FSM_FAILED,   /* died too often before READY: tried again seldom, shown as failed */
    FSM_STATE_COUNT
};

enum fsm_event {
    FSM_EV_START, /* wanted */
    FSM_EV_READY,
    FSM_EV_EXIT,    /* the process ended */
    FSM_EV_REFUSED, /* it ended with "never restart": bad configuration */
    FSM_EV_HUNG,    /* no READY in time, no PONG, or a broken message */
    FSM_EV_STOP,    /* not wanted any more */
    FSM_EV_TIMER,   /* the wait is over */
    FSM_EVENT_COUNT
};

enum fsm_action {
    FSM_NOTHING,
    FSM_SPAWN,    /* fork and exec; on failure feed FSM_EV_EXIT */
    FSM_ANNOUNCE, /* READY: connect it to its peers */
    FSM_KILL,     /* SIGKILL */
    FSM_TELL,     /* send STOP */
    FSM_WAIT,     /* set the timer to wait_ms */
    FSM_REST,     /* gone for good: release what it held */
    FSM_BUG,      /* an event that cannot come in this state: log it, change nothing */
};

/* What the past says: kept by the caller, changed by fsm_step. */
struct fsm {
    enum fsm_state state;
    bool wanted;
    bool was_up;  /* in this life */
    bool gave_up; /* in this life it said that it cannot go on, nobody crashed it: by the caller */
    unsigned failures; /* deaths in a row without READY */
    unsigned crowd;    /* deaths in a row that came quickly after each other */
    uint64_t first_ms; /* of that row */
    uint32_t wait_ms;  /* with FSM_WAIT */
};

enum {
    FSM_BURST = 5,            /* so many deaths ... */
    FSM_BURST_MS = 10 * 1000, /* ... within this time are restarted at once; then it backs off */
    FSM_BACKOFF_MS = 1000,    /* doubling */
    FSM_BACKOFF_MAX_MS = 60 * 1000,
    FSM_UP_BACKOFF_MAX_MS = 5 * 1000, /* was UP: whoever can crash it must not keep it down */
    FSM_FAILURES_MAX = 10,
};

enum fsm_action fsm_step(struct fsm *f, enum fsm_event ev, uint64_t now_ms);
const char *fsm_state_name(enum fsm_state s);

#endif
