#include "route.h"

#include "mem.h"

#define READS (HTTP_BIT(HTTP_GET) | HTTP_BIT(HTTP_HEAD))
#define POSTS HTTP_BIT(HTTP_POST)

enum { API_BODY_MAX = 2 * 1024 * 1024 }; /* robustness, 2.5 */

#define LIT(s)                                                                                     \
    {                                                                                              \
        (s), sizeof(s) - 1                                                                         \
    }
static const struct route table[] = {
    {LIT("/health"), false, READS, ROUTE_OPEN, 0, ROUTE_HEALTH, {0}},
    {LIT("/healthz"), false, READS, ROUTE_OPEN, 0, ROUTE_HEALTH, {0}},
    {LIT("/ready"), false, READS, ROUTE_OPEN, 0, ROUTE_READY, {0}},
    {LIT("/readyz"), false, READS, ROUTE_OPEN, 0, ROUTE_READY, {0}},
    {LIT("/"), false, READS, ROUTE_OPEN, 0, ROUTE_PAGE, {0}},
    {LIT("/v1/models"), false, READS, ROUTE_BEARER, 0, ROUTE_API, {0}},
    {LIT("/v1/models/"), true, READS, ROUTE_BEARER, 0, ROUTE_API, {0}},
    {LIT("/v1/chat/completions"), false, POSTS, ROUTE_BEARER, API_BODY_MAX, ROUTE_API, {0}},
    {LIT("/v1/responses"), false, POSTS, ROUTE_BEARER, API_BODY_MAX, ROUTE_API, {0}},
    {LIT("/v1/embeddings"), false, POSTS, ROUTE_BEARER, API_BODY_MAX, ROUTE_API, {0}},
    {LIT("/tools/invoke"), false, POSTS, ROUTE_BEARER, API_BODY_MAX, ROUTE_TOOL, {0}},
    /* names of the founding documents (protocol reference, 12) */
    {LIT("/ui"), false, READS, ROUTE_OPEN, 0, ROUTE_MOVED, LIT("/")},
    {LIT("/chat"), false, READS, ROUTE_OPEN, 0, ROUTE_MOVED, LIT("/")},
    {LIT("/canvas-host/"), true, READS, ROUTE_OPEN, 0, ROUTE_MOVED, LIT("/__openclaw__/canvas/")},
    {LIT("/a2ui/"), true, READS, ROUTE_OPEN, 0, ROUTE_MOVED, LIT("/__openclaw__/a2ui/")},
    {LIT("/tools/"), true, POSTS, ROUTE_OPEN, 0, ROUTE_MOVED, LIT("/tools/invoke")},
};

const struct route *route_find(struct view path)
{
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (table[i].prefix ? view_starts(path, table[i].path) : view_eq(path, table[i].path))
            return &table[i];
    return NULL;
}

void route_allow(const struct route *r, struct buf *out)
{
    static const char *const names[HTTP_METHOD_COUNT] = {
        [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST"};
    bool any = false;

    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        if (!(r->methods & HTTP_BIT(m)) || !names[m])
            continue;
        buf_put_str(out, any ? ", " : "");
        buf_put_str(out, names[m]);
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
