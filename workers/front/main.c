/*
 * workers/front/main.c - what strangers talk to: HTTP/1.1 and WebSocket on sockets it was handed.
 * Trusts: the supervisor and the hub; nothing that comes over a client's socket. Holds: clients'
 * bytes in flight, identities sealed by the hub (it can neither read nor make one); no secret.
 * May: use fd 3, its link to the hub, the sockets it was handed. Dies: with its own connections.
 */
#include "clock.h"
#include "conn.h"
#include "fd.h"
#include "frame.h"
#include "json.h"
#include "log.h"

#include <sys/resource.h>

enum { LOG_LINES_PER_SECOND = 10 };

static const struct sandbox front_sandbox = {.allow = SB_RECV_SOCKETS};

bool front_may_log(struct front *f)
{
    uint64_t second = loop_now_ms(f->w.loop) / 1000;

    if (second != f->log_second) {
        f->log_second = second;
        f->log_budget = LOG_LINES_PER_SECOND;
    }
    return f->log_budget && f->log_budget--;
}

struct view front_snapshot_get(const struct front *f, struct view name)
{
    for (unsigned i = 0; i < f->snap_n; i++)
        if (view_eq(buf_view(&f->snap[i].name), name))
            return buf_view(&f->snap[i].payload);
    return VIEW_EMPTY;
}

struct view front_snapshot_of(const struct front *f, enum rpc_index method)
{
    for (unsigned i = 0; i < f->snap_n; i++)
        if (f->snap[i].method == method)
            return buf_view(&f->snap[i].payload);
    return VIEW_EMPTY;
}

/* -------------------------------------------------------------- deadlines */
static void on_due(void *ctx, struct wheel_node *n)
{
    struct conn *c = LIST_OF(n, struct conn, due);

    (void)ctx;
    switch (c->state) {
    case CONN_HTTP:
        http_conn_due(c);
        break;
    case CONN_CHALLENGED:
    case CONN_CONNECTING:
        conn_close(c, WS_NORMAL, VIEW_EMPTY); /* protocol reference, 1.2: handshake time */
        break;
    case CONN_OPEN:
        if (c->pinged && !c->paused) { /* paused: perhaps it answered, we did not look */
            conn_kill(c);
            break;
        }
        c->pinged = true;
        ws_put(&c->out, WS_OP_PING, VIEW_EMPTY, false);
        conn_due(c, c->f->lim.ping_ms);
        conn_touch(c);
        break;
    case CONN_LINGER:
        conn_kill(c);
        break;
    case CONN_DEAD:
        break;
    }
}

static void on_tick(void *ctx)
{
    struct front *f = ctx;
    uint64_t next, now = loop_now_ms(f->w.loop);

    f->tick_at = 1; /* deadlines that are set meanwhile do not start the timer */
    wheel_turn(&f->wheel, now, on_due, f);
    f->tick_at = 0;
    if (wheel_next(&f->wheel, &next)) {
        f->tick_at = next;
        loop_timer_set(&f->tick, next > now ? next - now : 0);
    }
}

/* -------------------------------------------------------------- the supervisor's messages */
static int on_conn(void *ctx, struct link *from, struct ipc_conn *m, struct err *e)
{
    struct front *f = ctx;
    struct ipc_conn_state gone = {.conn_id = m->conn_id, .state = CONN_STATE_CLOSED};
    struct err why = ERR_INIT;

    if (m->flags & CONN_CROWDED)
        conn_make_room(f, m->peer);
    if (f->conns.count >= f->lim.conns)
        (void)err_set(&why, ERR_LIMIT, "%zu connections are open, limit %zu", f->conns.count,
                      f->lim.conns);
    else if (conn_new(f, m->conn_id, m->peer, m->flags & CONN_LOCAL, fd_take(&m->sock), &why) == 0)
        return 0;
    if (front_may_log(f))
        log_warn("conn.refused", KV("conn", m->conn_id), KV("why", why.text));
    return msg_send_conn_state(from, &gone, e);
}

static void read_limits(struct front *f, const json_t *conf)
{
    static const struct {
        const char *key;
        size_t offset;
        json_int_t fallback; /* as in conf/keys.def */
    } rows[] = {
        {"gateway.handshakeTimeoutMs", offsetof(struct front_limits, handshake_ms), 15000},
        {"gateway.timers.pingMs", offsetof(struct front_limits, ping_ms), 25000},
        {"gateway.timers.httpMs", offsetof(struct front_limits, http_ms), 15000},
        {"gateway.limits.connections", offsetof(struct front_limits, conns), 10000},
        {"gateway.limits.preauthBytes", offsetof(struct front_limits, pre_bytes), 65536},
        {"gateway.limits.payloadBytes", offsetof(struct front_limits, message_bytes), 26214400},
        {"gateway.limits.bufferedBytes", offsetof(struct front_limits, backlog_bytes), 52428800},
    };

    _Static_assert(sizeof(size_t) == sizeof(uint64_t), "one way to store both");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const json_t *v = json_at(conf, rows[i].key);
        uint64_t n = (uint64_t)(json_is_integer(v) ? json_integer_value(v) : rows[i].fallback);

        memcpy((char *)&f->lim + rows[i].offset, &n, sizeof(n));
    }
    f->lim.drop_bytes = f->lim.backlog_bytes / 4;
    if (f->lim.drop_bytes > FRONT_BACKLOG_DROP)
        f->lim.drop_bytes = FRONT_BACKLOG_DROP;
}

