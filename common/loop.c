#include "loop.h"

#include "clock.h"
#include "mem.h"

#include <errno.h>

struct loop {
    struct event_base *base;
    struct loop_task *first[LOOP_PHASE_COUNT], **last[LOOP_PHASE_COUNT];
    uint64_t now_ms;
    bool stop;
};

int loop_new(struct loop **out, struct err *e)
{
    struct loop *l = NULL;
    struct event_config *cfg;
    int r;

    if ((r = mem_new(&l, sizeof(*l), e)) < 0)
        return r;
    for (int i = 0; i < LOOP_PHASE_COUNT; i++)
        l->last[i] = &l->first[i];
    cfg = event_config_new();
    if (cfg) {
        /* one epoll_ctl per descriptor and turn, no lookups of the environment, no locks */
        (void)event_config_set_flag(cfg, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST |
                                             EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_NOLOCK);
        l->base = event_base_new_with_config(cfg);
        event_config_free(cfg);
    }
    if (!l->base) {
        mem_free(l);
        return err_set(e, ERR_NOMEM, "cannot make an event loop");
    }
    l->now_ms = clock_mono_ms();
    *out = l;
    return 0;
}

void loop_free(struct loop **lp)
{
    struct loop *l = *lp;

    if (!l)
        return;
    event_base_free(l->base);
    mem_free(l);
    *lp = NULL;
}

static void run_phase(struct loop *l, int phase)
{
    struct loop_task *t;

    while ((t = l->first[phase])) {
        l->first[phase] = t->next;
        if (!l->first[phase])
            l->last[phase] = &l->first[phase];
        t->next = NULL;
        t->queued = false;
        t->run(t->ctx);
    }
}

int loop_run(struct loop *l, struct err *e)
{
    l->stop = false;
    for (;;) {
        for (int p = 0; p < LOOP_PHASE_COUNT; p++) {
            run_phase(l, p);
            if (l->first[LOOP_COMMIT] && p > LOOP_COMMIT)
                p = -1; /* a flush made a change: commit first again */
        }
        if (l->stop)
            return 0;
        if (event_base_loop(l->base, EVLOOP_ONCE) < 0)
            return err_sys(e, "event loop");
        l->now_ms = clock_mono_ms();
    }
}

void loop_stop(struct loop *l)
{
    l->stop = true;
    (void)event_base_loopbreak(l->base);
}

uint64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

static void io_cb(evutil_socket_t fd, short what, void *arg)
{
    struct loop_io *io = arg;

    (void)fd;
    io->loop->now_ms = clock_mono_ms();
    io->on_ready(io->ctx, what & EV_READ, what & EV_WRITE);
}

void loop_io_init(struct loop_io *io, struct loop *l, int fd,
                  void (*on_ready)(void *ctx, bool readable, bool writable), void *ctx)
{
    io->loop = l;
    io->fd = fd;
    io->on_ready = on_ready;
    io->ctx = ctx;
    io->reading = io->writing = false;
    (void)event_assign(&io->rd, l->base, fd, EV_READ | EV_PERSIST, io_cb, io);
    (void)event_assign(&io->wr, l->base, fd, EV_WRITE | EV_PERSIST, io_cb, io);
}

void loop_io_want(struct loop_io *io, bool read, bool write)
{
    if (read != io->reading && (read ? event_add(&io->rd, NULL) : event_del(&io->rd)) == 0)
        io->reading = read;
    if (write != io->writing && (write ? event_add(&io->wr, NULL) : event_del(&io->wr)) == 0)
        io->writing = write;
}

void loop_io_fini(struct loop_io *io)
{
    if (io->loop)
        loop_io_want(io, false, false);
    io->loop = NULL;
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timer *t = arg;

    (void)fd;
    (void)what;
    t->loop->now_ms = clock_mono_ms();
    t->on_time(t->ctx);
}

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*on_time)(void *ctx), void *ctx)
{
    t->loop = l;
    t->on_time = on_time;
    t->ctx = ctx;
    (void)evtimer_assign(&t->ev, l->base, timer_cb, t);
}

void loop_timer_set(struct loop_timer *t, uint64_t in_ms)
{
    struct timeval tv = {.tv_sec = (time_t)(in_ms / 1000),
                         .tv_usec = (suseconds_t)(in_ms % 1000 * 1000)};

    (void)evtimer_add(&t->ev, &tv);
}

void loop_timer_clear(struct loop_timer *t)
{
    if (t->loop)
        (void)evtimer_del(&t->ev);
}

bool loop_timer_pending(const struct loop_timer *t)
{
    return t->loop && evtimer_pending(&t->ev, NULL);
}

void loop_timer_fini(struct loop_timer *t)
{
    loop_timer_clear(t);
    t->loop = NULL;
}

static void signal_cb(evutil_socket_t signo, short what, void *arg)
{
    struct loop_signal *s = arg;

    (void)what;
    s->on_signal(s->ctx, (int)signo);
}

int loop_signal_init(struct loop_signal *s, struct loop *l, int signo,
                     void (*on_signal)(void *ctx, int signo), void *ctx, struct err *e)
{
    s->on_signal = on_signal;
    s->ctx = ctx;
    if (evsignal_assign(&s->ev, l->base, signo, signal_cb, s) < 0 || evsignal_add(&s->ev, NULL) < 0)
        return err_set(e, ERR_SYS, "cannot catch signal %d", signo);
    return 0;
}

void loop_signal_fini(struct loop_signal *s)
{
    if (s->on_signal)
        (void)evsignal_del(&s->ev);
    s->on_signal = NULL;
}

void loop_defer(struct loop *l, struct loop_task *t, enum loop_phase phase)
{
    if (t->queued)
        return;
    t->queued = true;
    t->next = NULL;
    *l->last[phase] = t;
    l->last[phase] = &t->next;
}

void loop_undefer(struct loop *l, struct loop_task *t)
{
    if (!t->queued)
        return;
    for (int p = 0; p < LOOP_PHASE_COUNT; p++)
        for (struct loop_task **at = &l->first[p]; *at; at = &(*at)->next)
            if (*at == t) {
                *at = t->next;
                if (l->last[p] == &t->next)
                    l->last[p] = at;
                t->queued = false;
                return;
            }
}
