#include "pairing.h"

#include "b64.h"
#include "clock.h"
#include "event.h"
#include "log.h"
#include "pairing_keep.h"
#include "rand.h"
#include "secret.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { PAIRING_LOOK_MS = 5000 };

struct pair_wait {
    char id[37];
    struct call_ref ref;
};

struct pairing {
    struct hub *hub;
    struct pair_wait waits[PAIRING_WAITS_MAX];
    unsigned wait_count;
    struct loop_timer timer;               /* while calls wait: requests end by themselves */
    struct pair_request list[PAIRING_MAX]; /* in order of arrival */
    unsigned count;
    struct pair_setup setups[PAIRING_SETUPS_MAX]; /* in order of making */
    unsigned setup_count;
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

static void answer_waits(struct hub *h, const char *id, const char *status)
{
    struct pairing *p = h->pairing;
    struct buf b = BUF_INIT(KIB);

    for (unsigned i = 0; i < p->wait_count; i++) {
        struct pair_wait was = p->waits[i];

        if (strcmp(was.id, id) != 0)
            continue;
        p->waits[i--] = p->waits[--p->wait_count];
        buf_reset(&b, KIB);
        buf_printf(&b, "\"ok\":true,\"payload\":{\"requestId\":\"%s\",\"status\":\"%s\"}}", id,
                   status);
        if (call_send(h, &was.ref, false, buf_view(&b)) < 0)
            log_warn("pairing.answer_lost", KV("request", id));
    }
    buf_fini(&b);
}

/* ---- requests ---- */

/* Whoever was told of a decision already waits no more. */
static void drop(struct pairing *p, unsigned at)
{
    char id[37];

    memcpy(id, p->list[at].id, sizeof(id));
    p->count--;
    memmove(&p->list[at], &p->list[at + 1], (p->count - at) * sizeof(p->list[0]));
    pairing_unkeep(p->hub, id);
    answer_waits(p->hub, id, "expired");
}

static void expire(struct pairing *p)
{
    int64_t now = clock_wall_ms();

    while (p->count && (p->list[0].ts + PAIRING_TTL_MS <= now || p->list[0].ts > now + 60000))
        drop(p, 0);
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
        drop(p, (unsigned)at);
    }
    if (p->count == PAIRING_MAX)
        drop(p, 0);
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

void pairing_forget(struct hub *h, struct view device_id)
{
    for (unsigned i = 0; i < h->pairing->count; i++)
        if (view_eq(view_str(h->pairing->list[i].who.id), device_id))
            drop(h->pairing, i--);
}

void pairing_reject(struct hub *h, const struct pair_request *q)
{
    struct pair_request copy = *q;

    answer_waits(h, copy.id, "rejected");
    pairing_forget(h, view_str(copy.who.id));
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
    answer_waits(h, q.id, "approved");
    pairing_forget(h, view_str(q.who.id));
    log_info("pairing.approved", KV("device", q.who.id), KV("role", pairing_role_name(q.role)),
             KV("via", via), KV("request", q.id));
    tell_resolved(h, &q, "approved");
    *out = p;
    return 0;
}

/* ---- setup codes ---- */

static bool hash_of(struct view token, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[32];
    size_t n = 0;

    if (!EVP_Q_digest(NULL, "SHA256", NULL, token.p, token.n, sum, &n) || n != sizeof(sum))
        return false;
    for (size_t i = 0; i < sizeof(sum); i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
    out[64] = '\0';
    return true;
}

static void drop_setup(struct pairing *p, unsigned at)
{
    p->setup_count--;
    memmove(&p->setups[at], &p->setups[at + 1], (p->setup_count - at) * sizeof(p->setups[0]));
}

const struct pair_setup *pairing_setup_new(struct hub *h, const char *access, unsigned roles,
                                           unsigned scopes, char token_out[DEVICE_TOKEN_LEN + 1])
{
    struct pairing *p = h->pairing;
    struct pair_setup s = {.roles = roles, .scopes = scopes, .made_at = clock_wall_ms()};
    unsigned char secret[32];

    for (unsigned i = 0; i < p->setup_count; i++)
        if (p->setups[i].made_at + PAIRING_KEEP_MS < s.made_at)
            drop_setup(p, i--);
    rand_bytes(secret, sizeof(secret));
    b64url(secret, sizeof(secret), token_out);
    mem_wipe(secret, sizeof(secret));
    if (!hash_of(view_of(token_out, DEVICE_TOKEN_LEN), s.hash))
        return NULL;
    rand_uuid(s.id);
    (void)snprintf(s.access, sizeof(s.access), "%s", access);
    s.expires_at = s.made_at + PAIRING_SETUP_MS;
    if (p->setup_count == PAIRING_SETUPS_MAX)
        drop_setup(p, 0);
    p->setups[p->setup_count] = s;
    return &p->setups[p->setup_count++];
}

const struct pair_setup *pairing_setup_match(struct hub *h, struct view token)
{
    struct pairing *p = h->pairing;
    int64_t now = clock_wall_ms();
    const struct pair_setup *found = NULL;
    char hash[65];

    if (token.n != DEVICE_TOKEN_LEN || !hash_of(token, hash))
        return NULL;
    for (unsigned i = 0; i < p->setup_count; i++) /* all of them: takes the same time always */
        if (secret_same(hash, p->setups[i].hash, sizeof(hash)) && !p->setups[i].used_at &&
            p->setups[i].expires_at > now && p->setups[i].made_at <= now)
            found = &p->setups[i];
    return found;
}

const struct pair_setup *pairing_setup_find(struct hub *h, struct view id)
{
    for (unsigned i = 0; i < h->pairing->setup_count; i++)
        if (view_eq(view_str(h->pairing->setups[i].id), id))
            return &h->pairing->setups[i];
    return NULL;
}

void pairing_setup_used(struct hub *h, const struct pair_setup *used, const struct paired *p)
{
    struct pair_setup *s = &h->pairing->setups[used - h->pairing->setups];
    struct jw *w;

    s->used_at = clock_wall_ms();
    memcpy(s->device_id, p->id, sizeof(s->device_id));
    log_info("pairing.setup_used", KV("setup", s->id), KV("device", p->id));
    if (!event_wanted(h, AUD_PAIRING))
        return;
    w = event_begin(h, "device.pair.setup.completed");
    jw_obj(w);
    jw_kcstr(w, "setupId", s->id);
    jw_kcstr(w, "deviceId", p->id);
    text(w, "deviceName", p->name);
    jw_kcstr(w, "access", s->access);
    jw_ki64(w, "ts", s->used_at);
    jw_obj_end(w);
    event_end(h, AUD_PAIRING, EVENT_SEQ);
}
