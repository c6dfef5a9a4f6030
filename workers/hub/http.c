#include "http.h"

#include "auth.h"
#include "clock.h"
#include "jw.h"
#include "log.h"
#include "metrics.h"
#include "origin.h"
#include "rpc.h"
#include "trace.h"

#include <stdio.h>

enum { BUCKETS = 1024 };

struct http {
    struct http_request *bucket[BUCKETS];
    unsigned count, late;
};

#define FN_LIVE(arg)  NULL
#define FN_READY(arg) NULL
#define FN_MOVED(arg) NULL
#define FN_HUB(arg)   http_##arg
static http_fn *const handlers[ROUTE_COUNT] = {
#define ROUTE(id, mount, match, path, methods, auth, scope, body, owner, arg, help) FN_##owner(arg),
#include "routes.def"
#undef ROUTE
};

/* -------------------------------------------------------------- the table */
int http_open(struct hub *h, struct err *e)
{
    return mem_new(&h->http, sizeof(*h->http), e);
}

unsigned http_under_way(const struct hub *h)
{
    return h->http ? h->http->count : 0;
}

static struct http_request **bucket_of(struct http *t, unsigned front, uint64_t number)
{
    return &t->bucket[(number * 31 + front) % BUCKETS];
}

static struct http_request *find(struct hub *h, struct link *from, uint64_t conn_id,
                                 uint64_t number)
{
    unsigned front = link_instance(from);
    struct http_request *r = h->http ? *bucket_of(h->http, front, number) : NULL;

    while (r && (r->number != number || r->front != front || r->conn_id != conn_id))
        r = r->next;
    return r;
}

/* One line for each, with what it was called by whoever sent it. */
static void told(const struct http_request *r)
{
    uint64_t took = clock_mono_ns() - r->from_ns;

    metrics_http(r->hub, r->route->id, r->status, took);
    log_debug("http.done", KV("route", r->route->name), KV("status", r->status),
              KV("conn", r->conn_id), KV("req", r->number), KV("us", took / 1000),
              KV("request", r->id), KV("trace", trace_id(r->trace)));
}

static void request_free(struct http_request *r)
{
    struct http *t = r->hub->http;

    told(r);
    if ((*r->at = r->next))
        r->next->at = r->at;
    t->count--;
    if (loop_timer_pending(&r->late))
        t->late--;
    loop_timer_fini(&r->late);
    mem_wipe(r->text, r->text_n); /* a platform's secret may be among the headers */
    mem_free(r->text);
    mem_free(r);
}

/* Whoever works on it hears that nobody waits any more. */
static void forget(struct http_request *r)
{
    if (r->work)
        r->work->on_gone(r);
    request_free(r);
}

void http_front_gone(struct hub *h, unsigned front)
{
    for (unsigned i = 0; h->http && i < BUCKETS; i++)
        for (struct http_request *r = h->http->bucket[i], *next; r; r = next) {
            next = r->next;
            if (r->front == front)
                forget(r);
        }
}

void http_close(struct hub *h)
{
    for (unsigned i = 0; h->http && i < BUCKETS; i++)
        while (h->http->bucket[i])
            forget(h->http->bucket[i]);
    mem_free(TAKE(h->http));
}

static struct view keep(char **at, struct view v)
{
    char *p = *at;

    if (v.n)
        memcpy(p, v.p, v.n);
    *at += v.n;
    return view_of(p, v.n);
}

static struct http_request *request_new(struct hub *h, struct link *from,
                                        const struct ipc_http_ask *m)
{
    struct http_request *r;
    struct http_request **bucket;
    size_t n = m->peer.n + m->host.n + m->rest.n + m->query.n + m->headers.n + m->trace.n +
               m->id.n + m->origin.n;
    char *at;

    if (h->http->count >= HTTP_REQUESTS_MAX || !(r = mem_alloc(sizeof(*r))))
        return NULL;
    *r = (struct http_request){.hub = h,
                               .conn_id = m->conn_id,
                               .number = m->req,
                               .front = link_instance(from),
                               .route = route_row((enum route_id)m->route),
                               .method = (enum http_method)m->method,
                               .from_ns = clock_mono_ns(),
                               .local = (m->flags & CONN_LOCAL) && !(m->flags & CONN_PROXIED)};
    r->text = mem_alloc(n + 1);
    r->text_n = n;
    if (!r->text) {
        mem_free(r);
        return NULL;
    }
    at = r->text;
    r->peer = keep(&at, m->peer);
    r->host = keep(&at, m->host);
    r->rest = keep(&at, m->rest);
    r->query = keep(&at, m->query);
    r->headers = keep(&at, m->headers);
    r->trace = keep(&at, trace_read(m->trace));
    r->id = keep(&at, m->id);
    r->origin = keep(&at, m->origin);
    bucket = bucket_of(h->http, r->front, r->number);
    r->at = bucket;
    if ((r->next = *bucket))
        r->next->at = &r->next;
    *bucket = r;
    h->http->count++;
    return r;
}

