/*
 * workers/hub/rpc_device.c - device.*: who is paired, who asks, their tokens, setup codes.
 * Whoever is no admin touches his own device only, and nobody hands out more than he has himself:
 * what a call grants is what caller, approval and device have in common.
 */
#include "b64.h"
#include "call.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "pairing.h"
#include "pairing_setup.h"
#include "settings.h"
#include "standing.h"

enum { URL_MAX = 2048, SETUP_TEXT_MAX = 3072 };

/* Of a setup code, as the original's apps expect them. */
enum {
    SETUP_LIMITED = SCOPE_APPROVALS | SCOPE_READ | SCOPE_TALK_SECRETS | SCOPE_WRITE,
    SETUP_FULL = SETUP_LIMITED | SCOPE_ADMIN,
};

static bool is_admin(const struct call *c)
{
    return c->conn->who.scopes & SCOPE_ADMIN;
}

static bool own(const struct call *c, struct view device_id)
{
    return device_id.n && view_eq(view_str(c->conn->who.device_id), device_id);
}

static bool may_touch(const struct call *c, struct view device_id)
{
    return is_admin(c) || own(c, device_id);
}

static int not_found(struct call *c, int r, const char *what, const struct err *e)
{
    if (r == ERR_NOT_FOUND)
        return call_error(c, RPC_INVALID_REQUEST, "unknown %s", what);
    log_error("device.failed", KV("why", e->text));
    return call_error(c, RPC_UNAVAILABLE, "%s", e->text);
}

/* ---- lists ---- */

static void write_token(struct jw *w, const struct paired *p, enum device_role role)
{
    const struct device_token *t = devices_token_of(p, role);

    if (!t->generation[0])
        return;
    jw_obj(w);
    jw_kcstr(w, "role", pairing_role_name(role));
    jw_key(w, "scopes");
    pairing_write_scopes(w, t->scopes);
    jw_ki64(w, "createdAtMs", t->issued_at);
    if (t->rotated_at)
        jw_ki64(w, "rotatedAtMs", t->rotated_at);
    if (t->revoked_at)
        jw_ki64(w, "revokedAtMs", t->revoked_at);
    if (p->seen_at)
        jw_ki64(w, "lastUsedAtMs", p->seen_at);
    jw_obj_end(w);
}

static void text(struct jw *w, const char *key, const char *s)
{
    if (*s)
        jw_kcstr(w, key, s);
}

/* A DevicePairPaired. */
static void write_paired(struct hub *h, struct jw *w, const struct paired *p)
{
    jw_obj(w);
    jw_kcstr(w, "deviceId", p->id);
    jw_kcstr(w, "publicKey", p->key);
    text(w, "displayName", p->label[0] ? p->label : p->name);
    text(w, "platform", p->platform);
    text(w, "deviceFamily", p->family);
    text(w, "clientId", p->client_id);
    text(w, "clientMode", p->client_mode);
    jw_kcstr(w, "role",
             pairing_role_name(p->roles & DEVICE_OPERATOR ? DEVICE_OPERATOR : DEVICE_NODE));
    jw_key(w, "roles");
    jw_arr(w);
    for (unsigned role = DEVICE_OPERATOR; role <= DEVICE_NODE; role <<= 1)
        if (p->roles & role)
            jw_cstr(w, pairing_role_name((enum device_role)role));
    jw_arr_end(w);
    jw_key(w, "scopes");
    pairing_write_scopes(w, p->scopes);
    text(w, "approvedVia", p->via);
    jw_ki64(w, "createdAtMs", p->created_at);
    jw_ki64(w, "approvedAtMs", p->approved_at);
    if (p->seen_at) {
        jw_ki64(w, "lastSeenAtMs", p->seen_at);
        jw_kcstr(w, "lastSeenReason", "connect");
        jw_kbool(w, "connected", standing_device_here(h, p->id));
    }
    jw_key(w, "tokens");
    jw_arr(w);
    write_token(w, p, DEVICE_OPERATOR);
    write_token(w, p, DEVICE_NODE);
    jw_arr_end(w);
    jw_obj_end(w);
}

struct listing {
    struct hub *hub;
    struct jw *w;
};

