/*
 * channels/base/chan_resolve.h - a host's addresses without blocking the loop: getaddrinfo(3) in a
 * thread of its own for each question. A question that nobody waits for any more ends by itself.
 */
#ifndef CHAN_RESOLVE_H
#define CHAN_RESOLVE_H

#include "err.h"
#include "loop.h"

#include <sys/socket.h>

enum { CHAN_RESOLVE_MAX = 8 }; /* addresses that are looked at */

struct chan_address {
    struct sockaddr_storage sa;
    socklen_t len;
};

struct chan_resolve;

/* why NULL: n addresses, in the order in which they should be tried. The question is over; not
 * called from inside chan_resolve_start. */
typedef void chan_resolved(void *ctx, const struct chan_address *a, unsigned n, const char *why);

int chan_resolve_start(struct chan_resolve **out, struct loop *l, const char *host, uint16_t port,
                       chan_resolved *on_end, void *ctx, struct err *e) MUST_USE;
void chan_resolve_cancel(struct chan_resolve **r); /* no callback follows */

#endif
