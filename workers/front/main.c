/*
 * workers/front/main.c - what strangers talk to: HTTP and WebSocket on sockets it was handed.
 * Trusts: the supervisor and the hub; nothing that comes over a client's socket. Holds: clients'
 * bytes in flight, identities sealed by the hub (it can neither read nor make one), the TLS key.
 * May: use fd 3, its link to the hub, the sockets it was handed. Dies: with its own connections.
 */
#include "conn.h"
#include "fd.h"
#include "hub.h"
#include "log.h"
#include "site.h"

#include <malloc.h>

static const struct sandbox front_sandbox = {.allow = SB_RECV_SOCKETS};

/* -------------------------------------------------------------- the supervisor's messages */
static int on_conn(void *ctx, struct link *from, struct ipc_conn *m, struct err *e)
{
    struct front *f = ctx;
    struct ipc_conn_state gone = {.conn_id = m->conn_id, .state = CONN_STATE_CLOSED};
    struct err why = ERR_INIT;

    if (f->w.stopping)
        return msg_send_conn_state(from, &gone, e);
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

/* New keys, or the first ones: for connections that come from now on. */
static int on_tls(void *ctx, struct link *from, struct ipc_tls *m, struct err *e)
{
    struct front *f = ctx;
    struct tls_ctx *next = NULL;
    int r = 0;

    (void)from;
    if (!f->cipher)
        r = mem_new(&f->cipher, FRONT_CIPHER, e);
    if (r == 0)
        r = tls_warm_up(e);
    if (r == 0)
        r = tls_ctx_new(&next, m, e);
    mem_wipe((char *)(uintptr_t)m->key.p, m->key.n); /* in the line's buffer */
    mem_wipe((char *)(uintptr_t)m->tickets.p, m->tickets.n);
    if (r < 0 && !f->tls)
        return r; /* there is nothing to serve with */
    if (r < 0) {
        log_error("tls.refused", KV("why", e->text), KV("kept", "the key in force"));
        return 0;
    }
    tls_ctx_free(&f->tls);
    f->tls = next;
    return 0;
}

/* The control page of a folder, or the end of it. */
static int on_site(void *ctx, struct link *from, struct ipc_site *m, struct err *e)
{
    struct front *f = ctx;
    struct site *next = NULL;
    struct err why = ERR_INIT;

    (void)from, (void)e;
    if (m->files && (site_new(&next, m->pack, m->bytes, &why) < 0 ||
                     site_rebase(next, f->mounts.at[ROUTE_UI], &why) < 0)) {
        log_error("site.refused", KV("why", why.text));
        site_unref(&next);
        return 0;
    }
    site_unref(&f->site);
    f->site = next;
    return 0;
}

static int on_config(void *ctx, json_t *conf, struct err *e)
{
    return front_configure(ctx, conf, e);
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
int main(void)
{
    static struct front f = {.w = WORKER_INIT(FRONT)}; /* the scratch request alone is 3 KiB */
    static const struct ipc_handlers on = {
        .conn = on_conn,
        .tls = on_tls,
        .site = on_site,
        .connect_ok = hub_on_connect_ok,
        .stats_ask = hub_on_stats_ask,
        .http_paths = hub_on_http_paths,
        .http_go = hub_on_http_go,
        .http_answer = hub_on_http_answer,
        .http_part = hub_on_http_part,
        .connect_refused = hub_on_connect_refused,
        .conn_update = hub_on_conn_update,
        .conn_close = hub_on_conn_close,
        .reply = hub_on_reply,
        .event = hub_on_event,
        .event_to = hub_on_event_to,
        .snapshot = hub_on_snapshot,
    };
    struct err e = ERR_INIT;

    /* what a slow reader held goes back to the system as he ends: malloc would learn to keep it */
    (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
    f.w.on_config = on_config;
    f.w.on_peer = on_peer;
    f.w.on_drain = on_drain;
    f.w.on_stop = on_stop;
    front_limits_read(&f.lim, NULL);
    if (worker_open(&f.w, &on, &e) < 0 ||
        front_init(&f, &e) < 0 || /* links and connections may come from here on */
        worker_recv_config(&f.w, &e) < 0 || on_config(&f, f.w.conf, &e) < 0 ||
        worker_sandbox(&f.w, &front_sandbox, &e) < 0 || worker_ready(&f.w, &e) < 0 ||
        worker_run(&f.w, &e) < 0)
        worker_fail(&f.w, &e);
    front_fini(&f);
    worker_fini(&f.w);
    return f.w.exit_code;
}
