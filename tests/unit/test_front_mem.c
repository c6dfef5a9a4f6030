/* One connection's life (upgrade, connect, a request in pieces, an event, a large answer, HTTP with
 * a body, the hub's end and return) while the n-th allocation fails, for every n: nothing crashes,
 * nothing leaks (the sanitizers look), and the front serves the next client. */
#include "ck.h"
#include "conn.h"
#include "fd.h"
#include "hub.h"

#include <sys/socket.h>
#include <unistd.h>

struct rig {
    struct front f; /* first: handlers' ctx */
    struct link *sup_far, *hub_far;
    struct loop_timer stop;
    uint64_t next_id;
};

static int on_connect(void *ctx, struct link *l, struct ipc_connect *m, struct err *e)
{
    (void)ctx;
    return msg_send_connect_ok(l,
                               &(struct ipc_connect_ok){.conn_id = m->conn_id,
                                                        .audience = AUD_READ,
                                                        .ticket = V("t"),
                                                        .body = V("\"ok\":true,\"payload\":{}}")},
                               e);
}

static int on_rpc(void *ctx, struct link *l, struct ipc_rpc *m, struct err *e)
{
    (void)ctx;
    return msg_send_reply(l,
                          &(struct ipc_reply){.conn_id = m->conn_id,
                                              .req = m->req,
                                              .body = V("\"ok\":true,\"payload\":{}}")},
                          e);
}

static int on_gone(void *ctx, struct link *l, struct ipc_conn_gone *m, struct err *e)
{
    (void)ctx, (void)l, (void)m, (void)e;
    return 0;
}

static int on_resume(void *ctx, struct link *l, struct ipc_conn_resume *m, struct err *e)
{
    (void)ctx, (void)l, (void)m, (void)e;
    return 0;
}

static int on_state(void *ctx, struct link *l, struct ipc_conn_state *m, struct err *e)
{
    (void)ctx, (void)l, (void)m, (void)e;
    return 0;
}

static void hub_near_closed(void *ctx, struct link *l, const struct err *why)
{
    (void)why;
    hub_peer(ctx, l, false);
    link_close(&l);
}

static void hub_far_closed(void *ctx, struct link *l, const struct err *why)
{
    struct rig *g = ctx;

    (void)why;
    if (g->hub_far == l)
        g->hub_far = NULL;
    link_close(&l);
}

static void sup_closed(void *ctx, struct link *l, const struct err *why)
{
    struct rig *g = ctx;

    (void)why;
    if (l == g->f.w.sup)
        g->f.w.sup = NULL;
    else
        g->sup_far = NULL;
    link_close(&l);
}

static const struct ipc_handlers hub_on = {
    .connect = on_connect, .rpc = on_rpc, .conn_gone = on_gone, .conn_resume = on_resume};
static const struct ipc_handlers sup_on = {.conn_state = on_state};
static const struct ipc_handlers front_on = {.connect_ok = hub_on_connect_ok,
                                             .connect_refused = hub_on_connect_refused,
                                             .reply = hub_on_reply,
                                             .event = hub_on_event,
                                             .snapshot = hub_on_snapshot};

static void on_stop_timer(void *ctx)
{
    struct rig *g = ctx;

    loop_stop(g->f.w.loop);
}

/* Let everything that is ready happen. */
static void steps(struct rig *g)
{
    struct err e = ERR_INIT;

    for (int i = 0; i < 12; i++) {
        loop_timer_set(&g->stop, 0);
        ck_assert_int_eq(loop_run(g->f.w.loop, &e), 0);
    }
}

static void hub_up(struct rig *g)
{
    struct link_conf near = {
        .me = ROLE_FRONT, .peer = ROLE_HUB, .on = &front_on, .ctx = g, .on_close = hub_near_closed};
    struct link_conf far = {
        .me = ROLE_HUB, .peer = ROLE_FRONT, .on = &hub_on, .ctx = g, .on_close = hub_far_closed};
    struct err e = ERR_INIT;
    struct link *l = NULL;
    int pair[2];

    ck_assert_int_eq(fd_pair(pair, 0, &e), 0);
    if (link_open(&l, g->f.w.loop, pair[0], &near, &e) < 0) {
        fd_close(&pair[1]);
        return;
    }
    link_set_running(l);
    hub_peer(&g->f, l, true);
    if (link_open(&g->hub_far, g->f.w.loop, pair[1], &far, &e) == 0)
        link_set_running(g->hub_far);
    else
        steps(g);
}

static int client(struct rig *g)
{
    struct err e = ERR_INIT;
    int pair[2];

    ck_assert_int_eq(fd_pair(pair, 0, &e), 0);
    if (conn_new(&g->f, ++g->next_id, V("127.0.0.1"), true, pair[0], &e) < 0)
        ck_assert(e.code == ERR_NOMEM);
    return pair[1];
}

static void say(struct rig *g, int fd, struct view v)
{
    ssize_t w = send(fd, v.p, v.n, MSG_NOSIGNAL);

    (void)w; /* it may be closed already */
    steps(g);
}

static void frame(struct rig *g, int fd, struct view text, size_t piece)
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
        say(g, fd, view_of(out + at, n - at < piece ? n - at : piece));
}

