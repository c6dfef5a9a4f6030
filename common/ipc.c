#include "ipc.h"

#include "fd.h"
#include "mem.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    READ_BYTES = 64 * 1024,  /* what one recvmsg asks for at least */
    KEEP_BYTES = 128 * 1024, /* buffer memory kept while idle */
    FD_QUEUE_MAX = 4096,
    STARVED_MS = 10,
};

struct out_fd {
    uint64_t at; /* stream offset of its frame's first byte */
    int fd;
};

struct ipc {
    struct loop *loop;
    struct loop_io io;
    struct loop_task flush, again;
    struct loop_timer starved; /* there was no memory: neither end's fault, tried again soon */
    struct ipc_events ev;
    struct buf in, out;
    uint64_t out_done; /* stream bytes sent so far */
    uint64_t wipe_to;  /* those before are wiped once sent */
    struct out_fd *out_fds;
    unsigned out_fd_off, out_fd_n, out_fd_cap;
    int in_fds[IPC_FDS_MAX * 2];
    unsigned in_fd_off, in_fd_n;
    struct err why;
    int fd;
    bool paused, was_high, dead, reported, busy, freed;
};

static void on_ready(void *ctx, bool readable, bool writable);
static void flush_task(void *ctx);
static void again_task(void *ctx);
static void on_fed(void *ctx);

int ipc_open(struct ipc **out, struct loop *l, int fd, const struct ipc_events *ev, struct err *e)
{
    struct ipc *i = NULL;
    int r;

    if ((r = mem_new(&i, sizeof(*i), e)) < 0 || (r = fd_nonblock(fd, e)) < 0) {
        mem_free(i);
        fd_close(&fd);
        return r;
    }
    i->loop = l;
    i->fd = fd;
    i->ev = *ev;
    buf_init(&i->in, IPC_BODY_MAX + IPC_HEADER_BYTES + READ_BYTES);
    buf_init(&i->out, IPC_QUEUE_MAX);
    i->flush.run = flush_task;
    i->flush.ctx = i;
    i->again.run = again_task;
    i->again.ctx = i;
    loop_timer_init(&i->starved, l, on_fed, i);
    loop_io_init(&i->io, l, fd, on_ready, i);
    loop_io_want(&i->io, true, false);
    *out = i;
    return 0;
}

static void destroy(struct ipc *i)
{
    mem_free(i->out_fds);
    i->in.secret = true; /* half a frame may be left */
    i->out.secret = i->wipe_to > i->out_done;
    buf_fini(&i->in);
    buf_fini(&i->out);
    mem_free(i);
}

static void drop_socket(struct ipc *i)
{
    loop_io_fini(&i->io);
    loop_timer_fini(&i->starved);
    fd_close(&i->fd);
    for (; i->out_fd_n; i->out_fd_n--)
        fd_close(&i->out_fds[i->out_fd_off++].fd);
    for (; i->in_fd_n; i->in_fd_n--)
        fd_close(&i->in_fds[i->in_fd_off++]);
}

void ipc_close(struct ipc **ip)
{
    struct ipc *i = *ip;

    if (!i)
        return;
    *ip = NULL;
    i->reported = true;
    if (!i->dead)
        ipc_flush(i);
    i->dead = true;
    drop_socket(i);
    loop_undefer(i->loop, &i->flush);
    loop_undefer(i->loop, &i->again);
    if (i->busy)
        i->freed = true; /* a callback of ours is on the stack: it frees */
    else
        destroy(i);
}

/* Neither end is to blame, and a system call at once would only fail again. */
static void starve(struct ipc *i)
{
    loop_io_want(&i->io, false, false);
    loop_timer_set(&i->starved, STARVED_MS);
}

static void on_fed(void *ctx)
{
    struct ipc *i = ctx;

    loop_io_want(&i->io, !i->paused, i->out.n > 0);
    if (!i->paused && i->in.n)
        loop_defer(i->loop, &i->again, LOOP_COMMIT);
}

/* The end is told from the end of the turn, so that nobody is called back inside a send. */
static void die(struct ipc *i, const struct err *why)
{
    if (i->dead)
        return;
    i->dead = true;
    i->why = *why;
    drop_socket(i);
    loop_defer(i->loop, &i->again, LOOP_COMMIT);
}

