#include "canvas.h"

#include "call.h"
#include "clock.h"
#include "file_get.h"
#include "json.h"
#include "log.h"
#include "settings.h"
#include "ticket.h"

static bool on(const struct hub *h)
{
    return !json_is_false(json_at(h->settings->doc, "canvasHost.enabled"));
}

static bool reloads(const struct hub *h)
{
    return on(h) && !json_is_false(json_at(h->settings->doc, "canvasHost.liveReload"));
}

/* ---- tickets ---- */

struct conn *canvas_holder(struct hub *h, struct view text)
{
    int64_t now = clock_wall_ms();
    struct canvas_ticket t;
    struct conn *c;

    if (!text.n || !canvas_ticket_open(h->mac, text, &t) || !(c = conn_find(h, t.front, t.conn_id)))
        return NULL;
    if (now / 1000 >= t.until_s && now - c->canvas_ms >= CANVAS_TICKET_MS)
        return NULL;
    c->canvas_ms = now;
    return c;
}

static bool may_see(const struct hub *h, const struct conn *c)
{
    return on(h) && c->base_url && (c->who.role == CONN_NODE || (c->who.scopes & SCOPE_READ));
}

/* The address with a fresh ticket; false: there is none for it. */
static bool put_url(struct hub *h, const struct conn *c, struct buf *out, uint64_t *until_ms)
{
    struct canvas_ticket t = {.front = c->front, .conn_id = c->id};
    char ticket[CANVAS_TICKET_LEN + 1];
    struct err e = ERR_INIT;

    if (!may_see(h, c))
        return false;
    *until_ms = (uint64_t)clock_wall_ms() + CANVAS_TICKET_MS;
    t.until_s = (uint32_t)(*until_ms / 1000);
    if (canvas_ticket_seal(h->mac, &t, ticket, &e) < 0)
        return false;
    buf_put_str(out, c->base_url);
    buf_put_str(out, "/__openclaw__/cap/");
    buf_put_str(out, ticket);
    return true;
}

/* ---- where we are ---- */

/* A host, with a port perhaps, and nothing that means something in an address or in JSON. */
static bool is_host(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']'))
            return false;
    }
    return v.n > 0 && v.n <= 256;
}

void canvas_base(const struct hub *h, const struct ipc_connect *m, struct buf *out)
{
    struct view origin = json_view_of(json_at(h->settings->doc, "gateway.publicOrigin"));

    while (view_ends(origin, V("/")))
        origin.n--;
    if ((m->flags & CONN_PROXIED) && origin.n) {
        buf_put_view(out, origin);
    } else if (is_host(m->host)) {
        /* tailscale serve speaks TLS to its clients */
        buf_put_str(out, m->flags & (CONN_TLS | CONN_TAILSCALE) ? "https://" : "http://");
        buf_put_view(out, m->host);
    }
}

void canvas_hello(struct hub *h, const struct conn *c, struct buf *out)
{
    struct buf url = BUF_INIT(CANVAS_URL_MAX);
    uint64_t until;
    bool old = c->protocol < 4;
    bool ticket = !old || c->who.role == CONN_NODE; /* older clients bring their own token */

    if (ticket ? put_url(h, c, &url, &until) : may_see(h, c)) {
        buf_put_str(out, old ? ",\"canvasHostUrl\":\"" : ",\"pluginSurfaceUrls\":{\"canvas\":\"");
        if (ticket)
            jw_escape(out, buf_view(&url));
        else
            jw_escape(out, view_str(c->base_url));
        buf_put_str(out, old ? "\"" : "\"}");
    }
    buf_fini(&url);
}

/* ---- refreshing it ---- */

static int refresh(struct call *c, bool old)
{
    struct buf url = BUF_INIT(CANVAS_URL_MAX);
    struct view surface = json_view(c->params, "surface");
    uint64_t until = 0;
    struct jw *w;
    bool canvas = old || !surface.n || view_eq(surface, V("canvas"));

    if (!canvas || !put_url(c->hub, c->conn, &url, &until) || url.failed) {
        buf_fini(&url);
        return call_error(c, RPC_UNAVAILABLE,
                          canvas ? "there is no canvas for this connection: it is switched off, or "
                                   "the gateway does not know its own address; connect again"
                                 : "there is no such surface");
    }
    w = call_ok(c);
    jw_obj(w);
    if (old) {
        struct view u = buf_view(&url);

        jw_kstr(w, "canvasCapability", view_from(u, u.n - CANVAS_TICKET_LEN));
        jw_ku64(w, "canvasCapabilityExpiresAtMs", until);
        jw_kstr(w, "canvasHostUrl", u);
    } else {
        jw_kcstr(w, "surface", "canvas");
        jw_key(w, "pluginSurfaceUrls");
        jw_obj(w);
        jw_kstr(w, "canvas", buf_view(&url));
        jw_obj_end(w);
        jw_ku64(w, "expiresAtMs", until);
    }
    jw_obj_end(w);
    buf_fini(&url);
    return call_end(c);
}

int rpc_plugin_surface_refresh(struct call *c)
{
    return refresh(c, false);
}

int rpc_node_plugin_surface_refresh(struct call *c)
{
    return refresh(c, false);
}

int rpc_node_canvas_capability_refresh(struct call *c)
{
    return refresh(c, true);
}

/* ---- pages that wait for a change ---- */

int canvas_on_connect(struct hub *h, struct link *from, const struct ipc_connect *m, struct err *e)
{
    int r;

    if (reloads(h) && (h->settings->auth_mode == AUTH_NONE || canvas_holder(h, m->params))) {
        file_gets_want(h, true); /* who watches the folder */
        r = msg_send_connect_ok(
            from, &(struct ipc_connect_ok){.conn_id = m->conn_id, .audience = AUD_CANVAS}, e);
    } else {
        log_info("canvas.refused", KV("conn", m->conn_id), KV("peer", m->peer));
        r = msg_send_connect_refused(
            from,
            &(struct ipc_connect_refused){
                .conn_id = m->conn_id, .close_code = 1008, .close_reason = V("unauthorized")},
            e);
    }
    hub_front_mark(from);
    return r;
}

void canvas_changed(struct hub *h)
{
    struct ipc_event m = {.audience = AUD_CANVAS, .frame = V("reload")};
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < h->w.peer_count && reloads(h); i++) {
        struct link *l = h->w.peers[i];

        if (link_peer(l) != ROLE_FRONT)
            continue;
        if (msg_send_event(l, &m, &e) < 0)
            log_warn("canvas.unheard", KV("why", e.text));
        hub_front_mark(l);
    }
}

void canvas_reconfigured(struct hub *h)
{
    if (!on(h))
        file_gets_want(h, false);
}
