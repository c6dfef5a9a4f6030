/* channels/base/out.c: what a channel says of messages that it was given, to which hub, and again.
 */
#include "channel_int.h"
#include "ck.h"

#include "fd.h"
#include "json.h"
#include "media.h"

#include <endian.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- hubs: the other ends of lines ---- */

static struct heard {
    unsigned n;
    struct ipc_deliver_result last;
} heard;

static int on_result(void *ctx, struct link *from, struct ipc_deliver_result *m, struct err *e)
{
    (void)ctx;
    (void)from;
    (void)e;
    heard.n++;
    heard.last = *m;
    return 0;
}

static const struct ipc_handlers hub_on = {.deliver_result = on_result};
static const struct ipc_handlers channel_on = {.deliver = NULL};

static void ended(void *ctx, struct link *l, const struct err *why)
{
    (void)ctx;
    (void)l;
    ck_abort_msg("a line ended: %s", why->text);
}

/* ---- the platform: keeps what it is asked until the test says what came of it ---- */

static struct channel_op *asked[64];
static unsigned asked_n;

static void platform_send(struct channel *c, struct channel_op *op)
{
    (void)c;
    asked[asked_n++] = op;
}

static void platform_edit(struct channel *c, struct channel_op *op)
{
    (void)c;
    (void)op;
}

static const struct channel_ops ops = {.id = "p",
                                       .caps = CHANNEL_CAN_EDIT,
                                       .dialect = DIALECT_PLAIN,
                                       .unit = UNIT_CHARS,
                                       .text_limit = 4000,
                                       .send = platform_send,
                                       .edit = platform_edit};
const struct channel_ops channel_platform = {.id = "p"};

static struct channel c;
static struct link *hubs[4];
static unsigned hub_n;