static void report(struct ipc *i)
{
    if (i->reported)
        return;
    i->reported = true;
    i->busy = true;
    i->ev.on_close(i->ev.ctx, i, &i->why);
    i->busy = false;
    if (i->freed)
        destroy(i);
}

static bool add_out_fds(struct ipc *i, const int *fds, unsigned n)
{
    if (i->out_fd_n + n > FD_QUEUE_MAX)
        return false;
    if (i->out_fd_off && i->out_fd_off + i->out_fd_n + n > i->out_fd_cap) {
        memmove(i->out_fds, i->out_fds + i->out_fd_off, i->out_fd_n * sizeof(*i->out_fds));
        i->out_fd_off = 0;
    }
    if (i->out_fd_n + n > i->out_fd_cap) {
        unsigned cap = i->out_fd_cap ? i->out_fd_cap * 2 : IPC_FDS_MAX;
        struct out_fd *p = mem_realloc(i->out_fds, cap * sizeof(*p));

        if (!p)
            return false;
        i->out_fds = p;
        i->out_fd_cap = cap;
    }
    for (unsigned k = 0; k < n; k++)
        i->out_fds[i->out_fd_off + i->out_fd_n++] =
            (struct out_fd){.at = i->out_done + i->out.n, .fd = fds[k]};
    return true;
}

char *ipc_reserve(struct ipc *i, uint16_t type, size_t n, const int *fds, unsigned nfds,
                  struct err *e)
{
    uint32_t len = (uint32_t)n;
    uint16_t count = (uint16_t)nfds;
    char *p;

    if (i->dead) {
        (void)err_set(e, ERR_CLOSED, "link is closed");
        return NULL;
    }
    if (n > IPC_BODY_MAX || nfds > IPC_FRAME_FDS_MAX) {
        (void)err_set(e, ERR_LIMIT, "frame of %zu bytes, limit %d", n, IPC_BODY_MAX);
        return NULL;
    }
    i->out.secret = i->wipe_to > i->out_done; /* growing then leaves no copy */
    p = buf_room(&i->out, IPC_HEADER_BYTES + n);
    i->out.secret = false;
    if (!p || (nfds && !add_out_fds(i, fds, nfds))) {
        i->out.failed = false;
        (void)err_set(e, ERR_LIMIT, "link queue is full: %zu bytes wait", i->out.n);
        return NULL;
    }
    memcpy(p, &len, 4);
    memcpy(p + 4, &type, 2);
    memcpy(p + 6, &count, 2);
    buf_added(&i->out, IPC_HEADER_BYTES + n);
    if (i->out.n > IPC_QUEUE_HIGH)
        i->was_high = true;
    loop_defer(i->loop, &i->flush, LOOP_FLUSH);
    return p + IPC_HEADER_BYTES;
}

void ipc_secret(struct ipc *i)
{
    i->wipe_to = i->out_done + i->out.n;
}

size_t ipc_queued(const struct ipc *i)
{
    return i->out.n;
}

bool ipc_over_high(const struct ipc *i)
{
    return i->out.n > IPC_QUEUE_HIGH;
}

void ipc_pause(struct ipc *i, bool pause)
{
    if (i->paused == pause || i->dead)
        return;
    i->paused = pause;
    loop_io_want(&i->io, !pause, i->io.writing);
    if (!pause && i->in.n)
        loop_defer(i->loop, &i->again, LOOP_COMMIT);
}

/* How much may go out with the next call, and which descriptors ride on its first byte: the
 * receiver has them before the frame they belong to is whole. The chunk ends before the frame whose
 * descriptors would not fit. */
static size_t next_chunk(const struct ipc *i, unsigned *nfds)
{
    size_t n = i->out.n;

    *nfds = 0;
    for (unsigned k = 0; k < i->out_fd_n; k++) {
        const struct out_fd *f = &i->out_fds[i->out_fd_off + k];

        if (k >= IPC_FDS_MAX - IPC_FRAME_FDS_MAX && f->at > i->out_done &&
            f->at != i->out_fds[i->out_fd_off + k - 1].at) {
            n = (size_t)(f->at - i->out_done);
            break;
        }
        *nfds = k + 1;
    }
    return n;
}

