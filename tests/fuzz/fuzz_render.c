/* Markdown of a model, cut and written for a platform: pieces within the limit, always forward,
 * HTML closed. */
#include "chunk.h"
#include "mem.h"
#include "render.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tags(struct view v)
{
    int open = 0;

    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] != '<')
            continue;
        open += i + 1 < v.n && v.p[i + 1] == '/' ? -1 : 1;
        if (open < 0)
            abort();
    }
    if (open != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf rendered = BUF_INIT(4 << 20), plain = BUF_INIT(1 << 20);
    struct channel_ops ops = {.text_limit = 4000};
    struct err e = ERR_INIT;
    uint32_t from = 0, next = 0;
    struct view text;

    if (size < 2 || size > 64 * KIB)
        return 0;
    ops.dialect = (enum channel_dialect)(data[0] % DIALECT_COUNT);
    ops.unit = (enum channel_unit)(data[0] / DIALECT_COUNT % 3);
    ops.text_limit = 40 + data[1] * 16u;
    text = view_of((const char *)data + 2, size - 2);
    do {
        buf_reset(&rendered, 0);
        buf_reset(&plain, 0);
        if (chunk_next(&ops, text, from, &rendered, &plain, &next, &e) < 0)
            break;
        if (render_cost(ops.dialect, ops.unit, buf_view(&rendered)) > ops.text_limit ||
            (next && next <= from))
            abort();
        if (ops.dialect == DIALECT_HTML)
            check_tags(buf_view(&rendered));
        from = next;
    } while (next);
    buf_fini(&rendered);
    buf_fini(&plain);
    return 0;
}
