/*
 * common/ip.h - addresses and networks as values: parsed from text, compared, counted. IPv4 is kept
 * as IPv4-mapped IPv6, so that one address has one form however it was written. Pure.
 */
#ifndef IP_H
#define IP_H

#include "err.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum { IP_TEXT_MAX = 46 }; /* INET6_ADDRSTRLEN */

struct ip {
    uint8_t b[16];
};

struct ip_net {
    struct ip ip;
    uint8_t bits; /* of 128 that count */
};

/* An address, nothing around it: no brackets, port or zone. False: it is none. */
bool ip_parse(struct view v, struct ip *out);
/* An address, or address/bits; bits beyond are not looked at. */
bool ip_net_parse(struct view v, struct ip_net *out);
bool ip_net_has(const struct ip_net *net, const struct ip *ip);
bool ip_eq(const struct ip *a, const struct ip *b);
bool ip_loopback(const struct ip *ip);
/* What limits count by: IPv4 whole, IPv6 by its /64 (one household has 2^64 addresses). Not 0. */
uint64_t ip_key(const struct ip *ip);
void ip_text(const struct ip *ip, char out[IP_TEXT_MAX]);

#endif
