#include "credential.h"

#include "admit.h"
#include "clock.h"
#include "json.h"
#include "jw.h"
#include "log.h"
#include "mem.h"
#include "pairing_setup.h"
#include "rpc.h"
#include "secret.h"

const char *credential_name(enum credential c)
{
    static const char *const names[] = {
        [CREDENTIAL_NOT_YET] = "none",          [CREDENTIAL_NONE] = "none",
        [CREDENTIAL_TOKEN] = "token",           [CREDENTIAL_PASSWORD] = "password",
        [CREDENTIAL_PROXY] = "trusted-proxy",   [CREDENTIAL_DEVICE] = "device-token",
        [CREDENTIAL_SETUP] = "bootstrap-token", [CREDENTIAL_TAILSCALE] = "tailscale"};

    return names[c];
}

/* A wrong one is counted; whoever is locked out by it is in the log once. */
static uint64_t count_wrong(struct throttle *t, enum throttle_kind kind, struct view key,
                            bool waits, uint64_t now)
{
    uint64_t wait = throttle_failed(t, kind, key, waits, now),
             locked = throttle_locked(t, kind, key, now);

    if (locked)
        log_warn("auth.locked", KV("address", key),
                 KV("kind", kind == THROTTLE_DEVICE      ? "device-token"
                            : kind == THROTTLE_BOOTSTRAP ? "setup-code"
                                                         : "secret"),
                 KV("ms", locked));
    return wait;
}

/* ---- the shared secret ---- */

/* Both sides are MACs: equal length, constant time. */
static bool token_right(const struct door *d, struct view secret)
{
    unsigned char sum[MAC_BYTES];
    struct err e = ERR_INIT;
    bool same = d->settings->have_token && secret.n && mac_of(d->mac, secret, sum, &e) == 0 &&
                secret_same(sum, d->settings->token_mac, sizeof(sum));

    mem_wipe(sum, sizeof(sum));
    return same;
}

enum door_verdict door_try(const struct door *d, struct view key, bool waits, struct view secret,
                           uint64_t *wait_ms)
{
    uint64_t now = clock_mono_ms();
    bool right;

    if ((*wait_ms = throttle_locked(d->throttle, THROTTLE_SECRET, key, now)))
        return DOOR_LOCKED;
    if (settings_by_token(d->settings)) {
        right = token_right(d, secret);
    } else {
        enum password_verdict v = password_try(d->password, d->settings, d->mac, secret, now);

        if (v == PASSWORD_BUSY) {
            *wait_ms = d->password->again_ms - now;
            return DOOR_BUSY;
        }
        right = v == PASSWORD_RIGHT;
    }
    if (right)
        throttle_ok(d->throttle, THROTTLE_SECRET, key);
    else
        *wait_ms = count_wrong(d->throttle, THROTTLE_SECRET, key, waits, now);
    return right ? DOOR_RIGHT : DOOR_WRONG;
}

/* ---- who is counted ---- */

/* Browsers on this machine count per page: a page must not lock out the others. */
static struct view count_as(const struct attempt *a, bool *waits)
{
    *waits = a->local && a->m->origin.n == 0 && a->settings->exempt_loopback;
    return a->local && a->m->origin.n ? a->m->origin : a->m->peer;
}

/* ---- refusals ---- */

static bool webui(const struct attempt *a)
{
    return view_eq(a->id, V("openclaw-control-ui")) || view_eq(a->id, V("webchat-ui")) ||
           view_eq(a->mode, V("webchat"));
}

static const char *hint(const struct attempt *a, bool password)
{
    if (view_eq(a->id, V("cli")) && a->local)
        return password ? "use this gateway's gateway.auth.password or pair the device"
                        : "use this gateway's gateway.auth.token or pair the device";
    if (view_eq(a->id, V("cli")))
        return password ? "set gateway.remote.password to match gateway.auth.password"
                        : "set gateway.remote.token to match gateway.auth.token";
    if (webui(a))
        return password ? "enter the password in Control UI settings"
                        : "open the dashboard URL and paste the token in Control UI settings";
    return password ? "provide gateway auth password" : "provide gateway auth token";
}

