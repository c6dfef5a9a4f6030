/* A client's message as the front reads it: what is called a request must have parts that are JSON
 * of their own and within their limits, and put together again it must read the same. */
#include "frame.h"
#include "jscan.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(int ok)
{
    if (!ok)
        abort();
}

static void again(const struct frame *fr)
{
    struct buf b = BUF_INIT(1 << 20), why = BUF_INIT(FRAME_WHY_MAX);
    struct frame two;

    for (size_t i = 0; i < fr->method.n; i++) /* names with these need escapes: not built here */
        if ((unsigned char)fr->method.p[i] < ' ' || fr->method.p[i] == '"' ||
            fr->method.p[i] == '\\')
            return;
    buf_put_str(&b, "{\"type\":\"req\",\"id\":");
    buf_put_view(&b, fr->id);
    buf_put_str(&b, ",\"method\":\"");
    buf_put_view(&b, fr->method);
    buf_put_str(&b, "\",\"params\":");
    buf_put_view(&b, fr->params.n ? fr->params : V("null"));
    buf_put_str(&b, "}");
    need(!b.failed && frame_parse(buf_view(&b), &two, &why) == FRAME_REQUEST);
    need(view_eq(two.id, fr->id) && view_eq(two.method, fr->method));
    need(two.no_params == fr->no_params);
    buf_fini(&b);
    buf_fini(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf why = BUF_INIT(8 * 1024);
    struct err e = ERR_INIT;
    struct frame fr;
    enum frame_kind kind;

    if (n > 1 << 16)
        return 0;
    kind = frame_parse(view_of((const char *)data, n), &fr, &why);
    need(!why.failed && (kind == FRAME_INVALID || kind == FRAME_BROKEN) == (why.n > 0));
    need(jscan_check(fr.id, &e) == 0 && fr.id.n <= FRAME_ID_MAX + 2);
    if (kind == FRAME_REQUEST) {
        need(fr.method.n > 0 && fr.method.n <= FRAME_METHOD_MAX);
        need(fr.params.n == 0 || jscan_check(fr.params, &e) == 0);
        again(&fr);
    }
    buf_fini(&why);
    return 0;
}
