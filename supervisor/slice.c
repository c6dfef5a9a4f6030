#include "slice.h"

#include "json.h"
#include "mem.h"
#include "version.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

static void hex(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = 0;
}

static int secret_hash(const struct slice_runtime *rt, const struct secret *token, char out[65],
                       struct err *e)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!HMAC(EVP_sha256(), rt->key, SLICE_KEY_BYTES, token->p, token->n, mac, &len) || len != 32)
        return err_set(e, ERR_SYS, "HMAC failed");
    hex(mac, 32, out);
    return 0;
}

static const char *auth_mode(const struct conf *conf)
{
    static const char *const names[] = {[CONF_AUTH_NONE] = "none",
                                        [CONF_AUTH_TOKEN] = "token",
                                        [CONF_AUTH_PASSWORD] = "password",
                                        [CONF_AUTH_PROXY] = "trusted-proxy",
                                        [CONF_AUTH_TAILSCALE] = "tailscale"};

    return conf->gateway_auth_mode < COUNT_OF(names) ? names[conf->gateway_auth_mode] : "token";
}

/* A crypt(3) hash goes as it is; of a plain password only a keyed hash. */
static int add_password(const struct slice_runtime *rt, json_t *runtime, struct err *e)
{
    const struct secret *p = &config_conf(rt->config)->gateway_auth_password;
    char hash[65];
    int r;

    if (!p->n)
        return 0;
    if (p->n > 20 && p->p[0] == '$' && memchr(p->p + 1, '$', 12))
        return json_set_at(runtime, "passwordCrypt", json_stringn((const char *)p->p, p->n), e);
    if ((r = secret_hash(rt, p, hash, e)) < 0)
        return r;
    return json_set_at(runtime, "passwordHash", json_string(hash), e);
}

static int add_hub(const struct slice_runtime *rt, json_t *runtime, struct err *e)
{
    const struct conf *conf = config_conf(rt->config);
    char key[2 * SLICE_KEY_BYTES + 1], hash[65] = "";
    json_t *snapshot = NULL;
    int r;

    hex(rt->key, SLICE_KEY_BYTES, key);
    if ((r = add_password(rt, runtime, e)) < 0)
        return r;
    if (conf->gateway_auth_token.n && (r = secret_hash(rt, &conf->gateway_auth_token, hash, e)) < 0)
        return r;
    if ((r = config_redacted(rt->config, rt->report,
                             view_of((const char *)rt->key, SLICE_KEY_BYTES), &snapshot, e)) < 0)
        return r;
    if (conf->hooks_token.n) {
        char hook[65];

        if ((r = secret_hash(rt, &conf->hooks_token, hook, e)) < 0 ||
            (r = json_set_at(runtime, "hookTokenHash", json_string(hook), e)) < 0) {
            json_decref(snapshot);
            return r;
        }
    }
    r = json_set_at(runtime, "ticketKey", json_string(key), e);
    mem_wipe(key, sizeof(key));
    if (r < 0 || (r = json_set_at(runtime, "tokenHash", json_string(hash), e)) < 0) {
        json_decref(snapshot);
        return r;
    }
    if ((r = json_set_at(runtime, "config", snapshot, e)) < 0 ||
        (r = json_set_at(runtime, "stateDir", json_string(rt->state_dir), e)) < 0 ||
        (r = json_set_at(runtime, "storePath", json_string("state.mdb"), e)) < 0 ||
        (r = json_set_at(runtime, "configPath", json_string(config_path_of(rt->config)), e)) < 0)
        return r;
    if (rt->channels && (r = json_set_at(runtime, "channels", json_incref(rt->channels), e)) < 0)
        return r;
    return json_set_at(runtime, "authMode", json_string(auth_mode(conf)), e);
}

int slice_write(const struct slice_runtime *rt, enum role role, struct buf *out, struct err *e)
{
    json_t *doc = NULL, *runtime;
    int r;

    if ((r = config_slice(rt->config, role, &doc, e)) < 0)
        return r;
    (void)json_object_del(json_at(doc, "gateway.auth"), "token");
    (void)json_object_del(json_at(doc, "gateway.auth"), "password");
    runtime = json_pack("{s:s, s:s, s:i, s:I, s:i, s:s}", "version", OPENCLAW_C_VERSION,
                        "wireVersion", OPENCLAW_WIRE_VERSION, "pid", (int)getpid(), "startedAtMs",
                        (json_int_t)rt->started_ms, "port",
                        (int)config_conf(rt->config)->gateway_port, "bind", rt->bind);
    if (!runtime || json_object_set_new(doc, "runtime", runtime) < 0)
        r = err_set(e, ERR_NOMEM, "out of memory for a slice");
    if (r == 0 && role == ROLE_FRONT)
        r = json_set_at(runtime, "fronts", json_integer(rt->fronts), e);
    if (r == 0 && role == ROLE_FRONT)
        r = json_set_at(runtime, "openAuth",
                        json_boolean(config_conf(rt->config)->gateway_auth_mode == CONF_AUTH_NONE),
                        e);
    if (r == 0 && role == ROLE_HUB)
        r = add_hub(rt, runtime, e);
    if (r == 0)
        r = json_dump(doc, out, e);
    json_decref(doc);
    return r;
}
