#include "routes.h"

#include "mem.h"
#include "rpc.h"

#define READS  (HTTP_BIT(HTTP_GET) | HTTP_BIT(HTTP_HEAD))
#define POSTS  HTTP_BIT(HTTP_POST)
#define HOOKED (HTTP_BIT(HTTP_GET) | HTTP_BIT(HTTP_POST))
#define IS     false
#define BELOW  true
#define OPEN   ROUTE_OPEN
#define BEARER ROUTE_BEARER
#define OWN    ROUTE_OWN
#define TICKET ROUTE_TICKET
#define LIT(s)                                                                                     \
    {                                                                                              \
        (s), sizeof(s) - 1                                                                         \
    }
#define TO_LIVE(arg)                                                                               \
    {                                                                                              \
        0                                                                                          \
    }
#define TO_READY(arg)                                                                              \
    {                                                                                              \
        0                                                                                          \
    }
#define TO_HUB(arg)                                                                                \
    {                                                                                              \
        0                                                                                          \
    }
#define TO_MOVED(arg) LIT(arg)

static const struct route table[ROUTE_COUNT] = {
#define ROUTE(id_, mount_, match_, path_, methods_, auth_, scope_, body_, owner_, arg_, help_)     \
    {.name = #id_,                                                                                 \
     .path = LIT(path_),                                                                           \
     .id = ROUTE_##id_,                                                                            \
     .mount = ROUTE_##mount_,                                                                      \
     .below = match_,                                                                              \
     .methods = methods_,                                                                          \
     .auth = auth_,                                                                                \
     .scope = scope_,                                                                              \
     .body_max = body_,                                                                            \
     .owner = ROUTE_##owner_,                                                                      \
     .to = TO_##owner_(arg_)},
#include "routes.def"
#undef ROUTE
};

const struct route *route_find(const struct route_mounts *m, struct view path, struct view *rest)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct route *r = &table[i];
        struct view at = m->at[r->mount], v;

        if (r->mount == ROUTE_LISTED || m->off[r->mount] || !view_starts(path, at))
            continue;
        v = view_of(path.p + at.n, path.n - at.n);
        if (!(r->below ? view_starts(v, r->path) : view_eq(v, r->path)))
            continue;
        *rest = view_from(v, r->path.n);
        return r;
    }
    return NULL;
}

const struct route *route_row(enum route_id id)
{
    return &table[id];
}

const char *route_method_name(enum http_method m)
{
    static const char *const names[HTTP_METHOD_COUNT] = {
        [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",       [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH",     [HTTP_DELETE] = "DELETE",
        [HTTP_OPTIONS] = "OPTIONS", [HTTP_CONNECT] = "CONNECT", [HTTP_TRACE] = "TRACE",
    };

    return m < HTTP_METHOD_COUNT ? names[m] : "";
}

void route_allow(unsigned methods, struct buf *out)
{
    bool any = false;

    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        if (!(methods & HTTP_BIT(m)))
            continue;
        buf_put_str(out, any ? ", " : "");
        buf_put_str(out, route_method_name(m));
        any = true;
    }
}

bool route_reserved(struct view path)
{
    static const char *const paths[] = {"/desktop/observe", "/node-desktop/attach",
                                        "/node-portal/attach", "/worker/ingress",
                                        "/__openclaw__/worker"};

    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (view_eq(path, view_str(paths[i])))
            return true;
    return false;
}
