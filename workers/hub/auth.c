#include "auth.h"

#include "call.h"
#include "clock.h"
#include "device.h"
#include "health.h"
#include "hello.h"
#include "json.h"
#include "log.h"
#include "mac.h"
#include "origin.h"
#include "params.h"
#include "presence.h"
#include "rand.h"
#include "secret.h"
#include "settings.h"
#include "throttle.h"
#include "ticket.h"

enum {
    PROTOCOL = 4,
    PROTOCOL_PROBE_MIN = 3, /* probes and legacy nodes */
    CLOSE_POLICY = 1008,
    CLOSE_PROTOCOL = 1002,
    CLOSE_TRY_AGAIN = 1013,
    REASON_MAX = 120,       /* protocol, 1.3 */
    AUTH_WAITING_MAX = 256, /* wrong secrets whose answer waits; more are answered at once */
    LISTED_TEXT_MAX = 256,  /* bytes of one text in a presence entry */
    BODY_KEEP = 64 * 1024,
};

/* protocol, 2.2 */
static const char connect_params[] =
    "minProtocol!:int(1..), maxProtocol!:int(1..), "
    "client!:{id!:webchat-ui/openclaw-control-ui/openclaw-browser-copilot/openclaw-tui/webchat/cli/"
    "gateway-client/"
    "openclaw-macos/openclaw-linux/openclaw-ios/openclaw-watchos/openclaw-android/node-host/"
    "openclaw-worker/test/"
    "fingerprint/openclaw-probe, displayName:str, version!:str, buildId:str(..96), platform!:str, "
    "deviceFamily:str, "
    "modelIdentifier:str, timeZone:str(..64), mode!:webchat/cli/ui/backend/node/worker/probe/test, "
    "instanceId:str}, "
    "caps:[str], commands:[str], computerUse:any, workerRuns:object, permissions:object, "
    "pathEnv:text, role:str, "
    "scopes:[str], modelCatalog:{agentId:str, sessionKey:str, shortId:str, slugHint:str}, "
    "device:{id!:str, publicKey!:str, signature!:str, signedAt!:int(0..), nonce!:text}, "
    "auth:{token:text, bootstrapToken:text, deviceToken:text, password:text, "
    "approvalRuntimeToken:text, "
    "agentRuntimeIdentityToken:text}, locale:text, userAgent:text";

/* A refusal that waits. */
struct waiting {
    struct loop_timer timer;
    struct hub *hub;
    struct waiting *next, **at;
    uint64_t conn_id;
    unsigned front;
    char *body;   /* owned */
    char *reason; /* owned */
};

struct auth {
    struct params *params;
    struct throttle throttle;
    struct waiting *waiting;
    unsigned waiting_count;
    struct buf body, ticket, scopes; /* of the handshake under way */
};

/* One connect under decision. */
struct attempt {
    struct hub *hub;
    struct link *front;
    const struct ipc_connect *m;
    json_t *params; /* owned */
    const json_t *client, *auth, *device;
    struct view id, mode, role;
    int64_t min, max;
    bool local, node, secret_ok, secret_given, device_ok;
};

/* Why not; body is the rest of the response. */
struct refusal {
    const char *code;
    struct view message; /* also the close reason */
    uint16_t close;
    bool silent;   /* no response, only the close */
    int retryable; /* -1 absent */
    uint64_t retry_after_ms;
    uint64_t wait_ms;
    struct buf details, text; /* owned */
};

static bool is(struct view v, const char *word)
{
    return view_eq(v, view_str(word));
}

/* false, so that a check can end with it */
static bool refuse(struct refusal *r, const char *code, struct view message)
{
    r->code = code;
    r->message = message;
    if (!r->close)
        r->close = CLOSE_POLICY;
    return false;
}

