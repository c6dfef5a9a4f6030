#include "letin.h"

#include "clock.h"
#include "device.h"
#include "ip.h"
#include "json.h"
#include "jw.h"
#include "log.h"
#include "mem.h"
#include "pairing.h"
#include "pairing_setup.h"
#include "rand.h"
#include "rpc.h"
#include "standing.h"

#include <stdio.h>

static const struct {
    const char *reason, *message, *hint;
} needs[] = {
    [PAIR_DONE] = {"", "", ""},
    [PAIR_NEW] = {"not-paired", "pairing required: device is not approved yet",
                  "Approve this device from the pending pairing requests."},
    [PAIR_ROLE] = {"role-upgrade",
                   "pairing required: device is asking for a higher role than currently approved",
                   "Review the requested role, then approve the pending upgrade."},
    [PAIR_SCOPES] = {"scope-upgrade",
                     "pairing required: device is asking for more scopes than currently approved",
                     "Review the requested scopes, then approve the pending upgrade."},
    [PAIR_METADATA] = {"metadata-upgrade",
                       "pairing required: device identity changed and must be re-approved",
                       "Review the device, then approve the pending request."},
};

static enum device_role role_of(const struct attempt *a)
{
    return a->node ? DEVICE_NODE : DEVICE_OPERATOR;
}

/* Cut at a character's border. */
static void copy(char *out, size_t room, struct view v)
{
    size_t n = v.n < room ? v.n : room - 1;

    while (n < v.n && n && ((unsigned char)v.p[n] & 0xc0) == 0x80)
        n--;
    memcpy(out, v.p, n);
    out[n] = '\0';
}

static void describe(const struct attempt *a, struct pair_request *q)
{
    struct paired *p = &q->who;

    q->role = role_of(a);
    q->scopes = a->node ? 0 : a->asked;
    q->repair = a->known;
    if (!a->local)
        copy(q->ip, sizeof(q->ip), a->m->peer);
    copy(p->id, sizeof(p->id), json_view(a->device, "id"));
    device_key_text(json_view(a->device, "publicKey"), p->key);
    copy(p->name, sizeof(p->name), json_view(a->client, "displayName"));
    copy(p->platform, sizeof(p->platform), view_trim(json_view(a->client, "platform")));
    copy(p->family, sizeof(p->family), view_trim(json_view(a->client, "deviceFamily")));
    copy(p->client_id, sizeof(p->client_id), a->id);
    copy(p->client_mode, sizeof(p->client_mode), a->mode);
}

static bool failed(struct refusal *r, const struct err *e)
{
    log_error("pairing.failed", KV("why", e->text));
    buf_reset(&r->text, ADMIT_TEXT_MAX);
    buf_printf(&r->text, "the device cannot be paired now: %s", e->text);
    return admit_refuse(r, RPC_UNAVAILABLE, buf_view(&r->text));
}

static bool refuse(const struct attempt *a, enum pair_need need, const struct pair_request *q,
                   struct refusal *r)
{
    bool waits = a->node || view_eq(a->id, V("openclaw-control-ui"));
    struct jw w = JW_INIT(&r->details);
    bool old = a->protocol == ADMIT_PROTOCOL_OLD;

