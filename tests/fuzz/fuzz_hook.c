/* Templates of hooks: a template, a NUL, headers, a NUL, a query, a NUL, the payload. Whatever they
 * are, what comes out is bounded, and the same request gives the same. */
#include "hook_map.h"
#include "json.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct view part(struct view *v)
{
    size_t end = view_find(*v, 0);
    struct view out = view_of(v->p, end);

    *v = view_from(*v, end + 1);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct view v = view_of((const char *)data, n), tmpl = part(&v);
    struct hook_source s = {.headers = part(&v), .now_ms = 1};
    struct buf a = BUF_INIT(HOOK_TEXT_MAX), b = BUF_INIT(HOOK_TEXT_MAX);
    struct err e = ERR_INIT;
    json_t *payload = NULL;
    int ra, rb;

    s.query = part(&v);
    s.path = V("name");
    if (json_parse(v, &payload, &e) < 0)
        payload = NULL;
    s.payload = payload;
    ra = hook_map_fill(tmpl, &s, &a, &e);
    rb = hook_map_fill(tmpl, &s, &b, &e);
    if (ra != rb || (ra == 0 && !view_eq(buf_view(&a), buf_view(&b))) || a.n > HOOK_TEXT_MAX)
        abort();
    (void)hook_map_find(payload, &s); /* as a configuration, too */
    buf_fini(&a);
    buf_fini(&b);
    json_decref(payload);
    return 0;
}
