/*
 * tests/fuzz/fuzz_provider.h - what holds for every provider's stream of any bytes: bounded,
 * complete only with its terminator, the same reply however it is cut. The bytes are tried as an
 * error body, too. The first byte chooses the size of the pieces and the status.
 */
#ifndef FUZZ_PROVIDER_H
#define FUZZ_PROVIDER_H

#include "mem.h"
#include "provider.h"
#include "sse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct answer {
    const struct provider_ops *ops;
    struct sse sse;
    struct reply r;
};

static int on_event(void *ctx, struct view name, struct view data, struct err *e)
{
    struct answer *a = ctx;

    a->ops->event(&a->r, name, data);
    return a->r.done || a->r.fail.reason != FAIL_NONE ? err_set(e, ERR_CLOSED, "over") : 0;
}

static void run(struct answer *a, const struct provider_ops *ops, struct view in, size_t piece)
{
    struct err e = ERR_INIT;
    int r = 0;

    a->ops = ops;
    sse_init(&a->sse, on_event, a);
    reply_init(&a->r);
    while (in.n && r == 0) {
        size_t k = in.n < piece ? in.n : piece;

        r = sse_feed(&a->sse, view_of(in.p, k), &e);
        in = view_from(in, k);
    }
    if (r == 0)
        r = sse_end(&a->sse, &e);
    if (r < 0 && r != ERR_CLOSED)
        fail_set(&a->r.fail, FAIL_TOO_LARGE, "%s", e.text);
}

static void must(int ok)
{
    if (!ok)
        abort();
}

static inline int fuzz_provider(const struct provider_ops *ops, const uint8_t *data, size_t n)
{
    struct answer a, b;
    struct failure f = {0};

    if (n < 1)
        return 0;
    struct view in = view_of((const char *)data + 1, n - 1);
    run(&a, ops, in, in.n + 1);
    run(&b, ops, in, (size_t)data[0] % 16 + 1);
    must(view_eq(buf_view(&a.r.text), buf_view(&b.r.text)));
    must(a.r.done == b.r.done && a.r.fail.reason == b.r.fail.reason && a.r.tools == b.r.tools);
    must(reply_complete(&a.r) == reply_complete(&b.r));
    must(!reply_complete(&a.r) || a.r.done);
    must(a.r.fail.reason != FAIL_NONE || reply_complete(&a.r));
    fail_from_http(&f, 400 + data[0], in);
    must(f.reason != FAIL_NONE && f.text[0]);
    (void)fail_retry_after(in, 0);
    fail_redact(&f, view_of(in.p, in.n < 20 ? in.n : 20));
    sse_fini(&a.sse);
    sse_fini(&b.sse);
    reply_fini(&a.r);
    reply_fini(&b.r);
    return 0;
}

#endif
