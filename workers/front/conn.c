#include "conn.h"

#include "fd.h"
#include "http_conn.h"
#include "hub.h"
#include "log.h"
#include "ws_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static void on_ready(void *ctx, bool readable, bool writable);
static void pump(struct conn *c);
static void flush(struct conn *c);

/* -------------------------------------------------------------- life */
int conn_new(struct front *f, uint64_t id, struct view peer, bool local, int fd, struct err *e)
{
    static const int one = 1;
    struct conn *c = NULL;
    int r;

    if ((r = mem_new(&c, sizeof(*c), e)) < 0)
        goto fail;
    c->f = f;
    c->id = id;
    c->local = local;
    c->secure = f->tls != NULL;
    c->state = CONN_HTTP;
    wheel_node_init(&c->due);
    place_init(&c->place);
    list_init(&c->on_open);
    list_init(&c->on_dirty);
    list_init(&c->on_pause);
    list_init(&c->reqs);
    buf_init(&c->in, FRONT_SCRATCH);
    buf_init(&c->out, (size_t)FRONT_BACKLOG_MAX + 64 * KIB); /* and a last close frame */
    buf_init(&c->ticket, 16 * KIB);
    ws_dec_init(&c->ws, true, f->lim.pre_bytes);
    c->in.secret = c->out.secret = c->ws.message.secret = true; /* until it is let in */
    (void)ip_parse(peer, &c->from); /* what is no address counts as one */
    c->peer = mem_dup(peer.p, peer.n);
    if (!c->peer) {
        r = err_set(e, ERR_NOMEM, "out of memory for a connection");
        goto fail;
    }
    if ((r = http_conn_new(&c->http, e)) < 0 || (r = cmap_put(&f->conns, id, c, e)) < 0)
        goto fail;
    c->fd = fd;
    /* small frames must not wait for the acknowledgement of earlier ones; failing costs latency */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    loop_io_init(&c->io, f->w.loop, fd, on_ready, c);
    loop_io_want(&c->io, true, false);
    list_add(&f->fresh, &c->on_open);
    conn_due(c, FRONT_SILENT_MS);
    return 0;
fail:
    if (c) {
        mem_free(c->peer);
        http_conn_free(&c->http);
        mem_free(c);
    }
    fd_close(&fd);
    return r;
}

void conn_hello_free(struct conn_hello **hp)
{
    struct conn_hello *h = *hp;

    if (!h)
        return;
    buf_fini(&h->host);
    buf_fini(&h->origin);
    buf_fini(&h->agent);
    buf_fini(&h->claims);
    buf_fini(&h->id);
    buf_fini(&h->params);
    buf_fini(&h->pending);
    mem_free(h);
    *hp = NULL;
}

/* What a connection that will not serve again does not need. */
static void release(struct conn *c)
{
    hub_gone(c);
    conn_give_place(c);
    list_del(&c->on_open);
    list_del(&c->on_pause);
    c->paused = false;
    conn_hello_free(&c->hello);
}

void conn_kill(struct conn *c)
{
    struct err e = ERR_INIT;

    if (c->state == CONN_DEAD)
        return;
    release(c);
    c->state = CONN_DEAD;
    wheel_clear(&c->due);
    list_del(&c->on_dirty);
    loop_io_fini(&c->io);
    fd_close(&c->fd);
    if (c->f->w.sup &&
        msg_send_conn_state(c->f->w.sup,
                            &(struct ipc_conn_state){.conn_id = c->id, .state = CONN_STATE_CLOSED},
                            &e) < 0)
        log_warn("conn.untold", KV("conn", c->id), KV("why", e.text));
    list_add(&c->f->grave, &c->on_dirty);
    loop_defer(c->f->w.loop, &c->f->reap, LOOP_FLUSH);
}

