/* json5: what it reads and we write again reads the same; and it reads all that JSON is, as jansson
 * does (apart from limits, NUL in keys, and raw NUL bytes, some of which jansson drops). */
#include "json.h"
#include "json5.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view text = view_of((const char *)data, n);
    struct err e = ERR_INIT, je = ERR_INIT;
    json_t *doc = NULL, *again = NULL, *json = NULL;
    int r = json5_parse(text, &doc, &e);
    struct buf b = BUF_INIT((size_t)16 << 20);

    must((r == 0) == (doc != NULL));
    must(r == 0 || (r == e.code && e.text[0]));
    if (r == 0) {
        must(json_dump(doc, &b, &je) == 0);
        must(json5_parse(buf_view(&b), &again, &je) == 0);
        must(json_equal(doc, again));
    }
    if (r != ERR_LIMIT && !(n && memchr(data, 0, n)) && json_parse(text, &json, &je) == 0)
        must(r == 0 && json_equal(doc, json));
    json_decref(doc);
    json_decref(again);
    json_decref(json);
    buf_fini(&b);
    return 0;
}