static struct link *new_hub(void)
{
    struct link_conf mine = {.me = ROLE_CHANNEL,
                             .peer = ROLE_HUB,
                             .generation = ++hub_n,
                             .on = &channel_on,
                             .on_close = ended},
                     its = {.me = ROLE_HUB, .peer = ROLE_CHANNEL, .on = &hub_on, .on_close = ended};
    struct err e = ERR_INIT;
    int s[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    ck_assert_int_eq(link_open(&c.w.peers[c.w.peer_count], c.w.loop, s[0], &mine, &e), 0);
    ck_assert_int_eq(link_open(&hubs[hub_n - 1], c.w.loop, s[1], &its, &e), 0);
    link_set_running(hubs[hub_n - 1]);
    return c.w.peers[c.w.peer_count++];
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

/* Everything that was said is heard. */
static unsigned settle(void)
{
    unsigned was = heard.n;
    struct loop_timer t = {.loop = NULL};
    struct err e = ERR_INIT;

    loop_timer_init(&t, c.w.loop, stop, c.w.loop);
    loop_timer_set(&t, 5);
    ck_assert_int_eq(loop_run(c.w.loop, &e), 0);
    loop_timer_fini(&t);
    return heard.n - was;
}

static void begin(void)
{
    struct err e = ERR_INIT;

    c = (struct channel){.w = WORKER_INIT(CHANNEL), .ops = &ops, .life = LIFE_UP};
    heard.n = asked_n = hub_n = 0;
    c.conf = json_object();
    ck_assert_int_eq(loop_new(&c.w.loop, &e), 0);
}

static void end(void)
{
    out_close(&c);
    for (unsigned i = 0; i < hub_n; i++)
        link_close(&hubs[i]);
    while (c.w.peer_count)
        link_close(&c.w.peers[--c.w.peer_count]);
    json_decref(c.conf);
    loop_free(&c.w.loop);
}

static void deliver(struct link *from, uint64_t id, uint32_t attempt)
{
    struct ipc_deliver m = {.delivery_id = id,
                            .attempt = attempt,
                            .target = V("42"),
                            .thread = VIEW_EMPTY,
                            .reply_to = VIEW_EMPTY,
                            .client_id = V("x"),
                            .shown = VIEW_EMPTY,
                            .text = V("hello there")};
    struct err e = ERR_INIT;

    ck_assert_int_eq(out_on_deliver(&c, from, &m, &e), 0);
}

static void acknowledge(struct link *from, uint64_t id, uint32_t attempt)
{
    struct ipc_deliver_ack m = {.delivery_id = id, .attempt = attempt};
    struct err e = ERR_INIT;

    ck_assert_int_eq(out_on_ack(&c, from, &m, &e), 0);
}

static void answer(unsigned i, enum channel_outcome o, uint32_t retry_after_ms, bool all)
{
    channel_done(&c, asked[i],
                 &(struct channel_result){.outcome = o,
                                          .message_id = V("m1"),
                                          .retry_after_ms = retry_after_ms,
                                          .all = all,
                                          .error = VIEW_EMPTY});
}

/* What is under way: how many, and whether this attempt is among them. */
static size_t under_way(uint64_t id, uint32_t attempt, bool *found)
{
    struct buf b = BUF_INIT(64 << 10);
    size_t n;

    out_under_way(&c, &b);
    ck_assert_uint_eq(b.n % DELIVER_UNDER_WAY, 0);
    *found = false;
    for (size_t at = 0; at < b.n; at += DELIVER_UNDER_WAY) {
        uint64_t got;
        uint32_t number;

        memcpy(&got, buf_view(&b).p + at, sizeof(got));
        memcpy(&number, buf_view(&b).p + at + sizeof(got), sizeof(number));
        *found = *found || (le64toh(got) == id && le32toh(number) == attempt);
    }
    n = b.n / DELIVER_UNDER_WAY;
    buf_fini(&b);
    return n;
}

START_TEST(result_until_acknowledged)
{
    struct link *hub;
    bool found;

    begin();
    hub = new_hub();
    deliver(hub, 7, 1);
    ck_assert_uint_eq(under_way(7, 1, &found), 1);
    ck_assert(found && asked_n == 1 && settle() == 0);
    answer(0, CHANNEL_SENT, 0, false);
    ck_assert_uint_eq(settle(), 1);
    ck_assert(heard.last.delivery_id == 7 && heard.last.outcome == OUTCOME_OK);
    out_repeat(&c); /* its time has come */
    ck_assert_uint_eq(settle(), 1);
    acknowledge(hub, 7, 2); /* of another attempt */
    out_repeat(&c);
    ck_assert_uint_eq(settle(), 1);
    ck_assert_uint_eq(under_way(7, 1, &found), 1);
    acknowledge(hub, 7, 1);
    ck_assert_uint_eq(under_way(7, 1, &found), 0);
    out_repeat(&c);
    ck_assert_uint_eq(settle(), 0);
    acknowledge(hub, 7, 1); /* twice is once */
    end();
}
END_TEST

/* What the next hub is told is what is done: what the old one still says is not begun. */
START_TEST(only_the_newest_hub_gives_work)
{
    struct link *old, *hub;
    bool found;

    begin();
    old = new_hub();
    deliver(old, 7, 1);
    hub = new_hub();
    deliver(old, 8, 1);
    ck_assert_uint_eq(asked_n, 1);
    ck_assert_uint_eq(under_way(8, 1, &found), 1);
    ck_assert(!found);
    deliver(hub, 8, 2);
    ck_assert_uint_eq(asked_n, 2);
    answer(0, CHANNEL_SENT, 0, false);
    answer(1, CHANNEL_SENT, 0, false);
    ck_assert_uint_eq(settle(), 2);
    acknowledge(old, 7, 1); /* it was on its disk */
    ck_assert_uint_eq(under_way(8, 2, &found), 1);
    ck_assert(found);
    end();
}
END_TEST

/* Nothing waits here: too many, or no connection, is the hub's to know. */
START_TEST(later_is_said_at_once)
{
    struct link *hub;

    begin();
    hub = new_hub();
    deliver(hub, 7, 1);
    answer(0, CHANNEL_LATER, 3000, true);
    ck_assert_uint_eq(settle(), 1);
    ck_assert(heard.last.outcome == OUTCOME_LATER && heard.last.retry_after_ms == 3000 &&
              heard.last.all == 1);
    c.life = LIFE_WAITING;
    deliver(hub, 8, 1);
    ck_assert_uint_eq(settle(), 1);
    ck_assert(heard.last.outcome == OUTCOME_LATER && heard.last.all == 0);
    ck_assert_uint_eq(asked_n, 1);
    end();
}
END_TEST

/* true: taken. */
static bool bring(struct link *from, uint64_t id, uint32_t attempt)
{
    struct ipc_deliver_media m = {.delivery_id = id,
                                  .attempt = attempt,
                                  .type = V("text/plain"),
                                  .name = V("a.txt"),
                                  .url = VIEW_EMPTY,
                                  .bytes = memfd_create("test", MFD_CLOEXEC)};
    struct err e = ERR_INIT;
    bool taken;

    ck_assert_int_eq(write(m.bytes, "x", 1), 1);
    ck_assert_msg(media_on_deliver(&c, from, &m, &e) == 0, "%s", e.text);
    taken = m.bytes < 0;
    fd_close(&m.bytes);
    return taken;
}

/* Files whose message never came leave with the next attempt of it; those of a hub before are not
 * taken: nobody would ever name them. */
START_TEST(files_of_nobody_go)
{
    struct link *old, *hub;

    begin();
    old = new_hub();
    for (uint32_t i = 1; i <= MEDIA_OUT_MAX + 1; i++)
        ck_assert(bring(old, 7, i));
    hub = new_hub();
    media_forget(&c);
    ck_assert(!bring(old, 7, 1));
    ck_assert(bring(hub, 7, 1));
    end();
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, result_until_acknowledged);
    tcase_add_test(tc, only_the_newest_hub_gives_work);
    tcase_add_test(tc, later_is_said_at_once);
    tcase_add_test(tc, files_of_nobody_go);
}

CK_MAIN("chan_out")