static void linger(struct conn *c)
{
    release(c);
    /* an HTTP answer may take its time to get through, a close frame may not */
    conn_due(c, c->state == CONN_HTTP ? FRONT_ANSWER_MS : FRONT_LINGER_MS);
    c->state = CONN_LINGER; /* c->in stays: whoever called may be reading from it */
    conn_touch(c);          /* the end of our sending is part of the flush */
    if (c->state == CONN_LINGER && !c->eof)
        loop_io_want(&c->io, true, c->io.writing);
}

void conn_finish(struct conn *c)
{
    if (c->state < CONN_LINGER)
        linger(c);
}

/* Our reasons are cut to 120 bytes (protocol reference, 1.2); ws_put_close cuts at 123. */
void conn_close(struct conn *c, uint16_t code, struct view reason)
{
    if (c->state >= CONN_LINGER)
        return;
    if (reason.n > 120) {
        reason.n = 120;
        while (reason.n && ((unsigned char)reason.p[reason.n] & 0xc0) == 0x80)
            reason.n--;
    }
    ws_put_close(&c->out, code, reason, false);
    linger(c);
}

void conn_bye(struct conn *c, uint16_t code, struct view reason)
{
    if (c->state == CONN_HTTP)
        conn_finish(c);
    else
        conn_close(c, code, reason);
}

/* No lingering: its place is needed now. */
static void end_now(struct conn *c, uint16_t code)
{
    conn_bye(c, code, V("too many unauthenticated connections"));
    if (c->state != CONN_DEAD)
        flush(c);
    conn_kill(c);
}

void conn_make_room(struct front *f, struct view peer)
{
    struct ip ip;

    if (!ip_parse(peer, &ip))
        return;
    for (struct list *l = f->fresh.next; l != &f->fresh; l = l->next) {
        struct conn *c = LIST_OF(l, struct conn, on_open);

        if (c->state != CONN_CONNECTING && ip_key(&c->from) == ip_key(&ip)) {
            end_now(c, WS_POLICY);
            return;
        }
    }
}

/* -------------------------------------------------------------- places before hello */
enum places_answer conn_take_place(struct conn *c)
{
    struct front *f = c->f;
    enum places_answer got;
    struct place *out;
    struct ip ip = c->from;

    if (c->proxied)
        (void)ip_parse(view_str(c->peer), &ip);
    got = places_take(&f->places, ip_key(&ip), (unsigned)f->lim.places, (unsigned)f->lim.reserve,
                      loop_now_ms(f->w.loop), &c->place, &out);
    if (out)
        end_now(LIST_OF(out, struct conn, place), WS_TRY_LATER);
    if (got == PLACES_WAIT && !loop_timer_pending(&f->places_tick))
        loop_timer_set(&f->places_tick, FRONT_PLACES_TICK_MS);
    return got;
}

void conn_give_place(struct conn *c)
{
    struct front *f = c->f;

    places_give(&f->places, &c->place, loop_now_ms(f->w.loop));
    if (!list_empty(&f->places.granted))
        loop_defer(f->w.loop, &f->admit, LOOP_COMMIT);
}

void conn_admit_granted(void *ctx)
{
    struct front *f = ctx;
    struct place *p;

    while ((p = places_granted(&f->places)))
        http_conn_admit(LIST_OF(p, struct conn, place));
}

void conn_on_places_tick(void *ctx)
{
    struct front *f = ctx;
    struct place *out;

    while ((out = places_evict(&f->places, loop_now_ms(f->w.loop))))
        end_now(LIST_OF(out, struct conn, place), WS_TRY_LATER);
    conn_admit_granted(f);
    if (places_crowded(&f->places))
        loop_timer_set(&f->places_tick, FRONT_PLACES_TICK_MS);
}

int conn_attribute(struct conn *c, const struct ip *client, struct err *e)
{
    char text[IP_TEXT_MAX], *peer;

    ip_text(client, text);
    peer = mem_dup(text, strlen(text));
    if (!peer)
        return err_set(e, ERR_NOMEM, "out of memory for an address");
    mem_free(c->peer);
    c->peer = peer;
    c->proxied = true;
    c->local = false;
    return 0;
}

