#include "b64url.h"

#include <stdint.h>

void b64url(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
                        (i + 2 < n ? (uint32_t)p[i + 2] : 0);

        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        if (i + 1 < n)
            *out++ = digits[bits >> 6 & 63];
        if (i + 2 < n)
            *out++ = digits[bits & 63];
    }
    *out = '\0';
}
