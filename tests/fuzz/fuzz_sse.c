/* tests/fuzz/fuzz_sse.c - the event stream parser: any bytes, and the same events however the bytes
 * are cut. The first byte chooses the size of the pieces. */
#include "mem.h"
#include "sse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int on_event(void *ctx, struct view name, struct view data, struct err *e)
{
    struct buf *log = ctx;

    (void)e;
    buf_put_view(log, name);
    buf_put_char(log, '\n');
    buf_put_view(log, data);
    buf_put_char(log, 0);
    return 0;
}

static int run(struct view in, size_t piece, struct buf *log)
{
    struct sse s;
    struct err e = ERR_INIT;
    int r = 0;

    sse_init(&s, on_event, log);
    while (in.n && r == 0) {
        size_t k = in.n < piece ? in.n : piece;

        r = sse_feed(&s, view_of(in.p, k), &e);
        in = view_from(in, k);
    }
    if (r == 0)
        r = sse_end(&s, &e);
    sse_fini(&s);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf whole = BUF_INIT(64 * MIB), cut = BUF_INIT(64 * MIB);

    if (n < 1)
        return 0;
    struct view in = view_of((const char *)data + 1, n - 1);
    int a = run(in, in.n + 1, &whole), b = run(in, (size_t)data[0] % 16 + 1, &cut);

    if (a != b || !view_eq(buf_view(&whole), buf_view(&cut)))
        abort();
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
