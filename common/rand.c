#include "rand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { POOL_BYTES = 256 }; /* getrandom gives up to 256 bytes without being interrupted */

void rand_bytes(void *out, size_t n)
{
    unsigned char *p = out;

    while (n) {
        ssize_t r = getrandom(p, n > POOL_BYTES ? POOL_BYTES : n, 0);

        if (r < 0) {
            if (errno == EINTR)
                continue;
            abort(); /* no randomness means no safe answer at all */
        }
        p += r;
        n -= (size_t)r;
    }
}

static void pooled(void *out, size_t n)
{
    static unsigned char pool[POOL_BYTES];
    static size_t left;

    if (left < n) {
        rand_bytes(pool, sizeof(pool));
        left = sizeof(pool);
    }
    memcpy(out, pool + sizeof(pool) - left, n);
    memset(pool + sizeof(pool) - left, 0, n);
    left -= n;
}

uint64_t rand_u64(void)
{
    uint64_t v;

    pooled(&v, sizeof(v));
    return v;
}

static const char digits[] = "0123456789abcdef";

void rand_uuid(char out[UUID_MAX])
{
    unsigned char b[16];
    size_t o = 0;

    pooled(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(b); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[o++] = '-';
        out[o++] = digits[b[i] >> 4];
        out[o++] = digits[b[i] & 15];
    }
    out[o] = 0;
}

void rand_hex(char *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char b;

        pooled(&b, 1);
        *out++ = digits[b >> 4];
        *out++ = digits[b & 15];
    }
    *out = 0;
}
