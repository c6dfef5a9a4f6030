#include "xchg.h"

#include "clock.h"
#include "door.h"
#include "hub.h"
#include "log.h"
#include "site.h"

static const char retry_soon[] = "Retry-After: 1\r\n";

void xchg_init(struct xchg *x, struct conn *c, const struct xchg_ops *ops)
{
    *x = (struct xchg){.c = c, .ops = ops};
}

void xchg_reset(struct xchg *x)
{
    struct conn *c = x->c;
    const struct xchg_ops *ops = x->ops;

    if (x->number)
        hub_http_gone(c, x->number);
    c->f->body_bytes -= x->counted;
    buf_fini(&x->content);
    buf_fini(&x->lines);
    site_unref(&x->site);
    xchg_init(x, c, ops);
}

/* -------------------------------------------------------------- names */
static const char id_line[] = "X-Request-Id: ";

/* What the client calls it goes back to it and into the log; what the hub is asked has a name in
 * any case. */
static void take_name(struct xchg *x, struct view id, bool make)
{
    struct front *f = x->c->f;

    if (!id.n && !make)
        return;
    buf_put_str(&x->lines, id_line);
    x->id_at = x->lines.n;
    if (id.n)
        buf_put_view(&x->lines, id);
    else
        buf_printf(&x->lines, "%016llx-%llx", (unsigned long long)f->name,
                   (unsigned long long)f->http_n);
    x->id_n = x->lines.n - x->id_at;
    buf_put_str(&x->lines, "\r\n");
}

static struct view name_of(const struct xchg *x)
{
    return x->id_n && !x->lines.failed ? view_of(buf_view(&x->lines).p + x->id_at, x->id_n)
                                       : VIEW_EMPTY;
}

static void told(const struct xchg *x, unsigned status)
{
    log_debug("http.answered", KV("route", x->route ? x->route->name : "file"),
              KV("status", status), KV("conn", x->c->id), KV("request", name_of(x)));
}

/* -------------------------------------------------------------- answers */
static void answer(struct xchg *x, struct http_answer *a)
{
    a->head = x->head;
    a->lines = buf_view(&x->lines);
    x->number = 0;
    x->state = XCHG_IDLE;
    told(x, a->status);
    x->ops->answer(x, a);
}

void xchg_refuse(struct xchg *x, unsigned status, const char *text, const char *extra)
{
    answer(x, &(struct http_answer){.status = status,
                                    .type = "text/plain; charset=utf-8",
                                    .extra = extra,
                                    .body = view_str(text),
                                    .close = true});
}

static void json(struct xchg *x, unsigned status, struct view body)
{
    answer(x, &(struct http_answer){
                  .status = status, .type = "application/json; charset=utf-8", .body = body});
}

static void ready(struct xchg *x)
{
    struct front *f = x->c->f;
    /* what the hub says of itself is worth nothing while it is away */
    struct view said = f->hub ? front_snapshot_get(f, V("ready")) : VIEW_EMPTY;

    if (said.n < 2)
        said = V("{\"ready\":false,\"failing\":[\"hub\"]}");
    buf_reset(&f->why, f->why.max);
    buf_put_view(&f->why, view_of(said.p, said.n - 1));
    buf_printf(&f->why, ",\"uptimeMs\":%llu}",
               (unsigned long long)(clock_mono_ms() - f->started_ms));
    json(x, view_starts(said, V("{\"ready\":true")) ? 200 : 503, buf_view(&f->why));
}

static void moved(struct xchg *x, const struct http_req *q, struct view rest)
{
    const struct route *r = x->route;
    struct buf to = BUF_INIT(HTTP_TARGET_MAX + 64);

    buf_put_view(&to, r->to);
    if (view_ends(r->to, V("/"))) {
        buf_put_view(&to, rest);
        if (q->query.n) {
            buf_put_char(&to, '?');
            buf_put_view(&to, q->query);
        }
    }
    answer(x, &(struct http_answer){.status = q->method == HTTP_POST ? 307 : 302,
                                    .location = buf_view(&to),
                                    .close = q->has_body});
    buf_fini(&to);
}

static void not_allowed(struct xchg *x, unsigned methods)
{
    struct buf allow = BUF_INIT(128);

    buf_put_str(&allow, "Allow: ");
    route_allow(methods, &allow);
    buf_put(&allow, "\r\n", 3);
    xchg_refuse(x, 405, "Method Not Allowed", allow.failed ? NULL : buf_view(&allow).p);
    buf_fini(&allow);
}