static void on_pending(void *ctx, const struct pair_request *q)
{
    struct listing *l = ctx;

    jw_obj(l->w);
    pairing_write(l->w, q);
    jw_obj_end(l->w);
}

static int on_paired(void *ctx, const struct paired *p)
{
    struct listing *l = ctx;

    write_paired(l->hub, l->w, p);
    return 0;
}

int rpc_device_pair_list(struct call *c)
{
    struct listing l = {.hub = c->hub, .w = call_ok(c)};
    struct err e = ERR_INIT;
    int r;

    jw_obj(l.w);
    jw_key(l.w, "pending");
    jw_arr(l.w);
    pairing_each(c->hub, on_pending, &l);
    jw_arr_end(l.w);
    jw_key(l.w, "paired");
    jw_arr(l.w);
    if ((r = devices_each(c->hub->devices, on_paired, &l, &e)) < 0)
        return not_found(c, r, "deviceId", &e);
    jw_arr_end(l.w);
    jw_obj_end(l.w);
    return call_end(c);
}

/* ---- requests ---- */

/* The first scope of the set that the caller lacks, or 0. */
static enum scope beyond(const struct call *c, unsigned set)
{
    for (unsigned bit = 1; bit <= SCOPE_SESSIONS_WRITE; bit <<= 1)
        if ((set & bit) && !(c->conn->who.scopes & bit))
            return (enum scope)bit;
    return (enum scope)0;
}

int rpc_device_pair_approve(struct call *c)
{
    const struct pair_request *q = pairing_find(c->hub, json_view(c->params, "requestId"));
    struct paired p;
    struct err e = ERR_INIT;
    enum scope missing;
    struct jw *w;
    char id[37];
    int r;

    if (!q)
        return call_error(c, RPC_INVALID_REQUEST, "unknown requestId");
    if (!is_admin(c)) {
        if ((c->conn->who.device_id[0] && !own(c, view_str(q->who.id))) || q->role == DEVICE_NODE)
            return call_error(c, RPC_INVALID_REQUEST, "device pairing approval denied");
        if ((missing = beyond(c, q->scopes)))
            return call_error(c, RPC_INVALID_REQUEST, "missing scope: %s", scope_name(missing));
    }
    memcpy(id, q->id, sizeof(id));
    if ((r = pairing_approve(c->hub, q, "owner", &p, &e)) < 0)
        return not_found(c, r, "requestId", &e);
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "requestId", id);
    jw_key(w, "device");
    write_paired(c->hub, w, &p);
    jw_obj_end(w);
    return call_end(c);
}

int rpc_device_pair_reject(struct call *c)
{
    const struct pair_request *q = pairing_find(c->hub, json_view(c->params, "requestId"));
    char id[37], device[65];
    struct jw *w;

    if (!q)
        return call_error(c, RPC_INVALID_REQUEST, "unknown requestId");
    if (c->conn->who.device_id[0] && !may_touch(c, view_str(q->who.id)))
        return call_error(c, RPC_INVALID_REQUEST, "device pairing rejection denied");
    memcpy(id, q->id, sizeof(id));
    memcpy(device, q->who.id, sizeof(device));
    pairing_reject(c->hub, q);
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "requestId", id);
    jw_kcstr(w, "deviceId", device);
    jw_obj_end(w);
    return call_end(c);
}

/* ---- paired devices ---- */

/* The device that the call names, when the caller may touch it. 1: answered. */
static int target(struct call *c, const char *denied, struct paired *p)
{
    struct view id = json_view(c->params, "deviceId");
    struct err e = ERR_INIT;
    int r;

    memset(p, 0, sizeof(*p));
    if (!may_touch(c, id)) { /* before looking: nobody learns by this which devices there are */
        (void)call_error(c, RPC_INVALID_REQUEST, "%s denied", denied);
        return 1;
    }
    if ((r = devices_find(c->hub->devices, id, p, &e)) < 0) {
        (void)not_found(c, r, "deviceId", &e);
        return 1;
    }
    return 0;
}

static int saved(struct call *c, const struct paired *p)
{
    struct err e = ERR_INIT;
    int r = devices_put(c->hub->devices, p, &e);

    if (r < 0)
        return not_found(c, r, "deviceId", &e);
    hub_changed(c->hub);
    return 1;
}

