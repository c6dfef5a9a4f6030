#include "devices.h"

#include "b64.h"
#include "mac.h"
#include "rand.h"
#include "secret.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { KEY_BYTES = 32, TEXT_MAX = 256 };

struct devices {
    struct store *store; /* borrowed */
    struct mac *key;
};

static const struct view key_name = {"device.key", 10};

static void put_hex(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

/* The text of 64 hexadecimal digits is the key: nobody needs its bytes. */
static int make_key(struct store *s, char out[2 * KEY_BYTES + 1], struct err *e)
{
    struct store_rec r = {.type = REC_meta_set, .meta_set = {.key = key_name}};
    int ret;

    rand_hex(out, KEY_BYTES);
    r.meta_set.value = view_str(out);
    if ((ret = store_apply(s, &r, e)) < 0)
        return ret;
    return store_commit(s, e);
}

int devices_open(struct devices **out, struct store *s, struct err *e)
{
    char key[2 * KEY_BYTES + 1];
    struct devices *d = NULL;
    struct view v;
    int r;

    if ((r = store_meta_get(s, key_name, &v, e)) == 0 && v.n == 2 * KEY_BYTES) {
        memcpy(key, v.p, v.n);
        key[v.n] = '\0';
    } else if (r == 0) {
        return err_set(e, ERR_CORRUPT, "store: the key of the device tokens is not one");
    } else if (r != ERR_NOT_FOUND || (r = make_key(s, key, e)) < 0) {
        return r;
    }
    if ((r = mem_new(&d, sizeof(*d), e)) < 0 ||
        (r = mac_new(&d->key, (unsigned char *)key, 2 * KEY_BYTES, e)) < 0)
        goto out;
    d->store = s;
    *out = TAKE(d);
out:
    mem_wipe(key, sizeof(key));
    mem_free(d);
    return r;
}

void devices_close(struct devices **dp)
{
    struct devices *d = *dp;

    if (!d)
        return;
    mac_free(&d->key);
    mem_free(d);
    *dp = NULL;
}

static void copy(char *out, size_t room, struct view v)
{
    size_t n = v.n < room ? v.n : room - 1;

    memcpy(out, v.p, n);
    out[n] = '\0';
}

static void from_row(struct paired *p, const struct rec_device_put *r)
{
#define TEXT(to, from) copy(p->to, sizeof(p->to), r->from)
    TEXT(id, id);
    TEXT(key, public_key);
    TEXT(label, label);
    TEXT(name, display_name);
    TEXT(platform, platform);
    TEXT(family, family);
    TEXT(client_id, client_id);
    TEXT(client_mode, client_mode);
    TEXT(via, via);
    TEXT(operator_token.generation, operator_generation);
    TEXT(operator_token.hash, operator_hash);
    TEXT(node_token.generation, node_generation);
    TEXT(node_token.hash, node_hash);
#undef TEXT
    p->roles = r->roles;
    p->scopes = r->scopes;
    p->created_at = r->created_at;
    p->approved_at = r->approved_at;
    p->seen_at = r->seen_at;
    p->operator_token.scopes = r->operator_scopes;
    p->operator_token.issued_at = r->operator_issued_at;
    p->operator_token.rotated_at = r->operator_rotated_at;
    p->operator_token.revoked_at = r->operator_revoked_at;
    p->node_token.scopes = 0;
    p->node_token.issued_at = r->node_issued_at;
    p->node_token.rotated_at = r->node_rotated_at;
    p->node_token.revoked_at = r->node_revoked_at;
}

static struct rec_device_put to_row(const struct paired *p)
{
    const struct device_token *o = &p->operator_token, *n = &p->node_token;

    return (struct rec_device_put){.id = view_str(p->id),
                                   .public_key = view_str(p->key),
                                   .label = view_str(p->label),
                                   .display_name = view_str(p->name),
                                   .platform = view_str(p->platform),
                                   .family = view_str(p->family),
                                   .client_id = view_str(p->client_id),
                                   .client_mode = view_str(p->client_mode),
                                   .via = view_str(p->via),
                                   .roles = p->roles,
                                   .scopes = p->scopes,
                                   .created_at = p->created_at,
                                   .approved_at = p->approved_at,
                                   .seen_at = p->seen_at,
                                   .operator_scopes = o->scopes,
                                   .operator_generation = view_str(o->generation),
                                   .operator_hash = view_str(o->hash),
                                   .operator_issued_at = o->issued_at,
                                   .operator_rotated_at = o->rotated_at,
                                   .operator_revoked_at = o->revoked_at,
                                   .node_generation = view_str(n->generation),
                                   .node_hash = view_str(n->hash),
                                   .node_issued_at = n->issued_at,
                                   .node_rotated_at = n->rotated_at,
                                   .node_revoked_at = n->revoked_at};
}

int devices_find(struct devices *d, struct view id, struct paired *out, struct err *e)
{
    struct rec_device_put row;
    int r;

    if (!d)
        return err_set(e, ERR_NOT_FOUND, "no such device");
    if ((r = store_device_get(d->store, id, &row, e)) == 0)
        from_row(out, &row);
    return r;
}

int devices_put(struct devices *d, const struct paired *p, struct err *e)
{
    struct store_rec rec = {.type = REC_device_put, .device_put = to_row(p)};
    struct rec_device_put known;
    uint64_t n = 0;
    int r = store_device_get(d->store, view_str(p->id), &known, e);

    if (r == ERR_NOT_FOUND) {
        if ((r = store_devices_count(d->store, &n, e)) == 0 && n >= DEVICES_MAX)
            r = err_set(e, ERR_LIMIT, "%llu devices are paired; remove some",
                        (unsigned long long)n);
    }
    return r < 0 ? r : store_apply(d->store, &rec, e);
}

int devices_del(struct devices *d, struct view id, struct err *e)
{
    struct store_rec rec = {.type = REC_device_del, .device_del = {.id = id}};

    return store_apply(d->store, &rec, e);
}

struct each {
    int (*on)(void *ctx, const struct paired *p);
    void *ctx;
};

static int on_row(void *ctx, const struct rec_device_put *r)
{
    struct each *each = ctx;
    struct paired p;

    memset(&p, 0, sizeof(p));
    from_row(&p, r);
    return each->on(each->ctx, &p);
}

int devices_each(struct devices *d, int (*on)(void *ctx, const struct paired *p), void *ctx,
                 struct err *e)
{
    return store_devices(d->store, on_row, &(struct each){on, ctx}, e);
}

/* ---- tokens ---- */

struct device_token *devices_token(struct paired *p, enum device_role role)
{
    return role == DEVICE_NODE ? &p->node_token : &p->operator_token;
}

const struct device_token *devices_token_of(const struct paired *p, enum device_role role)
{
    return role == DEVICE_NODE ? &p->node_token : &p->operator_token;
}

bool device_token_good(const struct device_token *t)
{
    return t->generation[0] && t->hash[0] && t->revoked_at == 0;
}

/* Generations are random: a token that was rotated away does not come back. */
static int derive(struct devices *d, const struct paired *p, enum device_role role,
                  char out[DEVICE_TOKEN_LEN + 1], struct err *e)
{
    char text[TEXT_MAX];
    unsigned char sum[MAC_BYTES];
    int n =
        snprintf(text, sizeof(text), "device token|%s|%s|%s", p->id,
                 role == DEVICE_NODE ? "node" : "operator", devices_token_of(p, role)->generation);
    int r;

    if (n < 0 || (size_t)n >= sizeof(text))
        return err_set(e, ERR_LIMIT, "device token: the device's id is too long");
    if ((r = mac_of(d->key, view_of(text, (size_t)n), sum, e)) < 0)
        return r;
    b64url(sum, sizeof(sum), out);
    mem_wipe(sum, sizeof(sum));
    return 0;
}

static bool hash_of(struct view token, char out[65])
{
    unsigned char sum[32];
    size_t n = 0;

    if (!EVP_Q_digest(NULL, "SHA256", NULL, token.p, token.n, sum, &n) || n != sizeof(sum))
        return false;
    put_hex(sum, sizeof(sum), out);
    return true;
}

int devices_issue(struct devices *d, struct paired *p, enum device_role role, unsigned scopes,
                  int64_t now_ms, struct err *e)
{
    struct device_token *t = devices_token(p, role), old = *t;
    char token[DEVICE_TOKEN_LEN + 1];
    int r;

    rand_hex(t->generation, 16);
    if ((r = derive(d, p, role, token, e)) < 0 || !hash_of(view_str(token), t->hash)) {
        *t = old;
        return r < 0 ? r : err_set(e, ERR_SYS, "no SHA-256 in the crypto library");
    }
    mem_wipe(token, sizeof(token));
    t->scopes = role == DEVICE_NODE ? 0 : scopes;
    t->rotated_at = old.generation[0] ? now_ms : 0;
    t->issued_at = old.issued_at ? old.issued_at : now_ms;
    t->revoked_at = 0;
    return 0;
}

bool devices_match(const struct paired *p, enum device_role role, struct view token)
{
    const struct device_token *t = devices_token_of(p, role);
    char hash[65];

    return (p->roles & role) && device_token_good(t) && token.n == DEVICE_TOKEN_LEN &&
           hash_of(token, hash) && secret_same(hash, t->hash, sizeof(hash));
}

int devices_tell(struct devices *d, const struct paired *p, enum device_role role,
                 char out[DEVICE_TOKEN_LEN + 1], struct err *e)
{
    int r;

    if (!device_token_good(devices_token_of(p, role)))
        return err_set(e, ERR_DENIED, "the device has no token for this role");
    if ((r = derive(d, p, role, out, e)) < 0)
        return r;
    if (devices_match(p, role, view_of(out, DEVICE_TOKEN_LEN)))
        return 0;
    mem_wipe(out, DEVICE_TOKEN_LEN + 1);
    return err_set(e, ERR_DENIED, "the device's token was made with another key");
}
