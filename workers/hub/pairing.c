#include "pairing.h"

#include "clock.h"
#include "event.h"
#include "log.h"
#include "pairing_keep.h"
#include "rand.h"

#include <stdio.h>

enum { PAIRING_LOOK_MS = 5000 };

struct pair_wait {
    char id[37];
    struct call_ref ref;
};

/* What became of a request. */
struct pair_outcome {
    char id[37];
    char device_id[65];
    const char *status; /* NULL: a free place */
    unsigned scopes;    /* approved */
};

struct pairing {
    struct hub *hub;
    struct pair_wait waits[PAIRING_WAITS_MAX];
    unsigned wait_count;
    struct loop_timer timer;               /* while calls wait: requests end by themselves */
    struct pair_request list[PAIRING_MAX]; /* in order of arrival */
    unsigned count;
    struct pair_outcome ended[PAIRING_WAITS_MAX]; /* a ring: who asks late hears it, too */
    unsigned ended_at;
};

/* ---- JSON ---- */

const char *pairing_role_name(enum device_role r)
{
    return r == DEVICE_NODE ? "node" : "operator";
}

void pairing_write_scopes(struct jw *w, unsigned set)
{
    static const enum scope order[] = {
        SCOPE_ADMIN,   SCOPE_READ, SCOPE_WRITE,        SCOPE_APPROVALS,     SCOPE_QUESTIONS,
        SCOPE_PAIRING, SCOPE_TALK, SCOPE_TALK_SECRETS, SCOPE_SESSIONS_READ, SCOPE_SESSIONS_WRITE};

    jw_arr(w);
    for (size_t i = 0; i < COUNT_OF(order); i++)
        if (set & order[i])
            jw_cstr(w, scope_name(order[i]));
    jw_arr_end(w);
}

static void text(struct jw *w, const char *key, const char *s)
{
    if (*s)
        jw_kcstr(w, key, s);
}

void pairing_write(struct jw *w, const struct pair_request *q)
{
    const char *role = pairing_role_name(q->role);

    jw_kcstr(w, "requestId", q->id);
    jw_kcstr(w, "deviceId", q->who.id);
    jw_kcstr(w, "publicKey", q->who.key);
    text(w, "displayName", q->who.name);
    text(w, "platform", q->who.platform);
    text(w, "deviceFamily", q->who.family);
    text(w, "clientId", q->who.client_id);
    text(w, "clientMode", q->who.client_mode);
    jw_kcstr(w, "role", role);
    jw_key(w, "roles");
    jw_arr(w);
    jw_cstr(w, role);
    jw_arr_end(w);
    jw_key(w, "scopes");
    pairing_write_scopes(w, q->scopes);
    text(w, "remoteIp", q->ip);
    jw_kbool(w, "silent", false);
    jw_kbool(w, "isRepair", q->repair);
    jw_ki64(w, "ts", q->ts);
}

/* ---- events ---- */

static void tell_requested(struct hub *h, const struct pair_request *q)
{
    struct jw *w;

    if (!event_wanted(h, AUD_PAIRING))
        return;
    w = event_begin(h, "device.pair.requested");
    jw_obj(w);
    pairing_write(w, q);
    jw_obj_end(w);
    event_end(h, AUD_PAIRING, EVENT_SEQ);
}

static void tell_resolved(struct hub *h, const struct pair_request *q, const char *decision)
{
    struct jw *w;

    if (!event_wanted(h, AUD_PAIRING))
        return;
    w = event_begin(h, "device.pair.resolved");
    jw_obj(w);
    jw_kcstr(w, "requestId", q->id);
    jw_kcstr(w, "deviceId", q->who.id);
    jw_kcstr(w, "decision", decision);
    jw_ki64(w, "ts", clock_wall_ms());
    jw_obj_end(w);
    event_end(h, AUD_PAIRING, EVENT_SEQ);
}

void pairing_changed(struct hub *h)
{
    if (!event_wanted(h, AUD_PAIRING))
        return;
    jw_raw(event_begin(h, "device.pair.changed"), V("{}"));
    event_end(h, AUD_PAIRING, EVENT_SEQ);
}

/* ---- calls that wait ---- */

