#include "ip.h"

#include "num.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct ip *ip)
{
    return memcmp(ip->b, mapped, sizeof(mapped)) == 0;
}

bool ip_parse(struct view v, struct ip *out)
{
    char text[IP_TEXT_MAX];
    struct ip ip;

    if (v.n == 0 || v.n >= sizeof(text) || memchr(v.p, 0, v.n))
        return false;
    memcpy(text, v.p, v.n);
    text[v.n] = 0;
    if (view_find(v, ':') < v.n) {
        if (inet_pton(AF_INET6, text, ip.b) != 1)
            return false;
    } else {
        memcpy(ip.b, mapped, sizeof(mapped));
        if (inet_pton(AF_INET, text, ip.b + sizeof(mapped)) != 1)
            return false;
    }
    *out = ip;
    return true;
}

bool ip_net_parse(struct view v, struct ip_net *out)
{
    size_t slash = view_find(v, '/');
    bool v4 = view_find(view_of(v.p, slash), ':') == slash;
    uint32_t bits = v4 ? 32 : 128;
    struct err e = ERR_INIT;
    struct ip ip;

    if (!ip_parse(view_of(v.p, slash), &ip) ||
        (slash < v.n && num_u32(view_from(v, slash + 1), 0, bits, &bits, &e) < 0))
        return false;
    *out = (struct ip_net){.ip = ip, .bits = (uint8_t)(v4 ? bits + 96 : bits)};
    return true;
}

bool ip_net_has(const struct ip_net *net, const struct ip *ip)
{
    unsigned whole = net->bits / 8u, rest = net->bits % 8u;
    unsigned mask = 0xffu << (8 - rest) & 0xffu;

    return memcmp(net->ip.b, ip->b, whole) == 0 &&
           (rest == 0 || ((net->ip.b[whole] ^ ip->b[whole]) & mask) == 0);
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool ip_loopback(const struct ip *ip)
{
    static const struct ip one = {.b = {[15] = 1}};

    return is_v4(ip) ? ip->b[12] == 127 : ip_eq(ip, &one);
}

uint64_t ip_key(const struct ip *ip)
{
    uint64_t k = 0;

    if (is_v4(ip)) {
        uint32_t v4;

        memcpy(&v4, ip->b + 12, sizeof(v4));
        return 1ull << 32 | v4;
    }
    memcpy(&k, ip->b, sizeof(k));
    k ^= 2ull << 62; /* apart from IPv4's */
    return k ? k : 1;
}

void ip_text(const struct ip *ip, char out[IP_TEXT_MAX])
{
    out[0] = 0;
    if (is_v4(ip))
        (void)inet_ntop(AF_INET, ip->b + 12, out, IP_TEXT_MAX);
    else
        (void)inet_ntop(AF_INET6, ip->b, out, IP_TEXT_MAX);
}
