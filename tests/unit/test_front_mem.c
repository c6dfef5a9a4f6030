/* One connection's life (upgrade, connect, a request in pieces, an event, a large answer, HTTP with
 * a body, the hub's end and return) while the n-th allocation fails, for every n: nothing crashes,
 * nothing leaks (the sanitizers look), and the front serves the next client. */
#include "ck.h"
#include "front_rig.h"

static void life(struct rig *g)
{
    struct err e = ERR_INIT;
    int ws = rig_client(g), http = rig_client(g);

    rig_say(g, ws, view_of(RIG_UPGRADE, 40)); /* in pieces: what is half there has to be kept */
    rig_say(g, ws, view_from(V(RIG_UPGRADE), 40));
    rig_frame(g, ws, V(RIG_CONNECT), 1000);
    rig_frame(g, ws, V(RIG_READ), 20);
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
    rig_steps(g);
    rig_say(g, http,
            V("POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
              "Transfer-Encoding: chunked\r\n\r\n3\r\nab"));
    rig_say(g, http, V("c\r\n0\r\n\r\nGET /ui HTTP/1.1\r\nHost: x\r\n\r\n"));
    link_close(&g->hub_far); /* the hub dies */
    rig_steps(g);
    rig_frame(g, ws, V(RIG_READ), 1000); /* waits */
    rig_hub_up(g);
    rig_steps(g);
    rig_frame(g, ws, V("{\"type\":\"nope\",\"id\":\"x\"}"), 1000);
    fd_close(&http);
    fd_close(&ws);
    rig_steps(g);
}

/* After all that a new client is served: nothing fails any more. */
static void serves(struct rig *g, uint64_t n)
{
    static char text[65536];
    int ws = rig_client(g);
    size_t len, more;

    if (!g->f.hub || !g->hub_far) {
        link_close(&g->hub_far);
        rig_steps(g);
        rig_hub_up(g);
    }
    rig_say(g, ws, V(RIG_UPGRADE));
    rig_frame(g, ws, V(RIG_CONNECT), 1000);
    rig_frame(g, ws, V(RIG_READ), 1000);
    len = rig_got(ws, text, sizeof(text));
    /* a line that had no memory for a moment goes on a little later */
    for (int i = 0; i < 100000 && !memmem(text, len, "\"id\":\"r\"", 8); i++) {
        rig_steps(g);
        more = rig_got(ws, text + len, sizeof(text) - len);
        len += more;
    }
    ck_assert_msg(memmem(text, len, "\"id\":\"r\",\"ok\":true", 17), "allocation %llu: %.*s",
                  (unsigned long long)n, (int)len, text);
    fd_close(&ws);
    rig_steps(g);
    ck_assert_uint_eq(g->f.conns.count, 0);
    ck_assert_uint_eq(g->f.reqs.count, 0);
    ck_assert_uint_eq(g->f.reqs.bytes, 0);
}

static uint64_t one_run(uint64_t fail_at)
{
    static struct rig g;
    uint64_t before;

    rig_init(&g);
    before = mem_count();
    if (fail_at)
        mem_fail_after(fail_at, 0);
    life(&g);
    mem_fail_after(0, 0);
    before = mem_count() - before;
    if (g.f.w.sup && g.sup_far) /* else the real front would have left */
        serves(&g, fail_at);
    rig_fini(&g);
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
