#include "tls_make.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { DAYS = 3650, SERIAL_BYTES = 16, HOST_MAX = 253 };

/* Letters, digits, dots and dashes; others would be read as part of the list of names. */
static bool plain(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n <= HOST_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == n;
}

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = ext && X509_add_ext(x, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool fill(X509 *x, EVP_PKEY *key, const char *hostname)
{
    unsigned char serial[SERIAL_BYTES];
    char names[HOST_MAX + 64];
    X509_NAME *name = X509_get_subject_name(x);
    BIGNUM *n = NULL;
    bool ok;

    (void)snprintf(names, sizeof(names), "DNS:localhost,IP:127.0.0.1,IP:::1%s%s",
                   plain(hostname) && strcmp(hostname, "localhost") != 0 ? ",DNS:" : "",
                   plain(hostname) && strcmp(hostname, "localhost") != 0 ? hostname : "");
    if (RAND_bytes(serial, sizeof(serial)) != 1)
        return false;
    serial[0] &= 0x7f; /* positive */
    n = BN_bin2bn(serial, sizeof(serial), NULL);
    ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) && X509_set_version(x, 2) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(x), -3600) && /* clocks differ */
         X509_time_adj_ex(X509_getm_notAfter(x), DAYS, 0, NULL) &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)"openclaw-gateway", -1, -1, 0) == 1 &&
         X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 &&
         add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(x, NID_key_usage, "critical,digitalSignature") &&
         add_extension(x, NID_ext_key_usage, "serverAuth") &&
         add_extension(x, NID_subject_key_identifier, "hash") &&
         add_extension(x, NID_subject_alt_name, names) && X509_sign(x, key, EVP_sha256()) > 0;
    BN_free(n);
    return ok;
}

static bool take(BIO *b, struct buf *out)
{
    char *p = NULL;
    long n = BIO_get_mem_data(b, &p);

    buf_put(out, p, n > 0 ? (size_t)n : 0);
    return n > 0 && !out->failed;
}

int tls_make(const char *hostname, struct buf *cert, struct buf *key, struct err *e)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *cb = BIO_new(BIO_s_mem()), *kb = BIO_new(BIO_s_secmem());
    bool ok = k && x && cb && kb && fill(x, k, hostname) && PEM_write_bio_X509(cb, x) == 1 &&
              PEM_write_bio_PKCS8PrivateKey(kb, k, NULL, NULL, 0, NULL, NULL) == 1 &&
              take(cb, cert) && take(kb, key);

    BIO_free(cb);
    BIO_free(kb);
    X509_free(x);
    EVP_PKEY_free(k);
    return ok ? 0 : err_set(e, ERR_SYS, "cannot make a certificate");
}
