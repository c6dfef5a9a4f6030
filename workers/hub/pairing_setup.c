#include "pairing_setup.h"

#include "b64.h"
#include "clock.h"
#include "event.h"
#include "json.h"
#include "log.h"
#include "rand.h"
#include "secret.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUE_MAX = 2 * 1024 };

static const struct view prefix = {"setup.", 6};

struct setups {
    struct pair_setup list[PAIRING_SETUPS_MAX]; /* in order of making */
    unsigned count;
};

/* ---- on disk ---- */

static int put(struct hub *h, const char *id, struct view value, struct err *e)
{
    struct store_rec r = {.type = REC_meta_set, .meta_set = {.value = value}};
    char name[64];
    int ret;

    (void)snprintf(name, sizeof(name), "%.*s%s", VIEW_FMT(prefix), id);
    r.meta_set.key = view_str(name);
    if ((ret = store_apply(h->store, &r, e)) == 0)
        hub_changed(h);
    return ret;
}

static int keep(struct hub *h, const struct pair_setup *s, struct err *e)
{
    struct buf b = BUF_INIT(VALUE_MAX);
    struct jw w = JW_INIT(&b);
    int r;

    jw_obj(&w);
    jw_kcstr(&w, "id", s->id);
    jw_kcstr(&w, "hash", s->hash);
    jw_kcstr(&w, "access", s->access);
    jw_kcstr(&w, "device", s->device_id);
    jw_ku64(&w, "roles", s->roles);
    jw_ku64(&w, "scopes", s->scopes);
    jw_ki64(&w, "made", s->made_at);
    jw_ki64(&w, "expires", s->expires_at);
    jw_ki64(&w, "used", s->used_at);
    jw_obj_end(&w);
    if ((r = buf_check(&b, e)) == 0)
        r = put(h, s->id, buf_view(&b), e);
    buf_fini(&b);
    return r;
}

static void copy(char *out, size_t room, const json_t *doc, const char *name)
{
    struct view v = json_view(doc, name);

    memcpy(out, v.p, v.n < room ? v.n : room - 1);
}

static int on_kept(void *ctx, struct view key, struct view value)
{
    struct setups *all = ctx;
    struct pair_setup s = {.used_at = 0};
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    (void)key;
    if (all->count == PAIRING_SETUPS_MAX)
        return 1;
    if (json_parse(value, &doc, &e) < 0)
        return 0; /* of another build: nobody comes in by it */
    copy(s.id, sizeof(s.id), doc, "id");
    copy(s.hash, sizeof(s.hash), doc, "hash");
    copy(s.access, sizeof(s.access), doc, "access");
    copy(s.device_id, sizeof(s.device_id), doc, "device");
    s.roles = (unsigned)json_i64(doc, "roles", 0);
    s.scopes = (unsigned)json_i64(doc, "scopes", 0);
    s.made_at = json_i64(doc, "made", 0);
    s.expires_at = json_i64(doc, "expires", 0);
    s.used_at = json_i64(doc, "used", 1); /* unsaid: not good */
    if (s.id[0] && strlen(s.hash) == sizeof(s.hash) - 1)
        all->list[all->count++] = s;
    json_decref(doc);
    return 0;
}

static int by_age(const void *a, const void *b)
{
    const struct pair_setup *x = a, *y = b;

    return x->made_at < y->made_at ? -1 : x->made_at > y->made_at;
}

int pairing_setup_open(struct hub *h, struct err *e)
{
    int r = mem_new(&h->setups, sizeof(*h->setups), e);

    if (r < 0 || (r = store_meta_page(h->store, prefix, on_kept, h->setups, e)) < 0)
        return r;
    qsort(h->setups->list, h->setups->count, sizeof(h->setups->list[0]), by_age);
    return 0;
}

void pairing_setup_close(struct hub *h)
{
    mem_free(TAKE(h->setups));
}

/* ---- codes ---- */

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

static void drop(struct hub *h, unsigned at)
{
    struct setups *all = h->setups;
    struct err e = ERR_INIT;

    if (put(h, all->list[at].id, VIEW_EMPTY, &e) < 0)
        log_warn("pairing.setup_left", KV("setup", all->list[at].id), KV("why", e.text));
    all->count--;
    memmove(&all->list[at], &all->list[at + 1], (all->count - at) * sizeof(all->list[0]));
}

const struct pair_setup *pairing_setup_new(struct hub *h, const char *access, unsigned roles,
                                           unsigned scopes, char token_out[DEVICE_TOKEN_LEN + 1])
{
    struct setups *p = h->setups;
    struct pair_setup s = {.roles = roles, .scopes = scopes, .made_at = clock_wall_ms()};
    unsigned char secret[32];
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < p->count; i++)
        if (p->list[i].made_at + PAIRING_KEEP_MS < s.made_at)
            drop(h, i--);
    rand_bytes(secret, sizeof(secret));
    b64url(secret, sizeof(secret), token_out);
    mem_wipe(secret, sizeof(secret));
    if (!hash_of(view_of(token_out, DEVICE_TOKEN_LEN), s.hash))
        return NULL;
    rand_uuid(s.id);
    (void)snprintf(s.access, sizeof(s.access), "%s", access);
    s.expires_at = s.made_at + PAIRING_SETUP_MS;
    if (p->count == PAIRING_SETUPS_MAX)
        drop(h, 0);
    if (keep(h, &s, &e) < 0) {
        log_error("pairing.setup_not_kept", KV("why", e.text));
        return NULL;
    }
    p->list[p->count] = s;
    return &p->list[p->count++];
}

const struct pair_setup *pairing_setup_match(struct hub *h, struct view token)
{
    struct setups *p = h->setups;
    int64_t now = clock_wall_ms();
    const struct pair_setup *found = NULL;
    char hash[65];

    if (token.n != DEVICE_TOKEN_LEN || !hash_of(token, hash))
        return NULL;
    for (unsigned i = 0; i < p->count; i++) /* all of them: takes the same time always */
        if (secret_same(hash, p->list[i].hash, sizeof(hash)) && !p->list[i].used_at &&
            p->list[i].expires_at > now && p->list[i].made_at <= now)
            found = &p->list[i];
    return found;
}

const struct pair_setup *pairing_setup_find(struct hub *h, struct view id)
{
    for (unsigned i = 0; i < h->setups->count; i++)
        if (view_eq(view_str(h->setups->list[i].id), id))
            return &h->setups->list[i];
    return NULL;
}

int pairing_setup_used(struct hub *h, const struct pair_setup *used, const struct paired *p,
                       struct err *e)
{
    struct pair_setup *s = &h->setups->list[used - h->setups->list];
    struct pair_setup now = *used;
    struct jw *w;
    int r;

    now.used_at = clock_wall_ms();
    memcpy(now.device_id, p->id, sizeof(now.device_id));
    if ((r = keep(h, &now, e)) < 0)
        return r;
    *s = now;
    log_info("pairing.setup_used", KV("setup", s->id), KV("device", p->id));
    if (!event_wanted(h, AUD_PAIRING))
        return 0;
    w = event_begin(h, "device.pair.setup.completed");
    jw_obj(w);
    jw_kcstr(w, "setupId", s->id);
    jw_kcstr(w, "deviceId", p->id);
    if (p->name[0])
        jw_kcstr(w, "deviceName", p->name);
    jw_kcstr(w, "access", s->access);
    jw_ki64(w, "ts", s->used_at);
    jw_obj_end(w);
    event_end(h, AUD_PAIRING, EVENT_SEQ);
    return 0;
}
