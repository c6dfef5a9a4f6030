/* block, presentation: an answer that is parted while it is made, and what a client sends beside a
 * text. Pieces go on, end within the text, and hold no more than was cut; what is parsed is one
 * object. */
#include "block.h"
#include "json.h"
#include "mem.h"
#include "presentation.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void parts(struct view text, const struct block_conf *c, bool done)
{
    struct block_place at = {.at = 0};
    size_t end;

    while ((end = block_cut(text, &at, c, done))) {
        struct block_place to = at;
        struct buf piece = BUF_INIT(1 << 20);

        must(end > at.at && end <= text.n);
        block_go(text, end, &to);
        must(to.at == end && (!to.fence || to.open + to.open_n <= text.n));
        block_put(text, &at, &to, &piece);
        must(!piece.failed && piece.n <= end - at.at + at.open_n + to.marks + 2);
        buf_fini(&piece);
        at = to;
        if (end == text.n)
            break;
    }
}

static void words(struct view json)
{
    struct buf text = BUF_INIT(1 << 20), extra = BUF_INIT(64 << 10);
    struct err e = ERR_INIT;
    json_t *doc = NULL, *got = NULL;

    if (json_parse(json, &doc, &e) == 0 && presentation_read(doc, &text, &extra, &e) == 0 &&
        extra.n)
        must(json_parse(buf_view(&extra), &got, &e) == 0 && json_is_object(got));
    json_decref(doc);
    json_decref(got);
    buf_fini(&text);
    buf_fini(&extra);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view text = view_of((const char *)data, n);
    struct block_conf c;

    if (n < 2)
        return 0;
    c = (struct block_conf){.min = 1 + data[0] % 40u,
                            .max = 1 + data[0] % 40u + data[1] % 80u,
                            .pref = (enum block_pref)(data[1] % 3),
                            .each = data[0] & 0x80};
    text = view_from(text, 2);
    parts(text, &c, false);
    parts(text, &c, true);
    words(text);
    return 0;
}
