/* tests/unit/test_msg.c - the message table, the codec, and links between two ends in one process.
 */
#include "ck.h"
#include "fd.h"
#include "msg.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char text[200 * 1024];

/* Every message of the table, filled so that each field has a value of its own; lengths vary with
 * the row. */
static void fill(const struct msg_rule *r, union msg_any *m, unsigned salt)
{
    memset(m, 0, sizeof(*m));
    memset(text, 'x', sizeof(text));
    for (unsigned k = 0; k < r->count; k++) {
        char *to = (char *)m + r->fields[k].offset;
        uint64_t v = 0x0102030405060708u * (k + 1) + salt;
        struct view s = view_of(
            text, (k * 7 + salt) % (r->fields[k].max + 1 > 1000 ? 1000 : r->fields[k].max + 1));
        int fd = -1;

        switch (r->fields[k].kind) {
        case MF_U8:
            memcpy(to, &v, 1);
            break;
        case MF_U16:
            memcpy(to, &v, 2);
            break;
        case MF_U32:
            memcpy(to, &v, 4);
            break;
        case MF_U64:
            memcpy(to, &v, 8);
            break;
        case MF_STR:
        case MF_BYTES:
            memcpy(to, &s, sizeof(s));
            break;
        case MF_FD:
            memcpy(to, &fd, sizeof(fd));
            break;
        }
    }
}

START_TEST(test_round_trip)
{
    const struct msg_rule *r = msg_rule((unsigned)_i);
    static char body[64 * 1024], again[64 * 1024];
    int fds[4] = {-1, -1, -1, -1};

    for (unsigned salt = 0; salt < 40; salt++) {
        union msg_any m, got;
        struct err e = ERR_INIT;
        size_t n;

        fill(r, &m, salt);
        n = msg_size((enum msg_type)_i, &m, &e);
        ck_assert_msg(e.code == 0 && n <= sizeof(body), "%s: %s", r->name, e.text);
        msg_encode((enum msg_type)_i, &m, body);
        ck_assert_msg(msg_decode((unsigned)_i, view_of(body, n), fds, r->nfds, &got, &e) == 0,
                      "%s: %s", r->name, e.text);
        ck_assert_uint_eq(msg_size((enum msg_type)_i, &got, &e), n);
        msg_encode((enum msg_type)_i, &got, again);
        ck_assert_msg(memcmp(body, again, n) == 0, "%s: differs after a round trip", r->name);
        for (size_t cut = 0; cut < n && cut < 300; cut++) /* every prefix is refused */
            ck_assert_msg(msg_decode((unsigned)_i, view_of(body, cut), fds, r->nfds, &got, &e) < 0,
                          "%s: %zu of %zu", r->name, cut, n);
        body[n] = 0;
        ck_assert_msg(msg_decode((unsigned)_i, view_of(body, n + 1), fds, r->nfds, &got, &e) < 0,
                      "%s: tail", r->name);
        ck_assert_msg(msg_decode((unsigned)_i, view_of(body, n), fds, r->nfds + 1, &got, &e) < 0,
                      "%s: fd", r->name);
    }
}
END_TEST

START_TEST(test_field_limits)
{
    struct ipc_hello m = {.schema = 1};
    static const struct {
        size_t n;
        int want;
    } rows[] = {{31, 0}, {32, 0}, {33, ERR_LIMIT}};
    struct err e = ERR_INIT;
    size_t n;

    memset(text, 'x', sizeof(text));
    m.role = view_of(text, rows[_i].n);
    n = msg_size(MSG_hello, &m, &e);
    ck_assert_int_eq(e.code, rows[_i].want);
    ck_assert((n == 0) == (rows[_i].want != 0));
    text[3] = 0; /* NUL in a STR */
    m.role = view_of(text, 8);
    ck_assert_uint_eq(msg_size(MSG_hello, &m, &e), 0);
}
END_TEST

/* -- two ends -- */
struct end {
    struct link *l;
    unsigned jobs, closed;
    uint64_t next_id;
    ino_t ino;
    int close_code;
    bool refuse;
};
static struct loop *loop;

static int on_job(void *ctx, struct link *from, struct ipc_job *m, struct err *e)
{
    struct end *s = ctx;
    struct stat st;

    (void)from;
    if (s->refuse)
        return err_set(e, ERR_INVALID, "refused by the test");
    ck_assert_uint_eq(m->job_id, s->next_id);
    s->next_id++;
    ck_assert_int_eq(fstat(m->payload, &st), 0);
    ck_assert_uint_eq((uint64_t)st.st_size,
                      m->job_id % 50); /* each job came with its own descriptor */
    s->jobs++;
    if (s->jobs == 1000)
        loop_stop(loop);
    return 0;
}

static void on_end(void *ctx, struct link *l, const struct err *why)
{
    struct end *s = ctx;

    (void)l;
    s->closed++;
    s->close_code = why->code;
    loop_stop(loop);
}

static const struct ipc_handlers agent_on = {.job = on_job};
static const struct ipc_handlers none_on = {.hello = NULL};

