#include "dispatch.h"

#include "authority.h"
#include "clock.h"
#include "control_pace.h"
#include "json.h"
#include "log.h"
#include "metrics.h"
#include "params.h"
#include "room.h"
#include "trace.h"

#include <stdio.h>

enum { ROOM_PER_BYTE = 2 }; /* a message is kept once, its request's row holds it until it runs */

struct dispatch {
    struct params *params[RPC_COUNT];
    json_t *none; /* the empty parameters that most requests have */
    struct buf text;
    struct control_pace pace;
};

typedef int rpc_handler(struct call *c);

static rpc_handler *const handlers[RPC_COUNT] = {
#define RPC(name, fn, scope, max, flags, params, help) [RPC_##fn] = rpc_##fn,
#include "rpc.def"
#undef RPC
};

int dispatch_open(struct hub *h, struct err *e)
{
    struct dispatch *d = NULL;
    int r;

    if ((r = mem_new(&d, sizeof(*d), e)) < 0)
        return r;
    h->dispatch = d;
    buf_init(&d->text, PARAMS_TEXT_MAX * 4);
    if (!(d->none = json_object()))
        return err_set(e, ERR_NOMEM, "no memory for the method table");
    for (unsigned i = 0; i < RPC_COUNT; i++) {
        const struct rpc_row *row = rpc_row((enum rpc_index)i);

        if ((r = params_compile(&d->params[i], row->params, e)) < 0)
            return err_wrap(e, "parameters of %.*s", VIEW_FMT(row->name));
    }
    return 0;
}

void dispatch_close(struct hub *h)
{
    struct dispatch *d = h->dispatch;

    if (!d)
        return;
    for (unsigned i = 0; i < RPC_COUNT; i++)
        params_free(&d->params[i]);
    json_decref(d->none);
    buf_fini(&d->text);
    mem_free(d);
    h->dispatch = NULL;
}

static int bad_role(struct call *c, const char *role)
{
    struct link *front = hub_front(c->hub, c->ref.front);
    struct err e = ERR_INIT;
    int r = call_error(c, RPC_INVALID_REQUEST, "unauthorized role: %s", role);

    if (++c->conn->bad_role_calls < DISPATCH_BAD_ROLE_MAX || !front)
        return r;
    log_warn("conn.unauthorized", KV("conn", c->conn->id), KV("calls", c->conn->bad_role_calls));
    if (msg_send_conn_close(front,
                            &(struct ipc_conn_close){.conn_id = c->conn->id,
                                                     .code = 1008,
                                                     .reason = V("repeated unauthorized calls")},
                            &e) < 0)
        log_error("conn.close_lost", KV("why", e.text));
    return r;
}

/* 0 allowed; 1 answered with a refusal. */
static int authorize(struct call *c, enum scope needs, int *answered)
{
    enum scope missing = needs;
    struct buf *b = &c->hub->dispatch->text;
    char text[64];

    *answered = 0;
    switch (authority_judge(&c->conn->who, needs, &missing)) {
    case VERDICT_ALLOWED:
        return 0;
    case VERDICT_NOT_OPERATOR:
        *answered = bad_role(c, "operator");
        return 1;
    case VERDICT_NOT_NODE:
        *answered = bad_role(c, "node");
        return 1;
    case VERDICT_MISSING:
        break;
    }
    (void)snprintf(text, sizeof(text), "missing scope: %s", scope_name(missing));
    if (c->conn->protocol < 4) { /* protocol, 11 */
        *answered = call_error(c, RPC_INVALID_REQUEST, "%s", text);
        return 1;
    }
    buf_reset(b, PARAMS_TEXT_MAX);
    buf_printf(b,
               "{\"code\":\"MISSING_SCOPE\",\"missingScope\":\"%s\",\"requiredScopes\":[\"%s\"]}",
               scope_name(missing), scope_name(missing));
    *answered = call_error_full(c, RPC_FORBIDDEN, text, buf_view(b), -1, 0);
    return 1;
}

/* Not served: whoever might call it if it were learns that, everybody else what is missing. */
static int not_served(struct call *c, struct view name)
{
    enum scope needs = SCOPE_ADMIN;
    int answered;

    if (view_eq(name, V("connect")))
        return call_error(c, RPC_INVALID_REQUEST, "connect is only valid as the first request");
    if (rpc_known(name, &needs) && authorize(c, needs, &answered))
        return answered;
    if (c->conn->who.role == CONN_OPERATOR && authorize(c, SCOPE_ADMIN, &answered))
        return answered;
    return call_error(c, RPC_INVALID_REQUEST, "unknown method: %.*s", VIEW_FMT(name));
}

static bool is_read(enum scope s)
{
    return s == SCOPE_READ || s == SCOPE_SESSIONS_READ || s == SCOPE_ANY;
}

/* A usable target is looked for before the schema: chat.send {} answers this (but not in protocol
 * 3: reference, 11). */
static bool has_target(const json_t *params)
{
    return view_trim(json_view(params, "sessionKey")).n || view_trim(json_view(params, "key")).n;
}

