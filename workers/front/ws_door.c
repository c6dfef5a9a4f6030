#include "ws_door.h"

#include "proxy.h"
#include "xchg.h"

static void say(struct http_answer *a, unsigned status, const char *text, const char *extra)
{
    *a = (struct http_answer){.status = status,
                              .type = "text/plain; charset=utf-8",
                              .extra = extra,
                              .body = view_str(text),
                              .close = true};
}

void ws_door_crowded(struct http_answer *a)
{
    say(a, 503, "Too many unauthenticated sockets", "Retry-After: 1\r\n");
}

static bool all_printable(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] <= ' ' || v.p[i] >= 0x7f)
            return false;
    return true;
}

struct view ws_door_protocol(const struct http_req *q)
{
    struct view list = q->ws_protocol, first = VIEW_EMPTY;

    if (http_next_token(&list, &first) && (first.n > 128 || !all_printable(first)))
        return VIEW_EMPTY;
    return first;
}

/* /__openclaw__/ws, with a ticket before it or in the query. */
static bool is_canvas(const struct http_req *q, struct view *ticket)
{
    struct view path = q->path, cap = V("/__openclaw__/cap/"), all = q->query;

    *ticket = VIEW_EMPTY;
    if (view_starts(path, cap)) {
        path = view_from(path, cap.n);
        *ticket = view_of(path.p, view_find(path, '/'));
        path = view_from(path, ticket->n);
    }
    while (all.n && !ticket->n) {
        struct view part = view_of(all.p, view_find(all, '&'));

        all = view_from(all, part.n + 1);
        if (view_starts(part, V("oc_cap=")))
            *ticket = view_from(part, 7);
    }
    return view_eq(path, V("/__openclaw__/ws"));
}

static int keep(struct conn *c, const struct http_req *q, struct err *e)
{
    struct view agent = xchg_header(q, V("user-agent")), ticket;
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
    if (is_canvas(q, &ticket)) {
        c->canvas = true;
        buf_put_view(&c->hello->params, ticket);
    }
    if (c->proxied)
        proxy_claims(q, &c->hello->claims);
    if ((r = buf_check(&c->hello->claims, e)) < 0 || (r = buf_check(&c->hello->host, e)) < 0 ||
        (r = buf_check(&c->hello->origin, e)) < 0)
        return r;
    return buf_check(&c->hello->agent, e);
}

bool ws_door_open(struct conn *c, const struct http_req *q, const struct http_answer *form,
                  struct http_answer *a)
{
    struct err e = ERR_INIT;
    struct ip client;
    enum proxy_answer who;
    bool barred = xchg_barred(c, q, a, &who, &client);

    if (barred && a->status == 403)
        return false;
    if (form)
        *a = *form;
    else if (route_reserved(q->path))
        say(a, 404, "Not Found", NULL);
    else if (barred)
        return false;
    else if (c->f->w.stopping ||
             (who != PROXY_DIRECT && conn_attribute(c, &client, who == PROXY_TAILNET, &e) < 0) ||
             keep(c, q, &e) < 0)
        say(a, 503, "Service Unavailable", NULL);
    else
        return true;
    return false;
}
