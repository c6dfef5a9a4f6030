#include "worker.h"

#include "clock.h"
#include "json.h"
#include "log.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static void sink(void *ctx, enum log_level level, struct view event, struct view fields)
{
    struct worker *w = ctx;
    struct err e = ERR_INIT;

    if (!w->sup || ipc_over_high(link_ipc(w->sup)))
        return; /* a slow log never stops the service */
    if (msg_send_log(w->sup,
                     &(struct ipc_log){.level = (uint32_t)level, .event = event, .fields = fields},
                     &e) < 0)
        return;
}

static int on_ping(void *ctx, struct link *from, struct ipc_ping *m, struct err *e)
{
    (void)ctx;
    return msg_send_pong(from, &(struct ipc_pong){.seq = m->seq}, e);
}

static int on_log_level(void *ctx, struct link *from, struct ipc_log_level *m, struct err *e)
{
    (void)ctx;
    (void)from;
    if (m->level >= LOG_LEVEL_COUNT)
        return err_set(e, ERR_INVALID, "level %u", m->level);
    log_set_level((enum log_level)m->level);
    return 0;
}

static int on_config(void *ctx, struct link *from, struct ipc_config *m, struct err *e)
{
    struct worker *w = ctx;
    json_t *doc = NULL;
    int r;

    (void)from;
    r = json_parse(m->slice, &doc, e);
    /* it may hold keys, and the line's buffer is not kept for them */
    mem_wipe((char *)(uintptr_t)m->slice.p, m->slice.n);
    if (r < 0)
        return r;
    if (w->have_conf && w->on_config && (r = w->on_config(w, doc, e)) < 0) {
        log_error("config.refused", KV("why", e->text));
        json_decref(doc);
        return 0; /* the old slice stays in force */
    }
    json_decref(w->conf);
    w->conf = doc;
    if (!w->have_conf) {
        w->have_conf = true;
        loop_stop(w->loop);
    }
    return 0;
}

static void on_grace_over(void *ctx)
{
    struct worker *w = ctx;

    log_warn("worker.grace_over");
    worker_leave(w);
}

static int on_stop(void *ctx, struct link *from, struct ipc_stop *m, struct err *e)
{
    struct worker *w = ctx;

    (void)from;
    (void)e;
    if (w->stopping)
        return 0;
    w->stopping = true;
    if (!w->on_stop) {
        worker_leave(w);
        return 0;
    }
    loop_timer_set(&w->grace, m->grace_ms);
    w->on_stop(w, m->grace_ms);
    return 0;
}

static void peer_closed(void *ctx, struct link *l, const struct err *why)
{
    struct worker *w = ctx;
    struct err e = ERR_INIT;
    struct link *gone = l;

    if (why->code != ERR_CLOSED)
        log_warn("link.broken", KV("peer", role_name(link_peer(l))),
                 KV("instance", link_instance(l)), KV("why", why->text));
    for (unsigned i = 0; i < w->peer_count; i++)
        if (w->peers[i] == l) {
            w->peers[i] = w->peers[--w->peer_count];
            break;
        }
    if (w->sup && !w->stopping &&
        msg_send_link_lost(w->sup,
                           &(struct ipc_link_lost){.role = view_str(role_name(link_peer(l))),
                                                   .instance = link_instance(l),
                                                   .generation = link_generation(l)},
                           &e) < 0)
        log_warn("link.lost_untold", KV("why", e.text));
    if (w->on_peer)
        w->on_peer(w, l, false);
    link_close(&gone);
}

static void peer_drained(void *ctx, struct link *l)
{
    struct worker *w = ctx;

    if (w->on_drain)
        w->on_drain(w, l);
}

static int on_link(void *ctx, struct link *from, struct ipc_link *m, struct err *e)
{
    struct worker *w = ctx;
    struct link_conf conf = {.me = w->role,
                             .peer = ROLE_COUNT,
                             .instance = m->instance,
                             .generation = m->generation,
                             .on = &w->on,
                             .ctx = w,
                             .on_close = peer_closed,
                             .on_drain = peer_drained};
    struct link *l = NULL;
    int fd = m->sock, r;

    (void)from;
    for (int i = 0; i < ROLE_COUNT; i++)
        if (view_eq(m->role, view_str(role_name((enum role)i))))
            conf.peer = (enum role)i;
    if (conf.peer == ROLE_COUNT)
        return err_set(e, ERR_INVALID, "unknown role");
    if (w->peer_count >= WORKER_PEERS_MAX)
        return err_set(e, ERR_LIMIT, "%u peers", w->peer_count);
    m->sock = -1;
    if ((r = link_open(&l, w->loop, fd, &conf, e)) < 0)
        return r;
    link_set_running(l);
    w->peers[w->peer_count++] = l;
    if (w->on_peer)
        w->on_peer(w, l, true);
    return 0;
}

