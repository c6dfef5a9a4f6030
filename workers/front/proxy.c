#include "proxy.h"

#include "json.h"
#include "mem.h"

/* -------------------------------------------------------------- configuration */
static struct view host_only(struct view host)
{
    size_t end;

    if (view_starts(host, V("["))) {
        end = view_find(host, ']');
        if (end == host.n || (end + 1 < host.n && host.p[end + 1] != ':'))
            return host; /* [::1].elsewhere: no address of ours */
        return view_of(host.p + 1, end - 1);
    }
    end = view_find(host, ':');
    return view_of(host.p, end);
}

static void add_origin(struct proxy_conf *c, struct view origin)
{
    size_t at = view_find(origin, ':');

    if (view_eq(origin, V("*"))) {
        c->any_host = true;
        return;
    }
    if (!view_starts(view_from(origin, at), V("://")) || c->hosts >= PROXY_HOSTS_MAX)
        return;
    c->origin[c->origins++] = origin;
    c->host[c->hosts++] = host_only(view_from(origin, at + 3));
}

bool proxy_origin_named(const struct proxy_conf *c, struct view origin)
{
    for (unsigned i = 0; i < c->origins; i++)
        if (view_ieq(c->origin[i], origin))
            return true;
    return false;
}

/* Never in mode none: whoever is forwarded would be let in unasked. */
static bool tailscale_on(struct view mode, bool allowed)
{
    return view_eq(mode, V("tailscale")) ||
           (allowed && (!mode.n || view_eq(mode, V("token")) || view_eq(mode, V("password"))));
}

void proxy_conf_read(struct proxy_conf *out, const json_t *conf)
{
    struct proxy_conf c = {.nets = 0};
    const json_t *v;
    size_t i;

    c.tailscale = tailscale_on(json_view_of(json_at(conf, "gateway.auth.mode")),
                               json_is_true(json_at(conf, "gateway.auth.allowTailscale")));
    json_array_foreach(json_at(conf, "gateway.trustedProxies"), i, v)
    {
        if (c.nets < PROXY_NETS_MAX && ip_net_parse(json_view_of(v), &c.net[c.nets]))
            c.nets++;
    }
    json_array_foreach(json_at(conf, "gateway.controlUi.allowedOrigins"), i, v)
        add_origin(&c, json_view_of(v));
    if ((v = json_at(conf, "gateway.publicOrigin")))
        add_origin(&c, json_view_of(v));
    c.real_ip = json_is_true(json_at(conf, "gateway.allowRealIpFallback"));
    c.any_host |=
        json_is_true(json_at(conf, "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback"));
    *out = c;
}

bool proxy_trusts(const struct proxy_conf *c, const struct ip *peer)
{
    for (unsigned i = 0; i < c->nets; i++)
        if (ip_net_has(&c->net[i], peer))
            return true;
    return false;
}

/* -------------------------------------------------------------- lists of hops */
/* a, a:port, [a], [a]:port */
static bool hop_parse(struct view v, struct ip *out)
{
    size_t colon = view_find(v, ':'), close;

    if (view_starts(v, V("["))) {
        close = view_find(v, ']');
        if (close == v.n || (close + 1 < v.n && v.p[close + 1] != ':'))
            return false;
        v = view_of(v.p + 1, close - 1);
        return view_find(v, ':') < v.n && ip_parse(v, out);
    }
    if (colon < v.n && view_find(view_from(v, colon + 1), ':') == v.n - colon - 1)
        v = view_of(v.p, colon); /* one colon: a port */
    return ip_parse(v, out);
}

/* for= of one element of Forwarded (RFC 7239); once. */
static bool element_parse(struct view v, struct ip *out)
{
    bool found = false;

    while (v.n) {
        size_t end = view_find(v, ';');
        struct view pair = view_trim(view_of(v.p, end));

        v = view_from(v, end + 1);
        if (pair.n < 4 || !view_ieq(view_of(pair.p, 4), V("for=")))
            continue;
        if (found)
            return false;
        pair = view_from(pair, 4);
        if (pair.n >= 2 && pair.p[0] == '"' && pair.p[pair.n - 1] == '"')
            pair = view_of(pair.p + 1, pair.n - 2);
        if (!hop_parse(pair, out))
            return false;
        found = true;
    }
    return found;
}

/* The last element of a list, trimmed, and the list without it. An element never holds a comma: a
 * quote that a stranger left open must not hide what a proxy added behind it. */
static struct view last_element(struct view *list)
{
    size_t at = list->n;
    struct view v;

    while (at && list->p[at - 1] != ',')
        at--;
    v = view_trim(view_from(*list, at));
    list->n = at ? at - 1 : 0;
    return v;
}

/* The nearest hop that is not a proxy of ours.  False: none, or something that is no address. */
static bool walk(const struct proxy_conf *c, const struct http_req *q, struct view name,
                 bool (*parse)(struct view v, struct ip *out), struct ip *out)
{
    for (unsigned i = q->headers; i-- > 0;) {
        struct view list = q->header[i].value;

        if (!view_ieq(q->header[i].name, name))
            continue;
        while (list.n) {
            struct view v = last_element(&list);

            if (v.n == 0)
                continue;
            if (!parse(v, out))
                return false;
            if (!proxy_trusts(c, out))
                return true;
        }
    }
    return false;
}

