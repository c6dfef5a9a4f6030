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

#define CONN_INNER_ID (UINT64_C(1) << 52) /* a number that JSON keeps, too */

/* -------------------------------------------------------------- life */
/* Whatever carries it. */
static int make(struct conn **out, struct front *f, uint64_t id, struct view peer, struct err *e)
{
    struct conn *c = NULL;
    int r;

    if ((r = mem_new(&c, sizeof(*c), e)) < 0)
        return r;
    c->f = f;
    c->id = id;
    c->fd = -1;
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
        mem_free(c);
        return err_set(e, ERR_NOMEM, "out of memory for a connection");
    }
    *out = c;
    return 0;
}

static void unmake(struct conn *c)
{
    http_conn_free(&c->http);
    mem_free(c->peer);
    mem_free(c);
}

int conn_new(struct front *f, uint64_t id, struct view peer, bool local, int fd, struct err *e)
{
    static const int one = 1;
    struct conn *c = NULL;
    int r;

    if ((r = make(&c, f, id, peer, e)) < 0) {
        fd_close(&fd);
        return r;
    }
    c->local = local;
    c->secure = f->tls != NULL;
    c->ops = &http_conn_ops;
    if ((r = http_conn_new(&c->http, c, e)) < 0 || (r = cmap_put(&f->conns, id, c, e)) < 0) {
        unmake(c);
        fd_close(&fd);
        return r;
    }
    c->fd = fd;
    /* small frames must not wait for the acknowledgement of earlier ones; failing costs latency */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    loop_io_init(&c->io, f->w.loop, fd, conn_on_ready, c);
    loop_io_want(&c->io, true, false);
    list_add(&f->fresh, &c->on_open);
    conn_due(c, FRONT_SILENT_MS);
    return 0;
}

int conn_new_over(struct conn **out, const struct conn *parent, struct h2_stream *s,
                  const struct conn_ops *ops, struct err *e)
{
    struct front *f = parent->f;
    struct conn *c = NULL;
    int r;

    /* of a range that the supervisor, who counts up from 1, does not reach */
    if ((r = make(&c, f, CONN_INNER_ID | ++f->inner, view_str(parent->peer), e)) < 0)
        return r;
    c->from = parent->from;
    c->local = parent->local;
    c->inner = true;
    c->over = s;
    c->ops = ops;
    if ((r = cmap_put(&f->conns, c->id, c, e)) < 0) {
        unmake(c);
        return r;
    }
    *out = c;
    return 0;
}

void conn_listen(struct conn *c, bool on)
{
    if (!c->inner) /* a stream is held back by its window */
        loop_io_want(&c->io, on, c->io.writing);
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
    c->ops->gone(c);
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
    if (c->inner)
        h2_ws_gone(c);
    else if (c->f->w.sup &&
             msg_send_conn_state(
                 c->f->w.sup,
                 &(struct ipc_conn_state){.conn_id = c->id, .state = CONN_STATE_CLOSED}, &e) < 0)
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
    conn_touch(c);          /* the end of our sending is part of the conn_flush */
    if (c->state == CONN_LINGER && !c->eof)
        conn_listen(c, true);
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
        c->ops->bye(c);
    else
        conn_close(c, code, reason);
}

/* No lingering: its place is needed now. */
static void end_now(struct conn *c, uint16_t code)
{
    conn_bye(c, code, V("too many unauthenticated connections"));
    if (c->state != CONN_DEAD)
        conn_flush(c);
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

    while ((p = places_granted(&f->places))) {
        struct conn *c = LIST_OF(p, struct conn, place);

        c->ops->admit(c);
    }
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

int conn_attribute(struct conn *c, const struct ip *client, bool tailnet, struct err *e)
{
    char text[IP_TEXT_MAX], *peer;

    ip_text(client, text);
    peer = mem_dup(text, strlen(text));
    if (!peer)
        return err_set(e, ERR_NOMEM, "out of memory for an address");
    mem_free(c->peer);
    c->peer = peer;
    c->proxied = true;
    c->tailnet = tailnet;
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

/* What lies for all of them together stays below the front's memory limit: otherwise a few who do
 * not read would cost everybody else their connections. Only who holds much himself looks. */
static bool too_much_for_all(const struct conn *c, size_t more)
{
    size_t all = more;

    if (c->out.n < FRONT_BACKLOG_SHARE)
        return false;
    for (struct list *l = c->f->open.next; l != &c->f->open; l = l->next)
        all += LIST_OF(l, struct conn, on_open)->out.n;
    return all > FRONT_BACKLOG_ALL;
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
    if (too_much_for_all(c, total)) { /* at once: a close frame would wait behind all of it */
        if (front_may_log(c->f))
            log_warn("conn.memory", KV("conn", c->id), KV("bytes", c->out.n));
        conn_kill(c);
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

void conn_drained(struct conn *c)
{
    buf_trim(&c->out, 0);
    c->out.secret &= c->state != CONN_OPEN; /* the token that a device was told has gone */
    if (c->tls)
        buf_trim(tls_out(c->tls), 0);
    if (!c->inner)
        loop_io_want(&c->io, c->io.reading, false);
    if (c->state != CONN_LINGER) {
        c->ops->taken(c);
        conn_wake(c);
        return;
    }
    if (!c->shut) {
        c->shut = true;
        if (!c->inner)
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

    if (c->h2 && c->out.n == 0 && c->state == CONN_HTTP)
        h2_conn_fill(c);
    if (c->state == CONN_DEAD)
        return NULL;
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

void conn_flush(struct conn *c)
{
    struct buf *out;

    if (c->inner) {
        h2_ws_flush(c);
        return;
    }
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
        c->sent += (size_t)w;
        c->f->bytes_out += (size_t)w;
    }
    if (out)
        conn_drained(c);
}

void conn_flush_dirty(void *ctx)
{
    struct front *f = ctx;
    struct list *l;

    while ((l = list_pop(&f->dirty))) {
        struct conn *c = LIST_OF(l, struct conn, on_dirty);

        if (!c->io.writing) /* else the socket is full: its turn comes */
            conn_flush(c);
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
        h2_conn_free(&c->h2);
        mem_free(c->peer);
        mem_free(c);
    }
    if (f->w.stopping && f->conns.count == 0)
        worker_leave(&f->w);
}