int rpc_device_pair_remove(struct call *c)
{
    struct view id = json_view(c->params, "deviceId");
    struct paired p;
    struct err e = ERR_INIT;
    struct jw *w;
    int r;

    if (target(c, "device pairing removal", &p))
        return 0;
    if ((r = devices_del(c->hub->devices, id, &e)) < 0)
        return not_found(c, r, "deviceId", &e);
    hub_changed(c->hub);
    pairing_forget(c->hub, id);
    log_info("device.removed", KV("device", p.id));
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "deviceId", p.id);
    jw_obj_end(w);
    r = call_end(c);
    standing_device_changed(c->hub, view_str(p.id), "device removed");
    return r;
}

int rpc_device_pair_rename(struct call *c)
{
    struct view label = view_trim(json_view(c->params, "label"));
    struct paired p;
    struct jw *w;

    if (target(c, "device pairing rename", &p))
        return 0;
    memset(p.label, 0, sizeof(p.label));
    memcpy(p.label, label.p, label.n < sizeof(p.label) ? label.n : sizeof(p.label) - 1);
    if (saved(c, &p) != 1)
        return 0;
    pairing_changed(c->hub);
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "deviceId", p.id);
    if (p.label[0]) {
        jw_kcstr(w, "label", p.label);
    } else {
        jw_key(w, "label");
        jw_null(w);
    }
    jw_obj_end(w);
    return call_end(c);
}

/* ---- tokens ---- */

/* The role that the call names, when the device is approved for it. */
static bool role_of(const struct call *c, const struct paired *p, enum device_role *out)
{
    struct view name = view_trim(json_view(c->params, "role"));

    if (view_eq(name, V("operator")))
        *out = DEVICE_OPERATOR;
    else if (view_eq(name, V("node")))
        *out = DEVICE_NODE;
    else
        return false;
    return p->roles & *out;
}

/* What was asked for (without asking: what the token has), as far as caller and approval go. */
static unsigned common_scopes(const struct call *c, const struct paired *p, enum device_role role)
{
    const json_t *asked = json_object_get(c->params, "scopes"), *name;
    const struct device_token *t = devices_token_of(p, role);
    unsigned set = device_token_good(t) ? t->scopes : p->scopes;
    size_t i;

    if (role == DEVICE_NODE)
        return 0;
    if (asked) {
        set = 0;
        json_array_foreach(asked, i, name) set |= (unsigned)scope_from(json_view_of(name));
    }
    return set & scope_expand(p->scopes) & c->conn->who.scopes;
}

int rpc_device_token_rotate(struct call *c)
{
    char token[DEVICE_TOKEN_LEN + 1] = "";
    int64_t now = clock_wall_ms();
    struct err e = ERR_INIT;
    enum device_role role;
    struct paired p;
    unsigned scopes;
    bool mine;
    struct jw *w;
    int r;

    if (target(c, "device token rotation", &p))
        return 0;
    if (!role_of(c, &p, &role))
        return call_error(c, RPC_INVALID_REQUEST, "unknown deviceId/role");
    scopes = common_scopes(c, &p, role);
    if (role == DEVICE_OPERATOR && !scopes && json_object_get(c->params, "scopes") &&
        json_array_size(json_object_get(c->params, "scopes")))
        return call_error(c, RPC_INVALID_REQUEST, "device token rotation denied");
    if ((r = devices_issue(c->hub->devices, &p, role, scopes, now, &e)) < 0)
        return not_found(c, r, "deviceId", &e);
    if (saved(c, &p) != 1)
        return 0;
    mine = own(c, view_str(p.id));
    if (mine && (r = devices_tell(c->hub->devices, &p, role, token, &e)) < 0)
        return not_found(c, r, "deviceId", &e);
    log_info("device.token_rotated", KV("device", p.id), KV("role", pairing_role_name(role)));
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "deviceId", p.id);
    jw_kcstr(w, "role", pairing_role_name(role));
    if (mine)
        jw_kcstr(w, "token", token);
    jw_key(w, "scopes");
    pairing_write_scopes(w, devices_token_of(&p, role)->scopes);
    jw_ki64(w, "rotatedAtMs", now);
    jw_kcstr(w, "tokenDelivery", mine ? "in-band" : "withheld-cross-device");
    jw_obj_end(w);
    r = call_end(c);
    mem_wipe(token, sizeof(token));
    standing_device_changed(c->hub, view_str(p.id), "client invalidated: device token rotated");
    return r;
}