/* Of an approval the device learns its token, which knows the new scopes (ScopeUpgradeResult). */
static int tell_outcome(struct hub *h, const struct call_ref *ref, const struct pair_outcome *o)
{
    char token[DEVICE_TOKEN_LEN + 1] = "";
    struct paired p = {.created_at = 0};
    struct buf b = BUF_INIT(4 * KIB);
    struct jw w = {.b = &b};
    struct err e = ERR_INIT;
    const char *status = o->status;
    int r;

    b.secret = true;
    if (strcmp(status, "approved") == 0 &&
        (devices_find(h->devices, view_str(o->device_id), &p, &e) < 0 ||
         !device_token_good(devices_token_of(&p, DEVICE_OPERATOR)) ||
         devices_tell(h->devices, &p, DEVICE_OPERATOR, token, &e) < 0))
        status = "expired"; /* approved, and revoked since */
    buf_put_str(&b, "\"ok\":true,\"payload\":");
    jw_obj(&w);
    jw_kcstr(&w, "requestId", o->id);
    jw_kcstr(&w, "status", status);
    if (token[0]) {
        jw_kcstr(&w, "deviceToken", token);
        jw_key(&w, "scopes");
        pairing_write_scopes(&w, o->scopes);
    }
    jw_obj_end(&w);
    buf_put_char(&b, '}');
    r = buf_check(&b, &e) < 0 ? -1 : call_send(h, ref, false, buf_view(&b));
    buf_fini(&b);
    mem_wipe(token, sizeof(token));
    return r;
}

/* q was resolved, or is gone. */
static void outcome(struct hub *h, const struct pair_request *q, const char *status)
{
    struct pairing *p = h->pairing;
    struct pair_outcome *o = &p->ended[p->ended_at++ % COUNT_OF(p->ended)];

    *o = (struct pair_outcome){.status = status, .scopes = q->scopes};
    memcpy(o->id, q->id, sizeof(o->id));
    memcpy(o->device_id, q->who.id, sizeof(o->device_id));
    for (unsigned i = 0; i < p->wait_count; i++) {
        struct pair_wait was = p->waits[i];

        if (strcmp(was.id, q->id) != 0)
            continue;
        p->waits[i--] = p->waits[--p->wait_count];
        if (tell_outcome(h, &was.ref, o) < 0)
            log_warn("pairing.answer_lost", KV("request", q->id));
    }
}

bool pairing_ended(struct hub *h, struct view id, struct view device_id, const struct call_ref *ref)
{
    for (unsigned i = 0; i < PAIRING_WAITS_MAX; i++) {
        const struct pair_outcome *o = &h->pairing->ended[i];

        if (o->status && view_eq(id, view_of(o->id, sizeof(o->id) - 1)) &&
            view_eq(view_str(o->device_id), device_id))
            return tell_outcome(h, ref, o) == 0;
    }
    return false;
}

/* ---- requests ---- */

static void drop(struct pairing *p, unsigned at, const char *status)
{
    struct pair_request q = p->list[at];

    p->count--;
    memmove(&p->list[at], &p->list[at + 1], (p->count - at) * sizeof(p->list[0]));
    pairing_unkeep(p->hub, q.id);
    outcome(p->hub, &q, status);
}

static void expire(struct pairing *p)
{
    int64_t now = clock_wall_ms();

    while (p->count && (p->list[0].ts + PAIRING_TTL_MS <= now || p->list[0].ts > now + 60000))
        drop(p, 0, "expired");
}

static bool same_wish(const struct pair_request *a, const struct pair_request *b)
{
    return a->role == b->role && a->scopes == b->scopes &&
           strcmp(a->who.platform, b->who.platform) == 0 &&
           strcmp(a->who.family, b->who.family) == 0 &&
           strcmp(a->who.client_id, b->who.client_id) == 0;
}

static int place_of(const struct pairing *p, const char *device_id)
{
    for (unsigned i = 0; i < p->count; i++)
        if (strcmp(p->list[i].who.id, device_id) == 0)
            return (int)i;
    return -1;
}

static void on_timer(void *ctx)
{
    struct pairing *p = ctx;

    expire(p);
    if (p->wait_count)
        loop_timer_set(&p->timer, PAIRING_LOOK_MS);
}

bool pairing_wait(struct hub *h, const struct pair_request *q, const struct call_ref *ref)
{
    struct pairing *p = h->pairing;

    if (p->wait_count == PAIRING_WAITS_MAX)
        return false;
    memcpy(p->waits[p->wait_count].id, q->id, sizeof(q->id));
    p->waits[p->wait_count++].ref = *ref;
    if (!loop_timer_pending(&p->timer))
        loop_timer_set(&p->timer, PAIRING_LOOK_MS);
    return true;
}

int pairing_open(struct hub *h, struct err *e)
{
    int r = mem_new(&h->pairing, sizeof(*h->pairing), e);

    if (r < 0)
        return r;
    h->pairing->hub = h;
    loop_timer_init(&h->pairing->timer, h->w.loop, on_timer, h->pairing);
    return pairing_keep_load(h, h->pairing->list, PAIRING_MAX, &h->pairing->count, e);
}

