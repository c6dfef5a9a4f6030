#include "fake_device.h"

#include "clock.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static void b64(const unsigned char *p, size_t n, char *out)
{
    unsigned char text[128];

    if (EVP_EncodeBlock(text, p, (int)n) < 0)
        abort();
    for (size_t i = 0; text[i] && text[i] != '='; i++)
        *out++ = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    *out = 0;
}

void fake_device_make(struct fake_device *d, unsigned n)
{
    unsigned char key[32], sum[32];
    size_t len = sizeof(key);
    EVP_PKEY *k;

    memset(d, 0, sizeof(*d));
    d->seed[0] = (unsigned char)n;
    d->seed[1] = (unsigned char)(n >> 8);
    k = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, d->seed, sizeof(d->seed));
    if (!k || !EVP_PKEY_get_raw_public_key(k, key, &len) ||
        !EVP_Q_digest(NULL, "SHA256", NULL, key, len, sum, NULL))
        abort();
    b64(key, len, d->key);
    for (size_t i = 0; i < sizeof(sum); i++)
        (void)snprintf(d->id + 2 * i, 3, "%02x", sum[i]);
    EVP_PKEY_free(k);
}

static void sign(const struct fake_device *d, struct view text, char out[90])
{
    EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, d->seed, sizeof(d->seed));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char sig[64];
    size_t n = sizeof(sig);

    if (!k || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, k) != 1 ||
        EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.p, text.n) != 1)
        abort();
    b64(sig, n, out);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(k);
}

static const char *or_else(const char *s, const char *fallback)
{
    return s ? s : fallback;
}

void fake_device_params(const struct fake_device *d, const struct fake_wish *w, struct buf *out)
{
    const char *client = or_else(w->client, "cli"), *mode = or_else(w->mode, "cli"),
               *role = or_else(w->role, "operator"), *scopes = or_else(w->scopes, ""),
               *platform = or_else(w->platform, "linux"), *nonce = or_else(w->nonce, "nonce-1");
    int64_t at = w->signed_at ? w->signed_at : clock_wall_ms();
    struct buf text = BUF_INIT(64 * 1024);
    char sig[90];

    buf_printf(&text, "v%u|%s|%s|%s|%s|%s|%lld|%s|%s", w->version ? w->version : 3, d->id, client,
               mode, role, scopes, (long long)at, or_else(w->secret, ""), nonce);
    if (w->version != 2)
        buf_printf(&text, "|%s|", platform);
    sign(d, buf_view(&text), sig);
    buf_fini(&text);
    buf_printf(out,
               "{\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"%s\",\"version\":\"1\","
               "\"platform\":\"%s\",\"mode\":\"%s\"},\"role\":\"%s\",\"scopes\":[",
               client, platform, mode, role);
    for (const char *s = scopes; *s;) {
        size_t n = strcspn(s, ",");

        buf_printf(out, "%s\"%.*s\"", s == scopes ? "" : ",", (int)n, s);
        s += n + (s[n] == ',');
    }
    buf_printf(out, "],\"auth\":{%s},", or_else(w->auth, ""));
    buf_printf(out,
               "\"device\":{\"id\":\"%s\",\"publicKey\":\"%s\",\"signature\":\"%s\","
               "\"signedAt\":%lld,\"nonce\":\"%s\"}}",
               d->id, d->key, sig, (long long)at, nonce);
}
