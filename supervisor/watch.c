#include "watch.h"

#include "fd.h"
#include "log.h"
#include "mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    QUIET_MS = 150, /* editors write in several steps */
    LINKS_MAX = 16, /* between the path and the file; the kernel's own limit is 40 */
    EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE,
};

/* A name that decides which file the path is: its own, or that of a link on the way there. */
struct place {
    int wd;
    char dir[PATH_MAX];
    char name[NAME_MAX + 1];
};

struct watch {
    struct loop_io io;
    struct loop_timer quiet;
    int fd;
    char path[PATH_MAX];
    struct place place[LINKS_MAX + 1];
    unsigned places;
    void (*on_change)(void *ctx);
    void *ctx;
};

/* -- the places -- */
static int add_place(struct watch *w, const char *dir, struct view name, struct err *e)
{
    struct place *p = &w->place[w->places];

    if (w->places > LINKS_MAX || name.n > NAME_MAX ||
        (size_t)snprintf(p->dir, sizeof(p->dir), "%s", dir) >= sizeof(p->dir))
        return err_set(e, ERR_LIMIT, "watch %s: too long, or too many links", w->path);
    memcpy(p->name, name.p, name.n);
    p->name[name.n] = 0;
    p->wd = inotify_add_watch(w->fd, p->dir, EVENTS);
    if (p->wd < 0)
        return err_sys(e, "watch %s", p->dir);
    w->places++;
    return 0;
}

/* Follows the path as the kernel does. Every link on the way may be exchanged: certificates of
 * certbot are links, those of Kubernetes lie behind a folder that is one. What is not there yet
 * ends the walk: its name is watched. */
static int find_places(struct watch *w, struct err *e)
{
    char left[PATH_MAX], dir[PATH_MAX] = "", at[2 * PATH_MAX], target[PATH_MAX], next[PATH_MAX];
    int r;

    (void)snprintf(left, sizeof(left), "%s", w->path);
    for (;;) {
        const char *rest = left + strspn(left, "/");
        size_t n = strcspn(rest, "/");
        bool last = rest[n + strspn(rest + n, "/")] == 0;
        struct stat st;
        ssize_t len;

        if (left[0] == '/' && !dir[0])
            (void)snprintf(dir, sizeof(dir), "/");
        if (n == 0)
            return 0;
        (void)snprintf(at, sizeof(at), "%s%s%.*s", dir, !dir[0] || dir[1] ? dir[0] ? "/" : "" : "",
                       (int)n, rest);
        if (lstat(at, &st) < 0)
            return add_place(w, dir[0] ? dir : ".", view_of(rest, n), e);
        if ((last || S_ISLNK(st.st_mode)) &&
            (r = add_place(w, dir[0] ? dir : ".", view_of(rest, n), e)) < 0)
            return r;
        if (S_ISLNK(st.st_mode)) {
            if ((len = readlink(at, target, sizeof(target) - 1)) <= 0)
                return err_sys(e, "watch %s", at);
            target[len] = 0;
            if ((size_t)snprintf(next, sizeof(next), "%s/%s", target, rest + n) >= sizeof(next))
                return err_set(e, ERR_LIMIT, "watch %s: too long", w->path);
            if (target[0] == '/')
                dir[0] = 0;
        } else {
            if (last || strlen(at) >= sizeof(dir))
                return 0;
            (void)snprintf(dir, sizeof(dir), "%.*s", PATH_MAX - 1, at);
            (void)snprintf(next, sizeof(next), "%s", rest + n + 1);
        }
        memcpy(left, next, sizeof(left));
    }
}

static int look_again(struct watch *w, struct err *e)
{
    for (unsigned i = 0; i < w->places; i++)
        (void)inotify_rm_watch(w->fd,
                               w->place[i].wd); /* twice the same folder: an error, and fine */
    w->places = 0;
    return find_places(w, e);
}

/* -- events -- */
/* The places first: what changes after them is an event, what changed before is about to be read.
 */
static void on_quiet(void *ctx)
{
    struct watch *w = ctx;
    struct err e = ERR_INIT;

    if (look_again(w, &e) < 0)
        log_warn("file.unwatched", KV("file", w->path), KV("why", e.text));
    w->on_change(w->ctx);
}

static bool is_link(const struct place *p)
{
    char path[PATH_MAX + NAME_MAX + 2];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", p->dir, p->name);
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static void on_event(struct watch *w, const struct inotify_event *ev, const char *name)
{
    for (unsigned i = 0; i < w->places; i++) {
        const struct place *p = &w->place[i];

        if (p->wd != ev->wd || strncmp(name, p->name, ev->len) != 0)
            continue;
        if ((ev->mask & IN_CREATE) && !is_link(p))
            continue; /* a file that was made will be written and closed */
        loop_timer_set(&w->quiet, QUIET_MS);
        return;
    }
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
        if (ev.len)
            on_event(w, &ev, room + at + sizeof(ev));
        at += (ssize_t)(sizeof(ev) + ev.len);
    }
}

int watch_new(struct watch **out, struct loop *l, const char *path, void (*on_change)(void *ctx),
              void *ctx, struct err *e)
{
    struct watch *w = NULL;
    int r;

    if ((r = mem_new(&w, sizeof(*w), e)) < 0)
        return r;
    w->fd = -1;
    if ((size_t)snprintf(w->path, sizeof(w->path), "%s", path) >= sizeof(w->path))
        r = err_set(e, ERR_LIMIT, "watch: path too long");
    else if ((w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) < 0)
        r = err_sys(e, "watch %s", path);
    else
        r = find_places(w, e);
    if (r < 0) {
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
