#include "http_conn.h"

#include "clock.h"
#include "door.h"
#include "hub.h"
#include "route.h"
#include "ws_conn.h"

struct conn_http {
    struct http_scan scan;
    struct http_body body;
    struct buf head;           /* of a request that did not arrive in one piece */
    struct buf content;        /* body; or the 101 that waits for a place */
    const struct route *route; /* of the request that is judged or whose body is being received */
    uint64_t asked;            /* number of the question to the hub; 0: none */
    bool in_body, keep_alive, started;
    bool waits; /* for a place */
    struct {    /* of the request being judged: what follows when it may come in */
        bool head, body, encoded, expect, keep_alive;
        enum http_result start;
        struct http_refusal why;
    } then;
    uint64_t end_ms; /* of the time for this head or body */
};

int http_conn_new(struct conn_http **out, struct err *e)
{
    struct conn_http *h = NULL;
    int r;

    if ((r = mem_new(&h, sizeof(*h), e)) < 0)
        return r;
    buf_init(&h->head, HTTP_HEAD_MAX);
    h->head.secret = true; /* Authorization */
    *out = h;
    return 0;
}

void http_conn_free(struct conn_http **hp)
{
    struct conn_http *h = *hp;

    if (!h)
        return;
    buf_fini(&h->head);
    buf_fini(&h->content);
    mem_free(h);
    *hp = NULL;
}

/* -------------------------------------------------------------- answers */
static void answer(struct conn *c, struct http_answer *a)
{
    bool keep = c->http->keep_alive && !a->close && !c->f->w.stopping;

    a->close = !keep;
    http_put_answer(&c->out, a, clock_wall_ms());
    if (keep) {
        conn_due(c, c->f->lim.http_ms);
        conn_touch(c);
    } else {
        conn_touch(c);
        conn_finish(c);
    }
}

static void refuse(struct conn *c, unsigned status, const char *text, const char *extra)
{
    answer(c, &(struct http_answer){.status = status,
                                    .type = "text/plain; charset=utf-8",
                                    .extra = extra,
                                    .body = view_str(text),
                                    .close = true});
}

void http_conn_refuse(struct conn *c, unsigned status, const char *text)
{
    refuse(c, status, text, NULL);
}

static void json(struct conn *c, unsigned status, struct view body, bool head, const char *extra)
{
    answer(c, &(struct http_answer){.status = status,
                                    .type = "application/json; charset=utf-8",
                                    .extra = extra,
                                    .body = body,
                                    .head = head});
}

static void not_found(struct conn *c, bool head)
{
    answer(c, &(struct http_answer){.status = 404,
                                    .type = "text/plain; charset=utf-8",
                                    .body = V("Not Found"),
                                    .head = head});
}

static void ready(struct conn *c, bool head)
{
    struct front *f = c->f;
    /* what the hub says of itself is worth nothing while it is away */
    struct view said = f->hub ? front_snapshot_get(f, V("ready")) : VIEW_EMPTY;

    if (said.n < 2)
        said = V("{\"ready\":false,\"failing\":[\"hub\"]}");
    buf_reset(&f->why, f->why.max);
    buf_put_view(&f->why, view_of(said.p, said.n - 1));
    buf_printf(&f->why, ",\"uptimeMs\":%llu}",
               (unsigned long long)(clock_mono_ms() - f->started_ms));
    json(c, view_starts(said, V("{\"ready\":true")) ? 200 : 503, buf_view(&f->why), head, NULL);
}

/* Until the control page is embedded: enough to see that the right thing answers. */
static const char page[] = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
                           "<title>OpenClaw gateway</title>\n<p>The OpenClaw gateway is running. "
                           "Connect with the CLI or an app, over WebSocket on this port.\n";

