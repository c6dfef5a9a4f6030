/*
 * tests/fake/front_rig.h - a front, its supervisor and its hub in one process and on one loop, so
 * that tests and fuzzers drive connections through socket pairs, step by step and without waiting.
 */
#ifndef FRONT_RIG_H
#define FRONT_RIG_H

#include "conn.h"
#include "fd.h"
#include "hub.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RIG __attribute__((unused)) static

RIG void rig_need(bool ok)
{
    if (!ok)
        abort();
}

struct rig {
    struct front f; /* first: handlers' ctx */
    struct link *sup_far, *hub_far;
    struct loop_timer stop;
    uint64_t next_id;
    unsigned http_gone;
    uint64_t http_taken;
    bool hold; /* the hub does not answer requests */
};

RIG int on_connect(void *ctx, struct link *l, struct ipc_connect *m, struct err *e)
{
    (void)ctx;
    return msg_send_connect_ok(l,
                               &(struct ipc_connect_ok){.conn_id = m->conn_id,
                                                        .audience = AUD_READ,
                                                        .ticket = V("t"),
                                                        .body = V("\"ok\":true,\"payload\":{}}")},
                               e);
}

RIG int on_rpc(void *ctx, struct link *l, struct ipc_rpc *m, struct err *e)
{
    struct rig *g = ctx;

    if (g->hold)
        return 0;
    return msg_send_reply(l,
                          &(struct ipc_reply){.conn_id = m->conn_id,
                                              .req = m->req,
                                              .body = V("\"ok\":true,\"payload\":{}}")},
                          e);
}

RIG int on_gone(void *ctx, struct link *l, struct ipc_conn_gone *m, struct err *e)
{
    (void)ctx, (void)l, (void)m, (void)e;
    return 0;
}

RIG int on_resume(void *ctx, struct link *l, struct ipc_conn_resume *m, struct err *e)
{
    (void)ctx, (void)l, (void)m, (void)e;
    return 0;
}

RIG int on_state(void *ctx, struct link *l, struct ipc_conn_state *m, struct err *e)
{
    (void)ctx, (void)l, (void)m, (void)e;
    return 0;
}

RIG void hub_near_closed(void *ctx, struct link *l, const struct err *why)
{
    (void)why;
    hub_peer(ctx, l, false);
    link_close(&l);
}

RIG void hub_far_closed(void *ctx, struct link *l, const struct err *why)
{
    struct rig *g = ctx;

    (void)why;
    if (g->hub_far == l)
        g->hub_far = NULL;
    link_close(&l);
}

RIG void sup_closed(void *ctx, struct link *l, const struct err *why)
{
    struct rig *g = ctx;

    (void)why;
    if (l == g->f.w.sup)
        g->f.w.sup = NULL;
    else
        g->sup_far = NULL;
    link_close(&l);
}

RIG int on_http_ask(void *ctx, struct link *l, struct ipc_http_ask *m, struct err *e)
{
    struct rig *g = ctx;

    if (g->hold)
        return 0;
    if (m->flags & HTTP_HAS_BODY)
        return msg_send_http_go(l, &(struct ipc_http_go){m->conn_id, m->req}, e);
    return msg_send_http_answer(l,
                                &(struct ipc_http_answer){.conn_id = m->conn_id,
                                                          .req = m->req,
                                                          .status = 200,
                                                          .type = V("text/plain"),
                                                          .body = V("said")},
                                e);
}

/* The body comes back, in two parts. */
RIG int on_http_body(void *ctx, struct link *l, struct ipc_http_body *m, struct err *e)
{
    struct rig *g = ctx;
    int r;

    if (g->hold)
        return 0;
    if ((r = msg_send_http_answer(l,
                                  &(struct ipc_http_answer){.conn_id = m->conn_id,
                                                            .req = m->req,
                                                            .status = 200,
                                                            .more = 1,
                                                            .type = V("text/plain"),
                                                            .body = V("got:")},
                                  e)) < 0)
        return r;
    return msg_send_http_part(
        l, &(struct ipc_http_part){m->conn_id, m->req, HTTP_PART_LAST, m->body}, e);
}

RIG int on_http_gone(void *ctx, struct link *l, struct ipc_http_gone *m, struct err *e)
{
    struct rig *g = ctx;

    (void)l, (void)m, (void)e;
    g->http_gone++;
    return 0;
}

RIG int on_http_taken(void *ctx, struct link *l, struct ipc_http_taken *m, struct err *e)
{
    struct rig *g = ctx;

    (void)l, (void)e;
    g->http_taken += m->bytes;
    return 0;
}

static const struct ipc_handlers hub_on = {.connect = on_connect,
                                           .rpc = on_rpc,
                                           .conn_gone = on_gone,
                                           .conn_resume = on_resume,
                                           .http_ask = on_http_ask,
                                           .http_body = on_http_body,
                                           .http_gone = on_http_gone,
                                           .http_taken = on_http_taken};
