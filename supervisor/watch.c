#include "watch.h"

#include "fd.h"
#include "mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { QUIET_MS = 150 }; /* editors write in several steps */

struct watch {
    struct loop_io io;
    struct loop_timer quiet;
    int fd;
    char name[NAME_MAX + 1];
    void (*on_change)(void *ctx);
    void *ctx;
};

static void on_quiet(void *ctx)
{
    struct watch *w = ctx;

    w->on_change(w->ctx);
}

static void on_events(void *ctx, bool readable, bool writable)
{
    struct watch *w = ctx;
    char room[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(w->fd, room, sizeof(room));

    (void)readable;
    (void)writable;
    for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
        struct inotify_event ev;

        memcpy(&ev, room + at, sizeof(ev));
        if (ev.len && strncmp(room + at + sizeof(ev), w->name, ev.len) == 0)
            loop_timer_set(&w->quiet, QUIET_MS);
        at += (ssize_t)(sizeof(ev) + ev.len);
    }
}

int watch_new(struct watch **out, struct loop *l, const char *path, void (*on_change)(void *ctx),
              void *ctx, struct err *e)
{
    struct watch *w = NULL;
    char dir[PATH_MAX];
    char *slash;
    int r;

    if ((r = mem_new(&w, sizeof(*w), e)) < 0)
        return r;
    (void)snprintf(dir, sizeof(dir), "%s", path);
    slash = strrchr(dir, '/');
    if (strlen(slash ? slash + 1 : dir) > NAME_MAX) {
        mem_free(w);
        return err_set(e, ERR_LIMIT, "name of the configuration file is too long");
    }
    memcpy(w->name, slash ? slash + 1 : dir, strlen(slash ? slash + 1 : dir) + 1);
    if (slash)
        slash[slash == dir] = 0;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0 ||
        inotify_add_watch(w->fd, slash ? dir : ".", IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE) < 0) {
        r = err_sys(e, "watch %s", slash ? dir : ".");
        fd_close(&w->fd);
        mem_free(w);
        return r;
    }
    w->on_change = on_change;
    w->ctx = ctx;
    loop_timer_init(&w->quiet, l, on_quiet, w);
    loop_io_init(&w->io, l, w->fd, on_events, w);
    loop_io_want(&w->io, true, false);
    *out = w;
    return 0;
}

void watch_free(struct watch **wp)
{
    struct watch *w = *wp;

    if (!w)
        return;
    loop_timer_fini(&w->quiet);
    loop_io_fini(&w->io);
    fd_close(&w->fd);
    mem_free(w);
    *wp = NULL;
}
