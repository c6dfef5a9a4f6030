#include "chan_stream.h"

#include "chan_resolve.h"
#include "chan_tls.h"
#include "channel_int.h"
#include "fd.h"
#include "net_guard.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
    CONNECT_MS = 15 * 1000,
    READ_BYTES = 16 << 10,
    READS_PER_TURN = 4, /* others want their turn, too */
    HOST_BYTES = 256,
    DATA_MAX = 1 << 20,
};

enum state { STREAM_NAME, STREAM_TCP, STREAM_TLS, STREAM_OPEN, STREAM_OVER };

struct chan_stream {
    struct loop *loop;
    struct chan_stream_on on;
    void *ctx;
    enum state state;
    struct chan_resolve *resolve;
    struct chan_address a[CHAN_RESOLVE_MAX];
    unsigned n, at;
    int fd;
    struct loop_io io;
    struct loop_timer limit;
    struct loop_task later; /* the end is told at the end of the turn */
    struct chan_tls *tls;
    struct buf plain; /* what came and is no line yet */
    struct buf out;   /* bytes for the socket */
    size_t line_max;
    bool skip;  /* the rest of a line that was too long */
    bool *gone; /* set when a callback closed the stream */
    bool foreign;
    char why[160];
};

/* ---- the end ---- */

static void on_later(void *ctx)
{
    struct chan_stream *s = ctx;

    s->on.on_close(s->ctx, s->why); /* it closes us */
}

static void over(struct chan_stream *s, const char *why)
{
    if (s->state == STREAM_OVER)
        return;
    s->state = STREAM_OVER;
    (void)snprintf(s->why, sizeof(s->why), "%s", why);
    if (s->fd >= 0)
        loop_io_want(&s->io, false, false);
    loop_timer_clear(&s->limit);
    loop_defer(s->loop, &s->later, LOOP_COMMIT);
}

static void on_limit(void *ctx)
{
    over(ctx, "no connection in time");
}

/* ---- out ---- */

static void flush(struct chan_stream *s)
{
    while (s->out.n && s->state != STREAM_OVER) {
        struct view v = buf_view(&s->out);
        ssize_t n = send(s->fd, v.p, v.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n <= 0) {
            over(s, "the connection broke off");
            return;
        }
        buf_eat(&s->out, (size_t)n);
    }
    buf_trim(&s->out, 0);
    if (s->state != STREAM_OVER)
        loop_io_want(&s->io, true, s->out.n > 0);
}

int chan_stream_write(struct chan_stream *s, struct view bytes, struct err *e)
{
    int r = 0;

    if (s->state != STREAM_OPEN)
        return err_set(e, ERR_CLOSED, "the stream is not open");
    if (bytes.n > CHAN_STREAM_QUEUE_MAX -
                      (s->out.n < CHAN_STREAM_QUEUE_MAX ? s->out.n : CHAN_STREAM_QUEUE_MAX))
        return err_set(e, ERR_LIMIT, "%zu bytes wait to be written", s->out.n);
    if (s->tls)
        r = chan_tls_out(s->tls, bytes, &s->out, e);
    else
        buf_put_view(&s->out, bytes);
    if (r < 0 || (r = buf_check(&s->out, e)) < 0)
        return r;
    flush(s);
    return 0;
}

size_t chan_stream_queued(const struct chan_stream *s)
{
    return s->out.n;
}

/* ---- in ---- */

/* Whole lines; false when a callback closed us. */
static bool give_lines(struct chan_stream *s, bool *gone)
{
    while (!*gone && s->state == STREAM_OPEN) {
        struct view have = buf_view(&s->plain), line;
        size_t n = view_find(have, '\n');

        if (n == have.n) {
            if (n <= s->line_max)
                break;
            line = view_of(have.p, s->line_max);
            if (!s->skip)
                s->on.on_line(s->ctx, line);
            if (*gone)
                break;
            s->skip = true;
            buf_eat(&s->plain, n);
            break;
        }
        line = view_of(have.p, n);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n > s->line_max)
            line.n = s->line_max;
        if (s->skip)
            s->skip = false;
        else
            s->on.on_line(s->ctx, line);
        if (!*gone)
            buf_eat(&s->plain, n + 1);
    }
    return !*gone;
}

static bool give(struct chan_stream *s)
{
    bool gone = false;

    if (!s->plain.n)
        return true;
    s->gone = &gone;
    if (s->line_max) {
        (void)give_lines(s, &gone);
    } else {
        s->on.on_data(s->ctx, buf_view(&s->plain));
        if (!gone)
            buf_reset(&s->plain, 0);
    }
    if (!gone) {
        s->gone = NULL;
        buf_trim(&s->plain, 0);
    }
    return !gone;
}

static bool opened(struct chan_stream *s)
{
    bool gone = false;

    s->state = STREAM_OPEN;
    loop_timer_clear(&s->limit);
    s->gone = &gone;
    s->on.on_open(s->ctx);
    if (!gone)
        s->gone = NULL;
    return !gone;
}

