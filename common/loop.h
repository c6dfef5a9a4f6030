/*
 * common/loop.h - the event loop of every process: libevent underneath, plus work that is done once
 * at the end of a turn. A turn = all callbacks of one wake-up. Deferred tasks then run by phase:
 * first COMMIT (make changes durable), then FLUSH (let bytes out), so that nothing leaves a process
 * before what it depends on is on disk. Callbacks never block. Nothing here is thread-safe: there
 * is one thread.
 */
#ifndef LOOP_H
#define LOOP_H

#include "err.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

int loop_new(struct loop **out, struct err *e) MUST_USE;
void loop_free(struct loop **l);
/* Until loop_stop.  Errors: ERR_SYS the kernel's event interface failed. */
int loop_run(struct loop *l, struct err *e) MUST_USE;
void loop_stop(struct loop *l);
/* Milliseconds of the monotonic clock, read once per turn: cheap, and the same for everything in a
 * turn. */
uint64_t loop_now_ms(const struct loop *l);
struct event_base *
loop_base(struct loop *l); /* for libraries that bring their own sockets (libcurl) */

/* A descriptor that is watched. In place; zeroed before loop_io_init; must outlive its
 * registration. */
struct loop_io {
    struct loop *loop;
    int fd;
    bool reading, writing;
    void (*on_ready)(void *ctx, bool readable, bool writable);
    void *ctx;
    struct event rd, wr;
};
void loop_io_init(struct loop_io *io, struct loop *l, int fd,
                  void (*on_ready)(void *ctx, bool readable, bool writable), void *ctx);
/* What to wait for; setting what is set already costs nothing. Without memory io->reading and
 * io->writing stay as they were. */
void loop_io_want(struct loop_io *io, bool read, bool write);
void loop_io_fini(struct loop_io *io); /* before the descriptor is closed */

/* A one-shot timer. In place; zeroed before loop_timer_init. */
struct loop_timer {
    struct loop *loop;
    void (*on_time)(void *ctx);
    void *ctx;
    struct event ev;
};
void loop_timer_init(struct loop_timer *t, struct loop *l, void (*on_time)(void *ctx), void *ctx);
void loop_timer_set(struct loop_timer *t, uint64_t in_ms); /* replaces an earlier time */
void loop_timer_clear(struct loop_timer *t);
bool loop_timer_pending(const struct loop_timer *t);
void loop_timer_fini(struct loop_timer *t);

/* Signals as events (supervisor only). */
struct loop_signal {
    struct event ev;
    void (*on_signal)(void *ctx, int signo);
    void *ctx;
};
int loop_signal_init(struct loop_signal *s, struct loop *l, int signo,
                     void (*on_signal)(void *ctx, int signo), void *ctx, struct err *e) MUST_USE;
void loop_signal_fini(struct loop_signal *s);

enum loop_phase { LOOP_COMMIT, LOOP_FLUSH, LOOP_PHASE_COUNT };

/* Work for the end of this turn: queued once however often it is asked for. In place; zeroed at
 * first. */
struct loop_task {
    void (*run)(void *ctx);
    void *ctx;
    struct loop_task *next;
    bool queued;
};
void loop_defer(struct loop *l, struct loop_task *t, enum loop_phase phase);
void loop_undefer(struct loop *l, struct loop_task *t); /* before its owner goes away */

#endif