    buf_reset(&r->details, ADMIT_TEXT_MAX);
    jw_obj(&w);
    jw_kcstr(&w, "code", "PAIRING_REQUIRED");
    jw_kcstr(&w, "reason", needs[need].reason);
    jw_kcstr(&w, "requestId", q->id);
    if (!old) {
        jw_kcstr(&w, "remediationHint", needs[need].hint);
        jw_kcstr(&w, "deviceId", q->who.id);
        jw_kcstr(&w, "requestedRole", pairing_role_name(q->role));
        jw_key(&w, "requestedScopes");
        pairing_write_scopes(&w, q->scopes);
    }
    if (!old && a->known) {
        jw_key(&w, "approvedRoles");
        jw_arr(&w);
        for (unsigned role = DEVICE_OPERATOR; role <= DEVICE_NODE; role <<= 1)
            if (a->paired.roles & role)
                jw_cstr(&w, pairing_role_name((enum device_role)role));
        jw_arr_end(&w);
        jw_key(&w, "approvedScopes");
        pairing_write_scopes(&w, a->paired.scopes);
    }
    if (!old && waits) {
        jw_kcstr(&w, "recommendedNextStep", "wait_then_retry");
        jw_kbool(&w, "retryable", true);
        jw_kbool(&w, "pauseReconnect", false);
    }
    jw_obj_end(&w);
    buf_reset(&r->text, ADMIT_TEXT_MAX);
    buf_printf(&r->text, "%s (requestId: %s)", old ? "pairing required" : needs[need].message,
               q->id);
    r->reason = buf_view(&r->text);
    return admit_refuse(r, RPC_NOT_PAIRED,
                        old ? V("pairing required") : view_str(needs[need].message));
}

/* gateway.auth.trustedProxy.deviceAutoApprove: the proxy's word approves new browsers and apps, and
 * more scopes for them, up to a list. */
static bool proxy_approves(struct attempt *a, enum pair_need need)
{
    const json_t *conf = json_object_get(a->settings->proxy, "deviceAutoApprove"),
                 *list = json_object_get(conf, "scopes");
    unsigned cap = SCOPE_READ | SCOPE_WRITE | SCOPE_APPROVALS | SCOPE_QUESTIONS;
    json_t *name;
    size_t i;

    if (a->by != CREDENTIAL_PROXY || a->node || !json_flag(conf, "enabled", false) ||
        (need != PAIR_NEW && need != PAIR_SCOPES) ||
        !(view_eq(a->mode, V("ui")) || view_eq(a->mode, V("webchat")) ||
          view_eq(a->id, V("openclaw-control-ui"))))
        return false;
    if (json_is_array(list)) {
        cap = 0;
        json_array_foreach(list, i, name) cap |= (unsigned)scope_from(json_view_of(name));
    }
    if (!a->asked)
        a->asked = cap;
    a->asked &= scope_expand(cap);
    if (a->claim.has_cap)
        a->asked &= a->claim.cap;
    return true;
}

/* gateway.nodes.pairing.autoApproveCidrs: nodes of these networks that nobody knows yet and that
 * want no scopes; no page, and nobody whom something on this machine speaks for. */
static bool network_approves(const struct attempt *a, enum pair_need need)
{
    struct ip_net net;
    struct ip ip;
    json_t *name;
    size_t i;

    if (!a->node || need != PAIR_NEW || a->asked || a->m->origin.n ||
        view_eq(a->mode, V("webchat")) || view_eq(a->mode, V("ui")) ||
        ((a->m->flags & CONN_LOCAL) && (a->m->flags & CONN_PROXIED)) || !ip_parse(a->m->peer, &ip))
        return false;
    json_array_foreach(json_at(a->settings->doc, "gateway.nodes.pairing.autoApproveCidrs"), i, name)
    {
        if (ip_net_parse(json_view_of(name), &net) && ip_net_has(&net, &ip))
            return true;
    }
    return false;
}

/* The Control UI of a user whom tailscaled has vouched for, with a device of its own. */
static bool tailnet_page(const struct attempt *a)
{
    return a->by == CREDENTIAL_TAILSCALE && !a->node && view_eq(a->id, V("openclaw-control-ui"));
}

static bool approve(struct hub *h, struct attempt *a, const char *via, struct refusal *r)
{
    struct pair_request q = {.ts = clock_wall_ms()};
    struct err e = ERR_INIT;

    describe(a, &q);
    rand_uuid(q.id);
    if (pairing_approve(h, &q, via, &a->paired, &e) < 0)
        return failed(r, &e);
    a->known = true;
    return true;
}