void ipc_flush(struct ipc *i)
{
    while (!i->dead && i->out.n) {
        union {
            struct cmsghdr align;
            char room[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
        } ctl;
        unsigned nfds;
        struct iovec iov = {.iov_len = next_chunk(i, &nfds), .iov_base = i->out.p + i->out.off};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t w;

        if (nfds) {
            int fds[IPC_FDS_MAX];
            struct cmsghdr *c;

            for (unsigned k = 0; k < nfds; k++)
                fds[k] = i->out_fds[i->out_fd_off + k].fd;
            memset(&ctl, 0, sizeof(ctl));
            m.msg_control = ctl.room;
            m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
            c = CMSG_FIRSTHDR(&m);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
            memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
        }
        w = sendmsg(i->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w < 0) {
            struct err e = ERR_INIT;

            if (errno == EINTR)
                continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS) {
                loop_io_want(&i->io, i->io.reading, true);
                return;
            }
            if (errno == ENOBUFS || errno == ENOMEM) {
                starve(i);
                return;
            }
            (void)err_sys(&e, "send");
            if (errno == EPIPE || errno == ECONNRESET)
                e.code = ERR_CLOSED;
            die(i, &e);
            return;
        }
        for (unsigned k = 0; k < nfds; k++)
            fd_close(&i->out_fds[i->out_fd_off + k].fd);
        i->out_fd_off += nfds;
        i->out_fd_n -= nfds;
        if (i->out_fd_n == 0)
            i->out_fd_off = 0;
        if (i->wipe_to > i->out_done) {
            uint64_t left = i->wipe_to - i->out_done;

            mem_wipe(iov.iov_base, left < (uint64_t)w ? (size_t)left : (size_t)w);
        }
        i->out_done += (uint64_t)w;
        buf_eat(&i->out, (size_t)w);
    }
    if (i->dead)
        return;
    buf_trim(&i->out, KEEP_BYTES);
    loop_io_want(&i->io, i->io.reading, false);
    if (i->was_high && i->out.n < IPC_QUEUE_LOW) {
        i->was_high = false;
        if (i->ev.on_drain)
            i->ev.on_drain(i->ev.ctx, i);
    }
}

static void flush_task(void *ctx)
{
    ipc_flush(ctx);
}

static int take_fds(struct ipc *i, struct msghdr *m, struct err *e)
{
    if (m->msg_flags & MSG_CTRUNC)
        return err_set(e, ERR_INVALID, "descriptors were cut off (out of descriptors?)");
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (i->in_fd_off && i->in_fd_n) {
            memmove(i->in_fds, i->in_fds + i->in_fd_off, i->in_fd_n * sizeof(int));
        }
        i->in_fd_off = 0;
        for (size_t k = 0; k < n; k++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + k * sizeof(int), sizeof(int));
            if (i->in_fd_n >= COUNT_OF(i->in_fds)) {
                fd_close(&fd);
                e->code = ERR_LIMIT; /* told below, after every descriptor is closed or kept */
                continue;
            }
            i->in_fds[i->in_fd_n++] = fd;
        }
    }
    return e->code ? err_set(e, ERR_LIMIT, "more descriptors than their frames declare") : 0;
}

/* 1: something was read; 0: nothing there; negative: over. */
static int read_some(struct ipc *i, struct err *e)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
    } ctl;
    struct iovec iov;
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = ctl.room,
                       .msg_controllen = sizeof(ctl.room)};
    size_t want = READ_BYTES;
    uint32_t len;
    ssize_t r;

    if (i->in.n >= 4) { /* a large frame: ask for all of the rest at once */
        memcpy(&len, i->in.p + i->in.off, 4);
        if (len <= IPC_BODY_MAX && len + IPC_HEADER_BYTES > i->in.n + want)
            want = len + IPC_HEADER_BYTES - i->in.n;
    }
    i->in.secret = true; /* growing leaves no copy of what its handler wipes */
    iov.iov_base = buf_room(&i->in, want);
    i->in.secret = false;
    if (!iov.iov_base && want <= i->in.max - i->in.n) { /* memory, not the limit */
        i->in.failed = false;
        starve(i);
        return 0;
    }
    if (!iov.iov_base)
        return buf_check(&i->in, e);
    iov.iov_len = want;
    do
        r = recvmsg(i->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (r < 0 && errno == EINTR);
    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (r < 0 && (errno == ENOBUFS || errno == ENOMEM)) {
        starve(i);
        return 0;
    }
    if (r < 0) {
        bool reset = errno == ECONNRESET;

        (void)err_sys(e, "receive");
        return reset ? (e->code = ERR_CLOSED) : e->code;
    }
    if (r == 0)
        return err_set(e, ERR_CLOSED, "peer left");
    buf_added(&i->in, (size_t)r);
    if (m.msg_controllen || (m.msg_flags & MSG_CTRUNC)) {
        int t = take_fds(i, &m, e);

        if (t < 0)
            return t;
    }
    return 1;
}