static bool refuse_code(struct refusal *r, const char *code, const char *message,
                        const char *detail, const char *reason)
{
    struct jw w = JW_INIT(&r->details);

    jw_obj(&w);
    jw_kcstr(&w, "code", detail);
    if (reason)
        jw_kcstr(&w, "reason", reason);
    jw_obj_end(&w);
    return refuse(r, code, view_str(message));
}

static bool check_ready(struct attempt *a, struct refusal *r)
{
    if (!a->hub->stopping)
        return true;
    buf_put_view(&r->details, V("{\"reason\":\"gateway-restarting\"}"));
    r->close = CLOSE_TRY_AGAIN;
    r->retryable = 1;
    r->retry_after_ms = 500;
    return refuse(r, RPC_UNAVAILABLE, V("gateway restart in progress"));
}

static bool check_schema(struct attempt *a, struct refusal *r)
{
    struct err e = ERR_INIT;

    if (json_parse(a->m->params.n ? a->m->params : V("{}"), &a->params, &e) < 0) {
        buf_put_view(&r->text, V("invalid connect params: must be object"));
        return refuse(r, RPC_INVALID_REQUEST, buf_view(&r->text));
    }
    buf_put_view(&r->text, V("invalid connect params: "));
    if (!params_check(a->hub->auth->params, a->params, &r->text))
        return refuse(r, RPC_INVALID_REQUEST, buf_view(&r->text));
    a->client = json_object_get(a->params, "client");
    a->auth = json_object_get(a->params, "auth");
    a->device = json_object_get(a->params, "device");
    a->id = json_view(a->client, "id");
    a->mode = json_view(a->client, "mode");
    a->role = json_object_get(a->params, "role") ? json_view(a->params, "role") : V("operator");
    a->min = json_i64(a->params, "minProtocol", 0);
    a->max = json_i64(a->params, "maxProtocol", 0);
    a->node = is(a->role, "node");
    a->local = (a->m->flags & CONN_LOCAL) && !(a->m->flags & CONN_PROXIED);
    return true;
}

static bool check_worker(struct attempt *a, struct refusal *r)
{
    if (!is(a->role, "worker") && !is(a->mode, "worker") && !is(a->id, "openclaw-worker"))
        return true;
    r->silent = true;
    return refuse(r, RPC_INVALID_REQUEST, V("invalid-handshake"));
}

static bool check_protocol(struct attempt *a, struct refusal *r)
{
    struct jw w = JW_INIT(&r->details);

    if (a->min <= PROTOCOL && a->max >= PROTOCOL)
        return true;
    if (is(a->mode, "probe") && a->min <= PROTOCOL && a->max >= PROTOCOL_PROBE_MIN)
        return true;
    if (a->node && is(a->mode, "node") && a->min <= PROTOCOL_PROBE_MIN &&
        a->max >= PROTOCOL_PROBE_MIN)
        return true;
    jw_obj(&w);
    jw_kcstr(&w, "code", "PROTOCOL_MISMATCH");
    jw_ki64(&w, "clientMinProtocol", a->min);
    jw_ki64(&w, "clientMaxProtocol", a->max);
    jw_ki64(&w, "expectedProtocol", PROTOCOL);
    jw_ki64(&w, "minimumProbeProtocol", PROTOCOL_PROBE_MIN);
    jw_obj_end(&w);
    r->close = CLOSE_PROTOCOL;
    return refuse(r, RPC_INVALID_REQUEST, V("protocol mismatch"));
}

static bool check_role(struct attempt *a, struct refusal *r)
{
    return a->node || is(a->role, "operator") ? true
                                              : refuse(r, RPC_INVALID_REQUEST, V("invalid role"));
}

static bool control_ui(const struct attempt *a)
{
    return is(a->id, "openclaw-control-ui");
}

static bool webchat(const struct attempt *a)
{
    return is(a->mode, "webchat") || is(a->id, "webchat-ui");
}