static bool refuse(struct refusal *r, const char *reason, const char *detail,
                   bool device_token_helps, const char *next)
{
    struct jw w = JW_INIT(&r->details);

    buf_reset(&r->details, ADMIT_TEXT_MAX);
    jw_obj(&w);
    jw_kcstr(&w, "code", detail);
    jw_kcstr(&w, "authReason", reason);
    jw_kbool(&w, "canRetryWithDeviceToken", device_token_helps);
    jw_kcstr(&w, "recommendedNextStep", next);
    jw_obj_end(&w);
    return admit_refuse(r, RPC_INVALID_REQUEST, buf_view(&r->text));
}

static bool refuse_locked(struct refusal *r, uint64_t wait_ms)
{
    buf_put_str(&r->text, "unauthorized: too many failed authentication attempts (retry later)");
    r->retryable = 1;
    r->retry_after_ms = wait_ms ? wait_ms : 1;
    return refuse(r, "rate_limited", "AUTH_RATE_LIMITED", false, "wait_then_retry");
}

static bool refuse_busy(struct refusal *r, uint64_t wait_ms)
{
    r->retryable = 1;
    r->retry_after_ms = wait_ms ? wait_ms : 1;
    buf_put_str(&r->text, "too many passwords are being checked; try again in a moment");
    return admit_refuse(r, RPC_UNAVAILABLE, buf_view(&r->text));
}

/* A wrong one, or none. */
static bool refuse_secret(struct attempt *a, struct refusal *r, bool wrong)
{
    bool password = !settings_by_token(a->settings);
    bool helps = wrong && !password && a->device_ok && !json_view(a->auth, "deviceToken").n;
    char reason[48], code[48];

    (void)snprintf(reason, sizeof(reason), "%s_%s", password ? "password" : "token",
                   wrong ? "mismatch" : "missing");
    (void)snprintf(code, sizeof(code), "AUTH_%s_%s", password ? "PASSWORD" : "TOKEN",
                   wrong ? "MISMATCH" : "MISSING");
    buf_printf(&r->text, "unauthorized: gateway %s %s (%s)", password ? "password" : "token",
               wrong ? "mismatch" : "missing", hint(a, password));
    return refuse(r, reason, code, helps,
                  !wrong  ? "update_auth_configuration"
                  : helps ? "retry_with_device_token"
                          : "update_auth_credentials");
}

static bool refuse_unset(struct attempt *a, struct refusal *r)
{
    if (settings_by_token(a->settings)) {
        buf_put_str(&r->text, "unauthorized: gateway token not configured on gateway (set "
                              "gateway.auth.token)");
        return refuse(r, "token_missing_config", "AUTH_TOKEN_NOT_CONFIGURED", false,
                      "update_auth_configuration");
    }
    buf_put_str(&r->text, "unauthorized: gateway password not configured on gateway (set "
                          "gateway.auth.password)");
    return refuse(r, "password_missing_config", "AUTH_PASSWORD_NOT_CONFIGURED", false,
                  "update_auth_configuration");
}

/* ---- the other credentials; each true when it is right ---- */

enum { NOT_TRIED, WRONG, WRONG_SCOPES, LOCKED, RIGHT };

static enum device_role role_of(const struct attempt *a)
{
    return a->node ? DEVICE_NODE : DEVICE_OPERATOR;
}

static int try_device_token(struct attempt *a, struct view key, bool waits, struct view token,
                            bool counts, uint64_t *wait_ms)
{
    uint64_t now = clock_mono_ms();
    const struct device_token *t;

    if (!token.n)
        return NOT_TRIED;
    if ((*wait_ms = throttle_locked(a->door.throttle, THROTTLE_DEVICE, key, now)))
        return LOCKED;
    if (!a->device_ok || !a->known || !devices_match(&a->paired, role_of(a), token)) {
        if (counts)
            *wait_ms = count_wrong(a->door.throttle, THROTTLE_DEVICE, key, waits, now);
        return WRONG;
    }
    throttle_ok(a->door.throttle, THROTTLE_DEVICE, key);
    t = devices_token_of(&a->paired, role_of(a));
    return a->node || !(a->asked & ~scope_expand(t->scopes & a->paired.scopes)) ? RIGHT
                                                                                : WRONG_SCOPES;
}

static int try_setup(struct attempt *a, struct view key, bool waits, struct view token,
                     uint64_t *wait_ms)
{
    uint64_t now = clock_mono_ms();

    if (!token.n)
        return NOT_TRIED;
    if ((*wait_ms = throttle_locked(a->door.throttle, THROTTLE_BOOTSTRAP, key, now)))
        return LOCKED;
    if (a->hub && a->device_ok)
        a->setup = pairing_setup_match(a->hub, token);
    if (a->setup && (a->setup->roles & role_of(a)))
        return RIGHT;
    a->setup = NULL;
    *wait_ms = count_wrong(a->door.throttle, THROTTLE_BOOTSTRAP, key, waits, now);
    return WRONG;
}

