/*
 * workers/hub/deliver.h - the life of one outgoing message as a pure function: state x event ->
 * next state and what to do. The only place that decides what is tried again. Pure: no clock, no
 * store, no process; tested as a table.
 *
 * A message goes out in parts, one after the other; attempts are counted per part. An attempt whose
 * outcome nobody knows (the channel's process or its connection ended between request and answer)
 * is repeated only when the platform recognises it by its client id; otherwise the message is
 * UNKNOWN: shown, and repeated only by a person. An attempt that the channel never had, or that the
 * platform asked to make later, is excused: it counts for nothing.
 */
#ifndef DELIVER_H
#define DELIVER_H

#include "record.h"

#include <stdbool.h>

enum { DELIVER_DELAYS = 4, DELIVER_ATTEMPTS_MAX = 20 };

enum deliver_event {
    DELIVER_EV_START,     /* its turn, and the channel is there */
    DELIVER_EV_OK,        /* the platform took the part */
    DELIVER_EV_TRANSIENT, /* it did not, and may do so later */
    DELIVER_EV_PERMANENT, /* it never will */
    DELIVER_EV_UNREADY,   /* what belongs to it cannot be had just now: nothing has left */
    DELIVER_EV_NEVER,     /* nor at any other time */
    DELIVER_EV_LOST,      /* nobody knows */
    DELIVER_EV_UNSENT,    /* the channel never had it */
    DELIVER_EV_LATER,     /* the platform did not take it and said when it will */
    DELIVER_EV_EXPIRE,    /* its time is over */
    DELIVER_EV_RETRY,     /* a person wants it again */
    DELIVER_EV_DROP,      /* a person does not want it any more */
    DELIVER_EVENT_COUNT
};

enum deliver_action {
    DELIVER_NOTHING, /* the event means nothing in this state: change nothing */
    DELIVER_SEND,    /* give the part to the channel, once the new state is on disk */
    DELIVER_WAIT,    /* queued again, for wait_ms (0: at once) */
    DELIVER_END,     /* SENT, UNKNOWN, DEAD or DROPPED: the next message to the target may go */
};

struct deliver {
    enum delivery_state state;
    bool maybe;        /* an attempt of this part has an unknown outcome */
    uint32_t attempts; /* of this part: each has a number of its own */
    uint32_t excused;  /* of those, what counts for nothing */
    uint32_t part, parts;
    uint32_t from;    /* bytes of this part that were said: channels that cut text themselves */
    uint64_t wait_ms; /* with DELIVER_WAIT */
};

struct deliver_facts {
    uint64_t left_ms;        /* until it expires; 0: it has */
    uint64_t retry_after_ms; /* what the platform asked for */
    uint32_t next;           /* with OK: what is left of the part begins there; 0: nothing is */
    bool repeatable;         /* the channel has client ids: twice is once */
};

struct deliver_policy {
    uint32_t attempts;                 /* at most, per part */
    uint64_t delay_ms[DELIVER_DELAYS]; /* after the 1st, 2nd, 3rd, every later one */
};

enum deliver_action deliver_step(struct deliver *d, enum deliver_event ev,
                                 const struct deliver_facts *f, const struct deliver_policy *p);
/* "queued", ... */
const char *deliver_state_name(unsigned state);

#endif