/* -------------------------------------------------------------- files */
static void more_of_the_file(struct xchg *x)
{
    while (x->state == XCHG_PARTS && x->site && x->ops->unsent(x) < x->ops->piece) {
        struct view part = x->file;

        if (part.n > x->ops->piece)
            part.n = x->ops->piece;
        x->file = view_from(x->file, part.n);
        if (x->file.n) {
            x->ops->part(x, part, HTTP_PART_MORE);
        } else {
            x->state = XCHG_IDLE;
            x->ops->part(x, part, HTTP_PART_LAST);
            return;
        }
    }
}

static void serve_file(struct xchg *x, const struct http_req *q)
{
    struct front *f = x->c->f;
    struct site_answer s;

    if (q->method != HTTP_GET && q->method != HTTP_HEAD) {
        site_missing(f, q, &s);
        answer(x, &s.a);
        return;
    }
    site_find(f, q, &s);
    if (s.a.body.n <= x->ops->piece || x->head) {
        answer(x, &s.a);
        return;
    }
    x->site = site_ref(s.site);
    x->file = s.a.body;
    s.a.parts = true;
    s.a.length = s.a.body.n;
    s.a.body = VIEW_EMPTY;
    told(x, s.a.status);
    s.a.lines = buf_view(&x->lines);
    x->state = XCHG_PARTS;
    x->ops->answer(x, &s.a);
    more_of_the_file(x);
}

/* -------------------------------------------------------------- who may ask */
static const char proxy_refusal[] =
    "{\"error\":{\"message\":\"Proxy client attribution is required. This request carries proxy "
    "headers, and its sender is not in gateway.trustedProxies.\","
    "\"type\":\"proxy_attribution_required\"}}";

/* A page elsewhere that points its own name at this machine asks with that name (DNS rebinding).
 * Browsers say where a page is from; on loopback everything may be one. */
static bool misdirected(const struct conn *c, const struct http_req *q)
{
    return !q->proxied && (c->local || q->origin.n) && !proxy_host_ours(&c->f->proxy, q->host);
}

struct view xchg_header(const struct http_req *q, struct view name)
{
    for (unsigned i = 0; i < q->headers; i++)
        if (view_ieq(q->header[i].name, name))
            return q->header[i].value;
    return VIEW_EMPTY;
}

bool xchg_barred(struct conn *c, const struct http_req *q, struct http_answer *a,
                 enum proxy_answer *who, struct ip *client)
{
    *who = proxy_attribute(&c->f->proxy, &c->from, q, client);
    if (*who == PROXY_REFUSED)
        *a = (struct http_answer){.status = 403,
                                  .type = "application/json; charset=utf-8",
                                  .body = view_of(proxy_refusal, sizeof(proxy_refusal) - 1)};
    else if (misdirected(c, q))
        *a = (struct http_answer){
            .status = 421,
            .type = "text/plain; charset=utf-8",
            .body = V("this Host is not one of the gateway's; use its address, or list the origin "
                      "in gateway.controlUi.allowedOrigins"),
            .close = true};
    else if (q->host.n > FRONT_HOST_MAX || q->origin.n > FRONT_ORIGIN_MAX)
        *a = (struct http_answer){.status = 400,
                                  .type = "text/plain; charset=utf-8",
                                  .body = V("Host or Origin too long"),
                                  .close = true};
    else
        return false;
    return true;
}

static void unauthorized(struct xchg *x, bool unread)
{
    answer(x, &(struct http_answer){
                  .status = 401,
                  .type = "application/json; charset=utf-8",
                  .extra = "WWW-Authenticate: Bearer\r\n",
                  .body = V("{\"error\":{\"message\":\"Unauthorized\",\"type\":\"unauthorized\"}}"),
                  .close = unread});
}

