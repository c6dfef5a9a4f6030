#include "ask.h"

#include "fd.h"
#include "mem.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUESTION_MAX = 512, READ_BYTES = 16 * 1024 };

struct ask {
    struct asks *all;
    bool used;
    uint64_t req;
    int fd;
    struct loop_io io;
    struct loop_timer timer;
    struct buf out, in;
    size_t sent;
};

struct asks {
    struct loop *loop;
    struct sockaddr_un to;
    on_asked *on;
    void *ctx;
    struct ask list[ASKS_MAX];
};

static void clear(struct ask *q)
{
    loop_io_fini(&q->io);
    loop_timer_fini(&q->timer);
    fd_close(&q->fd);
    buf_fini(&q->out);
    buf_fini(&q->in);
    q->used = false;
}

static void end(struct ask *q, enum ask_result r, const char *login)
{
    struct asks *a = q->all;
    uint64_t req = q->req;

    clear(q);
    a->on(a->ctx, req, r, login);
}

static void on_late(void *ctx)
{
    end(ctx, ASK_FAILED, "");
}

static void judge(struct ask *q)
{
    static const enum ask_result results[] = {[LOCALAPI_FOUND] = ASK_FOUND,
                                              [LOCALAPI_NOBODY] = ASK_NOBODY,
                                              [LOCALAPI_BROKEN] = ASK_FAILED};
    char login[LOCALAPI_LOGIN_MAX + 1];
    enum localapi_verdict v = localapi_answer(buf_view(&q->in), login);

    end(q, results[v], login);
}

/* False: the question is over. */
static bool send_some(struct ask *q)
{
    struct view rest = view_from(buf_view(&q->out), q->sent);
    ssize_t n;

    if (!rest.n)
        return true;
    n = send(q->fd, rest.p, rest.n, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n < 0) {
        end(q, ASK_FAILED, "");
        return false;
    }
    q->sent += (size_t)n;
    loop_io_want(&q->io, true, q->sent < q->out.n);
    return true;
}

static void receive(struct ask *q)
{
    char bytes[READ_BYTES];
    ssize_t n = recv(q->fd, bytes, sizeof(bytes), 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == 0) {
        judge(q);
        return;
    }
    if (n > 0)
        buf_put(&q->in, bytes, (size_t)n);
    if (n < 0 || q->in.failed)
        end(q, ASK_FAILED, "");
}

static void on_ready(void *ctx, bool readable, bool writable)
{
    struct ask *q = ctx;

    if (writable && !send_some(q))
        return;
    if (readable)
        receive(q);
}

/* A connection to a Unix socket is there at once or not at all. *fd is the caller's to close. */
static bool reach(struct asks *a, int *fd)
{
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd >= 0 && connect(*fd, (const struct sockaddr *)&a->to, sizeof(a->to)) == 0)
        return true;
    return false;
}

static struct ask *free_place(struct asks *a)
{
    for (unsigned i = 0; i < ASKS_MAX; i++)
        if (!a->list[i].used)
            return &a->list[i];
    return NULL;
}

void asks_add(struct asks *a, uint64_t req, struct view addr)
{
    struct ask *q = free_place(a);
    struct err e = ERR_INIT;

    if (!q) {
        a->on(a->ctx, req, ASK_FAILED, "");
        return;
    }
    *q = (struct ask){.all = a, .req = req, .fd = -1};
    if (!reach(a, &q->fd)) {
        bool busy = q->fd < 0 || errno == EAGAIN; /* its queue is full, or ours of descriptors */

        fd_close(&q->fd);
        a->on(a->ctx, req, busy ? ASK_FAILED : ASK_UNREACHABLE, "");
        return;
    }
    q->used = true;
    buf_init(&q->out, QUESTION_MAX);
    buf_init(&q->in, LOCALAPI_REPLY_MAX);
    loop_io_init(&q->io, a->loop, q->fd, on_ready, q);
    loop_timer_init(&q->timer, a->loop, on_late, q);
    if (localapi_question(&q->out, addr, &e) < 0) {
        end(q, ASK_FAILED, "");
        return;
    }
    loop_timer_set(&q->timer, ASK_MS);
    loop_io_want(&q->io, true, true);
}

int asks_new(struct asks **out, struct loop *l, const char *path, on_asked *on, void *ctx,
             struct err *e)
{
    struct asks *a = NULL;
    int r;

    if (strlen(path) >= sizeof(a->to.sun_path))
        return err_set(e, ERR_LIMIT, "gateway.tailscale.socket: longer than %zu bytes",
                       sizeof(a->to.sun_path) - 1);
    if ((r = mem_new(&a, sizeof(*a), e)) < 0)
        return r;
    a->loop = l;
    a->on = on;
    a->ctx = ctx;
    a->to.sun_family = AF_UNIX;
    memcpy(a->to.sun_path, path, strlen(path));
    *out = a;
    return 0;
}

void asks_free(struct asks **ap)
{
    struct asks *a = *ap;

    if (!a)
        return;
    for (unsigned i = 0; i < ASKS_MAX; i++)
        if (a->list[i].used)
            clear(&a->list[i]);
    mem_free(a);
    *ap = NULL;
}
