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
    buf_fini(&b);
}
