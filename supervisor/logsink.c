#include "logsink.h"

#include "clock.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 16 * 1024,
    RATE_PER_S = 2000, /* lines of the whole fleet; errors always pass */
};

static bool terminal;
static uint64_t second, lines, dropped;

/* What logs.tail shows. */
static struct {
    struct buf buf;
    size_t unsent; /* bytes at the end that nobody got yet */
    struct loop *loop;
    struct loop_task task;
    bool (*send)(void *ctx, struct view lines);
    void *ctx;
} recent = {.buf = BUF_INIT(LOGSINK_RECENT)};

static void own_line(void *ctx, enum log_level level, struct view event, struct view fields)
{
    (void)ctx;
    logsink_write(level, event, "supervisor", (int)getpid(), fields);
}

void logsink_init(void)
{
    terminal = isatty(STDERR_FILENO);
    log_set_sink(own_line, NULL);
}

static bool may_write(enum log_level level)
{
    uint64_t now = clock_mono_ms() / 1000;
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (now != second) {
        second = now;
        lines = 0;
    }
    if (++lines > RATE_PER_S && level < LOG_ERROR)
        return false;
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) && !(p.revents & (POLLERR | POLLNVAL));
}

static void send_recent(void *ctx)
{
    (void)ctx;
    if (recent.unsent &&
        recent.send(recent.ctx, view_from(buf_view(&recent.buf), recent.buf.n - recent.unsent)))
        recent.unsent = 0;
}

void logsink_follow(struct loop *l, bool (*send)(void *ctx, struct view lines), void *ctx)
{
    recent.loop = l;
    recent.send = send;
    recent.ctx = ctx;
    recent.task = (struct loop_task){.run = send_recent};
}

void logsink_again(void)
{
    recent.unsent = recent.buf.n;
    if (recent.loop)
        loop_defer(recent.loop, &recent.task, LOOP_COMMIT);
}

void logsink_unfollow(void)
{
    if (recent.loop)
        loop_undefer(recent.loop, &recent.task);
    recent.loop = NULL;
    buf_fini(&recent.buf);
    recent.unsent = 0;
}

/* The oldest lines make room. */
static void remember(struct view line)
{
    while (recent.buf.n && recent.buf.n + line.n > LOGSINK_RECENT) {
        size_t end = view_find(buf_view(&recent.buf), '\n');

        buf_eat(&recent.buf, end < recent.buf.n ? end + 1 : end);
    }
    buf_put_view(&recent.buf, line);
    if (recent.buf.failed) { /* no memory now: start over */
        buf_reset(&recent.buf, 0);
        recent.unsent = 0;
        return;
    }
    recent.unsent += line.n;
    if (recent.unsent > recent.buf.n)
        recent.unsent = recent.buf.n;
    if (recent.loop)
        loop_defer(recent.loop, &recent.task, LOOP_COMMIT);
}

void logsink_write(enum log_level level, struct view event, const char *proc, int pid,
                   struct view fields)
{
    struct buf b;

    if (level < log_level())
        return;
    if (!may_write(level)) {
        dropped++;
        return;
    }
    buf_init(&b, LINE_MAX_BYTES);
    if (dropped) {
        struct buf n;

        buf_init(&n, 64);
        buf_printf(&n, "nlines\x1f%llu\x1e", (unsigned long long)dropped);
        dropped = 0;
        if (terminal)
            log_render_text(&b, clock_wall_ms(), LOG_WARN, V("log.dropped"), "supervisor",
                            (int)getpid(), buf_view(&n), true);
        else
            log_render_json(&b, clock_wall_ms(), LOG_WARN, V("log.dropped"), "supervisor",
                            (int)getpid(), buf_view(&n));
        buf_fini(&n);
    }
    if (terminal)
        log_render_text(&b, clock_wall_ms(), level, event, proc, pid, fields, true);
    else
        log_render_json(&b, clock_wall_ms(), level, event, proc, pid, fields);
    if (b.failed || write(STDERR_FILENO, b.p + b.off, b.n) < 0)
        dropped++;
    if (terminal) {
        buf_reset(&b, LINE_MAX_BYTES);
        log_render_json(&b, clock_wall_ms(), level, event, proc, pid, fields);
    }
    if (!b.failed)
        remember(buf_view(&b));
    buf_fini(&b);
}