/* What came, or the beginning of a handshake. false: it is over, or gone. */
static bool take(struct chan_stream *s, struct view bytes)
{
    bool up = false, end = false;
    struct err e = ERR_INIT;
    int r;

    if (!s->tls) {
        buf_put_view(&s->plain, bytes);
        if (s->plain.failed) {
            over(s, "out of memory");
            return false;
        }
        return give(s);
    }
    r = chan_tls_in(s->tls, bytes, &s->plain, &s->out, &up, &end, &e);
    flush(s);
    if (r < 0) {
        over(s, e.text);
        return false;
    }
    if (up && s->state == STREAM_TLS && !opened(s))
        return false;
    if (!give(s))
        return false;
    if (end)
        over(s, "the host closed the connection");
    return s->state != STREAM_OVER;
}

static void receive(struct chan_stream *s)
{
    char room[READ_BYTES];

    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(s->fd, room, sizeof(room), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            over(s, n == 0 ? "the host closed the connection" : "the connection broke off");
            return;
        }
        if (!take(s, view_of(room, (size_t)n)) || (size_t)n < sizeof(room))
            return;
    }
}

/* ---- connecting ---- */

static void try_next(struct chan_stream *s, const char *why);

static void connected(struct chan_stream *s)
{
    int error = 0, on = 1;
    socklen_t len = sizeof(error);

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
        loop_io_fini(&s->io);
        fd_close(&s->fd);
        try_next(s, "cannot connect");
        return;
    }
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    loop_io_want(&s->io, true, false);
    if (!s->tls) {
        (void)opened(s);
        return;
    }
    s->state = STREAM_TLS;
    (void)take(s, VIEW_EMPTY);
}

static void on_ready(void *ctx, bool readable, bool writable)
{
    struct chan_stream *s = ctx;

    if (s->state == STREAM_TCP) {
        if (writable)
            connected(s);
        return;
    }
    if (s->state == STREAM_OVER)
        return;
    if (writable)
        flush(s);
    if (readable && s->state != STREAM_OVER)
        receive(s);
}

static void try_next(struct chan_stream *s, const char *why)
{
    while (s->at < s->n) {
        const struct chan_address *a = &s->a[s->at++];
        int r;

        if (s->foreign && !net_guard_public((const struct sockaddr *)&a->sa)) {
            why = "the address is not a public one";
            continue;
        }
        s->fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->fd < 0)
            continue;
        r = connect(s->fd, (const struct sockaddr *)&a->sa, a->len);
        if (r == 0 || errno == EINPROGRESS) {
            s->state = STREAM_TCP;
            loop_io_init(&s->io, s->loop, s->fd, on_ready, s);
            loop_io_want(&s->io, false, true);
            return;
        }
        why = errno == EACCES || errno == EPERM ? "the sandbox does not allow this port"
                                                : "cannot connect";
        fd_close(&s->fd);
    }
    over(s, why);
}

static void on_resolved(void *ctx, const struct chan_address *a, unsigned n, const char *why)
{
    struct chan_stream *s = ctx;

    s->resolve = NULL;
    if (why) {
        over(s, why);
        return;
    }
    memcpy(s->a, a, n * sizeof(*a));
    s->n = n;
    try_next(s, "cannot connect");
}

int chan_stream_open(struct channel *c, const struct chan_stream_conf *conf,
                     const struct chan_stream_on *on, void *ctx, struct chan_stream **out,
                     struct err *e)
{
    struct chan_stream *s = NULL;
    struct chan_tls_conf tls = {.name = conf->server_name ? conf->server_name : conf->host,
                                .cert = conf->cert,
                                .key = conf->key,
                                .ca = conf->ca};
    int r;

    if ((r = mem_new(&s, sizeof(*s), e)) < 0)
        return r;
    s->fd = -1;
    s->loop = channel_loop(c);
    s->on = *on;
    s->ctx = ctx;
    s->line_max = conf->line_max;
    s->foreign = conf->foreign;
    s->later = (struct loop_task){.run = on_later, .ctx = s};
    buf_init(&s->plain, DATA_MAX + conf->line_max);
    buf_init(&s->out, 2 * (size_t)CHAN_STREAM_QUEUE_MAX);
    loop_timer_init(&s->limit, s->loop, on_limit, s);
    if ((conf->tls && (r = chan_tls_new(&s->tls, &tls, e)) < 0) ||
        (r = chan_resolve_start(&s->resolve, s->loop, conf->host, conf->port, on_resolved, s, e)) <
            0) {
        chan_stream_close(&s);
        return r;
    }
    loop_timer_set(&s->limit, conf->connect_ms ? conf->connect_ms : CONNECT_MS);
    *out = s;
    return 0;
}

void chan_stream_close(struct chan_stream **sp)
{
    struct chan_stream *s = TAKE(*sp);

    if (!s)
        return;
    if (s->gone)
        *s->gone = true;
    if (s->state == STREAM_OPEN && s->tls)
        chan_tls_bye(s->tls, &s->out);
    if (s->state == STREAM_OPEN)
        flush(s);
    chan_resolve_cancel(&s->resolve);
    loop_undefer(s->loop, &s->later);
    loop_timer_fini(&s->limit);
    if (s->fd >= 0)
        loop_io_fini(&s->io);
    fd_close(&s->fd);
    chan_tls_free(&s->tls);
    buf_fini(&s->plain);
    buf_fini(&s->out);
    mem_free(s);
}

int chan_stream_init(struct channel *c, struct err *e)
{
    (void)c;
    return chan_tls_load(e);
}