static int on_config(void *ctx, json_t *conf, struct err *e)
{
    (void)e;
    read_limits(ctx, conf);
    return 0;
}

static void on_peer(void *ctx, struct link *l, bool up)
{
    hub_peer(ctx, l, up);
}

static void on_drain(void *ctx, struct link *l)
{
    struct front *f = ctx;

    if (l == f->hub)
        hub_drained(f);
}

/* The hub has told its clients what happens; whoever is still here gets the close frame. */
static void on_stop(void *ctx, uint32_t grace_ms)
{
    struct front *f = ctx;
    struct conn *c;
    size_t at = 0;

    (void)grace_ms; /* connections end within FRONT_LINGER_MS */
    while ((c = cmap_next(&f->conns, &at)))
        conn_bye(c, WS_RESTART, V("service restart"));
    if (f->conns.count == 0)
        worker_leave(&f->w);
}

/* -------------------------------------------------------------- the process */
/* What must not be done for the first time inside the sandbox: the crypto library reads files when
 * it is first used; and as many descriptors as the kernel gives us. */
static int warm_up(struct err *e)
{
    char accept[WS_ACCEPT_LEN + 1];
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r); /* fewer connections then */
    }
    return ws_accept(V("AAAAAAAAAAAAAAAAAAAAAA=="), accept, e);
}

static int front_init(struct front *f, struct err *e)
{
    uint64_t now = loop_now_ms(f->w.loop);
    int r;

    f->started_ms = now;
    list_init(&f->fresh);
    list_init(&f->open);
    list_init(&f->waiting);
    list_init(&f->ready);
    list_init(&f->dirty);
    list_init(&f->grave);
    f->flush = (struct loop_task){.run = front_flush, .ctx = f};
    f->resume = (struct loop_task){.run = front_resume, .ctx = f};
    f->reap = (struct loop_task){.run = front_reap, .ctx = f};
    wheel_init(&f->wheel, now);
    loop_timer_init(&f->tick, f->w.loop, on_tick, f);
    buf_init(&f->why, 8 * KIB);
    if ((r = mem_new(&f->scratch, FRONT_SCRATCH, e)) < 0)
        return r;
    return warm_up(e);
}

static void front_fini(struct front *f)
{
    struct conn *c;
    size_t at = 0;

    while ((c = cmap_next(&f->conns, &at)))
        conn_kill(c);
    front_reap(f);
    cmap_fini(&f->conns);
    reqs_fini(&f->reqs);
    for (unsigned i = 0; i < f->snap_n; i++) {
        buf_fini(&f->snap[i].name);
        buf_fini(&f->snap[i].payload);
    }
    buf_fini(&f->why);
    mem_free(f->scratch);
    loop_timer_fini(&f->tick);
}

int main(void)
{
    static struct front f = {.w = WORKER_INIT(FRONT)}; /* the scratch request alone is 3 KiB */
    static const struct ipc_handlers on = {
        .conn = on_conn,
        .connect_ok = hub_on_connect_ok,
        .connect_refused = hub_on_connect_refused,
        .conn_update = hub_on_conn_update,
        .conn_close = hub_on_conn_close,
        .reply = hub_on_reply,
        .event = hub_on_event,
        .event_to = hub_on_event_to,
        .snapshot = hub_on_snapshot,
    };
    struct err e = ERR_INIT;

    f.w.on_config = on_config;
    f.w.on_peer = on_peer;
    f.w.on_drain = on_drain;
    f.w.on_stop = on_stop;
    read_limits(&f, NULL);
    if (worker_open(&f.w, &on, &e) < 0 ||
        front_init(&f, &e) < 0 || /* links and connections may come from here on */
        worker_recv_config(&f.w, &e) < 0 || on_config(&f, f.w.conf, &e) < 0 ||
        worker_sandbox(&f.w, &front_sandbox, &e) < 0 || worker_ready(&f.w, &e) < 0 ||
        worker_run(&f.w, &e) < 0)
        worker_fail(&f.w, &e);
    if (f.scratch) /* front_init was reached */
        front_fini(&f);
    worker_fini(&f.w);
    return f.w.exit_code;
}
