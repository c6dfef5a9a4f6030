#include "watch.h"

#include "fd.h"
#include "folder.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NAMES_BYTES = 16 << 10 };

struct watch {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer quiet;
    int folder; /* borrowed */
    int fd;     /* owned: inotify */
    int root;   /* its number of the folder itself */
    unsigned count;
    bool dirty;    /* something changed that nobody was told of */
    bool anew;     /* folders came or went */
    bool too_many; /* told */
    uint64_t since_ms;
    watch_fn *on_news;
    void *ctx;
};

/* What getdents64(2) writes: the C library's opendir would take memory and calls that are not ours.
 */
struct entry {
    uint64_t ino;
    int64_t off;
    unsigned short reclen;
    unsigned char type;
    char name[];
};

static bool skipped(const char *name)
{
    return name[0] == '.' || strcmp(name, "node_modules") == 0;
}

static int add(struct watch *w, int fd)
{
    /* by its descriptor: the working directory is the only name that needs no path */
    if (fchdir(fd) < 0)
        return -1;
    w->count++;
    return inotify_add_watch(w->fd, ".",
                             IN_CREATE | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE | IN_ATTRIB |
                                 IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

static void walk(struct watch *w, char path[FOLDER_PATH_MAX + 1], size_t n, unsigned depth)
{
    _Alignas(struct entry) char names[NAMES_BYTES];
    int fd = folder_below(w->folder, path);
    long got;

    if (fd < 0)
        return;
    if (w->count >= WATCH_FOLDERS_MAX || depth > WATCH_DEPTH_MAX) {
        fd_close(&fd);
        if (!w->too_many)
            w->on_news(w->ctx, WATCH_TOO_MANY);
        w->too_many = true;
        return;
    }
    if (add(w, fd) >= 0 && n == 0)
        w->root = 1; /* the first number of an inotify */
    while ((got = syscall(SYS_getdents64, fd, names, sizeof(names))) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *d = (const void *)(names + at);
            size_t len = strlen(d->name), from = n ? n + 1 : 0;

            at += d->reclen;
            /* a file system that does not say the type: openat2 refuses what is no folder */
            if (skipped(d->name) || (d->type != DT_DIR && d->type != DT_UNKNOWN) ||
                len > FOLDER_PATH_MAX - from)
                continue;
            if (n)
                path[n] = '/';
            memcpy(path + from, d->name, len + 1);
            walk(w, path, from + len, depth + 1);
            path[n] = 0;
        }
    }
    fd_close(&fd);
}

static void on_readable(void *ctx, bool readable, bool writable);

/* All of it: folders come and go seldom. */
static int begin(struct watch *w, struct err *e)
{
    char path[FOLDER_PATH_MAX + 1] = "";

    if (w->fd >= 0)
        loop_io_fini(&w->io);
    fd_close(&w->fd);
    w->count = 0;
    w->anew = false;
    if ((w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) < 0)
        return err_sys(e, "inotify");
    walk(w, path, 0, 0);
    loop_io_init(&w->io, w->loop, w->fd, on_readable, w);
    loop_io_want(&w->io, true, false);
    return 0;
}

static void on_quiet(void *ctx)
{
    struct watch *w = ctx;
    struct err e = ERR_INIT;

    if (w->anew)
        (void)!begin(w, &e); /* without descriptors nothing is heard until the next start */
    if (!w->dirty)
        return;
    w->dirty = false;
    w->on_news(w->ctx, WATCH_CHANGED);
}

static void soon(struct watch *w)
{
    uint64_t now = loop_now_ms(w->loop);

    if (!w->dirty && !w->anew)
        w->since_ms = now;
    if (now - w->since_ms < WATCH_LATEST_MS || !loop_timer_pending(&w->quiet))
        loop_timer_set(&w->quiet, WATCH_QUIET_MS);
}

static void on_readable(void *ctx, bool readable, bool writable)
{
    _Alignas(struct inotify_event) char buf[8 << 10];
    struct watch *w = ctx;
    ssize_t n = readable ? read(w->fd, buf, sizeof(buf)) : 0;
    bool gone = false;

    (void)writable;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *ev = (const void *)(buf + at);

        at += (ssize_t)(sizeof(*ev) + ev->len);
        if (ev->len && skipped(ev->name))
            continue;
        if (ev->wd == w->root && (ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)))
            gone = true;
        soon(w);
        w->dirty = true;
        if (ev->mask & (IN_ISDIR | IN_Q_OVERFLOW))
            w->anew = true;
    }
    if (gone)
        w->on_news(w->ctx, WATCH_GONE);
}

int watch_new(struct watch **out, struct loop *l, int folder, watch_fn *on_news, void *ctx,
              struct err *e)
{
    struct watch *w = NULL;
    int r;

    if ((r = mem_new(&w, sizeof(*w), e)) < 0)
        return r;
    *w = (struct watch){
        .loop = l, .folder = folder, .fd = -1, .root = -1, .on_news = on_news, .ctx = ctx};
    loop_timer_init(&w->quiet, l, on_quiet, w);
    if ((r = begin(w, e)) < 0)
        watch_free(&w);
    *out = w;
    return r;
}

void watch_free(struct watch **wp)
{
    struct watch *w = TAKE(*wp);

    if (!w)
        return;
    loop_timer_fini(&w->quiet);
    if (w->fd >= 0)
        loop_io_fini(&w->io);
    fd_close(&w->fd);
    mem_free(w);
}
