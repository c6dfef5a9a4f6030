/* The seam between socket and connection: a client of the library's own talks TLS to a front
 * through a socket pair, in one piece and byte by byte; what is no TLS; who hangs up while he is
 * not read. */
#include "ck.h"
#include "front_rig.h"
#include "tls_make.h"

#include <openssl/ssl.h>

enum { BIG = 300 * 1024, TICKET_KEY = 80 };

static struct rig g;
static SSL_CTX *client_ctx;

static void with_tls(void)
{
    static char tickets[2 * TICKET_KEY] = "0123456789abcdef";
    struct buf cert = BUF_INIT(65536), key = BUF_INIT(65536);
    struct ipc_tls m = {.tickets = view_of(tickets, sizeof(tickets))};
    struct err e = ERR_INIT;

    ck_assert_msg(tls_make("box", &cert, &key, &e) == 0, "%s", e.text);
    m.chain = buf_view(&cert);
    m.key = buf_view(&key);
    ck_assert_msg(tls_ctx_new(&g.f.tls, &m, &e) == 0, "%s", e.text);
    g.f.cipher = mem_alloc(FRONT_CIPHER);
    buf_fini(&cert);
    buf_fini(&key);
}

static void begin(void)
{
    rig_init(&g);
    with_tls();
    client_ctx = SSL_CTX_new(TLS_client_method());
}

static void end(void)
{
    rig_fini(&g);
    SSL_CTX_free(client_ctx);
}

/* -------------------------------------------------------------- a client */
struct peer {
    SSL *ssl;
    BIO *in, *out; /* memory; owned by ssl */
    int fd;
    size_t step;
};

/* What the library wants to say goes to the front, what the front said to the library. */
static void carry(struct peer *p)
{
    char room[65536];
    int n;

    while ((n = BIO_read(p->out, room, sizeof(room))) > 0)
        for (size_t at = 0; at < (size_t)n; at += p->step)
            rig_say(&g, p->fd,
                    view_of(room + at, (size_t)n - at < p->step ? (size_t)n - at : p->step));
    rig_steps(&g);
    while ((n = (int)rig_got(p->fd, room, sizeof(room))) > 0) {
        ck_assert_int_eq(BIO_write(p->in, room, n), n);
        rig_steps(&g);
    }
}

static void connect_as(struct peer *p, size_t step)
{
    *p = (struct peer){.ssl = SSL_new(client_ctx),
                       .in = BIO_new(BIO_s_mem()),
                       .out = BIO_new(BIO_s_mem()),
                       .fd = rig_client(&g),
                       .step = step};
    SSL_set_bio(p->ssl, p->in, p->out);
    SSL_set_connect_state(p->ssl);
}

static bool shake(struct peer *p)
{
    for (int i = 0; i < 8 && SSL_do_handshake(p->ssl) != 1; i++)
        carry(p);
    carry(p);
    return SSL_is_init_finished(p->ssl);
}

static void say(struct peer *p, struct view v)
{
    ck_assert_int_eq(SSL_write(p->ssl, v.p, (int)v.n), (int)v.n);
    carry(p);
}

static size_t hear(struct peer *p, char *out, size_t cap)
{
    size_t n = 0;
    int r;

    carry(p);
    while ((r = SSL_read(p->ssl, out + n, (int)(cap - n))) > 0)
        n += (size_t)r;
    return n;
}

static void frame(struct peer *p, struct view text)
{
    static char out[2 * BIG];
    static const uint8_t key[4] = {1, 2, 3, 4};
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_head(head, WS_OP_TEXT, text.n, key);

    memcpy(out, head, n);
    memcpy(out + n, text.p, text.n);
    ws_mask(out + n, text.n, key, 0);
    say(p, view_of(out, n + text.n));
}

static void bye(struct peer *p)
{
    SSL_free(p->ssl);
    fd_close(&p->fd);
    rig_steps(&g);
}

static bool heard(struct peer *p, const char *what)
{
    static char text[2 * BIG];
    size_t n = hear(p, text, sizeof(text));

    return memmem(text, n, what, strlen(what)) != NULL;
}

/* -------------------------------------------------------------- tests */
static const size_t steps[] = {1, 7, 1000, 65536};

