#include "door.h"

#include "mem.h"
#include "trace.h"

bool door_bearer(struct view authorization, struct view *credential)
{
    struct view scheme = V("Bearer"), v = authorization;

    if (v.n <= scheme.n || !view_ieq(view_of(v.p, scheme.n), scheme) || v.p[scheme.n] != ' ')
        return false;
    v = view_trim(view_from(v, scheme.n));
    if (v.n == 0 || v.n > DOOR_CREDENTIAL_MAX)
        return false;
    *credential = v;
    return true;
}

void door_credential(const struct http_req *q, enum route_auth auth, struct view *out)
{
    if (door_bearer(q->authorization, out) || auth != ROUTE_OWN)
        return;
    for (unsigned i = 0; i < q->headers; i++)
        if (view_ieq(q->header[i].name, V("x-openclaw-token")) &&
            q->header[i].value.n <= DOOR_CREDENTIAL_MAX)
            *out = q->header[i].value;
}

static bool is_private(struct view name)
{
    static const char *const names[] = {
        "authorization",
        "cookie",
        "connection",
        "host",
        "content-length",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "transfer-encoding",
        "proxy-auth",
        "expect",
        "keep-alive",
        "origin",
        "x-openclaw-token",
        "accept-encoding",
        "priority",
        "proxy-authorization",
    };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (view_ieq(name, view_str(names[i])))
            return true;
    return false;
}

void door_headers(const struct http_req *q, bool own, struct buf *out)
{
    for (unsigned i = 0; i < q->headers; i++) {
        const struct http_header *h = &q->header[i];

        if (is_private(h->name) && !(own && view_ieq(h->name, V("authorization"))))
            continue;
        for (size_t k = 0; k < h->name.n; k++) {
            char c = h->name.p[k];

            buf_put_char(out, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
        }
        buf_put(out, ": ", 2);
        buf_put_view(out, h->value);
        buf_put_char(out, '\n');
    }
}

struct view door_trace(const struct http_req *q)
{
    struct view v = VIEW_EMPTY;

    for (unsigned i = 0; i < q->headers; i++)
        if (view_ieq(q->header[i].name, V("traceparent")))
            v = q->header[i].value;
    return trace_read(v);
}

struct view door_id(const struct http_req *q)
{
    struct view v = VIEW_EMPTY;

    for (unsigned i = 0; i < q->headers; i++)
        if (view_ieq(q->header[i].name, V("x-request-id")))
            v = q->header[i].value;
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_' || c == '.' || c == ':'))
            return VIEW_EMPTY;
    }
    return v.n <= DOOR_ID_MAX ? v : VIEW_EMPTY;
}
