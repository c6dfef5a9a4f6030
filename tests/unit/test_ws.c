#include "ck.h"
#include "mem.h"
#include "ws.h"

#include <stdio.h>
#include <string.h>

/* Frames are written as text: each row is fed whole, and again byte by byte, and must give the same
 * events. Events: "T<text>" "P<payload>" "O<payload>" "C<code> <reason>" "!<code>" separated by
 * '|'.
 */
static void feed(struct ws_dec *d, char *p, size_t n, struct buf *log)
{
    struct ws_out out;
    enum ws_event ev;

    while ((ev = ws_decode(d, &p, &n, &out)) != WS_MORE) {
        if (log->n)
            buf_put_char(log, '|');
        if (ev == WS_BAD)
            buf_printf(log, "!%u", out.code);
        else if (ev == WS_CLOSE)
            buf_printf(log, "C%u %.*s", out.code, VIEW_FMT(out.data));
        else
            buf_printf(log, "%c%.*s",
                       ev == WS_MESSAGE ? 'T'
                       : ev == WS_PING  ? 'P'
                                        : 'O',
                       VIEW_FMT(out.data));
    }
    ck_assert_uint_eq(n, 0);
}

static void put_frame(struct buf *b, unsigned first, const char *payload, size_t n, bool masked)
{
    static const uint8_t key[4] = {0x12, 0x80, 0xff, 0x07};
    uint8_t head[WS_HEAD_MAX];
    size_t hn = ws_head(head, WS_OP_TEXT, n, masked ? key : NULL);
    char *to;

    head[0] = (uint8_t)first;
    buf_put(b, head, hn);
    to = buf_room(b, n);
    ck_assert(to || n == 0);
    if (n)
        memcpy(to, payload, n);
    if (masked && n)
        ws_mask(to, n, key, 0);
    buf_added(b, n);
}

static void check_both(const char *name, struct view bytes, bool server, size_t max, bool binary,
                       const char *want)
{
    for (size_t step = 0; step < 4; step++) { /* whole, 1, 2, 3 bytes at a time */
        struct ws_dec d;
        struct buf log = BUF_INIT(1 << 20);
        char *copy = mem_dup(bytes.p, bytes.n);

        ck_assert(copy);
        ws_dec_init(&d, server, max);
        d.accept_binary = binary;
        for (size_t at = 0; at < bytes.n;) {
            size_t part = step == 0 || bytes.n - at < step ? bytes.n - at : step;

            feed(&d, copy + at, part, &log);
            at += part;
        }
        ck_assert_msg(view_eq(buf_view(&log), view_str(want)), "%s step %zu: got %.*s, want %s",
                      name, step, VIEW_FMT(buf_view(&log)), want);
        ws_dec_fini(&d);
        buf_fini(&log);
        mem_free(copy);
    }
}

struct fr {
    unsigned first;
    const char *text;
    int n; /* -1: strlen */
};
static const struct {
    const char *name;
    struct fr f[6];
    const char *want;
} rows[] = {
    {"text", {{0x81, "hello", -1}}, "Thello"},
    {"empty text", {{0x81, "", -1}}, "T"},
    {"two", {{0x81, "a", -1}, {0x81, "b", -1}}, "Ta|Tb"},
    {"fragments", {{0x01, "ab", -1}, {0x00, "", -1}, {0x80, "c", -1}}, "Tabc"},
    {"empty fragments", {{0x01, "", -1}, {0x00, "", -1}, {0x80, "", -1}}, "T"},
    {"ping inside", {{0x01, "a", -1}, {0x89, "p", -1}, {0x80, "b", -1}}, "Pp|Tab"},
    {"pong", {{0x8a, "x", -1}}, "Ox"},
    {"character over fragments", {{0x01, "\xe2\x82", -1}, {0x80, "\xac", -1}}, "T\xe2\x82\xac"},
    {"close", {{0x88, "\x03\xe8", 2}}, "C1000 "},
    {"close empty", {{0x88, "", 0}}, "C1005 "},
    {"close reason", {{0x88, "\x0f\xa0why", 5}}, "C4000 why"},
    {"after close nothing", {{0x88, "\x03\xe8", 2}, {0x81, "x", -1}}, "C1000 "},
    {"close inside", {{0x01, "a", -1}, {0x88, "\x03\xe8", 2}}, "C1000 "},
    {"close of one byte", {{0x88, "\x03", 1}}, "!1002"},
    {"close 1005", {{0x88, "\x03\xed", 2}}, "!1002"},
    {"close 999", {{0x88, "\x03\xe7", 2}}, "!1002"},
    {"close 5000", {{0x88, "\x13\x88", 2}}, "!1002"},
    {"close bad reason", {{0x88, "\x03\xe8\xff", 3}}, "!1007"},
    {"close cut reason", {{0x88, "\x03\xe8\xe2\x82", 4}}, "!1007"},
    {"rsv1", {{0xc1, "a", -1}}, "!1002"},
    {"rsv2", {{0xa1, "a", -1}}, "!1002"},
    {"rsv3", {{0x91, "a", -1}}, "!1002"},
    {"opcode 3", {{0x83, "", -1}}, "!1002"},
    {"opcode 7", {{0x87, "", -1}}, "!1002"},
    {"opcode 11", {{0x8b, "", -1}}, "!1002"},
    {"opcode 15", {{0x8f, "", -1}}, "!1002"},
    {"continuation first", {{0x80, "a", -1}}, "!1002"},
    {"text in text", {{0x01, "a", -1}, {0x81, "b", -1}}, "!1002"},
    {"ping fragmented", {{0x09, "a", -1}}, "!1002"},
    {"bad text", {{0x81, "a\xff", -1}}, "!1007"},
    {"bad text in a fragment", {{0x01, "a\xed\xa0\x80", -1}}, "!1007"},
    {"ends inside a character", {{0x81, "a\xe2\x82", -1}}, "!1007"},
    {"binary", {{0x82, "a", -1}}, "!1003"},
    {"after a violation nothing", {{0x82, "a", -1}, {0x81, "b", -1}}, "!1003"},
};

