/* WebSocket frames. First byte: bit 0 server or client, bit 1 binary accepted, bits 2-4 how the
 * rest is cut. However it is cut, the events must be the same; what comes out must keep the
 * decoder's promises; and each message encoded again must decode to itself. */
#include "mem.h"
#include "ws.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX = 1000 };

static void need(int ok)
{
    if (!ok)
        abort();
}

static void again(struct view message)
{
    struct buf b = BUF_INIT(MAX + WS_HEAD_MAX);
    struct ws_dec d;
    struct ws_out out;
    char *p;
    size_t n;

    ws_put(&b, WS_OP_TEXT, message, true);
    need(!b.failed);
    ws_dec_init(&d, true, MAX);
    p = b.p + b.off;
    n = b.n;
    need(ws_decode(&d, &p, &n, &out) == WS_MESSAGE && n == 0 && view_eq(out.data, message));
    ws_dec_fini(&d);
    buf_fini(&b);
}

static void run(struct view in, uint8_t how, size_t step, struct buf *log)
{
    char *copy = mem_dup(in.p, in.n);
    struct ws_dec d;
    bool over = false;

    need(copy != NULL);
    ws_dec_init(&d, how & 1, MAX);
    d.accept_binary = how & 2;
    for (size_t at = 0; at < in.n;) {
        size_t n = step && in.n - at > step ? step : in.n - at;
        char *p = copy + at;
        struct ws_out out;
        enum ws_event ev;

        at += n;
        while ((ev = ws_decode(&d, &p, &n, &out)) != WS_MORE) {
            need(!over);
            over = ev == WS_CLOSE || ev == WS_BAD;
            need(ev != WS_MESSAGE || (out.data.n <= MAX && utf8_valid(out.data)));
            need(ev != WS_CLOSE || out.code == WS_NO_CODE || ws_code_valid(out.code));
            need(ev != WS_BAD || (ws_code_valid(out.code) && out.text));
            if (ev == WS_MESSAGE && step == 0)
                again(out.data);
            buf_printf(log, "%d %u ", ev, out.code);
            buf_put_view(log, out.data);
        }
        need(n == 0 && p == copy + at);
    }
    ws_dec_fini(&d);
    mem_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf a = BUF_INIT(1 << 24), b = BUF_INIT(1 << 24);
    struct view in;

    if (n < 2 || n > 1 << 16)
        return 0;
    in = view_of((const char *)data + 1, n - 1);
    run(in, data[0], 0, &a);
    run(in, data[0], 1 + (data[0] >> 2 & 7u), &b);
    need(view_eq(buf_view(&a), buf_view(&b)));
    buf_fini(&a);
    buf_fini(&b);
    return 0;
}
