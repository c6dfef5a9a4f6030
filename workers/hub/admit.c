#include "admit.h"

#include "clock.h"
#include "device.h"
#include "hub.h"
#include "json.h"
#include "jw.h"
#include "mem.h"
#include "origin.h"
#include "rpc.h"

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
    for (size_t i = 0; i < json_array_size(json_object_get(a->params, "scopes")); i++)
        a->asked |= (unsigned)scope_from(
            json_view_of(json_array_get(json_object_get(a->params, "scopes"), i)));
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

/* The Control UI and the terminal UI without a device need a word from the configuration. */
static bool ui_may_lack_device(const struct attempt *a)
{
    const struct settings *s = a->settings;

    return s->auth_mode == AUTH_NONE || s->ui_no_device || (s->ui_insecure_auth && a->local);
}

static bool no_identity(struct refusal *r)
{
    return refuse_code(r, RPC_NOT_PAIRED, "device identity required", "DEVICE_IDENTITY_REQUIRED",
                       NULL);
}

/* Behind a trusted proxy: browsers that can not have a device, with no scopes of their own. */
static bool proxied_page(const struct attempt *a)
{
    return a->settings->auth_mode == AUTH_PROXY && (a->m->flags & CONN_PROXIED) && control_ui(a);
}

static bool check_missing_device(struct attempt *a, struct refusal *r)
{
    if (a->device)
        return true;
    if (a->node)
        return no_identity(r);
    if (proxied_page(a))
        return credential_check(a, r);
    if ((control_ui(a) || is(a->id, "openclaw-tui")) && !ui_may_lack_device(a))
        return refuse_code(
            r, RPC_INVALID_REQUEST,
            "control ui requires device identity (use HTTPS or localhost secure context)",
            "CONTROL_UI_DEVICE_IDENTITY_REQUIRED", NULL);
    if (a->settings->auth_mode != AUTH_NONE && !credential_given(a))
        return no_identity(r);
    if (!credential_check(a, r))
        return false;
    /* no word of a proxy stands for a device */
    return a->by == CREDENTIAL_PROXY || a->by == CREDENTIAL_TAILSCALE ? no_identity(r) : true;
}

static bool check_device(struct attempt *a, struct refusal *r)
{
    const struct device_fault *f;

    if (!a->device)
        return true;
    if ((f = device_check(a->params, a->m->nonce, clock_wall_ms())))
        return refuse_code(r, RPC_INVALID_REQUEST, f->message, f->code, f->reason);
    a->device_ok = true;
    a->known = a->hub && devices_find(a->hub->devices, json_view(a->device, "id"), &a->paired,
                                      &(struct err)ERR_INIT) == 0;
    return true;
}

static bool shared(const struct attempt *a)
{
    return a->by == CREDENTIAL_NONE || a->by == CREDENTIAL_TOKEN || a->by == CREDENTIAL_PASSWORD;
}

/* The gateway's own helper on this machine: needs no pairing, whatever it proves. */
static bool is_backend(const struct attempt *a)
{
    return a->local && a->m->origin.n == 0 && !a->node && is(a->id, "gateway-client") &&
           is(a->mode, "backend");
}

bool admit_keeps_scopes(const struct attempt *a)
{
    if (a->device_ok)
        return true; /* pairing has covered them */
    if (!shared(a))
        return false;
    if (a->protocol == ADMIT_PROTOCOL_OLD)
        return true; /* protocol, 11: the shared secret alone decides */
    if (control_ui(a) || is(a->id, "openclaw-tui"))
        return true; /* without a device only where the configuration says so */
    return is_backend(a) ||
           (a->local && a->m->origin.n == 0 && is(a->id, "cli") && is(a->mode, "cli"));
}

/* As the signature folds it: without blanks around, ASCII in lower case. Nothing was pinned by a
 * device that said nothing. */
static bool differs(const char *pinned, struct view now)
{
    now = view_trim(now);
    if (now.n > 128)
        now.n = 128;
    return *pinned && !view_ieq(view_str(pinned), now);
}

enum pair_need admit_pairing(const struct attempt *a)
{
    enum device_role role = a->node ? DEVICE_NODE : DEVICE_OPERATOR;

    if (is_backend(a) && (shared(a) || a->by == CREDENTIAL_DEVICE))
        return PAIR_DONE;
    if (!a->known)
        return PAIR_NEW;
    if (!(a->paired.roles & role))
        return PAIR_ROLE;
    if (!a->node && (a->asked & ~scope_expand(a->paired.scopes)))
        return PAIR_SCOPES;
    if (differs(a->paired.platform, json_view(a->client, "platform")) ||
        differs(a->paired.family, json_view(a->client, "deviceFamily")))
        return PAIR_METADATA;
    return PAIR_DONE;
}

static bool native_app(const struct attempt *a)
{
    static const char *const apps[] = {"openclaw-macos", "openclaw-linux", "openclaw-ios",
                                       "openclaw-android"};

    for (size_t i = 0; i < COUNT_OF(apps); i++)
        if (is(a->id, apps[i]))
            return is(a->mode, "ui");
    return false;
}

bool admit_silent(const struct attempt *a, enum pair_need need)
{
    bool page = control_ui(a) || webchat(a), origin = a->m->origin.n > 0;

    if (!a->local || !a->settings->auto_approve_local || a->by == CREDENTIAL_PROXY ||
        a->by == CREDENTIAL_TAILSCALE)
        return false;
    switch (need) {
    case PAIR_DONE:
        return false;
    case PAIR_NEW:
    case PAIR_ROLE:
        return !origin || page;
    case PAIR_SCOPES:
        return (!origin || page) && shared(a);
    case PAIR_METADATA:
        return !origin && !page && native_app(a);
    }
    return false;
}

bool admit_check(struct attempt *a, struct refusal *r)
{
    static bool (*const checks[])(struct attempt *, struct refusal *) = {
        check_ready,  check_schema,         check_worker, check_protocol,  check_role,
        check_origin, check_missing_device, check_device, credential_check};

    for (size_t i = 0; i < COUNT_OF(checks); i++)
        if (!checks[i](a, r))
            return false;
    return true;
}