static unsigned count(const struct http_req *q, struct view name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < q->headers; i++)
        n += view_ieq(q->header[i].name, name);
    return n;
}

/* 100.64.0.0/10 and fd7a:115c:a1e0::/48 */
static bool in_tailnet(const struct ip *ip)
{
    static const struct ip_net nets[] = {
        {.ip = {.b = {[10] = 0xff, [11] = 0xff, [12] = 100, [13] = 64}}, .bits = 96 + 10},
        {.ip = {.b = {0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0}}, .bits = 48}};

    return ip_net_has(&nets[0], ip) || ip_net_has(&nets[1], ip);
}

/* As tailscale serve forwards: it replaces these three, each once, with the one address of the node
 * that asks. What comes from everywhere (funnel) is marked. */
static bool from_tailnet(const struct http_req *q, struct ip *client)
{
    struct view addr = VIEW_EMPTY;

    if (count(q, V("x-forwarded-for")) != 1 || count(q, V("x-forwarded-proto")) != 1 ||
        count(q, V("x-forwarded-host")) != 1 || count(q, V("tailscale-funnel-request")) ||
        count(q, V("forwarded")) || count(q, V("x-real-ip")))
        return false;
    for (unsigned i = 0; i < q->headers; i++)
        if (view_ieq(q->header[i].name, V("x-forwarded-for")))
            addr = view_trim(q->header[i].value);
    return ip_parse(addr, client) && in_tailnet(client);
}

enum proxy_answer proxy_attribute(const struct proxy_conf *c, const struct ip *peer,
                                  const struct http_req *q, struct ip *client)
{
    static const struct ip any4 = {.b = {[10] = 0xff, [11] = 0xff}}, any6 = {.b = {0}};
    struct ip ip;
    bool ok;

    if (!q->proxied)
        return PROXY_DIRECT;
    if (c->tailscale && ip_loopback(peer) &&
        (!proxy_trusts(c, peer) || count(q, V("tailscale-user-login"))))
        return from_tailnet(q, client) ? PROXY_TAILNET : PROXY_REFUSED;
    if (!proxy_trusts(c, peer))
        return PROXY_REFUSED;
    /* a list that is there rules: the proxy that writes one may pass the other headers on as its
     * client sent them */
    if (count(q, V("x-forwarded-for")))
        ok = walk(c, q, V("x-forwarded-for"), hop_parse, &ip);
    else if (c->real_ip && count(q, V("x-real-ip")))
        ok = count(q, V("x-real-ip")) == 1 && walk(c, q, V("x-real-ip"), hop_parse, &ip);
    else
        ok = walk(c, q, V("forwarded"), element_parse, &ip);
    /* nobody reaches a proxy from its own loopback and is a stranger */
    if (!ok || ip_loopback(&ip) || ip_eq(&ip, &any4) || ip_eq(&ip, &any6))
        return PROXY_REFUSED;
    *client = ip;
    return PROXY_CLIENT;
}

/* -------------------------------------------------------------- what else it says */
static bool prefixed(struct view name, struct view prefix)
{
    return name.n >= prefix.n && view_ieq(view_of(name.p, prefix.n), prefix);
}

void proxy_claims(const struct http_req *q, struct buf *out)
{
    static const char *const no[] = {"authorization",
                                     "proxy-authorization",
                                     "cookie",
                                     "host",
                                     "origin",
                                     "user-agent",
                                     "connection",
                                     "upgrade",
                                     "keep-alive",
                                     "pragma",
                                     "cache-control",
                                     "referer",
                                     "te",
                                     "dnt"};
    static const char *const no_prefix[] = {"sec-", "accept", "content-", "if-"};

    for (unsigned i = 0; i < q->headers; i++) {
        struct view name = q->header[i].name;
        bool skip = false;

        for (size_t k = 0; k < COUNT_OF(no); k++)
            skip |= view_ieq(name, view_str(no[k]));
        for (size_t k = 0; k < COUNT_OF(no_prefix); k++)
            skip |= prefixed(name, view_str(no_prefix[k]));
        if (skip)
            continue;
        for (size_t k = 0; k < name.n; k++)
            buf_put_char(
                out, (char)(name.p[k] >= 'A' && name.p[k] <= 'Z' ? name.p[k] | 0x20 : name.p[k]));
        buf_put(out, ": ", 2);
        buf_put_view(out, q->header[i].value);
        buf_put_char(out, '\n');
    }
}

/* -------------------------------------------------------------- Host */
bool proxy_host_ours(const struct proxy_conf *c, struct view host)
{
    static const char *const ends[] = {".localhost", ".local", ".ts.net"};
    struct view name = host_only(host);
    struct ip ip;

    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    if (c->any_host || ip_parse(name, &ip) ||
        (view_find(name, '.') == name.n && view_find(name, '[') == name.n))
        return true;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct view e = view_str(ends[i]);

        if (name.n > e.n && view_ieq(view_from(name, name.n - e.n), e))
            return true;
    }
    for (unsigned i = 0; i < c->hosts; i++)
        if (view_ieq(c->host[i], name))
            return true;
    return false;
}