static void moved(struct conn *c, const struct route *r, const struct http_req *q)
{
    struct buf to = BUF_INIT(HTTP_TARGET_MAX + 64);

    buf_put_view(&to, r->to);
    if (r->prefix && view_ends(r->to, V("/")))
        buf_put_view(&to, view_from(q->target, r->path.n));
    answer(c, &(struct http_answer){.status = q->method == HTTP_POST ? 307 : 302,
                                    .location = buf_view(&to),
                                    .head = q->method == HTTP_HEAD,
                                    .close = q->has_body});
    buf_fini(&to);
}

static void tool(struct conn *c)
{
    struct buf b = BUF_INIT(4 * KIB);
    unsigned status = door_tool_missing(buf_view(&c->http->content), &b);

    if (b.failed)
        refuse(c, 500, "out of memory", NULL);
    else
        json(c, status, buf_view(&b), false, NULL);
    buf_fini(&b);
}

static void serve(struct conn *c, const struct route *r, bool head)
{
    switch (r->id) {
    case ROUTE_HEALTH:
        json(c, 200, V("{\"ok\":true,\"status\":\"live\"}"), head, NULL);
        break;
    case ROUTE_READY:
        ready(c, head);
        break;
    case ROUTE_PAGE:
        answer(c, &(struct http_answer){
                      .status = 200,
                      .type = "text/html; charset=utf-8",
                      .policy = "default-src 'self'; script-src 'self'; object-src 'none'; "
                                "base-uri 'none'; frame-ancestors 'none'",
                      .body = view_of(page, sizeof(page) - 1),
                      .head = head});
        break;
    case ROUTE_API:
        not_found(c, head); /* none is there yet */
        break;
    case ROUTE_TOOL:
        tool(c);
        break;
    case ROUTE_MOVED: /* needs the request; done before */
        not_found(c, head);
        break;
    }
}

/* -------------------------------------------------------------- upgrade */
static const char crowded[] = "Too many unauthenticated sockets";
static const char retry_soon[] = "Retry-After: 1\r\n";

static bool all_printable(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] <= ' ' || v.p[i] >= 0x7f)
            return false;
    return true;
}

static struct view header(const struct http_req *q, struct view name)
{
    for (unsigned i = 0; i < q->headers; i++)
        if (view_ieq(q->header[i].name, name))
            return q->header[i].value;
    return VIEW_EMPTY;
}

static int keep(struct conn *c, const struct http_req *q, struct err *e)
{
    struct view agent = header(q, V("User-Agent"));
    int r;

    if ((r = mem_new(&c->hello, sizeof(*c->hello), e)) < 0)
        return r;
    buf_init(&c->hello->host, FRONT_HOST_MAX);
    buf_init(&c->hello->origin, FRONT_ORIGIN_MAX);
    buf_init(&c->hello->agent, FRONT_AGENT_MAX);
    buf_init(&c->hello->claims, PROXY_CLAIMS_MAX);
    buf_init(&c->hello->id, FRONT_PARAMS_MAX);
    buf_init(&c->hello->params, FRONT_PARAMS_MAX);
    buf_init(&c->hello->pending, FRONT_PENDING_MAX * (c->f->lim.pre_bytes + 4));
    c->hello->params.secret = c->hello->pending.secret = true;
    agent.n = agent.n < FRONT_AGENT_MAX ? agent.n : FRONT_AGENT_MAX;
    buf_put_view(&c->hello->host, q->host);
    buf_put_view(&c->hello->origin, q->origin);
    buf_put_view(&c->hello->agent, agent);
    if (c->proxied)
        proxy_claims(q, &c->hello->claims);
    if ((r = buf_check(&c->hello->claims, e)) < 0 || (r = buf_check(&c->hello->host, e)) < 0 ||
        (r = buf_check(&c->hello->origin, e)) < 0)
        return r;
    return buf_check(&c->hello->agent, e);
}

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

static void refuse_host(struct conn *c)
{
    refuse(c, 421,
           "this Host is not one of the gateway's; use its address, or list the origin in "
           "gateway.controlUi.allowedOrigins",
           NULL);
}