static bool in_by(struct attempt *a, enum credential by)
{
    a->by = by;
    return true;
}

static bool refuse_setup(struct refusal *r)
{
    buf_put_str(&r->text, "unauthorized: setup code invalid, expired, revoked, or already used "
                          "(ask for a new one)");
    return refuse(r, "bootstrap_token_invalid", "AUTH_BOOTSTRAP_TOKEN_INVALID", false,
                  "review_auth_configuration");
}

static bool refuse_device_token(struct refusal *r, int why, uint64_t wait_ms)
{
    if (why == LOCKED)
        return refuse_locked(r, wait_ms);
    if (why == WRONG_SCOPES) {
        buf_put_str(&r->text, "unauthorized: device token scope mismatch (re-pair or approve scope "
                              "upgrade)");
        return refuse(r, "scope_mismatch", "AUTH_SCOPE_MISMATCH", false,
                      "review_auth_configuration");
    }
    r->wait_ms = wait_ms;
    buf_put_str(&r->text, "unauthorized: device token mismatch (rotate/reissue device token)");
    return refuse(r, "device_token_mismatch", "AUTH_DEVICE_TOKEN_MISMATCH", false,
                  "update_auth_credentials");
}

/* ---- the decision ---- */

/* The secret that this mode compares. In mode trusted-proxy a program on this machine may show the
 * password instead. */
static struct view shared_secret(const struct attempt *a)
{
    if (a->settings->auth_mode == AUTH_TAILSCALE && !a->local)
        return VIEW_EMPTY; /* programs on this machine only */
    if (settings_by_token(a->settings))
        return json_view(a->auth, "token");
    if (a->settings->auth_mode == AUTH_PROXY && !(a->local && a->settings->have_password))
        return VIEW_EMPTY;
    return json_view(a->auth, "password");
}

static bool refuse_proxy(struct attempt *a, struct refusal *r)
{
    buf_put_str(&r->text, "unauthorized");
    return refuse(r, a->claim.reason,
                  a->claim.missing_header ? "AUTH_IDENTITY_HEADER_REQUIRED" : "AUTH_UNAUTHORIZED",
                  false, "review_auth_configuration");
}

static bool refuse_tailnet(struct attempt *a, struct refusal *r)
{
    static const struct {
        const char *reason, *code, *what;
    } rows[] = {
        [TAILNET_NO_PROXY] = {"tailscale_proxy_missing", "AUTH_TAILSCALE_PROXY_MISSING",
                              "proxy headers missing (come through tailscale serve)"},
        [TAILNET_NO_USER] = {"tailscale_user_missing", "AUTH_TAILSCALE_IDENTITY_MISSING",
                             "identity missing (come from a person's device, not a tagged one)"},
        [TAILNET_NO_WHOIS] = {"tailscale_whois_failed", "AUTH_TAILSCALE_WHOIS_FAILED",
                              "identity check failed (is tailscaled running?)"},
        [TAILNET_MISMATCH] = {"tailscale_user_mismatch", "AUTH_TAILSCALE_IDENTITY_MISMATCH",
                              "identity mismatch (the address belongs to somebody else)"},
        [TAILNET_NOT_ALLOWED] = {"tailscale_user_not_allowed", "AUTH_UNAUTHORIZED",
                                 "user not allowed (gateway.auth.tailscale.allowUsers)"},
    };

    buf_reset(&r->text, ADMIT_TEXT_MAX);
    buf_printf(&r->text, "unauthorized: tailscale %s", rows[a->why_not].what);
    return refuse(r, rows[a->why_not].reason, rows[a->why_not].code, false,
                  "review_auth_configuration");
}

static bool configured(const struct settings *s)
{
    return s->auth_mode == AUTH_PROXY || (settings_by_token(s) ? s->have_token : s->have_password);
}