/* A setup code brings every role of its profile at once, and is used up. */
static bool by_setup(struct hub *h, struct attempt *a, struct letin *out, struct refusal *r)
{
    enum device_role other = a->node ? DEVICE_OPERATOR : DEVICE_NODE;
    struct pair_setup s = *a->setup;
    struct err e = ERR_INIT;

    for (unsigned role = DEVICE_OPERATOR; role <= DEVICE_NODE; role <<= 1) {
        struct pair_request q = {.ts = clock_wall_ms()};

        if (!(s.roles & role))
            continue;
        describe(a, &q);
        rand_uuid(q.id);
        q.role = (enum device_role)role;
        q.scopes = role == DEVICE_OPERATOR ? s.scopes : 0;
        if (pairing_approve(h, &q, "setup-code", &a->paired, &e) < 0)
            return failed(r, &e);
    }
    a->known = true;
    a->asked &= scope_expand(s.scopes);
    if (pairing_setup_used(h, a->setup, &a->paired, &e) < 0)
        return failed(r, &e);
    a->setup = NULL;
    if ((s.roles & other) && devices_tell(h->devices, &a->paired, other, out->other, &e) == 0) {
        out->other_issued_at = devices_token_of(&a->paired, other)->issued_at;
        out->other_scopes = devices_token_of(&a->paired, other)->scopes;
    }
    return true;
}

/* The device's token for this role; whoever came with something better than it gets a fresh one
 * when it was revoked or knows less. */
static bool keep_token(struct hub *h, struct attempt *a, struct letin *out, struct refusal *r)
{
    struct device_token *t = devices_token(&a->paired, role_of(a));
    int64_t now = clock_wall_ms();
    bool fresh = a->by != CREDENTIAL_DEVICE &&
                 (!device_token_good(t) || (!a->node && (a->asked & ~scope_expand(t->scopes))));
    struct err e = ERR_INIT;

    if (fresh && devices_issue(h->devices, &a->paired, role_of(a), a->paired.scopes, now, &e) < 0)
        return failed(r, &e);
    if (fresh || now - a->paired.seen_at > DEVICE_SEEN_MS || now < a->paired.seen_at) {
        a->paired.seen_at = now;
        if (devices_put(h->devices, &a->paired, &e) < 0)
            return failed(r, &e);
        hub_changed(h);
    }
    if (fresh)
        standing_device_changed(h, view_str(a->paired.id), "client invalidated: token rotated");
    if (devices_tell(h->devices, &a->paired, role_of(a), out->token, &e) < 0) {
        log_warn("device.token_lost", KV("device", a->paired.id), KV("why", e.text));
        return true; /* comes in all the same, only without being told it */
    }
    out->issued_at = t->rotated_at ? t->rotated_at : t->issued_at;
    return true;
}

static bool covered(const struct attempt *a)
{
    return a->known && (a->paired.roles & role_of(a)) &&
           (a->node || !(a->asked & ~scope_expand(a->paired.scopes)));
}

bool letin_pair(struct hub *h, struct attempt *a, struct letin *out, struct refusal *r)
{
    enum pair_need need;
    struct pair_request q = {.ts = 0};

    if (!a->device_ok)
        return true;
    need = admit_pairing(a);
    if (a->by == CREDENTIAL_SETUP) {
        if (!by_setup(h, a, out, r))
            return false;
    } else if (need != PAIR_DONE && admit_silent(a, need)) {
        if (!approve(h, a, "silent", r))
            return false;
    } else if (need != PAIR_DONE && proxy_approves(a, need)) {
        if (!approve(h, a, "trusted-proxy", r))
            return false;
    } else if (network_approves(a, need)) {
        if (!approve(h, a, "trusted-cidr", r))
            return false;
    } else if (need != PAIR_DONE && tailnet_page(a)) {
        return true; /* asked anew at each connect: gets no token that would outlive that */
    } else if (need != PAIR_DONE) {
        describe(a, &q);
        return refuse(a, need, pairing_ask(h, &q), r);
    } else if (!covered(a)) {
        return true; /* the gateway's own helper: its device is not paired and need not be */
    }
    out->paired = true;
    return keep_token(h, a, out, r);
}

void letin_wipe(struct letin *l)
{
    mem_wipe(l, sizeof(*l));
}