void pairing_close(struct hub *h)
{
    if (!h->pairing)
        return;
    loop_timer_fini(&h->pairing->timer);
    mem_free(h->pairing);
    h->pairing = NULL;
}

const struct pair_request *pairing_ask(struct hub *h, const struct pair_request *want)
{
    struct pairing *p = h->pairing;
    struct pair_request *q;
    int at;

    expire(p);
    if ((at = place_of(p, want->who.id)) >= 0) {
        if (same_wish(&p->list[at], want))
            return &p->list[at];
        drop(p, (unsigned)at, "expired");
    }
    if (p->count == PAIRING_MAX)
        drop(p, 0, "expired");
    q = &p->list[p->count++];
    *q = *want;
    rand_uuid(q->id);
    q->ts = clock_wall_ms();
    log_info("pairing.requested", KV("device", q->who.id), KV("role", pairing_role_name(q->role)),
             KV("request", q->id));
    pairing_keep(h, q);
    tell_requested(h, q);
    return q;
}

const struct pair_request *pairing_find(struct hub *h, struct view id)
{
    struct pairing *p = h->pairing;

    expire(p);
    for (unsigned i = 0; i < p->count; i++)
        if (view_eq(view_str(p->list[i].id), id))
            return &p->list[i];
    return NULL;
}

void pairing_each(struct hub *h, void (*on)(void *ctx, const struct pair_request *q), void *ctx)
{
    expire(h->pairing);
    for (unsigned i = 0; i < h->pairing->count; i++)
        on(ctx, &h->pairing->list[i]);
}

/* `id` is resolved so; whatever else the device asks for is void. */
static void forget(struct hub *h, const char *device_id, const char *id, const char *status)
{
    struct pairing *p = h->pairing;

    for (unsigned i = 0; i < p->count; i++)
        if (strcmp(p->list[i].who.id, device_id) == 0) {
            drop(p, i, id && strcmp(p->list[i].id, id) == 0 ? status : "expired");
            i--;
        }
}

void pairing_forget(struct hub *h, struct view device_id)
{
    char id[65] = "";

    memcpy(id, device_id.p, device_id.n < sizeof(id) ? device_id.n : sizeof(id) - 1);
    forget(h, id, NULL, "expired");
}

void pairing_reject(struct hub *h, const struct pair_request *q)
{
    struct pair_request copy = *q;

    forget(h, copy.who.id, copy.id, "rejected");
    log_info("pairing.rejected", KV("device", copy.who.id), KV("request", copy.id));
    tell_resolved(h, &copy, "rejected");
}

/* What is known of the device stays: its label, its other role, the token it has. */
static void merge(struct paired *p, const struct pair_request *q, const char *via, int64_t now)
{
    struct paired old = *p;

    *p = q->who;
    memcpy(p->label, old.label, sizeof(p->label));
    p->roles = old.roles | q->role;
    p->scopes = old.scopes | (q->role == DEVICE_OPERATOR ? q->scopes : 0);
    p->operator_token = old.operator_token;
    p->node_token = old.node_token;
    p->created_at = old.created_at ? old.created_at : now;
    p->approved_at = now;
    p->seen_at = old.seen_at;
    memset(p->via, 0, sizeof(p->via));
    (void)snprintf(p->via, sizeof(p->via), "%s", via);
}

int pairing_approve(struct hub *h, const struct pair_request *asked, const char *via,
                    struct paired *out, struct err *e)
{
    struct pair_request q = *asked;
    struct paired p = {.created_at = 0};
    struct device_token *t;
    int64_t now = clock_wall_ms();
    int r = devices_find(h->devices, view_str(q.who.id), &p, e);

    if (r < 0 && r != ERR_NOT_FOUND)
        return r;
    merge(&p, &q, via, now);
    t = devices_token(&p, q.role);
    if (!device_token_good(t)) {
        if ((r = devices_issue(h->devices, &p, q.role, p.scopes, now, e)) < 0)
            return r;
    } else if (q.role == DEVICE_OPERATOR) {
        t->scopes |= q.scopes; /* this is the approval of them */
    }
    if ((r = devices_put(h->devices, &p, e)) < 0)
        return r;
    hub_changed(h);
    forget(h, q.who.id, q.id, "approved");
    log_info("pairing.approved", KV("device", q.who.id), KV("role", pairing_role_name(q.role)),
             KV("via", via), KV("request", q.id));
    tell_resolved(h, &q, "approved");
    *out = p;
    return 0;
}
