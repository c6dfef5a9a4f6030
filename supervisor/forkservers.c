#include "forkservers.h"

#include "fd.h"
#include "forkline.h"
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PROGRAMS_MAX = 16,
    FORKSERVER_WAIT_MS = 250, /* a copy takes 0.3 ms */
    REST_MS = 30 * 1000,      /* after one has ended by itself: its workers are started by exec */
};

struct forkserver {
    struct fleet *fleet;
    char program[CHANNEL_PROGRAM_BYTES]; /* "": a free slot */
    pid_t pid;                           /* 0: none runs */
    int sock;
    struct loop_io io;
    bool ready;
    struct stat file; /* what it runs */
    uint64_t rest_until_ms;
};

struct forkservers {
    struct forkserver of[PROGRAMS_MAX];
};

static struct forkserver *find(struct fleet *f, const char *program)
{
    for (unsigned i = 0; f->forkservers && i < PROGRAMS_MAX; i++)
        if (strcmp(f->forkservers->of[i].program, program) == 0)
            return &f->forkservers->of[i];
    return NULL;
}

static int program_file(const struct fleet *f, const char *program, struct stat *st)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", f->conf.exe_dir, program) >= sizeof(path))
        return -1;
    return stat(path, st);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Its copies are ours, not its: they live on. */
static void end(struct forkserver *s)
{
    if (s->pid == 0)
        return;
    loop_io_fini(&s->io);
    fd_close(&s->sock);
    (void)kill(s->pid, SIGKILL);
    s->pid = 0;
    s->ready = false;
}

static void give_up(struct forkserver *s, const char *why)
{
    log_warn("forkserver.ended", KV("program", s->program), KV("child", s->pid), KV("why", why));
    end(s);
    s->rest_until_ms = loop_now_ms(s->fleet->loop) + REST_MS;
}

/* 1: *out, 0: nothing yet, below 0: its end. */
static int read_answer(struct forkserver *s, int32_t *out)
{
    ssize_t n;

    do
        n = recv(s->sock, out, sizeof(*out), MSG_DONTWAIT | MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    return n == (ssize_t)sizeof(*out) ? 1 : -1;
}

/* Only its first word and its end come by themselves: answers are read where they are waited for.
 */
static void on_ready(void *ctx, bool readable, bool writable)
{
    struct forkserver *s = ctx;
    int32_t word = 0;
    int r = read_answer(s, &word);

    (void)readable;
    (void)writable;
    if (r == 0)
        return;
    if (r < 0 || word != 0 || s->ready)
        give_up(s, r < 0 ? "it left" : "it spoke without being asked");
    else
        s->ready = true;
    fleet_go_on(s->fleet, s->program);
}

static int start(struct forkserver *s, struct err *e)
{
    struct fleet *f = s->fleet;
    char title[64 + CHANNEL_PROGRAM_BYTES], arg[sizeof(FORKLINE_ARG) + FORKLINE_TITLE_MAX];
    int pair[2], r;

    if (program_file(f, s->program, &s->file) < 0)
        return err_sys(e, "%s", s->program);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, "fork server: a pair of sockets");
    (void)snprintf(title, sizeof(title), "openclaw-fork-server %s", s->program);
    memset(arg, '-', sizeof(arg) - 1); /* room for the titles of copies */
    arg[sizeof(arg) - 1] = '\0';
    memcpy(arg, FORKLINE_ARG, sizeof(FORKLINE_ARG) - 1);
    r = spawn_worker(
        &f->conf.cage, f->conf.exe_dir, ROLE_CHANNEL,
        &(struct spawn){
            .program = s->program, .title = title, .arg = arg, .sock = pair[1], .cgroup = -1},
        &s->pid, e);
    fd_close(&pair[1]);
    if (r < 0) {
        fd_close(&pair[0]);
        return r;
    }
    s->sock = pair[0];
    memset(&s->io, 0, sizeof(s->io));
    loop_io_init(&s->io, f->loop, s->sock, on_ready, s);
    loop_io_want(&s->io, true, false);
    log_debug("forkserver.started", KV("program", s->program), KV("child", s->pid));
    return 0;
}

static struct forkserver *slot(struct fleet *f, const char *program)
{
    struct forkserver *s = find(f, program);
    struct err e = ERR_INIT;