/* -------------------------------------------------------------- answers */
static void send_answer(struct http_request *r, const struct http_reply *a, bool more)
{
    struct link *front = hub_front(r->hub, r->front);
    struct ipc_http_answer m = {.conn_id = r->conn_id,
                                .req = r->number,
                                .status = (uint16_t)a->status,
                                .more = more,
                                .type = view_str(a->type),
                                .fields = view_str(a->fields),
                                .policy = view_str(a->policy),
                                .body = a->body};
    struct err e = ERR_INIT;

    r->status = a->status;
    if (front && msg_send_http_answer(front, &m, &e) < 0) {
        log_error("http.answer_lost", KV("conn", r->conn_id), KV("why", e.text));
        m.status = 500;
        m.more = 0;
        m.body = m.fields = m.policy = VIEW_EMPTY;
        m.type = VIEW_EMPTY;
        (void)!msg_send_http_answer(front, &m, &e);
    }
    if (front)
        hub_front_mark(front);
}

void http_reply(struct http_request *r, const struct http_reply *a)
{
    send_answer(r, a, false);
    request_free(r);
}

void http_reply_json(struct http_request *r, unsigned status, struct view body)
{
    http_reply(r, &(struct http_reply){
                      .status = status, .type = "application/json; charset=utf-8", .body = body});
}

void http_reply_text(struct http_request *r, unsigned status, const char *text)
{
    http_reply(r, &(struct http_reply){.status = status,
                                       .type = "text/plain; charset=utf-8",
                                       .body = view_str(text)});
}

void http_reply_error(struct http_request *r, unsigned status, const char *type,
                      struct view message)
{
    struct buf b = BUF_INIT(16 * KIB);
    struct jw w = JW_INIT(&b);

    jw_obj(&w);
    jw_key(&w, "error");
    jw_obj(&w);
    jw_kstr(&w, "message", message);
    jw_kcstr(&w, "type", type);
    jw_obj_end(&w);
    jw_obj_end(&w);
    http_reply_json(r, status, buf_view(&b));
    buf_fini(&b);
}

void http_begin(struct http_request *r, const struct http_reply *a)
{
    r->begun = true;
    r->in_air = a->body.n;
    send_answer(r, a, true);
}

size_t http_room(const struct http_request *r)
{
    return r->in_air < HTTP_WINDOW ? HTTP_WINDOW - r->in_air : 0;
}

static void send_part(struct http_request *r, struct view part, uint8_t how)
{
    struct link *front = hub_front(r->hub, r->front);
    struct ipc_http_part m = {.conn_id = r->conn_id, .req = r->number, .how = how, .part = part};
    struct err e = ERR_INIT;

    r->in_air += part.n;
    if (front && msg_send_http_part(front, &m, &e) < 0)
        log_error("http.part_lost", KV("conn", r->conn_id), KV("why", e.text));
    if (front)
        hub_front_mark(front);
}

void http_part(struct http_request *r, struct view part)
{
    send_part(r, part, HTTP_PART_MORE);
}

void http_end(struct http_request *r, struct view part)
{
    send_part(r, part, HTTP_PART_LAST);
    request_free(r);
}

void http_break(struct http_request *r)
{
    send_part(r, VIEW_EMPTY, HTTP_PART_BROKEN);
    request_free(r);
}

/* -------------------------------------------------------------- who asks */
static void denied(struct http_request *r)
{
    http_reply(r,
               &(struct http_reply){.status = 401,
                                    .type = "application/json; charset=utf-8",
                                    .fields = "WWW-Authenticate: Bearer\r\n",
                                    .body = V("{\"error\":{\"message\":\"Unauthorized\",\"type\":"
                                              "\"unauthorized\"}}")});
}

static void limited(struct http_request *r, uint64_t wait_ms)
{
    char fields[64];

    (void)snprintf(fields, sizeof(fields), "Retry-After: %llu\r\n",
                   (unsigned long long)(wait_ms / 1000 + (wait_ms % 1000 || wait_ms == 0)));
    http_reply(r,
               &(struct http_reply){
                   .status = 429,
                   .type = "application/json; charset=utf-8",
                   .fields = fields,
                   .body = V("{\"error\":{\"message\":\"Too many failed authentication "
                             "attempts. Please try again later.\",\"type\":\"rate_limited\"}}")});
}

static void on_late(void *ctx)
{
    struct http_request *r = ctx;

    r->hub->http->late--;
    denied(r);
}

/* Whether a secret is compared at all. In mode trusted-proxy a program on this machine may show the
 * password; everybody else comes through the proxy, over WebSockets; and in mode tailscale the
 * token. */
static bool may_try(const struct settings *s, bool local)
{
    if (settings_by_token(s))
        return s->have_token && (s->auth_mode == AUTH_TOKEN || local);
    return s->have_password && (s->auth_mode == AUTH_PASSWORD || local);
}

