#include "front.h"

#include "clock.h"
#include "conn.h"
#include "fd.h"
#include "h2.h"
#include "json.h"
#include "rand.h"
#include "site.h"

#include <sys/epoll.h>
#include <sys/resource.h>

enum { LOG_LINES_PER_SECOND = 10 };

/* -------------------------------------------------------------- configuration */
void front_limits_read(struct front_limits *lim, const json_t *conf)
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
        {"gateway.limits.preauthPerAddress", offsetof(struct front_limits, places), 32},
        {"gateway.limits.preauthBytes", offsetof(struct front_limits, pre_bytes), 65536},
        {"gateway.limits.payloadBytes", offsetof(struct front_limits, message_bytes), 26214400},
        {"gateway.limits.bufferedBytes", offsetof(struct front_limits, backlog_bytes), 52428800},
    };

    const json_t *fronts = json_at(conf, "runtime.fronts");
    size_t share = json_integer_value(fronts) > 1 ? (size_t)json_integer_value(fronts) : 1;

    _Static_assert(sizeof(size_t) == sizeof(uint64_t), "one way to store both");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const json_t *v = json_at(conf, rows[i].key);
        uint64_t n = (uint64_t)(json_is_integer(v) ? json_integer_value(v) : rows[i].fallback);

        memcpy((char *)lim + rows[i].offset, &n, sizeof(n));
    }
    /* connections are spread over the fronts: each keeps its share of what an address may have */
    lim->places = lim->places / share ? lim->places / share : 1;
    lim->reserve = PLACES_RESERVE / share > 2 ? PLACES_RESERVE / share : 2;
    lim->drop_bytes = lim->backlog_bytes / 4;
    if (lim->drop_bytes > FRONT_BACKLOG_DROP)
        lim->drop_bytes = FRONT_BACKLOG_DROP;
}

static struct view folder(const json_t *conf, const char *key)
{
    struct view v = json_view_of(json_at(conf, key));

    while (v.n && v.p[v.n - 1] == '/')
        v.n--;
    return v;
}

/* Views into the document, which lives as long as it is in force. */
static void mount(struct front *f, const json_t *conf)
{
    const json_t *ui = json_at(conf, "gateway.controlUi.enabled");

    f->mounts = (struct route_mounts){0};
    f->mounts.off[ROUTE_UI] = json_is_false(ui);
    f->mounts.at[ROUTE_HOOKS] = folder(conf, "hooks.path");
    f->mounts.off[ROUTE_HOOKS] = !json_is_true(json_at(conf, "hooks.enabled")) ||
                                 f->mounts.at[ROUTE_HOOKS].n < 2; /* never all paths */
    f->mounts.at[ROUTE_UI] = folder(conf, "gateway.controlUi.basePath");
}

int front_configure(struct front *f, const json_t *conf, struct err *e)
{
    /* the sockets are those of the start, and so is what they speak */
    if (!f->tls && !f->configured && json_is_true(json_at(conf, "gateway.tls.enabled")))
        return err_set(e, ERR_INVALID, "TLS is configured, but no key arrived");
    front_limits_read(&f->lim, conf);
    proxy_conf_read(&f->proxy, conf);
    mount(f, conf);
    f->open_auth = json_is_true(json_at(conf, "runtime.openAuth"));
    f->configured = true;
    if (f->site) /* requests that are being answered from it keep their bytes: a copy is served */
        return site_rebase(f->site, f->mounts.at[ROUTE_UI], e);
    return 0;
}

bool front_may_log(struct front *f)
{
    uint64_t second = loop_now_ms(f->w.loop) / 1000;

    if (second != f->log_second) {
        f->log_second = second;
        f->log_budget = LOG_LINES_PER_SECOND;
    }
    return f->log_budget && f->log_budget--;
}

bool front_path_listed(const struct front *f, struct view path)
{
    struct view v = buf_view(&f->paths);

    while (v.n) {
        size_t end = view_find(v, '\n');

        if (end && view_eq(view_of(v.p, end), path))
            return true;
        v = view_from(v, end + 1);
    }
    return false;
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
        if (c->tls && !tls_up(c->tls))
            conn_kill(c);
        else
            c->ops->due(c);
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

/* -------------------------------------------------------------- life */
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

int front_init(struct front *f, struct err *e)
{
    uint64_t now = loop_now_ms(f->w.loop);
    int r;

    f->started_ms = now;
    f->hangups = -1;
    places_init(&f->places);
    list_init(&f->fresh);
    list_init(&f->open);
    list_init(&f->waiting);
    list_init(&f->ready);
    list_init(&f->dirty);
    list_init(&f->grave);
    f->flush = (struct loop_task){.run = conn_flush_dirty, .ctx = f};
    f->resume = (struct loop_task){.run = conn_resume_ready, .ctx = f};
    f->reap = (struct loop_task){.run = conn_reap, .ctx = f};
    f->admit = (struct loop_task){.run = conn_admit_granted, .ctx = f};
    loop_timer_init(&f->places_tick, f->w.loop, conn_on_places_tick, f);
    wheel_init(&f->wheel, now);
    loop_timer_init(&f->tick, f->w.loop, on_tick, f);
    buf_init(&f->why, 8 * KIB);
    buf_init(&f->paths, 64 * KIB);
    f->name = rand_u64();
    if ((r = mem_new(&f->scratch, FRONT_SCRATCH, e)) < 0)
        return r;
    f->hangups = epoll_create1(EPOLL_CLOEXEC);
    if (f->hangups < 0)
        return err_sys(e, "epoll");
    loop_io_init(&f->hangups_io, f->w.loop, f->hangups, conn_on_hangups, f);
    loop_io_want(&f->hangups_io, true, false);
    return warm_up(e);
}

void front_fini(struct front *f)
{
    struct conn *c;
    size_t at = 0;

    if (!f->scratch)
        return; /* not even begun */
    while ((c = cmap_next(&f->conns, &at)))
        conn_kill(c);
    conn_reap(f);
    cmap_fini(&f->conns);
    reqs_fini(&f->reqs);
    for (unsigned i = 0; i < f->snap_n; i++) {
        buf_fini(&f->snap[i].name);
        buf_fini(&f->snap[i].payload);
    }
    buf_fini(&f->why);
    buf_fini(&f->paths);
    loop_io_fini(&f->hangups_io);
    fd_close(&f->hangups);
    tls_ctx_free(&f->tls);
    site_unref(&f->site);
    h2_ctx_free(&f->h2);
    mem_free(f->cipher);
    mem_free(f->scratch);
    loop_timer_fini(&f->tick);
    loop_timer_fini(&f->places_tick);
}