static void open_ends(struct end *a, struct end *b, bool running)
{
    struct link_conf ca = {
        .me = ROLE_SUPERVISOR, .peer = ROLE_AGENT, .on = &none_on, .ctx = a, .on_close = on_end};
    struct link_conf cb = {
        .me = ROLE_AGENT, .peer = ROLE_SUPERVISOR, .on = &agent_on, .ctx = b, .on_close = on_end};
    struct err e = ERR_INIT;
    int s[2];

    ck_assert_int_eq(loop_new(&loop, &e), 0);
    ck_assert_int_eq(fd_pair(s, 0, &e), 0);
    ck_assert_int_eq(link_open(&a->l, loop, s[0], &ca, &e), 0);
    ck_assert_int_eq(link_open(&b->l, loop, s[1], &cb, &e), 0);
    if (running) {
        link_set_running(a->l);
        link_set_running(b->l);
    }
}

static void close_ends(struct end *a, struct end *b)
{
    link_close(&a->l);
    link_close(&b->l);
    loop_free(&loop);
}

static int count_fds(void)
{
    int n = 0;

    for (int i = 0; i < 1024; i++)
        n += fcntl(i, F_GETFD) >= 0;
    return n;
}

START_TEST(test_descriptors_in_order)
{
    struct end a = {0}, b = {0};
    struct err e = ERR_INIT;
    int before = count_fds();

    memset(text, 'x', sizeof(text));
    open_ends(&a, &b, true);
    for (uint64_t i = 0; i < 1000;
         i++) { /* far more than one system call carries, with small and large frames between */
        struct ipc_job m = {.job_id = i, .lane = V("main"), .session = view_of(text, i % 500)};

        ck_assert_int_eq(fd_sealed("job", view_of(text, i % 50), &m.payload, &e), 0);
        ck_assert_int_eq(msg_send_job(a.l, &m, &e), 0);
    }
    ck_assert_int_eq(loop_run(loop, &e), 0);
    ck_assert_uint_eq(b.jobs, 1000);
    close_ends(&a, &b);
    ck_assert_int_eq(count_fds(), before);
}
END_TEST

static const struct {
    const char *name;
    enum msg_type type;
    bool running;
} broken[] = {
    {"not before READY", MSG_job, false},
    {"the agent takes no conn", MSG_conn, true},
    {"the supervisor sends no run_ack", MSG_run_ack, true},
    {"no handler", MSG_job_abort, true},
};

START_TEST(test_rules)
{
    struct end a = {0}, b = {0};
    struct err e = ERR_INIT;
    union msg_any m;
    int before = count_fds();

    fill(msg_rule(broken[_i].type), &m, 1);
    if (broken[_i].type == MSG_job || broken[_i].type == MSG_conn) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (broken[_i].type == MSG_job)
            m.job.payload = fd;
        else
            m.conn.sock = fd;
    }
    open_ends(&a, &b, broken[_i].running);
    ck_assert_int_eq(msg_send(a.l, broken[_i].type, &m, &e), 0);
    ck_assert_int_eq(loop_run(loop, &e), 0);
    while (!b.closed)
        ck_assert_int_eq(loop_run(loop, &e), 0);
    ck_assert_msg(b.close_code != ERR_CLOSED, "%s: closed with %d", broken[_i].name, b.close_code);
    close_ends(&a, &b);
    ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(test_peer_leaves)
{
    struct end a = {0}, b = {0};
    struct err e = ERR_INIT;

    open_ends(&a, &b, true);
    link_close(&a.l);
    ck_assert_int_eq(loop_run(loop, &e), 0);
    ck_assert_uint_eq(b.closed, 1);
    ck_assert_int_eq(b.close_code, ERR_CLOSED);
    ck_assert_int_eq(msg_send_pong(b.l, &(struct ipc_pong){.seq = 1}, &e), ERR_CLOSED);
    close_ends(&a, &b);
}
END_TEST

START_TEST(test_queue_is_bounded)
{
    struct end a = {0}, b = {0};
    struct err e = ERR_INIT;
    char *big = mem_alloc(4 * MIB);
    struct ipc_run_delta m;
    int r = 0, sent = 0;

    (void)m;
    open_ends(&a, &b, true);
    while (sent < 1000 && (r = msg_send_config(
                               a.l, &(struct ipc_config){.slice = view_of(big, 4 * MIB)}, &e)) == 0)
        sent++;
    ck_assert_int_eq(r, ERR_LIMIT);
    ck_assert_int_lt(sent, 30);
    ck_assert(ipc_over_high(link_ipc(a.l)));
    close_ends(&a, &b);
    mem_free(big);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_round_trip, 0, MSG_COUNT);
    tcase_add_loop_test(tc, test_field_limits, 0, 3);
    tcase_add_test(tc, test_descriptors_in_order);
    tcase_add_loop_test(tc, test_rules, 0, (int)COUNT_OF(broken));
    tcase_add_test(tc, test_peer_leaves);
    tcase_add_test(tc, test_queue_is_bounded);
}
CK_MAIN("msg")