static int no_target(struct call *c)
{
    struct buf *b = &c->hub->dispatch->text;

    buf_reset(b, PARAMS_TEXT_MAX);
    buf_printf(b, "{\"code\":\"SESSION_MUTATION_TARGET_REQUIRED\",\"method\":\"%.*s\"}",
               VIEW_FMT(c->row->name));
    return call_error_full(c, RPC_INVALID_REQUEST, "session mutation target is unavailable",
                           buf_view(b), -1, 0);
}

static int bad_params(struct call *c, struct view why)
{
    return call_error(c, RPC_INVALID_REQUEST, "invalid %.*s params: %.*s", VIEW_FMT(c->row->name),
                      VIEW_FMT(why));
}

/* Milliseconds until the caller may do this again, 0 when now. */
static uint64_t too_often(struct call *c)
{
    const char *who = c->conn->who.device_id[0] ? c->conn->who.device_id : c->conn->peer;

    if (!(c->row->flags & RPC_CONTROL))
        return 0;
    return control_pace_take(&c->hub->dispatch->pace, c->row->name, view_str(who), clock_mono_ms());
}

static int slow_down(struct call *c, uint64_t wait_ms)
{
    struct buf *b = &c->hub->dispatch->text;

    buf_reset(b, PARAMS_TEXT_MAX);
    buf_printf(b, "{\"method\":\"%.*s\",\"limit\":\"%d per %ds\"}", VIEW_FMT(c->row->name),
               CONTROL_CALLS, CONTROL_WINDOW_MS / 1000);
    return call_error_full(c, RPC_UNAVAILABLE, "too many changes within a minute; try again later",
                           buf_view(b), 1, wait_ms);
}

static int run(struct call *c, enum rpc_index i)
{
    struct dispatch *d = c->hub->dispatch;
    uint64_t from_ns = clock_mono_ns(), ms;
    struct err e = ERR_INIT;
    int r;

    buf_reset(&d->text, PARAMS_TEXT_MAX);
    if ((c->row->flags & RPC_SESSION) && c->conn->protocol >= 4 && !has_target(c->params))
        return no_target(c);
    if (!params_check(d->params[i], c->params, &d->text))
        return bad_params(c, buf_view(&d->text));
    if ((ms = too_often(c)) > 0)
        return slow_down(c, ms);
    if ((r = handlers[i](c)) < 0) {
        (void)err_set(&e, r, "%s", err_name(r));
        log_error("rpc.failed", KV("method", c->row->name), KV("conn", c->ref.conn_id),
                  KV("why", err_name(r)));
        r = call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, -1, 0);
    }
    ms = clock_mono_ns() - from_ns;
    metrics_rpc(c->hub, i, ms);
    log_debug("rpc.done", KV("method", c->row->name), KV("conn", c->ref.conn_id),
              KV("req", c->ref.req), KV("us", ms / 1000), KV("trace", trace_id(c->trace)));
    ms /= 1000000;
    if (ms >= DISPATCH_SLOW_MS)
        log_warn("rpc.slow", KV("method", c->row->name), KV("ms", ms));
    return r;
}

int dispatch_again(struct call *c)
{
    int r;

    return authorize(c, c->row->scope, &r) ? r : run(c, rpc_find(c->row->name));
}

static bool no_params(struct view p)
{
    return p.n == 0 || (p.n == 2 && p.p[0] == '{' && p.p[1] == '}');
}

int dispatch_on_rpc(struct hub *h, struct link *from, struct ipc_rpc *m, struct err *e)
{
    struct conn *conn = conn_find(h, link_instance(from), m->conn_id);
    struct call c = {.hub = h,
                     .conn = conn,
                     .trace = trace_read(m->trace),
                     .ref = {.conn_id = m->conn_id, .req = m->req, .front = link_instance(from)}};
    enum rpc_index i = rpc_find(m->method);
    struct err why = ERR_INIT;
    json_t *doc = NULL;
    int r;

    (void)e;
    if (!conn)
        return 0; /* refused or gone in the meantime: nobody waits */
    if (i == RPC_COUNT)
        return not_served(&c, m->method);
    c.row = rpc_row(i);
    if (authorize(&c, c.row->scope, &r))
        return r;
    if (h->stopping && !(c.row->flags & RPC_DURING_STOP) && !is_read(c.row->scope))
        return call_error_full(&c, RPC_UNAVAILABLE, "gateway is restarting",
                               V("{\"reason\":\"gateway-restarting\"}"), 1, 500);
    if (!is_read(c.row->scope) && !(c.row->flags & (RPC_DURING_STOP | RPC_WHEN_FULL)) &&
        !room_for(h, m->params.n * ROOM_PER_BYTE))
        return call_error_full(&c, RPC_UNAVAILABLE, "the gateway's disk is full",
                               V("{\"reason\":\"store-full\"}"), 1, ROOM_RETRY_MS);
    if (m->params.n > c.row->max_bytes)
        return call_error(&c, RPC_INVALID_REQUEST, "invalid %.*s params: %zu bytes, limit %zu",
                          VIEW_FMT(c.row->name), m->params.n, c.row->max_bytes);
    if (no_params(m->params))
        c.params = h->dispatch->none;
    else if (json_parse(m->params, &doc, &why) < 0)
        return bad_params(&c, view_str(why.text));
    else
        c.params = doc;
    r = run(&c, i);
    json_decref(doc);
    return r < 0 ? 0 : r; /* an answer that could not be queued is logged; the line lives on */
}
