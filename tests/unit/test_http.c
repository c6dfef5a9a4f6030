#include "ck.h"
#include "http.h"
#include "mem.h"

#include <string.h>

/* Scan and parse, whole and byte by byte; returns 0 when accepted, the status when refused, 1 when
 * unfinished. */
static unsigned parse_step(struct view in, size_t step, struct http_req *q, size_t *used)
{
    struct http_scan s = {0};
    struct http_refusal why = {0};

    *used = 0;
    while (*used < in.n) {
        size_t part = step && in.n - *used > step ? step : in.n - *used, took = 0;
        enum http_result r = http_scan(&s, view_of(in.p + *used, part), &took, &why);

        *used += took;
        if (r == HTTP_BAD)
            return why.status;
        if (r == HTTP_DONE)
            return http_parse(view_of(in.p, *used), q, &why) == HTTP_BAD ? why.status : 0;
    }
    return 1;
}

static unsigned parse(struct view in, struct http_req *q, size_t *used)
{
    unsigned whole = parse_step(in, 0, q, used);

    for (size_t step = 1; step < 4; step++) {
        size_t used2;

        ck_assert_uint_eq(parse_step(in, step, q, &used2), whole);
        ck_assert(whole || *used == used2);
    }
    return whole;
}

#define H "Host: x\r\n"
#define G "GET / HTTP/1.1\r\n" H
static const struct {
    const char *in;
    unsigned want;
} heads[] = {
    {G "\r\n", 0},
    {"GET / HTTP/1.1\r\nhost:x\r\n\r\n", 0},
    {"GET / HTTP/1.1\r\nHost: \t x \t\r\n\r\n", 0},
    {"GET /?a=b?c HTTP/1.1\r\n" H "\r\n", 0},
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", 0},
    {"GET / HTTP/1.0\r\n\r\n", 0},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0},
    {G "X: \x80\xff\r\n\r\n", 0},
    {G "X:\r\n\r\n", 0},
    {G, 1},
    {"G", 1},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
    {"GET / HTTP/1.0\r\n" H H "\r\n", 400},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"GET / HTTP/1.1\nHost: x\n\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\r\n", 400},
    {"\r\nGET / HTTP/1.1\r\n" H "\r\n", 400},
    {" GET / HTTP/1.1\r\n" H "\r\n", 400},
    {"\x16\x03\x01", 400},
    {"GET /\r\n\r\n", 400},
    {"GET\r\n\r\n", 400},
    {"GET / HTTP/1.1 \r\n" H "\r\n", 400},
    {"GET  / HTTP/1.1\r\n" H "\r\n", 400},
    {"GET /a b HTTP/1.1\r\n" H "\r\n", 400},
    {"GET /\ta HTTP/1.1\r\n" H "\r\n", 400},
    {"GET /# HTTP/1.1\r\n" H "\r\n", 400},
    {"GET /\x80 HTTP/1.1\r\n" H "\r\n", 400},
    {"GET x HTTP/1.1\r\n" H "\r\n", 400},
    {"GET http://x/ HTTP/1.1\r\n" H "\r\n", 400},
    {"GET * HTTP/1.1\r\n" H "\r\n", 400},
    {"CONNECT x:443 HTTP/1.1\r\n" H "\r\n", 400},
    {"GET / HTTP/1.2\r\n" H "\r\n", 505},
    {"GET / HTTP/0.9\r\n" H "\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\n", 505},
    {"GET / http/1.1\r\n" H "\r\n", 400},
    {"GET / HTTP/1.10\r\n" H "\r\n", 400},
    {"GET / HTTP/11\r\n" H "\r\n", 400},
    {"get / HTTP/1.1\r\n" H "\r\n", 501},
    {"PROPFIND / HTTP/1.1\r\n" H "\r\n", 501},
    {"G\x01T / HTTP/1.1\r\n" H "\r\n", 400},
    {G "X : y\r\n\r\n", 400},
    {G "X Y: y\r\n\r\n", 400},
    {G "X\r\n\r\n", 400},
    {G ": y\r\n\r\n", 400},
    {G "X: a\r\n b\r\n\r\n", 400},
    {G "X: a\x01\r\n\r\n", 400},
    {G "X: a\x7f\r\n\r\n", 400},
    {G "X: a\rb\r\n\r\n", 400},
    {G "Content-Length: 5\r\n\r\n", 0},
    {G "Content-Length: 0\r\n\r\n", 0},
    {G "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
    {G "Content-Length: 5, 5\r\n\r\n", 400},
    {G "Content-Length: +5\r\n\r\n", 400},
    {G "Content-Length: -1\r\n\r\n", 400},
    {G "Content-Length: 0x5\r\n\r\n", 400},
    {G "Content-Length: 5 5\r\n\r\n", 400},
    {G "Content-Length:\r\n\r\n", 400},
    {G "Content-Length: 9223372036854775808\r\n\r\n", 413},
    {G "Content-Length: 18446744073709551617\r\n\r\n", 413},
    {G "Transfer-Encoding: chunked\r\n\r\n", 0},
    {G "Transfer-Encoding: Chunked\r\n\r\n", 0},
    {G "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
    {G "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {G "Transfer-Encoding: chunked, chunked\r\n\r\n", 501},
    {G "Transfer-Encoding: identity\r\n\r\n", 501},
    {G "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {G "Transfer-Encoding:\r\n\r\n", 501},
    {G "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {G "Expect: 100-continue\r\n\r\n", 0},
    {G "Expect: 200-magic\r\n\r\n", 417},
    {G "Origin: a\r\nOrigin: b\r\n\r\n", 400},
    {G "Authorization: a\r\nAuthorization: b\r\n\r\n", 400},
    {G "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: b\r\n\r\n", 400},
};

START_TEST(test_heads)
{
    struct http_req q;
    size_t used;

    ck_assert_msg(parse(view_str(heads[_i].in), &q, &used) == heads[_i].want, "%s: %u",
                  heads[_i].in, parse(view_str(heads[_i].in), &q, &used));
}
END_TEST

START_TEST(test_nul)
{
    struct http_req q;
    size_t used;

    ck_assert_uint_eq(parse(V("GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"), &q, &used), 400);
    ck_assert_uint_eq(parse(V("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"), &q, &used), 400);
}
END_TEST

START_TEST(test_fields)
{
    struct http_req q;
    size_t used;
    struct view in = V("GET /a/b?x=1&y HTTP/1.1\r\nHOST: h:1\r\nOrigin: http://o\r\n"
                       "Connection: keep-alive, Upgrade\r\nUpgrade: h2c, WebSocket\r\n"
                       "Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Protocol: p1, p2\r\nX-Forwarded-For: 1.2.3.4\r\n\r\nrest");

    ck_assert_uint_eq(parse(in, &q, &used), 0);
    ck_assert_uint_eq(used, in.n - 4);
    ck_assert(q.method == HTTP_GET && q.minor == 1 && q.upgrade && q.proxied && q.keep_alive);
    ck_assert(view_eq(q.path, V("/a/b")) && view_eq(q.query, V("x=1&y")));
    ck_assert(view_eq(q.host, V("h:1")) && view_eq(q.origin, V("http://o")));
    ck_assert(q.has_ws_key && view_eq(q.ws_version, V("13")) &&
              view_eq(q.ws_protocol, V("p1, p2")));
    ck_assert(!q.has_body && !q.has_auth && !q.encoded && !q.expect);
    ck_assert_uint_eq(q.headers, 8);
    ck_assert_uint_eq(parse(V("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), &q, &used), 0);
    ck_assert(q.keep_alive && !q.upgrade && q.host.n == 0);
    ck_assert_uint_eq(parse(V("GET / HTTP/1.0\r\n\r\n"), &q, &used), 0);
    ck_assert(!q.keep_alive);
    ck_assert_uint_eq(parse(V(G "Connection: close\r\nUpgrade: websocket\r\n\r\n"), &q, &used), 0);
    ck_assert(!q.keep_alive && !q.upgrade);
}
END_TEST

static const struct {
    const char *name;
    size_t target, header, headers;
    unsigned want;
} limits[] = {
    {"target at", HTTP_TARGET_MAX, 1, 1, 0},
    {"target over", HTTP_TARGET_MAX + 1, 1, 1, 414},
    {"target far over", 100000, 1, 1, 414},
    {"head at", 1, HTTP_HEAD_MAX - 31, 1, 0},
    {"head over", 1, HTTP_HEAD_MAX - 30, 1, 431},
    {"head far over", 1, 1 << 18, 1, 431},
    {"99 headers", 1, 1, 99, 0},
    {"100 headers", 1, 1, 100, 431},
};

START_TEST(test_limits)
{
    struct buf b = BUF_INIT(1 << 20);
    struct http_req q;
    size_t used;

    buf_put_str(&b, "GET ");
    for (size_t i = 0; i < limits[_i].target; i++)
        buf_put_char(&b, '/');
    buf_put_str(&b, " HTTP/1.1\r\nHost: x\r\n"); /* 25 bytes with a target of one */
    for (size_t h = 0; h < limits[_i].headers; h++) {
        buf_put_str(&b, "a:");
        for (size_t i = 0; i < limits[_i].header; i++)
            buf_put_char(&b, 'v');
        buf_put_str(&b, "\r\n");
    }
    buf_put_str(&b, "\r\n");
    ck_assert_msg(parse(buf_view(&b), &q, &used) == limits[_i].want, "%s: %u, %zu bytes",
                  limits[_i].name, parse(buf_view(&b), &q, &used), b.n);
    buf_fini(&b);
}
END_TEST

/* 0 done with the text, 1 unfinished, else the status */
static unsigned body(struct view in, bool chunked, uint64_t length, size_t max, size_t step,
                     struct buf *out, size_t *used)
{
    struct http_req q = {.has_body = true, .chunked = chunked, .length = length};
    struct http_refusal why = {0};
    struct http_body b;

    *used = 0;
    if (http_body_start(&b, &q, max, &why) == HTTP_BAD)
        return why.status;
    while (*used < in.n) {
        size_t part = step && in.n - *used > step ? step : in.n - *used, took = 0;
        enum http_result r = http_body_take(&b, view_of(in.p + *used, part), &took, out, &why);

        *used += took;
        if (r == HTTP_BAD)
            return why.status;
        if (r == HTTP_DONE)
            return 0;
    }
    return 1;
}

static const struct {
    const char *in, *text;
    unsigned want;
} chunks[] = {
    {"3\r\nabc\r\n0\r\n\r\nGET", "abc", 0},
    {"1\r\na\r\n2\r\nbc\r\n0\r\n\r\nGET", "abc", 0},
    {"a\r\n0123456789\r\n0\r\n\r\nGET", "0123456789", 0},
    {"b\r\n0123456789x\r\n0\r\n\r\n", "", 413},
    {"A;x=\"y\"\r\n0123456789\r\n0\r\n\r\nGET", "0123456789", 0},
    {"0\r\n\r\nGET", "", 0},
    {"0\r\nX: y\r\nZ: \r\n\r\nGET", "", 0},
    {"0\r\n X: y\r\n\r\n", "", 400},
    {"0\r\nX: y\n\r\n", "", 400},
    {"3\r\nabcd0\r\n\r\n", "", 400},
    {"3\nabc\n0\n\n", "", 400},
    {" 3\r\nabc\r\n0\r\n\r\n", "", 400},
    {"3 \r\nabc\r\n0\r\n\r\n", "", 400},
    {"-1\r\nabc\r\n", "", 400},
    {"0x3\r\nabc\r\n", "", 400},
    {"zz\r\n", "", 400},
    {"\r\n", "", 400},
    {";a\r\n", "", 400},
    {"FFFFFFFFFFFFFFFFFF\r\nabc", "", 400},
    {"FFFFFFFFFFFFFFFF\r\nabc", "", 413},
    {"3\r\nabc\r0\r\n\r\n", "", 400},
    {"3\r\nabc\r\n0\r\n\rX", "", 400},
    {"3\r\nabc\r\n", "", 1},
    {"6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n", "", 413},
};

START_TEST(test_chunks)
{
    for (size_t step = 0; step < 4; step++) {
        struct buf out = BUF_INIT(1000);
        size_t used;
        unsigned got = body(view_str(chunks[_i].in), true, 0, 10, step, &out, &used);

        ck_assert_msg(got == chunks[_i].want, "%s: %u", chunks[_i].in, got);
        if (got == 0) {
            ck_assert_msg(view_eq(buf_view(&out), view_str(chunks[_i].text)), "%s", chunks[_i].in);
            ck_assert_msg(strcmp(chunks[_i].in + used, "GET") == 0, "%s: %zu", chunks[_i].in, used);
        }
        buf_fini(&out);
    }
}
END_TEST

START_TEST(test_body_limits)
{
    static const struct {
        uint64_t length;
        unsigned want;
    } rows[] = {{9, 0}, {10, 0}, {11, 413}, {INT64_MAX, 413}};
    struct buf out = BUF_INIT(1000), ext = BUF_INIT(1000);
    size_t used;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        buf_reset(&out, 0);
        ck_assert_uint_eq(body(V("0123456789"), false, rows[i].length, 10, 1, &out, &used),
                          rows[i].want);
        ck_assert_uint_eq(out.n, rows[i].want ? 0 : rows[i].length);
    }
    for (size_t n = HTTP_CHUNK_EXT_MAX - 1; n <= HTTP_CHUNK_EXT_MAX + 1; n++) {
        buf_reset(&ext, 0);
        buf_put_str(&ext, "1;");
        for (size_t i = 0; i < n; i++)
            buf_put_char(&ext, 'e');
        buf_put_str(&ext, "\r\na\r\n0\r\n\r\n");
        ck_assert_uint_eq(body(buf_view(&ext), true, 0, 10, 0, NULL, &used),
                          n > HTTP_CHUNK_EXT_MAX ? 413 : 0);
    }
    buf_fini(&ext);
    buf_fini(&out);
}
END_TEST

START_TEST(test_answer)
{
    struct buf b = BUF_INIT(4096);
    struct view v;

    http_put_answer(&b,
                    &(struct http_answer){.status = 405,
                                          .type = "text/plain; charset=utf-8",
                                          .extra = "Allow: GET, HEAD\r\n",
                                          .body = V("Method Not Allowed"),
                                          .close = true},
                    false, 784111777000);
    v = buf_view(&b);
    ck_assert(view_starts(v, V("HTTP/1.1 405 Method Not Allowed\r\n"
                               "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\n"
                               "Content-Length: 18\r\n")));
    ck_assert(view_ends(v, V("Allow: GET, HEAD\r\nConnection: close\r\n\r\nMethod Not Allowed")));
    buf_reset(&b, 0);
    http_put_answer(
        &b, &(struct http_answer){.status = 200, .type = "a/b", .body = V("{}"), .head = true},
        false, 0);
    ck_assert(view_ends(buf_view(&b), V("\r\n\r\n")));
    buf_reset(&b, 0);
    http_put_upgrade(&b, V("acc"), V("p"));
    ck_assert(view_eq(buf_view(&b), V("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                      "Connection: Upgrade\r\nSec-WebSocket-Accept: acc\r\n"
                                      "Sec-WebSocket-Protocol: p\r\n\r\n")));
    buf_fini(&b);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_heads, 0, (int)COUNT_OF(heads));
    tcase_add_test(tc, test_nul);
    tcase_add_test(tc, test_fields);
    tcase_add_loop_test(tc, test_limits, 0, (int)COUNT_OF(limits));
    tcase_add_loop_test(tc, test_chunks, 0, (int)COUNT_OF(chunks));
    tcase_add_test(tc, test_body_limits);
    tcase_add_test(tc, test_answer);
}
CK_MAIN("http")