START_TEST(test_a_life)
{
    struct peer p;

    begin();
    connect_as(&p, steps[_i]);
    ck_assert(shake(&p));
    say(&p, V(RIG_UPGRADE));
    ck_assert(heard(&p, "101 Switching Protocols"));
    frame(&p, V(RIG_CONNECT));
    ck_assert(heard(&p, "\"ok\":true"));
    frame(&p, V(RIG_READ));
    ck_assert(heard(&p, "\"id\":\"r\",\"ok\":true"));
    ck_assert_int_eq(SSL_shutdown(p.ssl), 0); /* close_notify is an end */
    carry(&p);
    ck_assert_uint_eq(g.f.conns.count, 0);
    bye(&p);
    end();
}
END_TEST

START_TEST(test_much_both_ways)
{
    static char text[BIG + 200];
    struct peer p;
    struct err e = ERR_INIT;
    size_t n = 0, head;

    begin();
    connect_as(&p, 65536);
    ck_assert(shake(&p));
    say(&p, V(RIG_UPGRADE));
    frame(&p, V(RIG_CONNECT));
    (void)hear(&p, text, sizeof(text));
    head = (size_t)snprintf(
        text, sizeof(text),
        "{\"type\":\"req\",\"id\":\"big\",\"method\":\"no.such\",\"params\":{\"a\":\"");
    memset(text + head, 'x', BIG);
    memcpy(text + head + BIG, "\"}}", 3);
    frame(&p, view_of(text, head + BIG + 3));
    ck_assert(heard(&p, "\"id\":\"big\""));
    n = (size_t)snprintf(text, sizeof(text),
                         "{\"type\":\"event\",\"event\":\"tick\",\"payload\":\"");
    memset(text + n, 'y', BIG);
    text[n + BIG] = '"';
    ck_assert(msg_send_event(
                  g.hub_far,
                  &(struct ipc_event){.audience = AUD_READ, .frame = view_of(text, n + BIG + 1)},
                  &e) == 0);
    rig_steps(&g);
    {
        static char got[2 * BIG];
        size_t have = 0;

        for (int i = 0; i < 50 && have < BIG; i++)
            have += hear(&p, got + have, sizeof(got) - have);
        ck_assert_uint_gt(have, BIG);
        ck_assert_msg(memmem(got, have, "yyyy\"}", 6) != NULL, "%zu", have);
    }
    bye(&p);
    end();
}
END_TEST

