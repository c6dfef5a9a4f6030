#include "crc32c.h"

#include <string.h>

/* The table is linear over xor: entry i is the xor of the entries of its bits. */
#define BIT(i, k, v) ((i)&1u << (k) ? (v) : 0u)
#define T1(i)                                                                                      \
    (BIT(i, 0, 0xf26b8303u) ^ BIT(i, 1, 0xe13b70f7u) ^ BIT(i, 2, 0xc79a971fu) ^                    \
     BIT(i, 3, 0x8ad958cfu) ^ BIT(i, 4, 0x105ec76fu) ^ BIT(i, 5, 0x20bd8edeu) ^                    \
     BIT(i, 6, 0x417b1dbcu) ^ BIT(i, 7, 0x82f63b78u))
#define T4(i)  T1(i), T1((i) + 1u), T1((i) + 2u), T1((i) + 3u)
#define T16(i) T4(i), T4((i) + 4u), T4((i) + 8u), T4((i) + 12u)
#define T64(i) T16(i), T16((i) + 16u), T16((i) + 32u), T16((i) + 48u)

static const uint32_t table[256] = {T64(0u), T64(64u), T64(128u), T64(192u)};

uint32_t crc32c_soft(const void *p, size_t n)
{
    const unsigned char *b = p;
    uint32_t c = ~0u;

    for (size_t i = 0; i < n; i++)
        c = table[(c ^ b[i]) & 0xff] ^ c >> 8;
    return ~c;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse(const void *p, size_t n)
{
    const unsigned char *b = p;
    uint64_t c = ~0u, v;

    for (; n >= 8; n -= 8, b += 8) {
        memcpy(&v, b, 8);
        c = __builtin_ia32_crc32di(c, v);
    }
    for (; n; n--, b++)
        c = __builtin_ia32_crc32qi((uint32_t)c, *b);
    return ~(uint32_t)c;
}
#endif

uint32_t crc32c(const void *p, size_t n)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_sse(p, n);
#endif
    return crc32c_soft(p, n);
}
