/* HTTP/1.1 request heads and bodies. First byte: how the rest is cut. However it is cut, the
 * reading must be the same, and what is accepted must keep the parser's promises. */
#include "http.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { BODY_MAX = 2000, REQUESTS_MAX = 20 };

static void need(int ok)
{
    if (!ok)
        abort();
}

static bool inside(struct view v, struct view whole)
{
    return v.n == 0 || (v.p >= whole.p && v.p + v.n <= whole.p + whole.n);
}

static void check(const struct http_req *q, struct view head)
{
    need(q->headers <= HTTP_HEADERS_MAX && head.n <= HTTP_HEAD_MAX);
    need(q->target.n > 0 && q->target.n <= HTTP_TARGET_MAX && inside(q->target, head));
    need(q->minor == 0 || q->host.n > 0);
    need(!q->chunked || q->length == 0);
    need(memchr(head.p, 0, head.n) == NULL);
    for (unsigned i = 0; i < q->headers; i++) {
        need(q->header[i].name.n > 0 && inside(q->header[i].name, head));
        need(inside(q->header[i].value, head));
        need(view_find(q->header[i].value, '\r') == q->header[i].value.n);
        need(view_find(q->header[i].value, '\n') == q->header[i].value.n);
    }
}

/* Feeds pieces of step bytes to the scanner or the body; 0 bytes left or a refusal ends it. */
static void run(struct view in, size_t step, struct buf *log)
{
    static struct http_req q;

    for (unsigned count = 0; count < REQUESTS_MAX && in.n; count++) {
        struct http_scan s = {0};
        struct http_body b;
        struct http_refusal why = {0};
        enum http_result r = HTTP_MORE;
        struct buf body = BUF_INIT(BODY_MAX);
        size_t at = 0, took;

        while (r == HTTP_MORE && at < in.n) {
            r = http_scan(&s, view_of(in.p + at, step && in.n - at > step ? step : in.n - at),
                          &took, &why);
            at += r == HTTP_BAD ? 0 : took;
        }
        if (r == HTTP_DONE && (r = http_parse(view_of(in.p, at), &q, &why)) == HTTP_DONE) {
            check(&q, view_of(in.p, at));
            buf_printf(log, "req %d %u ", (int)q.method, q.headers);
            buf_put_view(log, q.target);
            in = view_from(in, at);
            at = 0;
            r = http_body_start(&b, &q, BODY_MAX, &why);
            while (r == HTTP_MORE && at < in.n) {
                r = http_body_take(&b,
                                   view_of(in.p + at, step && in.n - at > step ? step : in.n - at),
                                   &took, &body, &why);
                at += r == HTTP_BAD ? 0 : took;
            }
            need(body.n <= BODY_MAX && !body.failed);
            if (r == HTTP_DONE) {
                buf_put_str(log, " body ");
                buf_put_view(log, buf_view(&body));
            }
            in = view_from(in, at);
        }
        buf_fini(&body);
        if (r == HTTP_BAD) {
            need(why.status >= 400 && why.status < 600 && why.why);
            need(strcmp(http_reason(why.status), "Unknown") != 0);
            buf_printf(log, " bad %u", why.status);
        }
        if (r != HTTP_DONE)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf a = BUF_INIT(1 << 22), b = BUF_INIT(1 << 22);
    struct view in;

    if (n < 2 || n > 1 << 16)
        return 0;
    in = view_of((const char *)data + 1, n - 1);
    run(in, 0, &a);
    run(in, 1 + (data[0] & 7u), &b);
    need(view_eq(buf_view(&a), buf_view(&b)));
    buf_fini(&a);
    buf_fini(&b);
    return 0;
}