/* Hand the head to the hub. Nothing of the body is read before its answer. */
static void ask(struct xchg *x, const struct http_req *q, struct view rest, bool proxied,
                const struct ip *client)
{
    struct conn *c = x->c;
    struct buf headers = BUF_INIT(HTTP_HEAD_MAX);
    char text[IP_TEXT_MAX];
    struct ipc_http_ask m = {.route = (uint16_t)x->route->id,
                             .method = (uint8_t)q->method,
                             .peer = view_str(c->peer),
                             .flags = (c->local || ip_loopback(&c->from) ? CONN_LOCAL : 0u) |
                                      (q->has_body ? HTTP_HAS_BODY : 0u),
                             .host = q->host,
                             .origin = q->origin,
                             .rest = rest,
                             .query = q->query};

    if (proxied) { /* the next request of this connection may be somebody else's */
        ip_text(client, text);
        m.peer = view_str(text);
        m.flags |= CONN_PROXIED;
    }
    door_headers(q, x->route->auth == ROUTE_OWN, &headers);
    m.headers = buf_view(&headers);
    door_credential(q, x->route->auth, &m.credential);
    m.trace = door_trace(q);
    take_name(x, door_id(q), true);
    m.id = name_of(x);
    if (x->route->auth == ROUTE_BEARER && !m.credential.n && !c->f->open_auth) {
        buf_fini(&headers);
        unauthorized(x, q->has_body); /* whoever shows nothing costs the hub nothing */
        return;
    }
    x->has_body = q->has_body && x->route->body_max;
    x->encoded = q->encoded;
    x->expect = q->expect;
    x->length = q->chunked ? HTTP_UNKNOWN : q->length;
    x->state = XCHG_ASKED;
    if (headers.failed || !(x->number = hub_http_ask(c, &m)))
        xchg_refuse(x, 503, "Service Unavailable", retry_soon);
    else
        x->ops->wait(x, FRONT_DOOR_MS);
    buf_fini(&headers);
}

/* -------------------------------------------------------------- pages of other origins */
/* A browser lets a page elsewhere read an answer of the API when its origin is named in
 * gateway.controlUi.allowedOrigins; "*" is for WebSockets only. Cookies mean nothing here. */
static void allow_origin(struct xchg *x, const struct http_req *q)
{
    if (x->route->auth != ROUTE_BEARER || !q->origin.n ||
        !proxy_origin_named(&x->c->f->proxy, q->origin))
        return;
    x->allowed = true;
    buf_put_str(&x->lines, "Access-Control-Allow-Origin: ");
    buf_put_view(&x->lines, q->origin);
    buf_put_str(&x->lines, "\r\nVary: Origin\r\nAccess-Control-Expose-Headers: Retry-After, "
                           "X-Should-Retry, X-Request-Id\r\n");
}

/* The browser's question before the request. */
static void preflight(struct xchg *x)
{
    struct buf fields = BUF_INIT(KIB);

    buf_put_str(&fields, "Access-Control-Allow-Methods: ");
    route_allow(x->route->methods, &fields);
    buf_put_str(&fields,
                "\r\nAccess-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, "
                "X-Request-Id, X-OpenClaw-Agent-Id, X-OpenClaw-Session-Key, X-OpenClaw-Model, "
                "Traceparent\r\nAccess-Control-Max-Age: 600\r\n");
    answer(x, &(struct http_answer){.status = 204, .fields = buf_view(&fields)});
    buf_fini(&fields);
}

void xchg_begin(struct xchg *x, const struct http_req *q)
{
    struct conn *c = x->c;
    struct view rest = VIEW_EMPTY;
    struct http_answer a;
    struct ip client;
    enum proxy_answer who;

    c->f->http_n++;
    x->head = q->method == HTTP_HEAD;
    x->route = route_find(&c->f->mounts, q->path, &rest);
    if (!x->route && front_path_listed(c->f, q->path) && !site_has(c->f, q->path)) {
        x->route = route_row(ROUTE_channel_path);
        rest = q->path;
    }
    buf_init(&x->lines, 2 * KIB);
    if (!x->route || x->route->owner != ROUTE_HUB)
        take_name(x, door_id(q), false);
    if (x->route)
        allow_origin(x, q);
    if (!x->route) {
        serve_file(x, q);
    } else if (q->method == HTTP_OPTIONS && x->allowed &&
               xchg_header(q, V("access-control-request-method")).n) {
        preflight(x);
    } else if (!(x->route->methods & HTTP_BIT(q->method))) {
        not_allowed(x, x->route->methods);
    } else {
        switch (x->route->owner) {
        case ROUTE_LIVE:
            json(x, 200, V("{\"ok\":true,\"status\":\"live\"}"));
            break;
        case ROUTE_READY:
            ready(x);
            break;
        case ROUTE_MOVED:
            moved(x, q, rest);
            break;
        case ROUTE_HUB:
            if (xchg_barred(c, q, &a, &who, &client))
                answer(x, &a);
            else
                ask(x, q, rest, who != PROXY_DIRECT, &client);
            break;
        }
    }
}

