#include "net_guard.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct net {
    uint8_t b[16];
    uint8_t bits;
};

/* IANA's special-purpose registries: what is not reachable for everybody. */
static const struct net v4[] = {
    {{0}, 8},
    {{10}, 8},
    {{100, 64}, 10},
    {{127}, 8},
    {{169, 254}, 16},
    {{172, 16}, 12},
    {{192, 0, 0}, 24},
    {{192, 0, 2}, 24},
    {{192, 88, 99}, 24},
    {{192, 168}, 16},
    {{198, 18}, 15},
    {{198, 51, 100}, 24},
    {{203, 0, 113}, 24},
    {{224}, 4},
    {{240}, 4},
};
/* Of IPv6 only 2000::/3 is given out; these are in it and are not for everybody, or hold an IPv4
 * address that decides (6to4). */
static const struct net v6[] = {
    {{0x20, 0x01, 0x00}, 23},       /* protocol assignments, Teredo, ORCHID */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff}, 20},             /* documentation */
};
static const struct net six_to_four = {{0x20, 0x02}, 16}, global = {{0x20}, 3},
                        nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96},
                        mapped = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};

static bool in(const uint8_t *a, const struct net *n)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    uint8_t mask = (uint8_t)(0xff << (8 - rest));

    return memcmp(a, n->b, whole) == 0 && (rest == 0 || (a[whole] & mask) == (n->b[whole] & mask));
}

static bool public4(const uint8_t *a)
{
    for (size_t i = 0; i < sizeof(v4) / sizeof(*v4); i++)
        if (in(a, &v4[i]))
            return false;
    return true;
}

static bool public6(const uint8_t *a)
{
    if (in(a, &mapped) || in(a, &nat64))
        return public4(a + 12);
    if (in(a, &six_to_four))
        return public4(a + 2);
    for (size_t i = 0; i < sizeof(v6) / sizeof(*v6); i++)
        if (in(a, &v6[i]))
            return false;
    return in(a, &global);
}

bool net_guard_public(const struct sockaddr *sa)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    if (sa->sa_family == AF_INET) {
        memcpy(&in4, sa, sizeof(in4));
        return public4((const uint8_t *)&in4.sin_addr);
    }
    if (sa->sa_family == AF_INET6) {
        memcpy(&in6, sa, sizeof(in6));
        return public6(in6.sin6_addr.s6_addr);
    }
    return false;
}