static bool check_origin(struct attempt *a, struct refusal *r)
{
    const char *why;

    if (a->m->origin.n == 0 && !control_ui(a) && !webchat(a))
        return true;
    if (!(why = origin_refused(a->hub->settings, a->m->origin, a->m->host, a->local)))
        return true;
    return refuse_code(
        r, RPC_INVALID_REQUEST,
        "origin not allowed (open the Control UI from the gateway host or allow it in "
        "gateway.controlUi.allowedOrigins)",
        "CONTROL_UI_ORIGIN_NOT_ALLOWED", why);
}

/* Not a check yet: whether the shared secret was given and is right. Both sides are MACs: equal
 * length, constant time. */
static void look_at_secret(struct attempt *a)
{
    const struct settings *s = a->hub->settings;
    struct view token = json_view(a->auth, "token");
    unsigned char sum[MAC_BYTES];
    struct err e = ERR_INIT;

    a->secret_given = token.n || json_view(a->auth, "password").n ||
                      json_view(a->auth, "deviceToken").n || json_view(a->auth, "bootstrapToken").n;
    if (s->auth_mode == AUTH_NONE)
        a->secret_ok = true;
    else if (s->have_token && token.n && mac_of(a->hub->mac, token, sum, &e) == 0)
        a->secret_ok = secret_same(sum, s->token_mac, sizeof(sum));
    mem_wipe(sum, sizeof(sum));
}

static bool check_credentials(struct attempt *a, struct refusal *r);

/* The Control UI and the terminal UI without a device need a word from the configuration. */
static bool ui_may_lack_device(const struct attempt *a)
{
    const struct settings *s = a->hub->settings;

    return s->auth_mode == AUTH_NONE || s->ui_no_device || (s->ui_insecure_auth && a->local);
}

static bool check_missing_device(struct attempt *a, struct refusal *r)
{
    look_at_secret(a);
    if (a->device)
        return true;
    if (a->node)
        return refuse_code(r, RPC_NOT_PAIRED, "device identity required",
                           "DEVICE_IDENTITY_REQUIRED", NULL);
    if ((control_ui(a) || is(a->id, "openclaw-tui")) && !ui_may_lack_device(a))
        return refuse_code(
            r, RPC_INVALID_REQUEST,
            "control ui requires device identity (use HTTPS or localhost secure context)",
            "CONTROL_UI_DEVICE_IDENTITY_REQUIRED", NULL);
    if (a->secret_ok)
        return true;
    if (!a->secret_given)
        return refuse_code(r, RPC_NOT_PAIRED, "device identity required",
                           "DEVICE_IDENTITY_REQUIRED", NULL);
    return check_credentials(a, r);
}

static bool check_device(struct attempt *a, struct refusal *r)
{
    const struct device_fault *f;

    if (!a->device)
        return true;
    if ((f = device_check(a->params, a->m->nonce, clock_wall_ms())))
        return refuse_code(r, RPC_INVALID_REQUEST, f->message, f->code, f->reason);
    a->device_ok = true;
    return true;
}

static const char *token_hint(const struct attempt *a)
{
    if (is(a->id, "cli"))
        return a->local ? "use this gateway's gateway.auth.token or pair the device"
                        : "set gateway.remote.token to match gateway.auth.token";
    if (control_ui(a) || webchat(a))
        return "open the dashboard URL and paste the token in Control UI settings";
    return "provide gateway auth token";
}

static bool refuse_auth(struct refusal *r, const char *reason, const char *detail,
                        bool device_token_helps, const char *next)
{
    struct jw w = JW_INIT(&r->details);

    jw_obj(&w);
    jw_kcstr(&w, "code", detail);
    jw_kcstr(&w, "authReason", reason);
    jw_kbool(&w, "canRetryWithDeviceToken", device_token_helps);
    jw_kcstr(&w, "recommendedNextStep", next);
    jw_obj_end(&w);
    return refuse(r, RPC_INVALID_REQUEST, buf_view(&r->text));
}

