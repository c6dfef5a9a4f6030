/*
 * proto/routes.h - the table of HTTP paths (routes.def): who may ask for what, how, and with how
 * large a body, before any handler sees anything. Not here: files of the control page (the front's
 * site.h), which have no row each.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include "buf.h"
#include "view.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_CONNECT,
    HTTP_TRACE,
    HTTP_METHOD_COUNT,
};
#define HTTP_BIT(m) (1u << (m))

enum route_auth { ROUTE_OPEN, ROUTE_BEARER, ROUTE_OWN, ROUTE_TICKET };
enum route_mount { ROUTE_ROOT, ROUTE_UI, ROUTE_HOOKS, ROUTE_LISTED, ROUTE_MOUNT_COUNT };
enum route_owner { ROUTE_LIVE, ROUTE_READY, ROUTE_MOVED, ROUTE_HUB };

enum route_id {
#define ROUTE(id, mount, match, path, methods, auth, scope, body, owner, arg, help) ROUTE_##id,
#include "routes.def"
#undef ROUTE
    ROUTE_COUNT
};

struct route {
    const char *name;
    struct view path;
    enum route_id id;
    enum route_mount mount;
    bool below;       /* whatever begins with path */
    unsigned methods; /* HTTP_BIT set */
    enum route_auth auth;
    unsigned scope; /* of rpc.h; 0: none */
    size_t body_max;
    enum route_owner owner;
    /* ROUTE_MOVED: where to; what follows path in the target is appended when this ends in "/" */
    struct view to;
};

/* Where the mounts are: no "/" at the end, "" is the root. LISTED is never found here. */
struct route_mounts {
    struct view at[ROUTE_MOUNT_COUNT];
    bool off[ROUTE_MOUNT_COUNT];
};

/* NULL: no such path. *rest: what follows a BELOW row's path. */
const struct route *route_find(const struct route_mounts *m, struct view path, struct view *rest);
const struct route *route_row(enum route_id id);
const char *route_method_name(enum http_method m);
/* "GET, HEAD" for a set, into out. */
void route_allow(unsigned methods, struct buf *out);
/* Paths on which WebSockets are not ours to accept (protocol reference, 1.1). */
bool route_reserved(struct view path);

#endif
