#include "mac.h"

#include "mem.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

struct mac {
    EVP_MAC *alg;
    EVP_MAC_CTX *ctx; /* keyed: init without a key starts over with the same one */
};

int mac_new(struct mac **out, const unsigned char *key, size_t n, struct err *e)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    struct mac *m = NULL;
    int r;

    if ((r = mem_new(&m, sizeof(*m), e)) < 0)
        return r;
    m->alg = EVP_MAC_fetch(NULL, "HMAC", NULL);
    m->ctx = m->alg ? EVP_MAC_CTX_new(m->alg) : NULL;
    if (!m->ctx || !EVP_MAC_init(m->ctx, key, n, params)) {
        mac_free(&m);
        return err_set(e, ERR_SYS, "no HMAC-SHA256 in the crypto library");
    }
    *out = m;
    return 0;
}

void mac_free(struct mac **mp)
{
    struct mac *m = *mp;

    if (!m)
        return;
    EVP_MAC_CTX_free(m->ctx);
    EVP_MAC_free(m->alg);
    mem_free(m);
    *mp = NULL;
}

int mac_of(struct mac *m, struct view data, unsigned char out[MAC_BYTES], struct err *e)
{
    size_t n = 0;

    if (!EVP_MAC_init(m->ctx, NULL, 0, NULL) ||
        !EVP_MAC_update(m->ctx, (const unsigned char *)data.p, data.n) ||
        !EVP_MAC_final(m->ctx, out, &n, MAC_BYTES) || n != MAC_BYTES)
        return err_set(e, ERR_SYS, "HMAC-SHA256 failed");
    return 0;
}
