/* HTTP/2 in the front with a hub beside it, all in one process: a connection's life while the n-th
 * allocation fails, for every n (nghttp2's own go through the same door), and what happens when
 * many streams of one connection are not read. */
#include "ck.h"
#include "front_rig.h"
#include "h2.h"
#include "h2_bytes.h"

static void ask(struct buf *b, const char *method, const char *path, uint32_t stream, bool end)
{
    h2b_request(b, &(struct h2b_request){.method = method, .path = path},
                H2B_END_HEADERS | (end ? H2B_END_STREAM : 0u), stream);
}

static void say(struct rig *g, int fd, struct buf *b)
{
    rig_say(g, fd, buf_view(b));
    buf_reset(b, b->max);
}

static void ws_say(struct rig *g, int fd, struct view text, uint32_t stream)
{
    static const uint8_t key[4] = {1, 2, 3, 4};
    struct buf b = BUF_INIT(4096);
    char frame[512];
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_head(head, WS_OP_TEXT, text.n, key);

    memcpy(frame, head, n);
    memcpy(frame + n, text.p, text.n);
    ws_mask(frame + n, text.n, key, 0);
    h2b_frame(&b, H2B_DATA, 0, stream, view_of(frame, n + text.n));
    say(g, fd, &b);
    buf_fini(&b);
}

static const struct h2b_request web_socket = {"CONNECT", "/", "websocket", "sec-websocket-version",
                                              "13"};

/* A request of each kind, a WebSocket, the hub's end and return, and the polite end. */
static void life(struct rig *g)
{
    struct buf b = BUF_INIT(64 * KIB);
    int fd = rig_client(g);

    rig_say(g, fd, view_of(H2B_PREFACE, 30)); /* in pieces */
    rig_say(g, fd, view_from(V(H2B_PREFACE), 30));
    ask(&b, "GET", "/health", 1, true);
    ask(&b, "GET", "/", 3, true);
    say(g, fd, &b);
    ask(&b, "POST", "/v1/responses", 5, false);
    say(g, fd, &b);
    h2b_frame(&b, H2B_DATA, H2B_END_STREAM, 5, V("abc"));
    h2b_request(&b, &web_socket, H2B_END_HEADERS, 7);
    say(g, fd, &b);
    ws_say(g, fd, V(RIG_CONNECT), 7);
    ws_say(g, fd, V(RIG_READ), 7);
    ask(&b, "POST", "/v1/responses", 9, false);
    h2b_frame(&b, H2B_RST, 0, 9, view_of("\0\0\0\10", 4));
    say(g, fd, &b);
    link_close(&g->hub_far);
    rig_steps(g);
    ask(&b, "POST", "/v1/responses", 11, false);
    say(g, fd, &b);
    rig_hub_up(g);
    rig_steps(g);
    ws_say(g, fd, V(RIG_READ), 7);
    h2b_frame(&b, H2B_DATA, H2B_END_STREAM, 7, VIEW_EMPTY);
    h2b_frame(&b, H2B_GOAWAY, 0, 0, view_of("\0\0\0\0\0\0\0\0", 8));
    say(g, fd, &b);
    fd_close(&fd);
    rig_steps(g);
    buf_fini(&b);
}

static void serves(struct rig *g, uint64_t n)
{
    struct buf b = BUF_INIT(4096);
    static char text[65536];
    int fd = rig_client(g);
    size_t len;

    buf_put_view(&b, V(H2B_PREFACE));
    ask(&b, "GET", "/health", 1, true);
    say(g, fd, &b);
    len = rig_got(fd, text, sizeof(text));
    ck_assert_msg(memmem(text, len, "\"live\"", 6), "allocation %llu", (unsigned long long)n);
    fd_close(&fd);
    rig_steps(g);
    ck_assert_uint_eq(g->f.conns.count, 0);
    ck_assert_uint_eq(g->f.reqs.count, 0);
    ck_assert_uint_eq(g->f.body_bytes, 0);
    buf_fini(&b);
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

    ck_assert_uint_gt(count, 60);
    for (uint64_t n = 1; n <= count + 5; n++)
        (void)one_run(n);
}
END_TEST

static struct conn_h2 *only(struct rig *g)
{
    size_t at = 0;
    struct conn *c = cmap_next(&g->f.conns, &at);