static void go(struct conn *c)
{
    struct conn_http *h = c->http;

    buf_put_view(&c->out, buf_view(&h->content));
    if (h->content.failed)
        refuse(c, 503, "Service Unavailable", NULL);
    else
        ws_conn_start(c);
}

/* Everything is checked: upgrade when there is a place. */
static void enter(struct conn *c)
{
    switch (conn_take_place(c)) {
    case PLACES_TAKEN:
        go(c);
        break;
    case PLACES_WAIT:
        c->http->waits = true;
        conn_due(c, FRONT_PLACE_MS);
        break;
    case PLACES_FULL:
        refuse(c, 503, crowded, retry_soon);
        break;
    }
}

void http_conn_admit(struct conn *c)
{
    if (c->state != CONN_HTTP || !c->http->waits)
        return;
    c->http->waits = false;
    go(c);
    if (c->state != CONN_HTTP)
        http_conn_free(&c->http);
    conn_wake(c);
}

static void upgrade(struct conn *c, const struct http_req *q)
{
    char accept[WS_ACCEPT_LEN + 1];
    struct view protocols = q->ws_protocol, protocol = VIEW_EMPTY;
    struct err e = ERR_INIT;
    struct ip client;
    enum proxy_answer who = proxy_attribute(&c->f->proxy, &c->from, q, &client);

    c->http->keep_alive = false;
    if (who == PROXY_REFUSED)
        json(c, 403, view_of(proxy_refusal, sizeof(proxy_refusal) - 1), false, NULL);
    else if (q->method != HTTP_GET || q->minor != 1 || q->has_body)
        refuse(c, 400, "a WebSocket begins with GET, HTTP/1.1 and no body", NULL);
    else if (!view_eq(q->ws_version, V("13")))
        refuse(c, 400, "WebSocket version 13 is needed", "Sec-WebSocket-Version: 13\r\n");
    else if (!ws_key_valid(q->ws_key))
        refuse(c, 400, "Sec-WebSocket-Key missing or malformed", NULL);
    else if (q->host.n > FRONT_HOST_MAX || q->origin.n > FRONT_ORIGIN_MAX)
        refuse(c, 400, "Host or Origin too long", NULL);
    else if (route_reserved(q->path))
        not_found(c, false);
    else if (misdirected(c, q))
        refuse_host(c);
    else if (c->f->w.stopping)
        refuse(c, 503, "Service Unavailable", NULL);
    else if (who == PROXY_CLIENT && conn_attribute(c, &client, &e) < 0)
        refuse(c, 503, "Service Unavailable", NULL);
    else if (keep(c, q, &e) < 0 || ws_accept(q->ws_key, accept, &e) < 0)
        refuse(c, 503, "Service Unavailable", NULL);
    else {
        if (http_next_token(&protocols, &protocol) &&
            (protocol.n > 128 || !all_printable(protocol)))
            protocol = VIEW_EMPTY;
        buf_init(&c->http->content, KIB);
        http_put_upgrade(&c->http->content, view_of(accept, WS_ACCEPT_LEN), protocol);
        enter(c);
    }
}

/* -------------------------------------------------------------- who may ask */
static void unauthorized(struct conn *c, bool head)
{
    json(c, 401, V("{\"error\":{\"message\":\"Unauthorized\",\"type\":\"unauthorized\"}}"), head,
         "WWW-Authenticate: Bearer\r\n");
}

static void limited(struct conn *c, bool head, uint64_t retry_after_ms)
{
    char extra[DOOR_RETRY_MAX];

    door_retry_after(extra, retry_after_ms);
    json(c, 429,
         V("{\"error\":{\"message\":\"Too many failed authentication attempts. Please try again "
           "later.\",\"type\":\"rate_limited\"}}"),
         head, extra);
}