/* Browsers on this machine count per page: a page must not lock out the others. */
static struct view throttle_key(const struct attempt *a, bool *waits)
{
    *waits = a->local && a->m->origin.n == 0;
    return a->local && a->m->origin.n ? a->m->origin : a->m->peer;
}

static bool check_credentials(struct attempt *a, struct refusal *r)
{
    struct throttle *t = &a->hub->auth->throttle;
    struct view token = json_view(a->auth, "token"),
                device_token = json_view(a->auth, "deviceToken");
    uint64_t now = clock_mono_ms();
    bool waits, helps;
    struct view key = throttle_key(a, &waits);

    buf_reset(&r->text, BODY_KEEP);
    if (throttle_locked(t, key, now)) {
        buf_put_view(&r->text,
                     V("unauthorized: too many failed authentication attempts (retry later)"));
        return refuse_auth(r, "rate_limited", "AUTH_RATE_LIMITED", false, "wait_then_retry");
    }
    if (a->secret_ok) {
        throttle_ok(t, key);
        return true;
    }
    if (!a->hub->settings->have_token) {
        buf_put_view(
            &r->text,
            V("unauthorized: gateway token not configured on gateway (set gateway.auth.token)"));
        return refuse_auth(r, "token_missing_config", "AUTH_TOKEN_NOT_CONFIGURED", false,
                           "update_auth_configuration");
    }
    if (device_token.n && !token.n) {
        r->wait_ms = throttle_failed(t, key, waits, now);
        buf_put_view(&r->text,
                     V("unauthorized: device token mismatch (rotate/reissue device token)"));
        return refuse_auth(r, "device_token_mismatch", "AUTH_DEVICE_TOKEN_MISMATCH", false,
                           "update_auth_credentials");
    }
    if (!token.n && json_view(a->auth, "bootstrapToken").n) {
        r->wait_ms = throttle_failed(t, key, waits, now);
        buf_put_view(&r->text, V("unauthorized: setup code invalid, expired, revoked, or already "
                                 "used (ask for a new one)"));
        return refuse_auth(r, "bootstrap_token_invalid", "AUTH_BOOTSTRAP_TOKEN_INVALID", false,
                           "review_auth_configuration");
    }
    if (!token.n) {
        buf_printf(&r->text, "unauthorized: gateway token missing (%s)", token_hint(a));
        return refuse_auth(r, "token_missing", "AUTH_TOKEN_MISSING", false,
                           "update_auth_configuration");
    }
    r->wait_ms = throttle_failed(t, key, waits, now);
    helps = a->device_ok && !device_token.n;
    buf_printf(&r->text, "unauthorized: gateway token mismatch (%s)", token_hint(a));
    return refuse_auth(r, "token_mismatch", "AUTH_TOKEN_MISMATCH", helps,
                       helps ? "retry_with_device_token" : "update_auth_credentials");
}

/* Whether a client keeps the scopes it asks for (protocol, 2.5). Pairing will widen this. */
static bool keeps_scopes(const struct attempt *a)
{
    if (a->device_ok)
        return a->local;
    if (control_ui(a) || is(a->id, "openclaw-tui"))
        return true; /* without a device only where the configuration says so */
    return a->local && a->m->origin.n == 0 &&
           ((is(a->id, "gateway-client") && is(a->mode, "backend")) ||
            (is(a->id, "cli") && is(a->mode, "cli")));
}

static void copy_text(char *out, size_t room, struct view v)
{
    size_t n = v.n < room ? v.n : room - 1;

    memcpy(out, v.p, n);
    out[n] = '\0';
}

/* The only place where an identity comes into being. scopes: the granted ones as JSON text, in the
 * client's order. */