    ck_assert(c && c->h2);
    return c->h2;
}

/* Streams that have no window hold nothing of the file they were asked for. */
START_TEST(test_stalled_streams_hold_nothing)
{
    static struct rig g;
    struct buf b = BUF_INIT(256 * KIB);
    static char text[262144];
    struct conn_h2 *h;
    size_t held = 0, streams = 0;
    int fd;

    rig_init(&g);
    fd = rig_client(&g);
    buf_put_view(&b, V(H2B_PREFACE));
    h2b_frame(&b, H2B_SETTINGS, 0, 0, view_of("\0\4\0\0\0\0", 6)); /* windows of 0 */
    for (uint32_t id = 1; id < 2 * H2_STRANGER; id += 2)
        ask(&b, "GET", "/", id, true);
    say(&g, fd, &b);
    (void)rig_got(fd, text, sizeof(text));
    h = only(&g);
    for (struct list *l = h->streams.next; l != &h->streams; l = l->next, streams++)
        held += LIST_OF(l, struct h2_stream, link)->out.cap;
    ck_assert_uint_eq(streams, H2_STRANGER);
    ck_assert_uint_le(held, streams * H2_PIECE);
    ck_assert_uint_le(h->c->out.n, H2_OUT);
    fd_close(&fd);
    rig_steps(&g);
    ck_assert_uint_eq(g.f.conns.count, 0);
    buf_fini(&b);
    rig_fini(&g);
}
END_TEST

/* A stream that is not read holds back only itself; the hub is told of what was taken and no more.
 */
START_TEST(test_parts_wait_for_their_window)
{
    static struct rig g;
    static char part[96 * 1024], text[262144];
    struct buf b = BUF_INIT(64 * KIB);
    struct err e = ERR_INIT;
    struct h2_stream *s;
    int fd;

    rig_init(&g);
    g.hold = true;
    fd = rig_client(&g);
    buf_put_view(&b, V(H2B_PREFACE));
    ask(&b, "GET", "/v1/models", 1, true);
    say(&g, fd, &b);
    ck_assert(msg_send_http_answer(
                  g.hub_far,
                  &(struct ipc_http_answer){
                      .conn_id = 1, .req = 1, .status = 200, .more = 1, .type = V("text/plain")},
                  &e) == 0);
    for (int i = 0; i < 2; i++)
        ck_assert(msg_send_http_part(
                      g.hub_far,
                      &(struct ipc_http_part){1, 1, HTTP_PART_MORE, view_of(part, sizeof(part))},
                      &e) == 0);
    for (int i = 0; i < 20; i++) {
        rig_steps(&g);
        (void)rig_got(fd, text, sizeof(text));
    }
    s = LIST_OF(only(&g)->streams.next, struct h2_stream, link);
    ck_assert_uint_eq(s->out.n, 2 * sizeof(part) - 65535); /* the window of the start has gone */
    ck_assert_uint_eq(g.http_taken, 0);
    ask(&b, "GET", "/nowhere", 3,
        true); /* another stream: there is no window of all, but fields go */
    say(&g, fd, &b);
    ck_assert_uint_gt(rig_got(fd, text, sizeof(text)), 40);
    h2b_frame(&b, H2B_WINDOW, 0, 0, view_of("\0\17\0\0", 4));
    h2b_frame(&b, H2B_WINDOW, 0, 1, view_of("\0\17\0\0", 4));
    say(&g, fd, &b);
    for (int i = 0; i < 20; i++) {
        rig_steps(&g);
        (void)rig_got(fd, text, sizeof(text));
    }
    ck_assert_uint_eq(s->out.n, 0);
    ck_assert_uint_eq(g.http_taken, 2 * sizeof(part));
    h2b_frame(&b, H2B_RST, 0, 1, view_of("\0\0\0\10", 4));
    say(&g, fd, &b);
    ck_assert_uint_eq(g.http_gone, 1);
    fd_close(&fd);
    rig_steps(&g);
    ck_assert_uint_eq(g.f.conns.count, 0);
    buf_fini(&b);
    rig_fini(&g);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_every_allocation_fails);
    tcase_add_test(tc, test_stalled_streams_hold_nothing);
    tcase_add_test(tc, test_parts_wait_for_their_window);
}
CK_MAIN("h2")