START_TEST(test_frames)
{
    struct buf b = BUF_INIT(1 << 16);

    for (unsigned i = 0; i < 6 && rows[_i].f[i].text; i++) {
        const struct fr *f = &rows[_i].f[i];

        put_frame(&b, f->first, f->text, f->n < 0 ? strlen(f->text) : (size_t)f->n, true);
    }
    check_both(rows[_i].name, buf_view(&b), true, 100, false, rows[_i].want);
    buf_fini(&b);
}
END_TEST

START_TEST(test_client_side)
{
    struct buf b = BUF_INIT(1 << 16);

    put_frame(&b, 0x81, "hi", 2, false);
    check_both("client", buf_view(&b), false, 100, false, "Thi");
    check_both("unmasked to a server", buf_view(&b), true, 100, false, "!1002");
    buf_reset(&b, 0);
    put_frame(&b, 0x81, "hi", 2, true);
    check_both("masked to a client", buf_view(&b), false, 100, false, "!1002");
    buf_reset(&b, 0);
    put_frame(&b, 0x82, "hi", 2, true);
    check_both("binary accepted", buf_view(&b), true, 100, true, "Thi");
    buf_fini(&b);
}
END_TEST

/* Limits: on the header, before any payload. */
START_TEST(test_limits)
{
    static const struct {
        const char *name;
        uint8_t head[14];
        size_t n;
        size_t max;
        const char *want;
    } heads[] = {
        {"125 at limit", {0x81, 0x80 | 125}, 2, 125, ""},
        {"125 over", {0x81, 0x80 | 125}, 2, 124, "!1009"},
        {"126 at limit", {0x81, 0xfe, 0, 126}, 4, 126, ""},
        {"126 over", {0x81, 0xfe, 0, 126}, 4, 125, "!1009"},
        {"64k at limit", {0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}, 10, 65536, ""},
        {"64k over", {0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}, 10, 65535, "!1009"},
        {"1t", {0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0}, 10, 1 << 25, "!1009"},
        {"2^62", {0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0}, 10, 1 << 25, "!1009"},
        {"top bit", {0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, 10, 1 << 25, "!1002"},
        {"16 bit for 125", {0x81, 0xfe, 0, 125}, 4, 1000, "!1002"},
        {"64 bit for 65535", {0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 10, 1 << 20, "!1002"},
        {"ping 126", {0x89, 0xfe}, 2, 1000, "!1002"},
        {"ping 125", {0x89, 0x80 | 125}, 2, 10, ""},
        {"not masked, at its second byte", {0x81, 0x05}, 2, 1000, "!1002"},
    };

    for (size_t i = 0; i < COUNT_OF(heads); i++)
        check_both(heads[i].name, view_of((const char *)heads[i].head, heads[i].n), true,
                   heads[i].max, false, heads[i].want);
}
END_TEST

START_TEST(test_total_and_fragments)
{
    struct buf b = BUF_INIT(1 << 20);

    put_frame(&b, 0x01, "12345", 5, true);
    put_frame(&b, 0x80, "12345", 5, true);
    check_both("total at limit", buf_view(&b), true, 10, false, "T1234512345");
    check_both("total over", buf_view(&b), true, 9, false, "!1009");
    for (unsigned extra = 0; extra < 2; extra++) { /* at the limit, and one over */
        buf_reset(&b, 0);
        put_frame(&b, 0x01, "", 0, true);
        for (unsigned i = 0; i < WS_FRAGMENTS_MAX - 2 + extra; i++)
            put_frame(&b, 0x00, "", 0, true);
        put_frame(&b, 0x80, "x", 1, true);
        check_both("fragments", buf_view(&b), true, 10, false, extra ? "!1009" : "Tx");
    }
    buf_fini(&b);
}
END_TEST

START_TEST(test_view_without_copy)
{
    struct buf b = BUF_INIT(1 << 16);
    struct ws_dec d;
    struct ws_out out;
    char *p;
    size_t n;

    put_frame(&b, 0x81, "hello", 5, true);
    ws_dec_init(&d, true, 100);
    p = b.p;
    n = b.n;
    ck_assert_int_eq(ws_decode(&d, &p, &n, &out), WS_MESSAGE);
    ck_assert(out.data.p == b.p + 6);
    ck_assert(d.message.cap == 0);
    ck_assert(ws_dec_idle(&d));
    ws_dec_fini(&d);
    buf_fini(&b);
}
END_TEST

START_TEST(test_no_memory)
{
    struct buf b = BUF_INIT(1 << 16);
    struct ws_dec d;
    struct ws_out out;
    char *p;
    size_t n = 8;

    put_frame(&b, 0x81, "hello", 5, true);
    ws_dec_init(&d, true, 100);
    p = b.p;
    mem_fail_after(1, 0);
    ck_assert_int_eq(ws_decode(&d, &p, &n, &out), WS_BAD);
    mem_fail_after(0, 0);
    ck_assert_uint_eq(out.code, WS_INTERNAL);
    ws_dec_fini(&d);
    buf_fini(&b);
}
END_TEST

START_TEST(test_mask_everywhere)
{
    static const uint8_t key[4] = {1, 2, 4, 200};
    char a[64];

    for (unsigned at = 0; at < 4; at++) {
        for (size_t n = 0; n < sizeof(a); n++) {
            memset(a, 0x55, sizeof(a));
            ws_mask(a, n, key, at);
            for (size_t i = 0; i < sizeof(a); i++)
                ck_assert_int_eq(a[i], (char)(0x55 ^ (i < n ? key[(at + i) & 3] : 0)));
        }
    }
}
END_TEST

START_TEST(test_put)
{
    struct buf b = BUF_INIT(1 << 20), log = BUF_INIT(1 << 20);
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 65537};
    char *text = mem_alloc(70000);

    ck_assert(text);
    memset(text, 'x', 70000);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int client = 0; client < 2; client++) {
            struct ws_dec d;

            buf_reset(&b, 0);
            buf_reset(&log, 0);
            ws_put(&b, WS_OP_TEXT, view_of(text, sizes[i]), client);
            ws_dec_init(&d, client, sizes[i]);
            feed(&d, b.p, b.n, &log);
            ck_assert_uint_eq(log.n, sizes[i] + 1);
            ck_assert(ws_dec_idle(&d));
            ws_dec_fini(&d);
        }
    }
    mem_free(text);
    buf_fini(&b);
    buf_fini(&log);
}
END_TEST