static void grant(const struct attempt *a, struct identity *who, struct buf *scopes)
{
    const json_t *asked = json_object_get(a->params, "scopes");
    struct jw w = JW_INIT(scopes);

    who->role = a->node ? CONN_NODE : CONN_OPERATOR;
    copy_text(who->method, sizeof(who->method),
              a->hub->settings->auth_mode == AUTH_NONE ? V("none") : V("token"));
    copy_text(who->client_id, sizeof(who->client_id), a->id);
    copy_text(who->client_mode, sizeof(who->client_mode), a->mode);
    if (a->device_ok)
        copy_text(who->device_id, sizeof(who->device_id), json_view(a->device, "id"));
    buf_reset(scopes, BODY_KEEP);
    jw_arr(&w);
    for (size_t i = 0; !a->node && keeps_scopes(a) && i < json_array_size(asked); i++) {
        struct view name = json_view_of(json_array_get(asked, i));
        unsigned bit = scope_from(name);

        if (!bit || (who->scopes_listed & bit))
            continue;
        who->scopes_listed |= bit;
        jw_str(&w, name);
    }
    jw_arr_end(&w);
    who->scopes = scope_expand(who->scopes_listed);
}

static unsigned read_caps(const struct attempt *a)
{
    static const struct {
        const char *name;
        unsigned cap;
    } known[] = {{"tool-events", CAP_TOOL_EVENTS},
                 {"approvals", CAP_APPROVALS},
                 {"exec-approvals", CAP_APPROVALS},
                 {"plugin-approvals", CAP_APPROVALS},
                 {"inline-widgets", CAP_INLINE_WIDGETS},
                 {"agent-kind", CAP_AGENT_KIND},
                 {"session-scoped-events", CAP_SESSION_SCOPED_EVENTS}};
    const json_t *caps = json_object_get(a->params, "caps");
    unsigned set = 0;

    for (size_t i = 0; i < json_array_size(caps) && i < CONN_CAPS_MAX; i++)
        for (size_t k = 0; k < COUNT_OF(known); k++)
            if (is(json_view_of(json_array_get(caps, i)), known[k].name))
                set |= known[k].cap;
    return set;
}

static struct view cut(struct view v, size_t max)
{
    if (v.n <= max)
        return v;
    for (v.n = max; v.n && ((unsigned char)v.p[v.n] & 0xc0) == 0x80;)
        v.n--;
    return v;
}

static void list_text(struct jw *w, const struct attempt *a, const char *key, const char *member)
{
    struct view v = cut(json_view(a->client, member), LISTED_TEXT_MAX);

    if (v.n)
        jw_kstr(w, key, v);
}

/* Presence shows lasting clients only (protocol, 2.10). */
static int list(const struct attempt *a, struct conn *c, struct view scopes, struct err *e)
{
    struct view name = cut(json_view(a->client, "displayName"), LISTED_TEXT_MAX);
    struct view instance = cut(json_view(a->client, "instanceId"), LISTED_TEXT_MAX);
    struct buf b = BUF_INIT(PRESENCE_BODY_MAX);
    struct jw w = {.b = &b, .depth = 1};
    int r;

    if (is(a->mode, "backend") || is(a->mode, "cli") || is(a->mode, "probe"))
        return 0;
    jw_kstr(&w, "clientId", a->id);
    jw_kstr(&w, "mode", a->mode);
    jw_kraw(&w, "roles", a->node ? V("[\"node\"]") : V("[\"operator\"]"));
    if (c->who.scopes_listed)
        jw_kraw(&w, "scopes", scopes);
    jw_key(&w, "text");
    buf_put_view(&b, V("\"Node: "));
    jw_escape(&b, name.n ? name : V("unknown"));
    buf_put_view(&b, V(" · mode "));
    jw_escape(&b, a->mode);
    buf_put_char(&b, '"');
    jw_kstr(&w, "host", name.n ? name : a->id);
    list_text(&w, a, "version", "version");
    list_text(&w, a, "platform", "platform");
    list_text(&w, a, "deviceFamily", "deviceFamily");
    list_text(&w, a, "modelIdentifier", "modelIdentifier");
    list_text(&w, a, "timeZone", "timeZone");
    if (c->who.device_id[0])
        jw_kcstr(&w, "deviceId", c->who.device_id);
    list_text(&w, a, "instanceId", "instanceId");
    if (buf_check(&b, e) == 0)
        c->listed = mem_dup(b.p, b.n);
    buf_reset(&b, PRESENCE_BODY_MAX);
    if (c->who.device_id[0])
        buf_printf(&b, "d:%s", c->who.device_id);
    else if (instance.n)
        buf_printf(&b, "i:%.*s", VIEW_FMT(instance));
    else
        buf_printf(&b, "c:%s", c->conn_uuid);
    if ((r = buf_check(&b, e)) == 0)
        c->listed_key = mem_dup(b.p, b.n);
    if (!c->listed || !c->listed_key) {
        mem_free(TAKE(c->listed));
        mem_free(TAKE(c->listed_key));
        r = err_set(e, ERR_NOMEM, "no memory for a presence entry");
    }
    buf_fini(&b);
    return r;
}