static size_t got(int fd, char *out, size_t cap)
{
    ssize_t r = recv(fd, out, cap, MSG_DONTWAIT);

    return r > 0 ? (size_t)r : 0;
}

#define UPGRADE                                                                                    \
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                   \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
#define CONNECT "{\"type\":\"req\",\"id\":\"c\",\"method\":\"connect\",\"params\":{}}"
#define READ    "{\"type\":\"req\",\"id\":\"r\",\"method\":\"sessions.list\",\"params\":{\"limit\":5}}"

static void life(struct rig *g)
{
    struct err e = ERR_INIT;
    int ws = client(g), http = client(g);

    say(g, ws, view_of(UPGRADE, 40)); /* in pieces: what is half there has to be kept */
    say(g, ws, view_from(V(UPGRADE), 40));
    frame(g, ws, V(CONNECT), 1000);
    frame(g, ws, V(READ), 20);
    if (g->hub_far &&
        msg_send_event(g->hub_far,
                       &(struct ipc_event){.audience = AUD_READ,
                                           .flags = EVENT_SEQ,
                                           .frame = V("{\"type\":\"event\",\"event\":\"tick\"")},
                       &e) < 0)
        ck_assert(e.code < 0);
    if (g->hub_far &&
        msg_send_snapshot(
            g->hub_far, &(struct ipc_snapshot){.name = V("health"), .payload = V("{\"ok\":true}")},
            &e) < 0)
        ck_assert(e.code < 0);
    steps(g);
    say(g, http,
        V("POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
          "Transfer-Encoding: chunked\r\n\r\n3\r\nab"));
    say(g, http, V("c\r\n0\r\n\r\nGET /ui HTTP/1.1\r\nHost: x\r\n\r\n"));
    link_close(&g->hub_far); /* the hub dies */
    steps(g);
    frame(g, ws, V(READ), 1000); /* waits */
    hub_up(g);
    steps(g);
    frame(g, ws, V("{\"type\":\"nope\",\"id\":\"x\"}"), 1000);
    fd_close(&http);
    fd_close(&ws);
    steps(g);
}

/* After all that a new client is served: nothing fails any more. */
static void serves(struct rig *g, uint64_t n)
{
    static char text[65536];
    int ws = client(g);
    size_t len;

    if (!g->f.hub || !g->hub_far) {
        link_close(&g->hub_far);
        steps(g);
        hub_up(g);
    }
    say(g, ws, V(UPGRADE));
    frame(g, ws, V(CONNECT), 1000);
    frame(g, ws, V(READ), 1000);
    len = got(ws, text, sizeof(text));
    ck_assert_msg(memmem(text, len, "\"id\":\"r\",\"ok\":true", 17), "allocation %llu: %.*s",
                  (unsigned long long)n, (int)len, text);
    fd_close(&ws);
    steps(g);
    ck_assert_uint_eq(g->f.conns.count, 0);
    ck_assert_uint_eq(g->f.reqs.count, 0);
    ck_assert_uint_eq(g->f.reqs.bytes, 0);
}

static uint64_t one_run(uint64_t fail_at)
{
    static struct rig g;
    struct link_conf near = {.me = ROLE_FRONT,
                             .peer = ROLE_SUPERVISOR,
                             .on = &front_on,
                             .ctx = &g,
                             .on_close = sup_closed};
    struct link_conf far = {.me = ROLE_SUPERVISOR,
                            .peer = ROLE_FRONT,
                            .on = &sup_on,
                            .ctx = &g,
                            .on_close = sup_closed};
    struct err e = ERR_INIT;
    uint64_t before;
    int pair[2];

    memset(&g, 0, sizeof(g));
    front_limits_read(&g.f.lim, NULL);
    ck_assert_int_eq(loop_new(&g.f.w.loop, &e), 0);
    loop_timer_init(&g.stop, g.f.w.loop, on_stop_timer, &g);
    ck_assert_int_eq(front_init(&g.f, &e), 0);
    ck_assert_int_eq(fd_pair(pair, 0, &e), 0);
    ck_assert_int_eq(link_open(&g.f.w.sup, g.f.w.loop, pair[0], &near, &e), 0);
    ck_assert_int_eq(link_open(&g.sup_far, g.f.w.loop, pair[1], &far, &e), 0);
    link_set_running(g.f.w.sup);
    link_set_running(g.sup_far);
    hub_up(&g);
    steps(&g);
    before = mem_count();
    if (fail_at)
        mem_fail_after(fail_at, 0);
    life(&g);
    mem_fail_after(0, 0);
    before = mem_count() - before;
    if (g.f.w.sup && g.sup_far) /* else the real front would have left */
        serves(&g, fail_at);
    front_fini(&g.f);
    link_close(&g.hub_far);
    link_close(&g.f.hub);
    link_close(&g.f.w.sup);
    link_close(&g.sup_far);
    loop_timer_fini(&g.stop);
    loop_free(&g.f.w.loop);
    return before;
}

START_TEST(test_every_allocation_fails)
{
    uint64_t count = one_run(0);

    ck_assert_uint_gt(count, 20);
    for (uint64_t n = 1; n <= count + 5; n++)
        (void)one_run(n);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_every_allocation_fails);
}
CK_MAIN("front_mem")