START_TEST(test_put_close)
{
    struct buf b = BUF_INIT(1000);
    char reason[200];
    struct ws_dec d;
    struct ws_out out;
    char *p;
    size_t n;

    memset(reason, 'r', sizeof(reason));
    memcpy(reason + 122, "\xe2\x82\xac", 3); /* would be cut after its first byte */
    ws_put_close(&b, 1008, view_of(reason, sizeof(reason)), false);
    ws_dec_init(&d, false, 100);
    p = b.p;
    n = b.n;
    ck_assert_int_eq(ws_decode(&d, &p, &n, &out), WS_CLOSE);
    ck_assert_uint_eq(out.code, 1008);
    ck_assert_uint_eq(out.data.n, 122);
    ws_dec_fini(&d);
    buf_reset(&b, 0);
    ws_put_close(&b, WS_NO_CODE, V("ignored"), false);
    ck_assert(view_eq(buf_view(&b), view_of("\x88\x00", 2)));
    buf_fini(&b);
}
END_TEST

static const struct {
    const char *key;
    bool good;
} keys[] = {
    {"dGhlIHNhbXBsZSBub25jZQ==", true},
    {"AAAAAAAAAAAAAAAAAAAAAA==", true},
    {"", false},
    {"AAAAAAAAAAAAAAAAAAAA", false},
    {"!!!!!!!!!!!!!!!!!!!!!!==", false},
    {"AAAAAAAAAAAAAAAAAAAAAAA=", false},
    {"AAAAAAAAAAAAAAAAAAAAAB==", false},
    {"AAAAAAAAAAAAAAAAAAAAAA==A", false},
};

START_TEST(test_handshake)
{
    struct err e = ERR_INIT;
    char accept[WS_ACCEPT_LEN + 1], key[WS_KEY_LEN + 1];

    ck_assert_int_eq(ws_accept(V("dGhlIHNhbXBsZSBub25jZQ=="), accept, &e), 0); /* RFC 6455, 1.3 */
    ck_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        ck_assert_msg(ws_key_valid(view_str(keys[i].key)) == keys[i].good, "%s", keys[i].key);
    for (unsigned i = 0; i < 100; i++) {
        ws_key_new(key);
        ck_assert(ws_key_valid(view_str(key)));
    }
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_frames, 0, (int)COUNT_OF(rows));
    tcase_add_test(tc, test_client_side);
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_total_and_fragments);
    tcase_add_test(tc, test_view_without_copy);
    tcase_add_test(tc, test_no_memory);
    tcase_add_test(tc, test_mask_everywhere);
    tcase_add_test(tc, test_put);
    tcase_add_test(tc, test_put_close);
    tcase_add_test(tc, test_handshake);
}
CK_MAIN("ws")