/* Handle up to *budget whole frames; 0 all done or budget used, negative: over. */
static int handle(struct ipc *i, unsigned *budget, struct err *e)
{
    while (*budget && !i->dead && !i->paused) {
        uint32_t len;
        uint16_t type, nfds;
        int r, fds[IPC_FRAME_FDS_MAX];
        const char *p;

        if (i->in.n < IPC_HEADER_BYTES)
            return 0; /* perhaps there is no buffer at all */
        p = i->in.p + i->in.off;
        memcpy(&len, p, 4);
        memcpy(&type, p + 4, 2);
        memcpy(&nfds, p + 6, 2);
        if (len > IPC_BODY_MAX || nfds > IPC_FRAME_FDS_MAX)
            return err_set(e, ERR_INVALID,
                           "frame type %u: %u bytes, %u descriptors: over the limit", type, len,
                           nfds);
        if (i->in.n - IPC_HEADER_BYTES < len)
            return 0;
        if (nfds > i->in_fd_n)
            return err_set(e, ERR_INVALID, "frame type %u: descriptors are missing", type);
        for (unsigned k = 0; k < nfds; k++)
            fds[k] = i->in_fds[i->in_fd_off + k];
        i->in_fd_off += nfds;
        i->in_fd_n -= nfds;
        (*budget)--;
        i->busy = true;
        r = i->ev.on_frame(i->ev.ctx, i, type, view_of(p + IPC_HEADER_BYTES, len), fds, nfds, e);
        i->busy = false;
        for (unsigned k = 0; k < nfds; k++)
            fd_close(&fds[k]);
        if (i->freed) {
            destroy(i);
            return 1;
        }
        if (r < 0)
            return r;
        buf_eat(&i->in, len + IPC_HEADER_BYTES);
    }
    return 0;
}

static void pump(struct ipc *i, bool readable)
{
    struct err e = ERR_INIT;
    unsigned budget = IPC_BATCH_MAX;
    int r = 0, got = 1;

    while (!i->dead && !i->paused) {
        r = handle(i, &budget, &e);
        if (r == 1)
            return; /* freed */
        if (r < 0 || !budget || i->paused || i->dead || !readable || got <= 0)
            break;
        got = read_some(i, &e);
        if (got < 0) {
            r = got;
            break;
        }
        readable = i->in.n >= READ_BYTES; /* probably more is waiting */
        if (got == 0)
            break;
        if (!readable) {
            r = handle(i, &budget, &e);
            if (r == 1)
                return;
            break;
        }
    }
    if (r < 0) {
        die(i, &e);
        return;
    }
    if (i->dead)
        return;
    if (!budget)
        loop_defer(i->loop, &i->again, LOOP_COMMIT);
    buf_trim(&i->in, KEEP_BYTES);
}

static void on_ready(void *ctx, bool readable, bool writable)
{
    struct ipc *i = ctx;

    if (writable && !i->dead)
        ipc_flush(i);
    if (readable && !i->dead)
        pump(i, true);
}

static void again_task(void *ctx)
{
    struct ipc *i = ctx;

    if (i->dead)
        report(i);
    else
        pump(i, false);
}

enum { DRAIN_ROUNDS = 4096 }; /* a dead peer's socket holds less; a live one cannot keep us here */

void ipc_drain(struct ipc *i)
{
    for (int k = 0; k < DRAIN_ROUNDS && !i->dead && !i->paused; k++)
        pump(i, true);
}
