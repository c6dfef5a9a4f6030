#include "admit.h"

#include "clock.h"
#include "device.h"
#include "json.h"
#include "jw.h"
#include "mem.h"
#include "origin.h"
#include "rpc.h"
#include "secret.h"

/* protocol, 2.2 */
const char admit_schema[] =
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

static bool is(struct view v, const char *word)
{
    return view_eq(v, view_str(word));
}

/* false, so that a check can end with it */
bool admit_refuse(struct refusal *r, const char *code, struct view message)
{
    r->code = code;
    r->message = message;
    if (!r->close)
        r->close = ADMIT_CLOSE_POLICY;
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
    return admit_refuse(r, code, view_str(message));
}

static bool check_ready(struct attempt *a, struct refusal *r)
{
    if (!a->stopping)
        return true;
    buf_put_view(&r->details, V("{\"reason\":\"gateway-restarting\"}"));
    r->close = ADMIT_CLOSE_TRY_AGAIN;
    r->retryable = 1;
    r->retry_after_ms = 500;
    return admit_refuse(r, RPC_UNAVAILABLE, V("gateway restart in progress"));
}

static bool check_schema(struct attempt *a, struct refusal *r)
{
    struct err e = ERR_INIT;

    if (json_parse(a->m->params.n ? a->m->params : V("{}"), &a->params, &e) < 0) {
        buf_put_view(&r->text, V("invalid connect params: must be object"));
        return admit_refuse(r, RPC_INVALID_REQUEST, buf_view(&r->text));
    }
    buf_put_view(&r->text, V("invalid connect params: "));
    if (!params_check(a->schema, a->params, &r->text))
        return admit_refuse(r, RPC_INVALID_REQUEST, buf_view(&r->text));
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
    return admit_refuse(r, RPC_INVALID_REQUEST, V("invalid-handshake"));
}

/* The original of this era refuses protocol 3; serving it costs one number and keeps older clients
 * (protocol, 2.4). */
static bool check_protocol(struct attempt *a, struct refusal *r)
{
    struct jw w = JW_INIT(&r->details);

    a->protocol = ADMIT_PROTOCOL;
    if (a->min <= ADMIT_PROTOCOL && a->max >= ADMIT_PROTOCOL)
        return true;
    if (a->min <= ADMIT_PROTOCOL_OLD && a->max >= ADMIT_PROTOCOL_OLD) {
        if (!is(a->mode, "probe"))
            a->protocol = ADMIT_PROTOCOL_OLD;
        return true;
    }
    jw_obj(&w);
    jw_kcstr(&w, "code", "PROTOCOL_MISMATCH");
    jw_ki64(&w, "clientMinProtocol", a->min);
    jw_ki64(&w, "clientMaxProtocol", a->max);
    jw_ki64(&w, "expectedProtocol", ADMIT_PROTOCOL);
    jw_ki64(&w, "minimumProbeProtocol", ADMIT_PROTOCOL_OLD);
    jw_obj_end(&w);
    r->close = ADMIT_CLOSE_PROTOCOL;
    return admit_refuse(r, RPC_INVALID_REQUEST, V("protocol mismatch"));
}

static bool check_role(struct attempt *a, struct refusal *r)
{
    return a->node || is(a->role, "operator")
               ? true
               : admit_refuse(r, RPC_INVALID_REQUEST, V("invalid role"));
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
    if (!(why = origin_refused(a->settings, a->m->origin, a->m->host, a->local)))
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
    const struct settings *s = a->settings;
    struct view token = json_view(a->auth, "token");
    unsigned char sum[MAC_BYTES];
    struct err e = ERR_INIT;

    a->secret_given = token.n || json_view(a->auth, "password").n ||
                      json_view(a->auth, "deviceToken").n || json_view(a->auth, "bootstrapToken").n;
    if (s->auth_mode == AUTH_NONE)
        a->secret_ok = true;
    else if (s->have_token && token.n && mac_of(a->mac, token, sum, &e) == 0)
        a->secret_ok = secret_same(sum, s->token_mac, sizeof(sum));
    mem_wipe(sum, sizeof(sum));
}

static bool check_credentials(struct attempt *a, struct refusal *r);

/* The Control UI and the terminal UI without a device need a word from the configuration. */
static bool ui_may_lack_device(const struct attempt *a)
{
    const struct settings *s = a->settings;

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
    return admit_refuse(r, RPC_INVALID_REQUEST, buf_view(&r->text));
}

/* Browsers on this machine count per page: a page must not lock out the others. */
static struct view throttle_key(const struct attempt *a, bool *waits)
{
    *waits = a->local && a->m->origin.n == 0;
    return a->local && a->m->origin.n ? a->m->origin : a->m->peer;
}

static bool check_credentials(struct attempt *a, struct refusal *r)
{
    struct throttle *t = a->throttle;
    struct view token = json_view(a->auth, "token"),
                device_token = json_view(a->auth, "deviceToken");
    uint64_t now = clock_mono_ms();
    bool waits, helps;
    struct view key = throttle_key(a, &waits);

    buf_reset(&r->text, ADMIT_TEXT_MAX);
    if (throttle_locked(t, key, now)) {
        buf_put_view(&r->text,
                     V("unauthorized: too many failed authentication attempts (retry later)"));
        return refuse_auth(r, "rate_limited", "AUTH_RATE_LIMITED", false, "wait_then_retry");
    }
    if (a->secret_ok) {
        throttle_ok(t, key);
        return true;
    }
    if (!a->settings->have_token) {
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

/* Pairing will widen this. */
bool admit_keeps_scopes(const struct attempt *a)
{
    if (a->device_ok)
        return a->local;
    if (a->protocol == ADMIT_PROTOCOL_OLD)
        return true; /* protocol, 11: the shared secret alone decides */
    if (control_ui(a) || is(a->id, "openclaw-tui"))
        return true; /* without a device only where the configuration says so */
    return a->local && a->m->origin.n == 0 &&
           ((is(a->id, "gateway-client") && is(a->mode, "backend")) ||
            (is(a->id, "cli") && is(a->mode, "cli")));
}

bool admit_check(struct attempt *a, struct refusal *r)
{
    static bool (*const checks[])(struct attempt *, struct refusal *) = {
        check_ready,  check_schema,         check_worker, check_protocol,   check_role,
        check_origin, check_missing_device, check_device, check_credentials};

    for (size_t i = 0; i < COUNT_OF(checks); i++)
        if (!checks[i](a, r))
            return false;
    return true;
}
