/* workers/front/conn_recv.c - what comes from clients: read, opened when it is TLS, handed to the
 * protocol spoken; paused and resumed. */
#include "conn.h"

#include "fd.h"
#include "h2_ws.h"
#include "http_conn.h"
#include "hub.h"
#include "log.h"
#include "ws_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Whether more of this client's bytes may be used now. */
static bool has_room(const struct conn *c)
{
    switch (c->state) {
    case CONN_HTTP:
        return c->out.n < FRONT_BACKLOG_PAUSE && !c->ops->waits(c);
    case CONN_CHALLENGED:
    case CONN_CONNECTING:
        return !hub_busy(c->f);
    case CONN_OPEN:
        return c->req_n < FRONT_REQUESTS_MAX && c->out.n < FRONT_BACKLOG_PAUSE && !hub_busy(c->f);
    case CONN_LINGER:
    case CONN_DEAD:
        break;
    }
    return true;
}

static void feed(struct conn *c, char **p, size_t *n)
{
    while (*n && has_room(c)) {
        if (c->state == CONN_HTTP) {
            c->ops->feed(c, p, n);
        } else if (c->state < CONN_LINGER) {
            ws_conn_feed(c, p, n);
        } else {
            *n = 0;
        }
    }
}

static void pause_reading(struct conn *c)
{
    struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET, .data.u64 = c->id};

    c->paused = true;
    conn_listen(c, false);
    list_add(&c->f->waiting, &c->on_pause);
    /* once for the socket's life; the kernel forgets it with the socket. Failing, the next ping
     * notices */
    if (!c->watched && !c->inner)
        c->watched = epoll_ctl(c->f->hangups, EPOLL_CTL_ADD, c->fd, &ev) == 0;
}

static void on_hangup(struct conn *c, uint32_t what)
{
    if (!c->paused || c->state == CONN_DEAD)
        return; /* whoever reads finds out */
    /* half a WebSocket is none; but who asked by HTTP may have nothing more to say and wait */
    if ((what & (EPOLLHUP | EPOLLERR)) || c->state != CONN_HTTP || c->ops->asked(c))
        conn_kill(c);
}

void conn_on_hangups(void *ctx, bool readable, bool writable)
{
    struct front *f = ctx;
    struct epoll_event ev[64];
    int n = epoll_wait(f->hangups, ev, COUNT_OF(ev), 0);

    (void)readable;
    (void)writable;
    for (int i = 0; i < n; i++) {
        struct conn *c = cmap_get(&f->conns, ev[i].data.u64);

        if (c)
            on_hangup(c, ev[i].events);
    }
}

/* Use what is left from before; then listen again, or go on waiting. */
static void pump(struct conn *c)
{
    while (c->in.n && has_room(c)) {
        char *p = c->in.p + c->in.off;
        size_t had = c->in.n, n = had;

        feed(c, &p, &n);
        if (c->state >= CONN_LINGER)
            return;
        buf_eat(&c->in, had - n);
        if (c->inner)
            h2_ws_used(c, had - n);
    }
    buf_trim(&c->in, 0);
    if (c->in.n || !has_room(c))
        pause_reading(c);
    else
        conn_listen(c, true);
}

void conn_resume_ready(void *ctx)
{
    struct front *f = ctx;
    struct list *l;

    while ((l = list_pop(&f->ready))) {
        struct conn *c = LIST_OF(l, struct conn, on_pause);

        c->paused = false;
        pump(c);
    }
}

void conn_wake(struct conn *c)
{
    if (!c->paused || !has_room(c) || (c->state == CONN_OPEN && c->req_n > FRONT_REQUESTS_LOW))
        return;
    list_del(&c->on_pause);
    list_add(&c->f->ready, &c->on_pause);
    loop_defer(c->f->w.loop, &c->f->resume, LOOP_COMMIT);
}

void conn_ended(struct conn *c)
{
    c->eof = true;
    conn_listen(c, false);
    if (c->state == CONN_LINGER) {
        if (conn_unsent(c) == 0)
            conn_kill(c);
        return;
    }
    if (c->state == CONN_HTTP && conn_unsent(c))
        conn_finish(c); /* it asked, and waits for the answer */
    else
        conn_kill(c); /* half a WebSocket is none */
}

/* Clear text on a port that speaks TLS: one answer that a person understands. */
static void refuse_clear(struct conn *c)
{
    c->secure = false;
    http_conn_refuse(c, 400, "this port speaks TLS: use https:// or wss://");
}

/* n bytes in f->cipher become bytes in f->scratch: how many, 0 at the end, or -1 with EAGAIN when
 * there is nothing to use yet. */
static ssize_t open_cipher(struct conn *c, size_t n)
{
    struct front *f = c->f;
    struct err e = ERR_INIT;
    bool up, end = false;
    size_t got = 0;
    int r = 0;

    if (!c->tls && (unsigned char)f->cipher[0] != TLS_HANDSHAKE) {
        refuse_clear(c);
        errno = EAGAIN;
        return -1;
    }
    if (!c->tls)
        r = tls_new(&c->tls, f->tls, &e);
    up = c->tls && tls_up(c->tls);
    if (r == 0)
        r = tls_open(c->tls, view_of(f->cipher, n), f->scratch, FRONT_SCRATCH, &got, &end, &e);
    if (r < 0) {
        if (front_may_log(f))
            log_info("tls.failed", KV("conn", c->id), KV("why", e.text));
        if (c->tls) /* an alert says why */
            conn_flush(c);
        conn_kill(c);
        errno = EAGAIN;
        return -1;
    }
    if (!up && tls_up(c->tls))
        conn_due(c, FRONT_SILENT_MS); /* to the first byte of a request */
    if (tls_out(c->tls)->n)
        conn_touch(c);
    if (got == 0 && end)
        return 0;
    if (got == 0)
        errno = EAGAIN;
    return got ? (ssize_t)got : -1;
}

/* Use what can be used; the rest has to wait. */
static void use(struct conn *c, char *p, size_t n)
{
    size_t had = n;

    c->pinged = false;
    if (!c->paused)
        feed(c, &p, &n);
    if (n && c->state < CONN_LINGER)
        buf_put(&c->in, p, n);
    if (c->inner)
        h2_ws_used(c, had - n);
    if (c->in.failed)
        conn_kill(c);
    else if (!c->paused && c->state < CONN_LINGER && (n || !has_room(c)))
        pause_reading(c);
}

void conn_bytes(struct conn *c, char *p, size_t n)
{
    if (c->state != CONN_DEAD)
        use(c, p, n);
}

static void read_some(struct conn *c)
{
    struct front *f = c->f;
    bool secret = c->state < CONN_OPEN; /* a token may be among it */
    ssize_t r;

    do
        r = recv(c->fd, c->secure ? f->cipher : f->scratch,
                 c->secure ? FRONT_CIPHER : FRONT_SCRATCH, MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    if (r > 0)
        f->bytes_in += (size_t)r;
    if (r > 0 && c->secure)
        r = open_cipher(c, (size_t)r);
    if (r < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            conn_kill(c);
        return;
    }
    if (r == 0) {
        conn_ended(c);
        return;
    }
    use(c, f->scratch, (size_t)r);
    if (secret)
        mem_wipe(f->scratch, (size_t)r);
}

void conn_on_ready(void *ctx, bool readable, bool writable)
{
    struct conn *c = ctx;

    if (writable && c->state != CONN_DEAD)
        conn_flush(c);
    if (readable && c->state != CONN_DEAD && !c->eof && !c->paused) {
        if (has_room(c))
            read_some(c);
        else
            pause_reading(c);
    }
}
