/* utf8: whole, in two pieces at every place, and byte by byte must agree with a plain reading of
 * RFC 3629. */
#include "utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Length of the code point at p, 0 when it is not one. */
static size_t point(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    uint32_t cp = len == 1 ? p[0] : len ? p[0] & (0xffu >> (len + 1)) : 0;

    if (!len || len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        cp = cp << 6 | (p[i] & 0x3fu);
    }
    return cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff) ? 0 : len;
}

static bool plain_valid(const uint8_t *p, size_t n)
{
    while (n) {
        size_t len = point(p, n);

        if (!len)
            return false;
        p += len;
        n -= len;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view v = view_of((const char *)data, n);
    bool want = plain_valid(data, n), ok = true;
    struct utf8 bytes = {0};

    if (utf8_valid(v) != want)
        abort();
    for (size_t i = 0; i <= n && n < 256; i++) {
        struct utf8 u = {0};

        if ((utf8_feed(&u, view_of(v.p, i)) && utf8_feed(&u, view_from(v, i)) && utf8_done(&u)) !=
            want)
            abort();
    }
    for (size_t i = 0; i < n && ok; i++)
        ok = utf8_feed(&bytes, view_of(v.p + i, 1));
    if ((ok && utf8_done(&bytes)) != want)
        abort();
    return 0;
}