/* -------------------------------------------------------------- deadlines */
void conn_due(struct conn *c, uint64_t in_ms)
{
    struct front *f = c->f;
    uint64_t at = loop_now_ms(f->w.loop) + in_ms, next;

    wheel_set(&f->wheel, &c->due, at);
    /* one timer serves all: it fires at the first slot in use, and not at all when none is */
    if (f->tick_at && f->tick_at <= c->due.slot_at * WHEEL_SLOT_MS)
        return;
    if (wheel_next(&f->wheel, &next)) {
        uint64_t now = loop_now_ms(f->w.loop);

        f->tick_at = next;
        loop_timer_set(&f->tick, next > now ? next - now : 0);
    }
}

/* -------------------------------------------------------------- sending */
void conn_touch(struct conn *c)
{
    if (c->state == CONN_DEAD)
        return;
    if (c->out.failed) {
        conn_kill(c);
        return;
    }
    if (list_empty(&c->on_dirty))
        list_add(&c->f->dirty, &c->on_dirty);
    loop_defer(c->f->w.loop, &c->f->flush, LOOP_FLUSH);
}

void conn_text(struct conn *c, const struct view *parts, unsigned n, bool droppable)
{
    uint8_t head[WS_HEAD_MAX];
    size_t total = 0, head_n;
    char *to;

    if (c->state >= CONN_LINGER || (droppable && c->out.n > c->f->lim.drop_bytes))
        return;
    for (unsigned i = 0; i < n; i++)
        total += parts[i].n;
    if (total > c->f->lim.backlog_bytes || c->out.n > c->f->lim.backlog_bytes - total) {
        conn_close(c, WS_POLICY, V("slow consumer"));
        return;
    }
    head_n = ws_head(head, WS_OP_TEXT, total, NULL);
    to = buf_room(&c->out, head_n + total);
    if (to) {
        memcpy(to, head, head_n);
        to += head_n;
        for (unsigned i = 0; i < n; i++) {
            if (parts[i].n)
                memcpy(to, parts[i].p, parts[i].n);
            to += parts[i].n;
        }
        buf_added(&c->out, head_n + total);
    }
    conn_touch(c);
}

/* Everything queued has gone. */
static void drained(struct conn *c)
{
    buf_trim(&c->out, 0);
    c->out.secret &= c->state != CONN_OPEN; /* the token that a device was told has gone */
    if (c->tls)
        buf_trim(tls_out(c->tls), 0);
    loop_io_want(&c->io, c->io.reading, false);
    if (c->state != CONN_LINGER) {
        conn_wake(c);
        return;
    }
    if (!c->shut) {
        c->shut = true;
        (void)shutdown(c->fd, SHUT_WR); /* fails only when the peer is gone already */
        conn_due(c, FRONT_LINGER_MS);
    }
    if (c->eof)
        conn_kill(c);
}

/* The bytes that go to the socket next; empty when all have gone. NULL: it was killed. */
static struct buf *outgoing(struct conn *c)
{
    struct err e = ERR_INIT;
    struct buf *out;

    if (!c->tls)
        return &c->out;
    out = tls_out(c->tls);
    if (out->n == 0 && c->out.n && tls_seal(c->tls, &c->out, &e) < 0) {
        conn_kill(c);
        return NULL;
    }
    if (out->n == 0 && c->state == CONN_LINGER)
        tls_bye(c->tls);
    return out;
}

size_t conn_unsent(const struct conn *c)
{
    return c->out.n + (c->tls ? tls_out(c->tls)->n : 0);
}

static void flush(struct conn *c)
{
    struct buf *out;

    while ((out = outgoing(c)) && out->n) {
        ssize_t w = send(c->fd, out->p + out->off, out->n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (w < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                conn_kill(c);
                return;
            }
            loop_io_want(&c->io, c->io.reading, true);
            if (c->out.n < FRONT_BACKLOG_PAUSE)
                conn_wake(c);
            return;
        }
        buf_eat(out, (size_t)w);
    }
    if (out)
        drained(c);
}