/* Show the bearer to the hub. Nothing of the body is read before its answer. */
static void ask(struct conn *c, const struct route *r, const struct http_req *q,
                struct view credential, const struct ip *client)
{
    struct conn_http *h = c->http;
    char text[IP_TEXT_MAX];
    struct ipc_door m = {.peer = view_str(c->peer),
                         .flags = c->local || ip_loopback(&c->from) ? CONN_LOCAL : 0u,
                         .host = q->host,
                         .origin = q->origin,
                         .credential = credential};

    if (client) { /* the next request of this connection may be somebody else's */
        ip_text(client, text);
        m.peer = view_str(text);
        m.flags |= CONN_PROXIED;
    }
    h->route = r;
    h->then.head = q->method == HTTP_HEAD;
    h->then.body = q->has_body && r->body_max;
    h->then.encoded = q->encoded;
    h->then.expect = q->expect;
    h->then.keep_alive = q->keep_alive;
    if (h->then.body)
        h->then.start = http_body_start(&h->body, q, r->body_max, &h->then.why);
    if (!(h->asked = hub_door(c, &m)))
        refuse(c, 503, "Service Unavailable", retry_soon);
    else
        conn_due(c, FRONT_DOOR_MS);
}

static void knock(struct conn *c, const struct route *r, const struct http_req *q)
{
    bool head = q->method == HTTP_HEAD;
    struct view credential;
    struct ip client;
    enum proxy_answer who = proxy_attribute(&c->f->proxy, &c->from, q, &client);

    if (who == PROXY_REFUSED)
        json(c, 403, view_of(proxy_refusal, sizeof(proxy_refusal) - 1), head, NULL);
    else if (misdirected(c, q))
        refuse_host(c);
    else if (!door_bearer(q->authorization, &credential))
        unauthorized(c, head);
    else if (q->host.n > FRONT_HOST_MAX || q->origin.n > FRONT_ORIGIN_MAX)
        refuse(c, 400, "Host or Origin too long", NULL);
    else
        ask(c, r, q, credential, who == PROXY_CLIENT ? &client : NULL);
}

bool http_conn_waits(const struct conn *c)
{
    return c->http && (c->http->asked || c->http->waits);
}

/* The bearer is right. */
static void come_in(struct conn *c)
{
    struct conn_http *h = c->http;

    if (!h->then.body) {
        serve(c, h->route, h->then.head);
    } else if (h->then.encoded) {
        refuse(c, 415, "content codings are not supported", NULL);
    } else if (h->then.start == HTTP_BAD) {
        refuse(c, h->then.why.status, h->then.why.why, NULL);
    } else {
        h->in_body = true;
        h->keep_alive = h->then.keep_alive;
        buf_init(&h->content, h->route->body_max);
        h->end_ms = loop_now_ms(c->f->w.loop) + FRONT_BODY_MS;
        conn_due(c, FRONT_PROGRESS_MS);
        if (h->then.expect) {
            buf_put_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
            conn_touch(c);
        }
    }
}

void http_conn_judged(struct conn *c, uint64_t req, unsigned result, uint64_t retry_after_ms)
{
    struct conn_http *h = c->http;

    if (c->state != CONN_HTTP || !h->asked || h->asked != req)
        return; /* it has been answered */
    h->asked = 0;
    if (result == DOOR_ANSWER_OK)
        come_in(c);
    else if (result == DOOR_ANSWER_LIMITED)
        limited(c, h->then.head, retry_after_ms);
    else
        unauthorized(c, h->then.head);
    conn_wake(c);
}

void http_conn_unanswered(struct conn *c)
{
    if (c->state != CONN_HTTP || !c->http->asked)
        return;
    c->http->asked = 0;
    refuse(c, 503, "Service Unavailable", retry_soon);
}

