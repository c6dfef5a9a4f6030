#include "b64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Up to three bytes to as many digits as they need; how many. */
static size_t group(const unsigned char *p, size_t left, const char *set, char out[4])
{
    uint32_t bits = (uint32_t)p[0] << 16 | (left > 1 ? (uint32_t)p[1] << 8 : 0) |
                    (left > 2 ? (uint32_t)p[2] : 0);
    size_t n = left > 2 ? 4 : left + 1;

    for (size_t i = 0; i < n; i++)
        out[i] = set[bits >> (18 - 6 * i) & 63];
    return n;
}

void b64_put(struct buf *out, struct view bytes)
{
    for (size_t i = 0; i < bytes.n; i += 3) {
        char four[4] = {'=', '=', '=', '='};

        group((const unsigned char *)bytes.p + i, bytes.n - i, digits, four);
        buf_put(out, four, sizeof(four));
    }
}

void b64url(const unsigned char *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i += 3)
        out += group(p + i, n - i, url_digits, out);
    *out = '\0';
}