void conn_flush_dirty(void *ctx)
{
    struct front *f = ctx;
    struct list *l;

    while ((l = list_pop(&f->dirty))) {
        struct conn *c = LIST_OF(l, struct conn, on_dirty);

        if (!c->io.writing) /* else the socket is full: its turn comes */
            flush(c);
    }
}

void conn_reap(void *ctx)
{
    struct front *f = ctx;
    struct list *l;

    while ((l = list_pop(&f->grave))) {
        struct conn *c = LIST_OF(l, struct conn, on_dirty);

        cmap_del(&f->conns, c->id);
        buf_fini(&c->in);
        buf_fini(&c->out);
        buf_fini(&c->ticket);
        ws_dec_fini(&c->ws);
        tls_free(&c->tls);
        http_conn_free(&c->http);
        mem_free(c->peer);
        mem_free(c);
    }
    if (f->w.stopping && f->conns.count == 0)
        worker_leave(&f->w);
}

/* -------------------------------------------------------------- receiving */
/* Whether more of this client's bytes may be used now. */
static bool has_room(const struct conn *c)
{
    switch (c->state) {
    case CONN_HTTP:
        return c->out.n < FRONT_BACKLOG_PAUSE && !http_conn_waits(c);
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
            http_conn_feed(c, p, n);
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
    loop_io_want(&c->io, false, c->io.writing);
    list_add(&c->f->waiting, &c->on_pause);
    /* once for the socket's life; the kernel forgets it with the socket. Failing, the next ping
     * notices */
    if (!c->watched)
        c->watched = epoll_ctl(c->f->hangups, EPOLL_CTL_ADD, c->fd, &ev) == 0;
}

static void on_hangup(struct conn *c, uint32_t what)
{
    if (!c->paused || c->state == CONN_DEAD)
        return; /* whoever reads finds out */
    /* half a WebSocket is none; but who asked by HTTP may have nothing more to say and wait */
    if ((what & (EPOLLHUP | EPOLLERR)) || c->state != CONN_HTTP)
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
    }
    buf_trim(&c->in, 0);
    if (c->in.n || !has_room(c))
        pause_reading(c);
    else
        loop_io_want(&c->io, true, c->io.writing);
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

static void on_eof(struct conn *c)
{
    c->eof = true;
    loop_io_want(&c->io, false, c->io.writing);
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
            flush(c);
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

static void read_some(struct conn *c)
{
    struct front *f = c->f;
    bool secret = c->state < CONN_OPEN; /* a token may be among it */
    char *p = f->scratch;
    size_t n;
    ssize_t r;

    do
        r = recv(c->fd, c->secure ? f->cipher : f->scratch,
                 c->secure ? FRONT_CIPHER : FRONT_SCRATCH, MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    if (r > 0 && c->secure)
        r = open_cipher(c, (size_t)r);
    if (r < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            conn_kill(c);
        return;
    }
    if (r == 0) {
        on_eof(c);
        return;
    }
    c->pinged = false;
    n = (size_t)r;
    feed(c, &p, &n);
    if (n && c->state < CONN_LINGER)
        buf_put(&c->in, p, n);
    if (secret)
        mem_wipe(f->scratch, (size_t)r);
    if (c->in.failed)
        conn_kill(c);
    else if (c->state < CONN_LINGER && (n || !has_room(c)))
        pause_reading(c);
}

static void on_ready(void *ctx, bool readable, bool writable)
{
    struct conn *c = ctx;

    if (writable && c->state != CONN_DEAD)
        flush(c);
    if (readable && c->state != CONN_DEAD && !c->eof && !c->paused) {
        if (has_room(c))
            read_some(c);
        else
            pause_reading(c);
    }
}