static const struct ipc_handlers sup_on = {.conn_state = on_state};
static const struct ipc_handlers front_on = {.connect_ok = hub_on_connect_ok,
                                             .connect_refused = hub_on_connect_refused,
                                             .http_paths = hub_on_http_paths,
                                             .http_go = hub_on_http_go,
                                             .http_answer = hub_on_http_answer,
                                             .http_part = hub_on_http_part,
                                             .conn_update = hub_on_conn_update,
                                             .conn_close = hub_on_conn_close,
                                             .reply = hub_on_reply,
                                             .event = hub_on_event,
                                             .event_to = hub_on_event_to,
                                             .snapshot = hub_on_snapshot};

RIG void on_stop_timer(void *ctx)
{
    struct rig *g = ctx;

    loop_stop(g->f.w.loop);
}

/* Let everything that is ready happen. */
RIG void rig_steps(struct rig *g)
{
    struct err e = ERR_INIT;

    for (int i = 0; i < 12; i++) {
        loop_timer_set(&g->stop, 0);
        rig_need(loop_run(g->f.w.loop, &e) == 0);
    }
}

RIG void rig_hub_up(struct rig *g)
{
    struct link_conf near = {
        .me = ROLE_FRONT, .peer = ROLE_HUB, .on = &front_on, .ctx = g, .on_close = hub_near_closed};
    struct link_conf far = {
        .me = ROLE_HUB, .peer = ROLE_FRONT, .on = &hub_on, .ctx = g, .on_close = hub_far_closed};
    struct err e = ERR_INIT;
    struct link *l = NULL;
    int pair[2];

    rig_need(fd_pair(pair, 0, &e) == 0);
    if (link_open(&l, g->f.w.loop, pair[0], &near, &e) < 0) {
        fd_close(&pair[1]);
        return;
    }
    link_set_running(l);
    hub_peer(&g->f, l, true);
    if (link_open(&g->hub_far, g->f.w.loop, pair[1], &far, &e) == 0)
        link_set_running(g->hub_far);
    else
        rig_steps(g);
}

RIG int rig_client(struct rig *g)
{
    struct err e = ERR_INIT;
    int pair[2];

    rig_need(fd_pair(pair, 0, &e) == 0);
    if (conn_new(&g->f, ++g->next_id, V("127.0.0.1"), true, pair[0], &e) < 0)
        rig_need(e.code == ERR_NOMEM);
    return pair[1];
}

RIG void rig_say(struct rig *g, int fd, struct view v)
{
    ssize_t w = send(fd, v.p, v.n, MSG_NOSIGNAL);

    (void)w; /* it may be closed already */
    rig_steps(g);
}

RIG void rig_frame(struct rig *g, int fd, struct view text, size_t piece)
{
    char out[1024];
    static const uint8_t key[4] = {1, 2, 3, 4};
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_head(head, WS_OP_TEXT, text.n, key), at = 0;

    memcpy(out, head, n);
    memcpy(out + n, text.p, text.n);
    ws_mask(out + n, text.n, key, 0);
    n += text.n;
    for (; at < n; at += piece)
        rig_say(g, fd, view_of(out + at, n - at < piece ? n - at : piece));
}

RIG size_t rig_got(int fd, char *out, size_t cap)
{
    ssize_t r = recv(fd, out, cap, MSG_DONTWAIT);

    return r > 0 ? (size_t)r : 0;
}

/* Everything is up. */
RIG void rig_init(struct rig *g)
{
    struct link_conf near = {.me = ROLE_FRONT,
                             .peer = ROLE_SUPERVISOR,
                             .on = &front_on,
                             .ctx = g,
                             .on_close = sup_closed};
    struct link_conf far = {
        .me = ROLE_SUPERVISOR, .peer = ROLE_FRONT, .on = &sup_on, .ctx = g, .on_close = sup_closed};
    struct err e = ERR_INIT;
    int pair[2];

    memset(g, 0, sizeof(*g));
    front_limits_read(&g->f.lim, NULL);
    rig_need(loop_new(&g->f.w.loop, &e) == 0);
    loop_timer_init(&g->stop, g->f.w.loop, on_stop_timer, g);
    rig_need(front_init(&g->f, &e) == 0 && fd_pair(pair, 0, &e) == 0);
    rig_need(link_open(&g->f.w.sup, g->f.w.loop, pair[0], &near, &e) == 0);
    rig_need(link_open(&g->sup_far, g->f.w.loop, pair[1], &far, &e) == 0);
    link_set_running(g->f.w.sup);
    link_set_running(g->sup_far);
    rig_hub_up(g);
    rig_steps(g);
}

RIG void rig_fini(struct rig *g)
{
    front_fini(&g->f);
    link_close(&g->hub_far);
    link_close(&g->f.hub);
    link_close(&g->f.w.sup);
    link_close(&g->sup_far);
    loop_timer_fini(&g->stop);
    loop_free(&g->f.w.loop);
}

#define RIG_UPGRADE                                                                                \
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                   \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
#define RIG_CONNECT "{\"type\":\"req\",\"id\":\"c\",\"method\":\"connect\",\"params\":{}}"
#define RIG_READ                                                                                   \
    "{\"type\":\"req\",\"id\":\"r\",\"method\":\"sessions.list\",\"params\":{\"limit\":5}}"

#endif
