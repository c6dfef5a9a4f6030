/*
 * workers/front/route.h - every HTTP path that exists, in one table; what is not in it is refused.
 * A row says who may ask, how, and with how large a body, before its handler sees anything.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "http.h"

enum route_auth {
    ROUTE_OPEN,   /* anybody */
    ROUTE_BEARER, /* the hub judges the bearer before anything else is said */
};

enum route_id {
    ROUTE_HEALTH,
    ROUTE_READY,
    ROUTE_PAGE,
    ROUTE_API, /* for the hub */
    ROUTE_TOOL,
    ROUTE_MOVED,
};

struct route {
    struct view path;
    bool prefix;      /* whatever begins with path */
    unsigned methods; /* HTTP_BIT set */
    enum route_auth auth;
    size_t body_max;
    enum route_id id;
    /* ROUTE_MOVED: where to; what follows path in the target is appended when this ends in "/" */
    struct view to;
};

/* NULL: no such path. Paths are compared as sent: an escaped spelling is another path. */
const struct route *route_find(struct view path);
/* "GET, HEAD" for a row, into out. */
void route_allow(const struct route *r, struct buf *out);
/* Paths on which WebSockets are not ours to accept (protocol reference, 1.1). */
bool route_reserved(struct view path);

#endif