static void supervisor_gone(void *ctx, struct link *l, const struct err *why)
{
    struct worker *w = ctx;

    (void)l;
    if (why->code != ERR_CLOSED)
        w->exit_code = 1;
    link_close(&w->sup);
    worker_leave(w); /* nobody is left to serve */
}

int worker_open(struct worker *w, const struct ipc_handlers *on, struct err *e)
{
    struct link_conf conf = {.me = w->role,
                             .peer = ROLE_SUPERVISOR,
                             .on = &w->on,
                             .ctx = w,
                             .on_close = supervisor_gone};
    struct ipc_hello hello = {.schema = msg_schema(), .role = view_str(role_name(w->role))};
    int r;

    w->started_ns = clock_mono_ns();
    (void)prctl(PR_SET_NAME, role_name(w->role)); /* started by descriptor it would be called "5" */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);       /* a change of uid before our start cleared it */
    (void)close_range(WORKER_IPC_FD + 1, ~0u, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT,
                 SIG_IGN); /* a terminal's ^C goes to the whole group; the supervisor decides */
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    w->on = *on;
    w->on.ping = on_ping;
    w->on.log_level = on_log_level;
    w->on.config = on_config;
    w->on.stop = on_stop;
    w->on.link = on_link;
    if ((r = loop_new(&w->loop, e)) < 0 ||
        (r = link_open(&w->sup, w->loop, WORKER_IPC_FD, &conf, e)) < 0)
        return r;
    loop_timer_init(&w->grace, w->loop, on_grace_over, w);
    link_set_running(w->sup); /* the supervisor may send RUN messages whenever it likes */
    log_set_sink(sink, w);
    return msg_send_hello(w->sup, &hello, e);
}

int worker_recv_config(struct worker *w, struct err *e)
{
    int r = w->have_conf ? 0 : loop_run(w->loop, e);

    if (r < 0)
        return r;
    return w->have_conf
               ? 0
               : err_set(e, ERR_CLOSED, "the supervisor left before it sent the configuration");
}

int worker_sandbox(struct worker *w, const struct sandbox *s, struct err *e)
{
    return sandbox_enter(w->role, s, &w->sandbox_said, e);
}

int worker_ready(struct worker *w, struct err *e)
{
    uint64_t us = (clock_mono_ns() - w->started_ns) / 1000;

    return msg_send_ready(w->sup, &(struct ipc_ready){.took_us = us, .sandbox = w->sandbox_said},
                          e);
}

int worker_run(struct worker *w, struct err *e)
{
    if (!w->sup || (w->stopping && !w->on_stop))
        return 0;
    return loop_run(w->loop, e);
}

void worker_leave(struct worker *w)
{
    loop_stop(w->loop);
}

void worker_fail(struct worker *w, const struct err *e)
{
    log_error("worker.failed", KV("code", err_name(e->code)), KV("why", e->text));
    if (w->exit_code == 0)
        w->exit_code = 1;
}

void worker_fini(struct worker *w)
{
    while (w->peer_count)
        link_close(&w->peers[--w->peer_count]);
    log_set_sink(NULL, NULL);
    link_close(&w->sup); /* flushes the last lines */
    if (w->loop)
        loop_timer_fini(&w->grace);
    loop_free(&w->loop);
    json_decref(w->conf);
    w->conf = NULL;
}

/* The newest: the line of a predecessor may not have ended yet. */
struct link *worker_peer(const struct worker *w, enum role r)
{
    struct link *best = NULL;

    for (unsigned i = 0; i < w->peer_count; i++)
        if (link_peer(w->peers[i]) == r &&
            (!best || link_generation(w->peers[i]) > link_generation(best)))
            best = w->peers[i];
    return best;
}
