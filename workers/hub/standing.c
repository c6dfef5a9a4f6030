#include "standing.h"

#include "json.h"
#include "log.h"
#include "settings.h"

#include <openssl/evp.h>

static void print_bytes(const void *p, size_t n, unsigned char out[IDENTITY_PRINT])
{
    unsigned char sum[32] = {0};

    (void)EVP_Q_digest(NULL, "SHA256", NULL, p, n, sum, NULL);
    memcpy(out, sum, IDENTITY_PRINT);
}

/* Whom to trust, and what they may: all of gateway.auth but its secrets, which the hub never has.
 */
static void print_conf(const struct settings *s, unsigned char out[IDENTITY_PRINT])
{
    static const char *const parts[] = {"gateway.auth", "gateway.trustedProxies"};
    struct buf b = BUF_INIT(4 * MIB);
    struct err e = ERR_INIT;

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        json_t *part = json_at(s->doc, parts[i]);

        if (part && json_dump(part, &b, &e) < 0)
            break;
        buf_put_char(&b, '\n');
    }
    print_bytes(b.p, b.n, out);
    buf_fini(&b);
}

static enum device_role role_of(const struct identity *who)
{
    return who->role == CONN_NODE ? DEVICE_NODE : DEVICE_OPERATOR;
}

void standing_print(const struct hub *h, const struct identity *who, const struct paired *p,
                    unsigned char out[IDENTITY_PRINT])
{
    const struct settings *s = h->settings;

    memset(out, 0, IDENTITY_PRINT);
    switch (who->by) {
    case CREDENTIAL_NOT_YET:
    case CREDENTIAL_NONE:
        break;
    case CREDENTIAL_TOKEN:
        print_bytes(s->token_mac, sizeof(s->token_mac), out);
        break;
    case CREDENTIAL_PASSWORD:
        if (s->password_crypt)
            print_bytes(s->password_crypt, strlen(s->password_crypt), out);
        else
            print_bytes(s->password_mac, sizeof(s->password_mac), out);
        break;
    case CREDENTIAL_PROXY:
    case CREDENTIAL_TAILSCALE:
        print_conf(s, out);
        break;
    case CREDENTIAL_DEVICE:
    case CREDENTIAL_SETUP:
        if (p)
            print_bytes(devices_token_of(p, role_of(who))->hash, 64, out);
        break;
    }
}

/* Is this a way in at all, as it is configured now. */
static bool way_in(const struct settings *s, enum credential by)
{
    switch (by) {
    case CREDENTIAL_NOT_YET:
        return false;
    case CREDENTIAL_NONE:
        return s->auth_mode == AUTH_NONE;
    case CREDENTIAL_TOKEN:
        return settings_by_token(s) && s->have_token;
    case CREDENTIAL_PASSWORD:
        return (s->auth_mode == AUTH_PASSWORD || s->auth_mode == AUTH_PROXY) && s->have_password;
    case CREDENTIAL_PROXY:
        return s->auth_mode == AUTH_PROXY;
    case CREDENTIAL_TAILSCALE:
        return s->tailscale;
    case CREDENTIAL_DEVICE:
    case CREDENTIAL_SETUP:
        return s->auth_mode != AUTH_NONE;
    }
    return false;
}

bool standing_good(struct hub *h, const struct identity *who)
{
    bool by_device = who->by == CREDENTIAL_DEVICE || who->by == CREDENTIAL_SETUP;
    unsigned char now[IDENTITY_PRINT];
    struct paired p = {.created_at = 0};
    struct err e = ERR_INIT;
    int r = ERR_NOT_FOUND;

    if (!way_in(h->settings, who->by))
        return false;
    if (who->paired || by_device) {
        r = devices_find(h->devices, view_str(who->device_id), &p, &e);
        if (r < 0 || !(p.roles & role_of(who)))
            return false;
        if (by_device && !device_token_good(devices_token_of(&p, role_of(who))))
            return false;
    }
    standing_print(h, who, r == 0 ? &p : NULL, now);
    return memcmp(now, who->print, sizeof(now)) == 0;
}

struct closing {
    struct hub *hub;
    struct view device; /* empty: all */
    const char *reason;
    unsigned count;
};

static bool close_if_bad(void *ctx, struct conn *c)
{
    struct closing *cl = ctx;
    struct link *front = hub_front(cl->hub, c->front);
    struct err e = ERR_INIT;

    if ((cl->device.n && !view_eq(view_str(c->who.device_id), cl->device)) ||
        standing_good(cl->hub, &c->who))
        return true;
    cl->count++;
    /* what it still asks before its front hears of this is asked by nobody */
    c->who.scopes = c->who.scopes_listed = 0;
    c->audience = 0;
    if (front &&
        msg_send_conn_close(front,
                            &(struct ipc_conn_close){
                                .conn_id = c->id, .code = 4001, .reason = view_str(cl->reason)},
                            &e) < 0)
        log_error("conn.close_lost", KV("conn", c->id), KV("why", e.text));
    return true;
}

unsigned standing_recheck(struct hub *h)
{
    struct closing cl = {.hub = h, .reason = "gateway auth changed"};

    conn_each(h, close_if_bad, &cl);
    return cl.count;
}

void standing_device_changed(struct hub *h, struct view device_id, const char *reason)
{
    struct closing cl = {.hub = h, .device = device_id, .reason = reason};

    if (device_id.n)
        conn_each(h, close_if_bad, &cl);
}

struct looking {
    const char *id;
    bool found;
};

static bool look(void *ctx, struct conn *c)
{
    struct looking *l = ctx;

    l->found = strcmp(c->who.device_id, l->id) == 0;
    return !l->found;
}

bool standing_device_here(struct hub *h, const char *device_id)
{
    struct looking l = {.id = device_id};

    conn_each(h, look, &l);
    return l.found;
}