/* -------------------------------------------------------------- requests */
static void on_request(struct conn *c, const struct http_req *q)
{
    struct conn_http *h = c->http;
    const struct route *r = route_find(q->path);
    bool head = q->method == HTTP_HEAD;

    /* a body that is not going to be read ends the connection with the answer */
    h->keep_alive = q->keep_alive && !q->has_body;
    if (q->upgrade) {
        upgrade(c, q);
    } else if (!r) {
        not_found(c, head);
    } else if (!(r->methods & HTTP_BIT(q->method))) {
        buf_reset(&c->f->why, c->f->why.max);
        buf_put_str(&c->f->why, "Allow: ");
        route_allow(r, &c->f->why);
        buf_put(&c->f->why, "\r\n", 3);
        refuse(c, 405, "Method Not Allowed", c->f->why.failed ? NULL : buf_view(&c->f->why).p);
    } else if (r->id == ROUTE_MOVED) {
        moved(c, r, q);
    } else if (r->auth == ROUTE_BEARER) {
        knock(c, r, q);
    } else {
        serve(c, r, head); /* no open route has a body */
    }
}

static void feed_body(struct conn *c, char **p, size_t *n)
{
    struct conn_http *h = c->http;
    uint64_t now = loop_now_ms(c->f->w.loop);
    struct http_refusal why;
    size_t used = 0;
    enum http_result r = http_body_take(&h->body, view_of(*p, *n), &used, &h->content, &why);

    if (r == HTTP_BAD) {
        refuse(c, why.status, why.why, NULL);
        return;
    }
    *p += used;
    *n -= used;
    if (r == HTTP_MORE) {
        uint64_t left = h->end_ms > now ? h->end_ms - now : 0;

        conn_due(c, left < FRONT_PROGRESS_MS ? left : FRONT_PROGRESS_MS);
        return;
    }
    h->in_body = false;
    serve(c, h->route, false);
    buf_fini(&h->content);
}

static void feed_head(struct conn *c, char **p, size_t *n)
{
    struct conn_http *h = c->http;
    struct http_req *q = &c->f->req;
    struct http_refusal why;
    size_t used = 0;
    struct view in = view_of(*p, *n);
    enum http_result r;

    if (!h->started) { /* the time runs from the first byte and is not put off by others */
        h->started = true;
        conn_due(c, FRONT_HEAD_MS);
    }
    r = http_scan(&h->scan, in, &used, &why);
    if (r != HTTP_BAD && (r == HTTP_MORE || h->head.n)) {
        buf_put(&h->head, *p, used);
        if (h->head.failed) {
            why = (struct http_refusal){431, "head too large"};
            r = HTTP_BAD;
        }
    }
    if (r == HTTP_DONE)
        r = http_parse(h->head.n ? buf_view(&h->head) : view_of(*p, used), q, &why);
    if (r == HTTP_BAD) {
        h->keep_alive = false;
        refuse(c, why.status, why.why, NULL);
        return;
    }
    *p += used;
    *n -= used;
    if (r == HTTP_MORE)
        return;
    h->scan = (struct http_scan){0};
    h->started = false;
    on_request(c, q);
    if (c->state != CONN_HTTP)
        http_conn_free(&c->http);
    else
        buf_reset(&h->head, 0);
}

void http_conn_feed(struct conn *c, char **p, size_t *n)
{
    if (c->http->in_body)
        feed_body(c, p, n);
    else
        feed_head(c, p, n);
}

void http_conn_due(struct conn *c)
{
    struct conn_http *h = c->http;

    if (conn_unsent(c)) {
        conn_kill(c); /* it does not take its answers */
    } else if (h->asked) {
        http_conn_unanswered(c);
    } else if (h->waits) {
        h->waits = false;
        refuse(c, 503, crowded, retry_soon);
    } else if (h->in_body || h->started) {
        h->keep_alive = false;
        refuse(c, 408, "Request Timeout", NULL);
    } else {
        conn_finish(c); /* silent: nothing to answer */
    }
}