/* A device may be paired for less than what the route asks for. */
static bool may_read(struct http_request *r)
{
    if (r->scopes & r->route->scope)
        return true;
    http_reply_json(
        r, 403,
        V("{\"ok\":false,\"error\":{\"type\":\"forbidden\",\"message\":\"missing scope: "
          "operator.read\"}}"));
    return false;
}

/* True: let in, with r->scopes. Else it has been, or will be, answered. */
static bool judge(struct http_request *r, struct view credential)
{
    struct hub *h = r->hub;
    /* browsers on this machine count per page, as in credential.c */
    bool page = r->local && r->origin.n;
    struct door door = auth_door(h);
    enum door_verdict v = DOOR_WRONG;
    uint64_t wait = 0;
    bool waits = r->local && !page && h->settings->exempt_loopback;
    bool welcome = !r->origin.n || !origin_refused(h->settings, r->origin, r->host, r->local);

    if (welcome && h->settings->auth_mode == AUTH_NONE)
        v = DOOR_RIGHT;
    else if (welcome && http_by_device(r, page ? r->origin : r->peer, waits, credential))
        return may_read(r);
    else if (welcome && credential.n && may_try(h->settings, r->local))
        v = door_try(&door, page ? r->origin : r->peer, waits, credential, &wait);
    if (v == DOOR_RIGHT) {
        /* a secret that looks like a device's was counted as a wrong one of those */
        throttle_ok(door.throttle, THROTTLE_DEVICE, page ? r->origin : r->peer);
        r->scopes = scope_expand(SCOPE_ADMIN);
        return true;
    }
    log_info("http.refused", KV("conn", r->conn_id), KV("peer", r->peer), KV("request", r->id));
    if (v != DOOR_WRONG || (wait && h->http->late >= HTTP_LATE_MAX)) {
        limited(r, wait ? wait : 1);
    } else if (wait) {
        h->http->late++;
        loop_timer_set(&r->late, wait);
    } else {
        denied(r);
    }
    return false;
}

/* -------------------------------------------------------------- from the fronts */
static void run(struct http_request *r, struct view body)
{
    http_fn *fn = handlers[r->route->id];

    if (fn)
        fn(r, body);
    else
        http_reply_text(r, 404, "Not Found");
}

int http_on_ask(struct hub *h, struct link *from, struct ipc_http_ask *m, struct err *e)
{
    struct http_request *r;
    bool in;

    if (m->route >= ROUTE_COUNT || m->method >= HTTP_METHOD_COUNT ||
        route_row((enum route_id)m->route)->owner != ROUTE_HUB)
        return err_set(e, ERR_INVALID, "route %u, method %u", m->route, m->method);
    if (!(r = request_new(h, from, m))) {
        struct ipc_http_answer busy = {.conn_id = m->conn_id,
                                       .req = m->req,
                                       .status = 503,
                                       .type = V("text/plain; charset=utf-8"),
                                       .fields = V("Retry-After: 1\r\n"),
                                       .body = V("Service Unavailable")};

        return msg_send_http_answer(from, &busy, e);
    }
    loop_timer_init(&r->late, h->w.loop, on_late, r);
    in = r->route->auth == ROUTE_BEARER         ? judge(r, m->credential)
         : r->route->auth == ROUTE_TICKET       ? http_by_ticket(r) || judge(r, m->credential)
         : r->route->mount == ROUTE_HOOKS       ? http_hook_judge(r, m->credential)
         : handlers[r->route->id] == http_media ? http_media_pass(r) || judge(r, m->credential)
                                                : true;
    mem_wipe((char *)(uintptr_t)m->credential.p, m->credential.n); /* in the line's buffer */
    if (!in)
        return 0;
    if (!(m->flags & HTTP_HAS_BODY) || !r->route->body_max) {
        run(r, VIEW_EMPTY);
        return 0;
    }
    r->going = true;
    return msg_send_http_go(from, &(struct ipc_http_go){.conn_id = m->conn_id, .req = m->req}, e);
}

int http_on_body(struct hub *h, struct link *from, struct ipc_http_body *m, struct err *e)
{
    struct http_request *r = find(h, from, m->conn_id, m->req);

    if (!r)
        return 0;
    if (!r->going)
        return err_set(e, ERR_INVALID, "the body of request %llu was not asked for",
                       (unsigned long long)m->req);
    r->going = false;
    run(r, m->body);
    return 0;
}

int http_on_gone(struct hub *h, struct link *from, const struct ipc_http_gone *m)
{
    struct http_request *r = find(h, from, m->conn_id, m->req);

    if (r)
        forget(r);
    return 0;
}

int http_on_taken(struct hub *h, struct link *from, const struct ipc_http_taken *m)
{
    struct http_request *r = find(h, from, m->conn_id, m->req);

    if (!r || !r->begun)
        return 0;
    r->in_air -= m->bytes < r->in_air ? (size_t)m->bytes : r->in_air;
    if (r->work && r->work->on_room && http_room(r))
        r->work->on_room(r);
    return 0;
}
