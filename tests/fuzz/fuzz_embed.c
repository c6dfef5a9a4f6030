/* A provider's answer with vectors, for 1 to 4 texts. What is accepted is whole. */
#include "embed.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool ok)
{
    if (!ok)
        abort();
}

static void answer(struct view text, unsigned texts)
{
    struct buf out = BUF_INIT(16 << 20);
    struct err e = ERR_INIT;
    uint32_t dims = 0;
    uint64_t tokens = 0;

    if (embed_read(text, texts, &dims, &tokens, &out, &e) == 0) {
        need(dims && dims <= EMBED_DIMENSIONS_MAX && tokens < INT32_MAX);
        need(out.n == (size_t)texts * dims * sizeof(float));
        for (size_t i = 0; i < out.n; i += sizeof(float)) {
            float f;

            memcpy(&f, buf_view(&out).p + i, sizeof(f));
            need(isfinite(f));
        }
    } else {
        need(e.text[0]);
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (unsigned texts = 1; texts <= 4; texts++)
        answer(view_of((const char *)data, n), texts);
    return 0;
}