/* -------------------------------------------------------------- the body */
void xchg_go(struct xchg *x)
{
    size_t max = x->route ? x->route->body_max : 0;

    if (x->state != XCHG_ASKED)
        return;
    if (!x->has_body) {
        x->state = XCHG_BODY;
        xchg_body_done(x);
    } else if (x->encoded) {
        hub_http_gone(x->c, x->number);
        xchg_refuse(x, 415, "content codings are not supported", NULL);
    } else if (x->length != HTTP_UNKNOWN && x->length > max) {
        hub_http_gone(x->c, x->number);
        xchg_refuse(x, 413, "body too large", NULL);
    } else {
        x->state = XCHG_BODY;
        buf_init(&x->content, max);
        x->ops->go(x);
    }
}

bool xchg_body_more(struct xchg *x)
{
    struct front *f = x->c->f;

    f->body_bytes += x->content.n - x->counted;
    x->counted = x->content.n;
    if (!x->content.failed && f->body_bytes <= FRONT_BODIES_MAX)
        return true;
    hub_http_gone(x->c, x->number);
    if (x->content.failed && x->content.n >= x->route->body_max)
        xchg_refuse(x, 413, "body too large", NULL);
    else
        xchg_refuse(x, 503, "too many bodies under way", retry_soon);
    return false;
}

void xchg_body_done(struct xchg *x)
{
    struct conn *c = x->c;
    bool sent = hub_http_body(c, x->number, buf_view(&x->content));

    c->f->body_bytes -= x->counted;
    x->counted = 0;
    buf_fini(&x->content);
    if (sent) {
        x->state = XCHG_GIVEN;
        x->ops->wait(x, FRONT_ANSWER_MS);
    } else {
        xchg_refuse(x, 503, "Service Unavailable", retry_soon);
    }
}

/* -------------------------------------------------------------- the hub's answer */
bool xchg_at_hub(const struct xchg *x)
{
    return x->number != 0;
}

void xchg_answer(struct xchg *x, const struct ipc_http_answer *m)
{
    char type[129];
    struct http_answer a = {.status = m->status,
                            .fields = m->fields,
                            .policy = m->policy,
                            /* the control page may show it */
                            .frames = x->route && x->route->auth == ROUTE_TICKET,
                            .body = m->body,
                            .head = x->head,
                            /* a body that came with it is not read any more */
                            .close = x->state == XCHG_ASKED && x->has_body};

    if (x->state == XCHG_PARTS || x->state == XCHG_IDLE)
        return;
    memcpy(type, m->type.p, m->type.n);
    type[m->type.n] = 0;
    a.type = m->type.n ? type : NULL;
    if (m->more && x->head) { /* its parts are for nobody */
        hub_http_gone(x->c, x->number);
        answer(x, &a);
        return;
    }
    if (!m->more) {
        answer(x, &a);
        return;
    }
    a.parts = true;
    a.length = HTTP_UNKNOWN;
    a.body = VIEW_EMPTY;
    a.lines = buf_view(&x->lines);
    x->state = XCHG_PARTS;
    x->ops->answer(x, &a);
    if (m->body.n)
        xchg_part(x, m->body, HTTP_PART_MORE);
}

void xchg_part(struct xchg *x, struct view part, unsigned how)
{
    if (x->state != XCHG_PARTS)
        return;
    x->owed += part.n;
    if (how != HTTP_PART_MORE) {
        x->number = 0;
        x->state = XCHG_IDLE;
    }
    x->ops->part(x, part, how);
}

void xchg_taken(struct xchg *x)
{
    if (x->site)
        more_of_the_file(x);
    else if (x->number && x->owed >= HTTP_WINDOW / 2 && x->ops->unsent(x) == 0) {
        hub_http_taken(x->c, x->number, x->owed);
        x->owed = 0;
    }
}

void xchg_unanswered(struct xchg *x)
{
    if (!x->number)
        return;
    x->number = 0;
    if (x->state == XCHG_PARTS) {
        x->state = XCHG_IDLE;
        x->ops->part(x, VIEW_EMPTY, HTTP_PART_BROKEN);
    } else {
        xchg_refuse(x, 503, "Service Unavailable", retry_soon);
    }
}