static int accept_conn(struct attempt *a, struct err *e)
{
    struct auth *au = a->hub->auth;
    struct ipc_connect_ok ok = {.conn_id = a->m->conn_id};
    struct conn *c = NULL, *known;
    int r;

    if ((r = conn_new(&c, link_instance(a->front), a->m->conn_id, e)) < 0)
        return r;
    grant(a, &c->who, &au->scopes);
    c->caps = read_caps(a);
    c->local = a->local;
    copy_text(c->peer, sizeof(c->peer), a->m->peer);
    rand_uuid(c->conn_uuid);
    known = c;
    if ((r = list(a, c, buf_view(&au->scopes), e)) < 0 || (r = conn_add(a->hub, &c, e)) < 0)
        goto out;
    buf_reset(&au->body, BODY_KEEP);
    buf_reset(&au->ticket, BODY_KEEP);
    hello_write(a->hub, known, buf_view(&au->scopes), &au->body);
    if ((r = buf_check(&au->body, e)) < 0 || (r = conn_ticket(a->hub, known, &au->ticket, e)) < 0)
        goto remove;
    ok.audience = known->audience;
    ok.ticket = buf_view(&au->ticket);
    ok.body = buf_view(&au->body);
    if ((r = msg_send_connect_ok(a->front, &ok, e)) < 0)
        goto remove;
    log_debug("conn.hello", KV("conn", known->id), KV("client", known->who.client_id),
              KV("mode", known->who.client_mode), KV("peer", known->peer));
    (void)health_if_old(a->hub);
    return 0;
remove:
    conn_remove(a->hub, known->front, known->id);
out:
    conn_free(&c);
    return r;
}

static int send_refused(struct link *front, uint64_t conn_id, uint16_t code, struct view reason,
                        struct view body, struct err *e)
{
    struct ipc_connect_refused m = {.conn_id = conn_id,
                                    .close_code = code,
                                    .close_reason = cut(reason, REASON_MAX),
                                    .body = body};
    int r = msg_send_connect_refused(front, &m, e);

    hub_front_mark(front);
    return r;
}

static void waiting_free(struct waiting *w)
{
    if ((*w->at = w->next))
        w->next->at = w->at;
    w->hub->auth->waiting_count--;
    loop_timer_fini(&w->timer);
    mem_free(w->body);
    mem_free(w->reason);
    mem_free(w);
}

static void on_waited(void *ctx)
{
    struct waiting *w = ctx;
    struct link *front = hub_front(w->hub, w->front);
    struct err e = ERR_INIT;

    if (front && send_refused(front, w->conn_id, CLOSE_POLICY, view_str(w->reason),
                              view_str(w->body), &e) < 0)
        log_error("refusal.lost", KV("conn", w->conn_id), KV("why", e.text));
    waiting_free(w);
}

