#include "deliver.h"

#include "mem.h"

enum { /* a platform that says "later" again and again is asked less and less often */
       LATER_FREE = 3,
       LATER_FIRST_MS = 1000,
       LATER_DOUBLINGS = 6,
};

static enum deliver_action over(struct deliver *d)
{
    d->state = d->maybe ? DELIVERY_UNKNOWN : DELIVERY_DEAD;
    return DELIVER_END;
}

static enum deliver_action accepted(struct deliver *d, const struct deliver_facts *f)
{
    if (!f->next)
        d->part++;
    d->from = f->next;
    d->attempts = d->excused = 0;
    d->maybe = false;
    d->wait_ms = 0;
    d->state = d->part >= d->parts ? DELIVERY_SENT : DELIVERY_QUEUED;
    return d->state == DELIVERY_SENT ? DELIVER_END : DELIVER_WAIT;
}

static enum deliver_action again(struct deliver *d, const struct deliver_facts *f,
                                 const struct deliver_policy *p)
{
    uint32_t failed = d->attempts - d->excused, i = failed > 0 ? failed - 1 : 0;
    uint64_t wait = p->delay_ms[i < DELIVER_DELAYS ? i : DELIVER_DELAYS - 1];

    if (f->retry_after_ms > wait)
        wait = f->retry_after_ms;
    if (failed >= p->attempts || wait >= f->left_ms)
        return over(d);
    d->state = DELIVERY_QUEUED;
    d->wait_ms = wait;
    return DELIVER_WAIT;
}

/* No failure: it goes on as if this attempt had not been made. */
static enum deliver_action excuse(struct deliver *d, uint64_t wait, const struct deliver_facts *f)
{
    uint32_t n = ++d->excused;

    if (wait && n > LATER_FREE) {
        uint64_t least = (uint64_t)LATER_FIRST_MS
                         << (n - LATER_FREE < LATER_DOUBLINGS ? n - LATER_FREE : LATER_DOUBLINGS);

        wait = wait > least ? wait : least;
    }
    if (wait >= f->left_ms)
        return over(d);
    d->state = DELIVERY_QUEUED;
    d->wait_ms = wait;
    return DELIVER_WAIT;
}

static enum deliver_action by_hand(struct deliver *d, enum deliver_event ev)
{
    if (ev == DELIVER_EV_DROP) {
        d->state = DELIVERY_DROPPED;
        return DELIVER_END;
    }
    d->state = DELIVERY_QUEUED;
    d->excused = d->attempts; /* what was is forgiven, and its numbers are not used again */
    d->maybe = false;
    d->wait_ms = 0;
    return DELIVER_WAIT;
}

static enum deliver_action queued(struct deliver *d, enum deliver_event ev,
                                  const struct deliver_facts *f, const struct deliver_policy *p)
{
    switch (ev) {
    case DELIVER_EV_START:
        if (f->left_ms == 0)
            return over(d);
        d->state = DELIVERY_SENDING;
        d->attempts++;
        return DELIVER_SEND;
    case DELIVER_EV_EXPIRE:
        return over(d);
    case DELIVER_EV_OK: /* late word of an attempt that was given up */
        return d->maybe ? accepted(d, f) : DELIVER_NOTHING;
    case DELIVER_EV_RETRY: /* do not wait any longer */
        d->wait_ms = 0;
        return DELIVER_WAIT;
    case DELIVER_EV_DROP:
        return by_hand(d, ev);
    case DELIVER_EV_UNREADY:
        d->attempts++;
        return again(d, f, p);
    case DELIVER_EV_NEVER:
        return over(d);
    case DELIVER_EV_TRANSIENT: /* of an attempt that was given up */
    case DELIVER_EV_PERMANENT:
    case DELIVER_EV_LOST:
    case DELIVER_EV_UNSENT:
    case DELIVER_EV_LATER:
    case DELIVER_EVENT_COUNT:
        break;
    }
    return DELIVER_NOTHING;
}

static enum deliver_action sending(struct deliver *d, enum deliver_event ev,
                                   const struct deliver_facts *f, const struct deliver_policy *p)
{
    switch (ev) {
    case DELIVER_EV_OK:
        return accepted(d, f);
    case DELIVER_EV_TRANSIENT:
        return again(d, f, p);
    case DELIVER_EV_PERMANENT:
        return over(d);
    case DELIVER_EV_LOST:
        d->maybe = true;
        return f->repeatable ? again(d, f, p) : over(d);
    case DELIVER_EV_UNSENT:
        return excuse(d, 0, f);
    case DELIVER_EV_LATER:
        return excuse(d, f->retry_after_ms > 0 ? f->retry_after_ms : LATER_FIRST_MS, f);
    case DELIVER_EV_START:
    case DELIVER_EV_UNREADY:
    case DELIVER_EV_NEVER:
    case DELIVER_EV_EXPIRE: /* the answer decides */
    case DELIVER_EV_RETRY:
    case DELIVER_EV_DROP:
    case DELIVER_EVENT_COUNT:
        break;
    }
    return DELIVER_NOTHING;
}

enum deliver_action deliver_step(struct deliver *d, enum deliver_event ev,
                                 const struct deliver_facts *f, const struct deliver_policy *p)
{
    switch (d->state) {
    case DELIVERY_QUEUED:
        return queued(d, ev, f, p);
    case DELIVERY_SENDING:
        return sending(d, ev, f, p);
    case DELIVERY_UNKNOWN:
        if (ev == DELIVER_EV_OK && d->part + 1 == d->parts &&
            !f->next) /* late, and there is no more to say */
            return accepted(d, f);
        return ev == DELIVER_EV_RETRY || ev == DELIVER_EV_DROP ? by_hand(d, ev) : DELIVER_NOTHING;
    case DELIVERY_DEAD:
        return ev == DELIVER_EV_RETRY || ev == DELIVER_EV_DROP ? by_hand(d, ev) : DELIVER_NOTHING;
    case DELIVERY_SENT:
    case DELIVERY_DROPPED:
    case DELIVERY_STATE_COUNT:
        break;
    }
    return DELIVER_NOTHING;
}

const char *deliver_state_name(unsigned state)
{
    static const char *const names[] = {"queued", "sending", "sent", "unknown", "dead", "dropped"};

    return state < COUNT_OF(names) ? names[state] : "?";
}
