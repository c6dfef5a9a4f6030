/*
 * workers/fetch/main.c - gets files from the network for the hub, which has none. Trusts:
 * supervisor and hub; nothing that comes from outside. Holds: files on their way, in memory; no
 * secret. May: connect to public addresses on the listed ports, ask for names. Dies: harmlessly;
 * the hub asks its successor once more.
 */
#include "get.h"
#include "json.h"
#include "log.h"
#include "pages.h"
#include "worker.h"

#include <malloc.h>

enum { IDLE_MS = 1000 };

struct fetcher {
    struct worker w; /* first: every handler's ctx */
    struct gets *gets;
    struct get_rules rules;
    json_t *conf; /* owned: what the rules point into, whatever comes later */
    struct loop_timer idle;
};

static void refuse(struct link *hub, uint64_t req, uint8_t kind, const char *why)
{
    struct err e = ERR_INIT;

    if (msg_send_fetch_failed(
            hub, &(struct ipc_fetch_failed){.req = req, .kind = kind, .error = view_str(why)}, &e) <
        0)
        log_warn("fetch.untold", KV("req", req), KV("why", e.text));
}

static void on_result(void *ctx, uint64_t req, struct get_result *r)
{
    static const uint8_t kinds[] = {
        [GET_REFUSED] = FETCH_REFUSED, [GET_NEVER] = FETCH_NEVER, [GET_LATER] = FETCH_LATER};
    struct fetcher *f = ctx;
    struct link *hub = worker_peer(&f->w, ROLE_HUB);
    struct ipc_fetched m = {.req = req, .type = r->type, .name = view_str(r->name), .bytes = r->fd};
    struct err e = ERR_INIT;

    loop_timer_set(&f->idle, IDLE_MS);
    if (!hub)
        return; /* who asked is gone */
    if (r->end != GET_OK) {
        log_info("fetch.failed", KV("req", req), KV("why", r->error));
        refuse(hub, req, kinds[r->end], r->error);
    } else if (msg_send_fetched(hub, &m, &e) < 0) {
        log_warn("fetch.untold", KV("req", req), KV("why", e.text));
    } else {
        r->fd = -1;
    }
}

static int on_fetch(void *ctx, struct link *from, struct ipc_fetch *m, struct err *e)
{
    struct fetcher *f = ctx;
    struct err why = ERR_INIT;

    if (gets_active(f->gets) >= FETCH_AT_ONCE)
        return err_set(e, ERR_LIMIT, "fetch: more than %d at once", (int)FETCH_AT_ONCE);
    if (gets_start(f->gets, m->req, m->url, m->max_bytes, m->timeout_ms, &why) < 0)
        refuse(from, m->req, FETCH_LATER, why.text);
    return 0;
}

static int on_fetch_cancel(void *ctx, struct link *from, struct ipc_fetch_cancel *m, struct err *e)
{
    struct fetcher *f = ctx;

    (void)from;
    (void)e;
    gets_cancel(f->gets, m->req);
    return 0;
}

/* What a former hub asked for nobody waits for. */
static void on_peer(void *ctx, struct link *l, bool up)
{
    struct fetcher *f = ctx;

    if (link_peer(l) == ROLE_HUB && up && f->gets)
        gets_cancel_all(f->gets);
}

static void on_idle(void *ctx)
{
    struct fetcher *f = ctx;

    if (!gets_active(f->gets))
        pages_release();
}

/* The sandbox lets us connect to these and no others: another list needs another process. */
static void read_rules(struct get_rules *r, const json_t *conf)
{
    const json_t *list = json_at(conf, "gateway.fetch.ports");
    const json_t *hosts = json_at(conf, "gateway.fetch.allowedHosts");
    json_t *port, *host;
    size_t i;

    *r = (struct get_rules){.ports = {80, 443}, .port_n = 2};
    json_array_foreach(hosts, i, host) if (json_is_string(host) && r->host_n < GET_HOSTS_MAX)
        r->hosts[r->host_n++] = json_string_value(host);
    json_array_foreach(list, i, port) if (r->port_n < GET_PORTS_MAX) r->ports[r->port_n++] =
        (uint16_t)json_integer_value(port);
}

static const struct ipc_handlers fetch_on = {.fetch = on_fetch, .fetch_cancel = on_fetch_cancel};

int main(void)
{
    struct fetcher f = {.w = WORKER_INIT(FETCH)};
    struct sandbox cage;
    struct err e = ERR_INIT;

    f.w.on_peer = on_peer;
    (void)mallopt(M_ARENA_MAX, 1); /* libcurl's resolver threads need no heaps of their own */
    if (worker_open(&f.w, &fetch_on, &e) < 0 || worker_recv_config(&f.w, &e) < 0)
        goto fail;
    f.conf = json_incref(f.w.conf);
    read_rules(&f.rules, f.conf);
    loop_timer_init(&f.idle, f.w.loop, on_idle, &f);
    if (gets_new(&f.gets, f.w.loop, &f.rules, on_result, &f, &e) < 0)
        goto fail;
    cage =
        (struct sandbox){.allow = SB_CONNECT, .ports = f.rules.ports, .port_count = f.rules.port_n};
    if (worker_sandbox(&f.w, &cage, &e) < 0 || worker_ready(&f.w, &e) < 0)
        goto fail;
    loop_timer_set(&f.idle, IDLE_MS);
    if (worker_run(&f.w, &e) == 0)
        goto out;
fail:
    worker_fail(&f.w, &e);
out:
    loop_timer_fini(&f.idle);
    gets_free(&f.gets);
    json_decref(f.conf);
    worker_fini(&f.w);
    return f.w.exit_code;
}