    if (s || (!f->forkservers && mem_new(&f->forkservers, sizeof(*f->forkservers), &e) < 0) ||
        !(s = find(f, "")))
        return s;
    *s = (struct forkserver){.fleet = f, .sock = -1};
    (void)snprintf(s->program, sizeof(s->program), "%s", program);
    return s;
}

enum forkserver_state forkserver_of(struct fleet *f, const char *program)
{
#if defined(OPENCLAW_FAULTS)
    (void)slot;
    (void)start;
    (void)same_file;
    (void)f;
    (void)program;
    return FORKSERVER_NONE; /* calls are counted from a program's own start */
#else
    struct forkserver *s = slot(f, program);
    struct err e = ERR_INIT;
    struct stat now;

    if (!s || program_file(f, program, &now) < 0)
        return FORKSERVER_NONE;
    if (s->pid && !same_file(&s->file, &now)) /* an upgrade: new workers run the new program */
        end(s);
    if (s->pid == 0) {
        if (loop_now_ms(f->loop) < s->rest_until_ms)
            return FORKSERVER_NONE;
        if (start(s, &e) < 0) {
            log_warn("forkserver.not_started", KV("program", program), KV("why", e.text));
            s->rest_until_ms = loop_now_ms(f->loop) + REST_MS;
            return FORKSERVER_NONE;
        }
    }
    return s->ready ? FORKSERVER_READY : FORKSERVER_LATER;
#endif
}

static int ask(const struct forkserver *s, const char *title, const int *fd, unsigned fds)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control = {.room = {0}};
    struct iovec iov = {.iov_base = (char *)(uintptr_t)title, .iov_len = strlen(title)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = CMSG_SPACE(fds * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    ssize_t n;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds * sizeof(int));
    memcpy(CMSG_DATA(c), fd, fds * sizeof(int));
    do
        n = sendmsg(s->sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

static int wait_answer(struct forkserver *s, int32_t *out)
{
    struct pollfd p = {.fd = s->sock, .events = POLLIN};
    int n;

    do
        n = poll(&p, 1, FORKSERVER_WAIT_MS);
    while (n < 0 && errno == EINTR);
    return n > 0 ? read_answer(s, out) : 0;
}

int forkserver_spawn(struct fleet *f, const struct spawn *how, pid_t *out, struct err *e)
{
    struct forkserver *s = find(f, how->program);
    const int fd[] = {how->sock, how->cgroup};
    int32_t pid = 0;

    if (!s || !s->ready)
        return err_set(e, ERR_SYS, "fork server: not ready");
    if (ask(s, how->title, fd, how->cgroup >= 0 ? 2 : 1) < 0 || wait_answer(s, &pid) <= 0) {
        give_up(s, "no answer"); /* a copy that comes late finds its line closed */
        return err_set(e, ERR_SYS, "fork server: no answer");
    }
    if (pid <= 0)
        return err_set(e, ERR_SYS, "fork server: %s", strerror(-pid));
    *out = pid;
    return 0;
}

void forkserver_drop(struct fleet *f, const char *program)
{
    struct forkserver *s = find(f, program);

    if (s && s->pid && !s->ready)
        give_up(s, "not ready in time");
}

void forkserver_reaped(struct fleet *f, pid_t pid, int status)
{
    (void)status;
    for (unsigned i = 0; f->forkservers && i < PROGRAMS_MAX; i++) {
        struct forkserver *s = &f->forkservers->of[i];

        if (s->pid == pid) {
            give_up(s, "killed");
            fleet_go_on(f, s->program);
        }
    }
}

void forkserver_sweep(struct fleet *f)
{
    for (unsigned i = 0; f->forkservers && i < PROGRAMS_MAX; i++) {
        struct forkserver *s = &f->forkservers->of[i];
        bool used = false;

        for (unsigned k = 0; k < f->count && !used; k++)
            used = f->proc[k].channel && strcmp(f->proc[k].channel->program, s->program) == 0;
        if (!used && s->program[0]) {
            end(s);
            s->program[0] = '\0';
        }
    }
}

void forkserver_free(struct fleet *f)
{
    for (unsigned i = 0; f->forkservers && i < PROGRAMS_MAX; i++)
        end(&f->forkservers->of[i]);
    mem_free(f->forkservers);
    f->forkservers = NULL;
}
