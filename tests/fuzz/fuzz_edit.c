/* edit: two JSON5 documents, parted by a NUL; the first one's text becomes one of the second, or it
 * is said that it cannot. A text that is of another document is taken apart without harm. */
#include "config_edit.h"
#include "config_merge.h"
#include "json5.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void become(struct view text, const json_t *from, const json_t *to)
{
    struct buf out = BUF_INIT((size_t)1 << 22);
    json_t *read = NULL;
    struct err e = ERR_INIT;

    if (config_edit(text, from, to, &out, &e) == 0)
        must(json5_parse(buf_view(&out), &read, &e) == 0 && json_equal(read, to));
    else
        must(out.n == 0 || out.failed);
    json_decref(read);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view all = view_of((const char *)data, n), text, other;
    json_t *from = NULL, *to = NULL, *doc = NULL;
    struct err e = ERR_INIT;
    size_t cut = view_find(all, 0);

    text = view_of(all.p, cut);
    other = view_from(all, cut + (cut < n));
    if (json5_parse(text, &from, &e) < 0)
        from = json_object();
    if (json5_parse(other, &to, &e) < 0)
        to = json_object();
    become(text, from, to);
    become(other, from, to);
    if (json_is_object(from) && json_is_object(to)) {
        must(config_merge(from, to, V("a\nb.c"), &doc, &e) == 0 || e.code == ERR_DENIED ||
             e.code == ERR_LIMIT);
        if (doc)
            become(text, from, doc);
    }
    json_decref(from);
    json_decref(to);
    json_decref(doc);
    return 0;
}