int rpc_device_token_revoke(struct call *c)
{
    int64_t now = clock_wall_ms();
    enum device_role role;
    struct paired p;
    struct jw *w;
    int r;

    if (target(c, "device token revocation", &p))
        return 0;
    if (!role_of(c, &p, &role) || !devices_token(&p, role)->generation[0])
        return call_error(c, RPC_INVALID_REQUEST, "unknown deviceId/role");
    devices_token(&p, role)->revoked_at = now;
    if (saved(c, &p) != 1)
        return 0;
    log_info("device.token_revoked", KV("device", p.id), KV("role", pairing_role_name(role)));
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "deviceId", p.id);
    jw_kcstr(w, "role", pairing_role_name(role));
    jw_ki64(w, "revokedAtMs", now);
    jw_obj_end(w);
    r = call_end(c);
    standing_device_changed(c->hub, view_str(p.id), "client invalidated: device token revoked");
    return r;
}

/* ---- more scopes ---- */

static int for_operators(struct call *c)
{
    return call_error(c, RPC_INVALID_REQUEST, "unauthorized role: node");
}

int rpc_device_scopes_requestUpgrade(struct call *c)
{
    const struct identity *who = &c->conn->who;
    const json_t *list = json_object_get(c->params, "scopes"), *name;
    struct pair_request want = {.role = DEVICE_OPERATOR, .repair = true};
    const struct pair_request *q;
    struct err e = ERR_INIT;
    struct jw *w;
    size_t i;
    int r;

    if (who->role != CONN_OPERATOR)
        return for_operators(c);
    if (!who->paired)
        return call_error(c, RPC_INVALID_REQUEST, "this connection has no paired device");
    json_array_foreach(list, i, name)
    {
        unsigned bit = (unsigned)scope_from(json_view_of(name));

        if (!bit)
            return call_error(c, RPC_INVALID_REQUEST, "unknown scope");
        want.scopes |= bit;
    }
    if ((r = devices_find(c->hub->devices, view_str(who->device_id), &want.who, &e)) < 0)
        return not_found(c, r, "deviceId", &e);
    if (!c->conn->local)
        memcpy(want.ip, c->conn->peer, sizeof(want.ip));
    q = pairing_ask(c->hub, &want);
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "requestId", q->id);
    jw_obj_end(w);
    return call_end(c);
}

/* Answered when the request is resolved, or gone. */
int rpc_device_scopes_waitUpgrade(struct call *c)
{
    const struct pair_request *q = pairing_find(c->hub, json_view(c->params, "requestId"));

    if (c->conn->who.role != CONN_OPERATOR)
        return for_operators(c);
    if (!q && c->conn->who.paired &&
        pairing_ended(c->hub, json_view(c->params, "requestId"), view_str(c->conn->who.device_id),
                      &c->ref))
        return 0;
    if (!q || !own(c, view_str(q->who.id)))
        return call_error(c, RPC_INVALID_REQUEST, "scope upgrade expired or not found");
    if (!pairing_wait(c->hub, q, &c->ref))
        return call_error_full(c, RPC_UNAVAILABLE, "too many are waiting", VIEW_EMPTY, 1, 1000);
    return 0;
}

/* ---- setup codes ---- */

/* Where the new device will connect to. A page's address is as good as a socket's. */
static struct view gateway_url(const struct call *c, struct buf *b, const char **source)
{
    struct view v = json_view(c->params, "publicUrl");
    bool tls;