/* Nothing was right: which sentence. */
static bool refuse_all(struct attempt *a, struct refusal *r, struct view secret)
{
    const char *mode_secret = settings_by_token(a->settings) ? "token" : "password";

    if (a->settings->auth_mode == AUTH_PROXY && !secret.n)
        return refuse_proxy(a, r);
    if (a->settings->auth_mode == AUTH_TAILSCALE && !a->local)
        return refuse_tailnet(a, r);
    if (!configured(a->settings))
        return refuse_unset(a, r);
    return refuse_secret(a, r, json_view(a->auth, mode_secret).n > 0);
}

static bool decide(struct attempt *a, struct refusal *r)
{
    struct view token = json_view(a->auth, "token"), device = json_view(a->auth, "deviceToken"),
                boot = json_view(a->auth, "bootstrapToken"), secret = shared_secret(a);
    enum door_verdict door = DOOR_WRONG;
    uint64_t wait = 0, other_wait = 0;
    bool waits, explicit = device.n > 0;
    struct view key = count_as(a, &waits);
    int got;

    if (secret.n && configured(a->settings)) {
        /* In the field of the token there may be a device's: that is no guess. */
        if (!explicit && settings_by_token(a->settings) &&
            throttle_locked(a->door.throttle, THROTTLE_SECRET, key, clock_mono_ms()) == 0 &&
            (got = try_device_token(a, key, waits, token, false, &other_wait)) >= WRONG_SCOPES &&
            got != LOCKED)
            return got == RIGHT ? in_by(a, CREDENTIAL_DEVICE)
                                : refuse_device_token(r, got, other_wait);
        door = door_try(&a->door, key, waits, secret, &wait);
        if (door == DOOR_RIGHT)
            return in_by(a,
                         settings_by_token(a->settings) ? CREDENTIAL_TOKEN : CREDENTIAL_PASSWORD);
    }
    if (boot.n && (got = try_setup(a, key, waits, boot, &other_wait)) != NOT_TRIED) {
        if (got == RIGHT)
            return in_by(a, CREDENTIAL_SETUP);
        if (!secret.n && !explicit) {
            r->wait_ms = got == LOCKED ? 0 : other_wait;
            return got == LOCKED ? refuse_locked(r, other_wait) : refuse_setup(r);
        }
    }
    got = try_device_token(a, key, waits,
                           explicit   ? device
                           : secret.n ? VIEW_EMPTY
                                      : token,
                           explicit, &other_wait);
    if (got == RIGHT)
        return in_by(a, CREDENTIAL_DEVICE);
    if (secret.n && door == DOOR_LOCKED)
        return refuse_locked(r, wait);
    if (secret.n && door == DOOR_BUSY)
        return refuse_busy(r, wait);
    if (got != NOT_TRIED && explicit && !secret.n)
        return refuse_device_token(r, got, other_wait);
    if (got == WRONG_SCOPES)
        return refuse_device_token(r, got, other_wait);
    r->wait_ms = wait > other_wait ? wait : other_wait;
    return refuse_all(a, r, secret);
}

bool credential_given(const struct attempt *a)
{
    static const char *const names[] = {"token", "password", "deviceToken", "bootstrapToken"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_view(a->auth, names[i]).n)
            return true;
    return false;
}

/* As the user that tailscale serve and tailscaled agree on. Beside a mode with a secret, whoever
 * shows one is judged by it. */
static bool try_tailnet(struct attempt *a)
{
    bool beside = a->settings->auth_mode != AUTH_TAILSCALE;

    a->why_not = TAILNET_NO_PROXY;
    if (!a->settings->tailscale ||
        (beside && (json_view(a->auth, "token").n || json_view(a->auth, "password").n)))
        return false;
    a->why_not = tailnet_check(a->settings, a->m, &a->tailnet, &a->claim.user);
    a->ask_tailnet = a->why_not == TAILNET_UNASKED;
    return a->why_not == TAILNET_HOLDS;
}

bool credential_check(struct attempt *a, struct refusal *r)
{
    if (a->by != CREDENTIAL_NOT_YET)
        return true;
    if (a->settings->auth_mode == AUTH_NONE)
        return in_by(a, CREDENTIAL_NONE);
    buf_reset(&r->text, ADMIT_TEXT_MAX);
    if (a->settings->auth_mode == AUTH_PROXY && proxyauth_check(a->settings, a->m, &a->claim))
        return in_by(a, CREDENTIAL_PROXY);
    if (try_tailnet(a))
        return in_by(a, CREDENTIAL_TAILSCALE);
    if (a->ask_tailnet)
        return false;
    return decide(a, r);
}