START_TEST(test_clear_text)
{
    char text[4096];
    size_t n;
    int fd;

    begin();
    fd = rig_client(&g);
    rig_say(&g, fd, V("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    n = rig_got(fd, text, sizeof(text));
    ck_assert(memmem(text, n, "400 Bad Request", 15) && memmem(text, n, "speaks TLS", 10));
    fd_close(&fd);
    rig_steps(&g);
    ck_assert_uint_eq(g.f.conns.count, 0);
    end();
}
END_TEST

START_TEST(test_garbage)
{
    static const struct {
        const char *name, *bytes;
        size_t n;
    } rows[] = {
        {"alert", "\x15\x03\x01\x00\x02\x02\x28", 7},
        {"handshake of nonsense", "\x16\x03\x01\x00\x05hello", 10},
        {"length 0", "\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00", 10},
        {"length 65535", "\x16\x03\x01\xff\xff", 5},
        {"version", "\x16\x09\x09\x00\x05hello", 10},
    };

    begin();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int fd = rig_client(&g);

        rig_say(&g, fd, view_of(rows[i].bytes, rows[i].n));
        if (g.f.conns.count) /* answered as clear text, and waits for our end */
            fd_close(&fd);
        rig_steps(&g);
        ck_assert_msg(g.f.conns.count == 0, "%s", rows[i].name);
        fd_close(&fd);
    }
    end();
}
END_TEST

START_TEST(test_protocols)
{
    static const unsigned char other[] = "\x03h2c", both[] = "\x08http/1.1\x02h2";
    const unsigned char *got;
    unsigned n;
    struct peer p;

    begin();
    connect_as(&p, 65536);
    (void)SSL_set_alpn_protos(p.ssl, both, sizeof(both) - 1);
    ck_assert(shake(&p));
    SSL_get0_alpn_selected(p.ssl, &got, &n);
    ck_assert(n == 2 && memcmp(got, "h2", 2) == 0);
    bye(&p);
    connect_as(&p, 65536);
    (void)SSL_set_alpn_protos(p.ssl, other, sizeof(other) - 1);
    ck_assert(!shake(&p));
    bye(&p);
    connect_as(&p, 65536);
    (void)SSL_set_max_proto_version(p.ssl, TLS1_1_VERSION);
    (void)SSL_set_min_proto_version(p.ssl, TLS1_VERSION);
    ck_assert(!shake(&p));
    bye(&p);
    connect_as(&p, 65536);
    (void)SSL_set_max_proto_version(p.ssl, TLS1_2_VERSION);
    ck_assert(shake(&p));
    bye(&p);
    ck_assert_uint_eq(g.f.conns.count, 0);
    end();
}
END_TEST

/* New keys are for new connections. */
START_TEST(test_new_keys)
{
    struct peer old, new;
    X509 *a, *b;

    begin();
    connect_as(&old, 65536);
    ck_assert(shake(&old));
    tls_ctx_free(&g.f.tls);
    mem_free(TAKE(g.f.cipher));
    with_tls();
    connect_as(&new, 65536);
    ck_assert(shake(&new));
    a = SSL_get1_peer_certificate(old.ssl);
    b = SSL_get1_peer_certificate(new.ssl);
    ck_assert(a && b && X509_cmp(a, b) != 0);
    X509_free(a);
    X509_free(b);
    say(&old, V("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"));
    ck_assert(heard(&old, "live"));
    bye(&old);
    bye(&new);
    end();
}
END_TEST

START_TEST(test_keys_refused)
{
    struct buf cert = BUF_INIT(65536), key = BUF_INIT(65536), other = BUF_INIT(65536),
               none = BUF_INIT(65536);
    struct err e = ERR_INIT;
    char tickets[TICKET_KEY] = "";
    struct tls_ctx *c = NULL;

    ck_assert(tls_make("box", &cert, &key, &e) == 0 && tls_make("", &none, &other, &e) == 0);
    for (int i = 0; i < 5; i++) {
        struct ipc_tls m = {.chain = buf_view(&cert),
                            .key = buf_view(&key),
                            .tickets = view_of(tickets, sizeof(tickets))};

        if (i == 0)
            m.chain = V("no PEM");
        if (i == 1)
            m.key = V("no PEM");
        if (i == 2)
            m.key = buf_view(&other);
        if (i == 3)
            m.tickets.n--;
        if (i == 4)
            m.issuers = V("no PEM");
        ck_assert_msg(tls_ctx_new(&c, &m, &e) < 0, "%d", i);
        ck_assert_ptr_null(c);
    }
    buf_fini(&cert);
    buf_fini(&key);
    buf_fini(&other);
    buf_fini(&none);
}
END_TEST

/* 64 requests under way: not read, and yet its end is noticed. */
START_TEST(test_paused_hangs_up)
{
    int fd;

    rig_init(&g);
    g.hold = true;
    fd = rig_client(&g);
    rig_say(&g, fd, V(RIG_UPGRADE));
    rig_frame(&g, fd, V(RIG_CONNECT), 1000);
    for (int i = 0; i < FRONT_REQUESTS_MAX + 3; i++)
        rig_frame(&g, fd, V(RIG_READ), 1000);
    ck_assert_uint_eq(g.f.reqs.count, FRONT_REQUESTS_MAX);
    ck_assert(!list_empty(&g.f.waiting));
    if (_i == 0)
        fd_close(&fd); /* bytes unread here: a reset */
    else
        ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    rig_steps(&g);
    ck_assert_uint_eq(g.f.conns.count, 0);
    fd_close(&fd);
    rig_fini(&g);
}
END_TEST

/* The n-th allocation of ours fails, for every n: an end, never a crash; then the next is served.
 */
START_TEST(test_no_memory)
{
    struct peer p;

    begin();
    for (uint64_t n = 1; n <= 60; n++) {
        connect_as(&p, 65536);
        mem_fail_after(n, 0);
        if (shake(&p)) {
            (void)SSL_write(p.ssl, RIG_UPGRADE, sizeof(RIG_UPGRADE) - 1);
            carry(&p);
        }
        mem_fail_after(0, 0);
        bye(&p);
        ck_assert_msg(g.f.conns.count == 0, "allocation %llu", (unsigned long long)n);
    }
    connect_as(&p, 65536);
    ck_assert(shake(&p));
    say(&p, V(RIG_UPGRADE));
    ck_assert(heard(&p, "101 Switching Protocols"));
    bye(&p);
    end();
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_a_life, 0, (int)COUNT_OF(steps));
    tcase_add_test(tc, test_much_both_ways);
    tcase_add_test(tc, test_clear_text);
    tcase_add_test(tc, test_garbage);
    tcase_add_test(tc, test_protocols);
    tcase_add_test(tc, test_new_keys);
    tcase_add_test(tc, test_keys_refused);
    tcase_add_test(tc, test_no_memory);
    tcase_add_loop_test(tc, test_paused_hangs_up, 0, 2);
}
CK_MAIN("tls")