    *source = "request.publicUrl";
    if (!v.n) {
        v = json_view(json_at(c->hub->settings->doc, "gateway"), "publicOrigin");
        *source = "gateway.publicOrigin";
    }
    if (!v.n) {
        *source = "loopback";
        buf_printf(b, "ws://127.0.0.1:%lld", (long long)c->hub->settings->port);
        return buf_view(b);
    }
    tls = view_starts(v, V("https://"));
    if (tls || view_starts(v, V("http://"))) {
        buf_put_str(b, tls ? "wss://" : "ws://");
        v = view_from(v, tls ? 8 : 7);
    } else if (!view_starts(v, V("wss://")) && !view_starts(v, V("ws://"))) {
        return VIEW_EMPTY;
    }
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] <= 0x20 || (unsigned char)v.p[i] >= 0x7f || v.p[i] == '@')
            return VIEW_EMPTY;
    buf_put_view(b, v);
    return b->failed ? VIEW_EMPTY : buf_view(b);
}

static void put_code(struct jw *w, struct view url, const char *token)
{
    struct buf doc = BUF_INIT(SETUP_TEXT_MAX);
    char code[B64URL_LEN(SETUP_TEXT_MAX) + 1];
    struct jw in = JW_INIT(&doc);

    doc.secret = true;
    jw_obj(&in);
    jw_kstr(&in, "url", url);
    jw_kcstr(&in, "bootstrapToken", token);
    jw_obj_end(&in);
    b64url((const unsigned char *)buf_view(&doc).p, doc.n, code);
    jw_kcstr(w, "setupCode", code);
    mem_wipe(code, sizeof(code));
    buf_fini(&doc);
}

int rpc_device_pair_setupCode(struct call *c)
{
    struct view profile = json_view(c->params, "bootstrapProfile"), url;
    bool node = view_eq(profile, V("node")) || view_eq(profile, V("voice-node")), limited, clear;
    const char *source, *access;
    const struct pair_setup *s;
    char token[DEVICE_TOKEN_LEN + 1];
    struct buf b = BUF_INIT(URL_MAX);
    struct jw *w;
    int r;

    if (json_is_true(json_object_get(c->params, "joinUrl")))
        return call_error(c, RPC_INVALID_REQUEST,
                          "join URLs are not served by this gateway; use the setup code");
    url = gateway_url(c, &b, &source);
    if (!url.n) {
        buf_fini(&b);
        return call_error(c, RPC_INVALID_REQUEST,
                          "publicUrl: must be a ws, wss, http or https "
                          "address");
    }
    clear = !view_starts(url, V("wss://")) && !view_starts(url, V("ws://127.0.0.1")) &&
            !view_starts(url, V("ws://localhost"));
    limited = clear || view_eq(profile, V("limited"));
    access = node ? "node" : limited ? "limited" : "full";
    s = pairing_setup_new(c->hub, access, node ? DEVICE_NODE : DEVICE_NODE | DEVICE_OPERATOR,
                          node      ? 0
                          : limited ? (unsigned)SETUP_LIMITED
                                    : (unsigned)SETUP_FULL,
                          token);
    if (!s) {
        buf_fini(&b);
        return call_error(c, RPC_UNAVAILABLE, "no setup code could be made");
    }
    log_info("pairing.setup_made", KV("setup", s->id), KV("access", access));
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "setupId", s->id);
    put_code(w, url, token);
    jw_kstr(w, "gatewayUrl", url);
    jw_kcstr(w, "auth", c->hub->settings->auth_mode == AUTH_PASSWORD ? "password" : "token");
    jw_kcstr(w, "urlSource", source);
    jw_kcstr(w, "access", access);
    if (clear && !node && !profile.n)
        jw_kbool(w, "accessDowngraded", true);
    jw_ki64(w, "expiresAtMs", s->expires_at);
    jw_obj_end(w);
    r = call_end(c);
    mem_wipe(token, sizeof(token));
    buf_fini(&b);
    return r;
}

int rpc_device_pair_setupStatus(struct call *c)
{
    const struct pair_setup *s = pairing_setup_find(c->hub, json_view(c->params, "setupId"));
    struct jw *w = call_ok(c);

    jw_obj(w);
    if (s && s->used_at) {
        jw_key(w, "completion");
        jw_obj(w);
        jw_kcstr(w, "setupId", s->id);
        jw_kcstr(w, "deviceId", s->device_id);
        jw_kcstr(w, "access", s->access);
        jw_ki64(w, "ts", s->used_at);
        jw_obj_end(w);
    }
    jw_obj_end(w);
    return call_end(c);
}
