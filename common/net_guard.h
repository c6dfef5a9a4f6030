/*
 * common/net_guard.h - which addresses a stranger may make us connect to: public ones only.
 * Judged is the address itself, as it is about to be connected to, never a spelling of it. Pure.
 */
#ifndef NET_GUARD_H
#define NET_GUARD_H

#include <stdbool.h>

struct sockaddr;

/* false: loopback, private, link-local, shared (RFC 6598), multicast, reserved, documentation, or
 * one of these inside IPv6 (mapped, NAT64, 6to4, Teredo); anything but IPv4 and IPv6. */
bool net_guard_public(const struct sockaddr *sa);

#endif
