/* workers/front/hub_http.c - HTTP requests on the line to the hub (hub.h). */
#include "hub.h"
#include "log.h"
#include "xchg.h"

#include <stdio.h>

static bool sent(const struct conn *c, int r, const struct err *e)
{
    if (r < 0)
        log_warn("http.unsent", KV("conn", c->id), KV("why", e->text));
    return r == 0;
}

uint64_t hub_http_ask(struct conn *c, struct ipc_http_ask *m)
{
    struct front *f = c->f;
    struct err e = ERR_INIT;

    if (!f->hub || hub_busy(f))
        return 0;
    m->conn_id = c->id;
    m->req = ++f->asks;
    return sent(c, msg_send_http_ask(f->hub, m, &e), &e) ? m->req : 0;
}

bool hub_http_body(struct conn *c, uint64_t number, struct view body)
{
    struct ipc_http_body m = {.conn_id = c->id, .req = number, .body = body};
    struct err e = ERR_INIT;

    return c->f->hub && sent(c, msg_send_http_body(c->f->hub, &m, &e), &e);
}

void hub_http_gone(struct conn *c, uint64_t number)
{
    struct ipc_http_gone m = {.conn_id = c->id, .req = number};
    struct err e = ERR_INIT;

    if (c->f->hub)
        (void)sent(c, msg_send_http_gone(c->f->hub, &m, &e), &e);
}

void hub_http_taken(struct conn *c, uint64_t number, uint64_t bytes)
{
    struct ipc_http_taken m = {.conn_id = c->id, .req = number, .bytes = bytes};
    struct err e = ERR_INIT;

    if (c->f->hub)
        (void)sent(c, msg_send_http_taken(c->f->hub, &m, &e), &e);
}

/* Clients may be gone before the hub knows: messages for them are not an error. */
static struct xchg *xchg_of(struct front *f, struct link *from, uint64_t conn_id, uint64_t number)
{
    struct conn *c = from == f->hub ? cmap_get(&f->conns, conn_id) : NULL;

    return c ? c->ops->xchg(c, number) : NULL;
}

int hub_on_stats_ask(void *ctx, struct link *from, struct ipc_stats_ask *m, struct err *e)
{
    struct front *f = ctx;
    char doc[512];
    int n =
        snprintf(doc, sizeof(doc),
                 "{\"conns\":%zu,\"requests\":%u,\"bytesIn\":%llu,\"bytesOut\":%llu,\"http\":%llu}",
                 f->conns.count, f->reqs.count, (unsigned long long)f->bytes_in,
                 (unsigned long long)f->bytes_out, (unsigned long long)f->http_n);

    return msg_send_stats(from, &(struct ipc_stats){.seq = m->seq, .doc = view_of(doc, (size_t)n)},
                          e);
}

int hub_on_http_paths(void *ctx, struct link *from, struct ipc_http_paths *m, struct err *e)
{
    struct front *f = ctx;

    (void)from;
    buf_reset(&f->paths, f->paths.max);
    buf_put_view(&f->paths, m->paths);
    return buf_check(&f->paths, e);
}

int hub_on_http_go(void *ctx, struct link *from, struct ipc_http_go *m, struct err *e)
{
    struct xchg *x = xchg_of(ctx, from, m->conn_id, m->req);

    (void)e;
    if (x)
        xchg_go(x);
    return 0;
}

int hub_on_http_answer(void *ctx, struct link *from, struct ipc_http_answer *m, struct err *e)
{
    struct xchg *x = xchg_of(ctx, from, m->conn_id, m->req);

    if (m->status < 200 || m->status > 599)
        return err_set(e, ERR_INVALID, "status %u", m->status);
    if (x)
        xchg_answer(x, m);
    return 0;
}

int hub_on_http_part(void *ctx, struct link *from, struct ipc_http_part *m, struct err *e)
{
    struct xchg *x = xchg_of(ctx, from, m->conn_id, m->req);

    if (m->how > HTTP_PART_BROKEN)
        return err_set(e, ERR_INVALID, "how %u", m->how);
    if (x)
        xchg_part(x, m->part, m->how);
    return 0;
}