/* False: no room, the answer goes out at once. */
static bool answer_later(struct attempt *a, const struct refusal *r, struct view body)
{
    struct auth *au = a->hub->auth;
    struct waiting *w = au->waiting_count < AUTH_WAITING_MAX ? mem_alloc(sizeof(*w)) : NULL;

    if (!w)
        return false;
    w->hub = a->hub;
    w->conn_id = a->m->conn_id;
    w->front = link_instance(a->front);
    w->at = &au->waiting;
    if ((w->next = au->waiting))
        w->next->at = &w->next;
    au->waiting = w;
    au->waiting_count++;
    loop_timer_init(&w->timer, a->hub->w.loop, on_waited, w);
    w->body = mem_dup(body.p, body.n);
    w->reason = mem_dup(r->message.p, r->message.n);
    if (!w->body || !w->reason) {
        waiting_free(w);
        return false;
    }
    loop_timer_set(&w->timer, r->wait_ms);
    return true;
}

static int refuse_conn(struct attempt *a, struct refusal *r, struct err *e)
{
    struct buf *b = &a->hub->auth->body;

    buf_reset(b, BODY_KEEP);
    if (!r->silent)
        call_body_error(b, r->code, r->message, buf_view(&r->details), r->retryable,
                        r->retry_after_ms, VIEW_EMPTY);
    if (b->failed)
        return buf_check(b, e);
    log_info("conn.refused", KV("conn", a->m->conn_id), KV("peer", a->m->peer),
             KV("why", cut(r->message, REASON_MAX)));
    if (r->wait_ms && answer_later(a, r, buf_view(b)))
        return 0;
    return send_refused(a->front, a->m->conn_id, r->close, r->message, buf_view(b), e);
}

int auth_on_connect(struct hub *h, struct link *from, struct ipc_connect *m, struct err *e)
{
    static bool (*const checks[])(struct attempt *, struct refusal *) = {
        check_ready,  check_schema,         check_worker, check_protocol,   check_role,
        check_origin, check_missing_device, check_device, check_credentials};
    struct attempt a = {.hub = h, .front = from, .m = m};
    struct refusal why = {.retryable = -1};
    struct err own = ERR_INIT;
    size_t i = 0;
    int r;

    buf_init(&why.details, BODY_KEEP);
    buf_init(&why.text, BODY_KEEP);
    while (i < COUNT_OF(checks) && checks[i](&a, &why))
        i++;
    if (i == COUNT_OF(checks) && (r = accept_conn(&a, &own)) < 0) {
        log_error("conn.failed", KV("conn", m->conn_id), KV("why", own.text));
        why.close = CLOSE_TRY_AGAIN;
        (void)refuse(&why, RPC_UNAVAILABLE, V("the gateway cannot take the connection now"));
        i = 0;
    }
    r = i < COUNT_OF(checks) ? refuse_conn(&a, &why, e) : 0;
    hub_front_mark(from);
    buf_fini(&why.details);
    buf_fini(&why.text);
    json_decref(a.params);
    return r;
}

int auth_open(struct hub *h, struct err *e)
{
    int r = mem_new(&h->auth, sizeof(*h->auth), e);

    if (r < 0)
        return r;
    buf_init(&h->auth->body, 4 * MIB);
    buf_init(&h->auth->ticket, TICKET_MAX);
    buf_init(&h->auth->scopes, BODY_KEEP);
    if ((r = params_compile(&h->auth->params, connect_params, e)) < 0)
        return err_wrap(e, "connect parameters");
    return 0;
}

void auth_close(struct hub *h)
{
    struct auth *au = h->auth;

    if (!au)
        return;
    while (au->waiting)
        waiting_free(au->waiting);
    params_free(&au->params);
    buf_fini(&au->body);
    buf_fini(&au->ticket);
    buf_fini(&au->scopes);
    mem_free(au);
    h->auth = NULL;
}
