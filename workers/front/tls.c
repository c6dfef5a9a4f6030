#include "tls.h"

#include "mem.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

enum {
    TICKET_NAME = 16,
    TICKET_AES = 32,
    TICKET_MAC = 32,
    TICKET_KEY = TICKET_NAME + TICKET_AES + TICKET_MAC,
    TICKET_KEYS = 2, /* current, previous */
    SESSION_SECONDS = 3600,
};

struct tls_ctx {
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    unsigned users; /* connections, and the owner: the methods above must outlive them */
    unsigned keys;
    unsigned char key[TICKET_KEYS][TICKET_KEY];
};

struct tls {
    struct tls_ctx *ctx;
    SSL *ssl;
    struct view in; /* of the current tls_open */
    struct buf out;
    bool said_bye;
};

/* The library's own words for what went wrong last. */
static int fail(struct err *e, int code, const char *what)
{
    unsigned long n = ERR_peek_last_error();
    const char *why = n ? ERR_reason_error_string(n) : NULL;

    ERR_clear_error();
    return err_set(e, code, "%s: %s", what, why ? why : "no reason given");
}

/* -------------------------------------------------------------- bytes in and out */
static int on_bio_read(BIO *b, char *p, int cap)
{
    struct tls *t = BIO_get_data(b);
    size_t n = t->in.n < (size_t)cap ? t->in.n : (size_t)cap;

    BIO_clear_retry_flags(b);
    if (n == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    memcpy(p, t->in.p, n);
    t->in = view_from(t->in, n);
    return (int)n;
}

static int on_bio_write(BIO *b, const char *p, int n)
{
    struct tls *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    buf_put(&t->out, p, (size_t)n);
    return t->out.failed ? -1 : n;
}

static long on_bio_ctrl(BIO *b, int cmd, long n, void *p)
{
    (void)b;
    (void)n;
    (void)p;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *new_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "openclaw");

    if (m && BIO_meth_set_read(m, on_bio_read) && BIO_meth_set_write(m, on_bio_write) &&
        BIO_meth_set_ctrl(m, on_bio_ctrl))
        return m;
    BIO_meth_free(m);
    return NULL;
}

/* -------------------------------------------------------------- callbacks of the handshake */
/* Tickets (RFC 5077; also TLS 1.3's): 1 use, 2 use and send a new one, 0 not ours. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seal)
{
    struct tls_ctx *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    OSSL_PARAM params[3];
    char digest[] = "SHA256";
    unsigned i = 0;

    if (seal) {
        memcpy(name, c->key[0], TICKET_NAME);
    } else {
        while (i < c->keys && memcmp(name, c->key[i], TICKET_NAME) != 0)
            i++;
        if (i == c->keys)
            return 0;
    }
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                                  c->key[i] + TICKET_NAME + TICKET_AES, TICKET_MAC);
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    params[2] = OSSL_PARAM_construct_end();
    if (!EVP_MAC_CTX_set_params(mac, params))
        return -1;
    if (seal && RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
        return -1;
    if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, c->key[i] + TICKET_NAME, iv, seal) != 1)
        return -1;
    return i ? 2 : 1;
}

/* Ours, the best first; who offers only others is told so instead of being misunderstood. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *in, unsigned n, void *ctx)
{
    static const struct view ours[] = {{"h2", 2}, {"http/1.1", 8}};

    (void)ssl;
    (void)ctx;
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        for (unsigned at = 0; at + 1 <= n && in[at] < n - at; at += in[at] + 1u)
            if (view_eq(view_of((const char *)in + at + 1, in[at]), ours[i])) {
                *out = in + at + 1;
                *out_n = in[at];
                return SSL_TLSEXT_ERR_OK;
            }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* -------------------------------------------------------------- key and certificates */
static int no_password(char *p, int n, int writing, void *ctx)
{
    (void)p;
    (void)n;
    (void)writing;
    (void)ctx;
    return 0;
}

static int use_chain(SSL_CTX *ssl, struct view pem, struct err *e)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *x = b ? PEM_read_bio_X509(b, NULL, no_password, NULL) : NULL;
    int ok = x && SSL_CTX_use_certificate(ssl, x) == 1;

    X509_free(x);
    while (ok && (x = PEM_read_bio_X509(b, NULL, no_password, NULL)))
        if (SSL_CTX_add0_chain_cert(ssl, x) != 1) {
            X509_free(x);
            ok = 0;
        }
    BIO_free(b);
    if (!ok)
        return fail(e, ERR_INVALID, "certificate");
    ERR_clear_error(); /* the end of the text is one to the library */
    return 0;
}

static int use_key(SSL_CTX *ssl, struct view pem, struct err *e)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *k = b ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL) : NULL;
    int ok = k && SSL_CTX_use_PrivateKey(ssl, k) == 1 && SSL_CTX_check_private_key(ssl) == 1;

    EVP_PKEY_free(k);
    BIO_free(b);
    return ok ? 0 : fail(e, ERR_INVALID, "private key");
}

/* Only clients with a certificate that one of these issued. Sessions of another list do not count.
 */
static int use_issuers(SSL_CTX *ssl, struct view pem, struct err *e)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    unsigned n = 0, id_n = 0;
    X509 *x;
    int ok = b != NULL;

    while (ok && (x = PEM_read_bio_X509(b, NULL, no_password, NULL))) {
        ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), x) == 1 &&
             SSL_CTX_add_client_CA(ssl, x) == 1;
        X509_free(x);
        n++;
    }
    BIO_free(b);
    if (!ok || n == 0 || EVP_Digest(pem.p, pem.n, id, &id_n, EVP_sha256(), NULL) != 1 ||
        SSL_CTX_set_session_id_context(ssl, id, id_n) != 1)
        return fail(e, ERR_INVALID, "issuers of client certificates");
    ERR_clear_error();
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

static int set_up(struct tls_ctx *c, struct err *e)
{
    static char groups[] = "X25519:P-256:P-384"; /* OpenSSL's macro takes no const */
    SSL_CTX *s = c->ssl;

    SSL_CTX_set_app_data(s, c);
    (void)SSL_CTX_set_options(s, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT);
    (void)SSL_CTX_set_mode(s, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_timeout(s, SESSION_SECONDS);
    (void)SSL_CTX_set_max_cert_list(s, TLS_CERT_MAX);
    (void)SSL_CTX_set_max_early_data(s, 0);
    (void)SSL_CTX_set_recv_max_early_data(s, 0);
    SSL_CTX_set_alpn_select_cb(s, on_alpn, NULL);
    if (SSL_CTX_set_min_proto_version(s, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(s, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
        SSL_CTX_set1_groups_list(s, groups) != 1 || SSL_CTX_set_num_tickets(s, 1) != 1 ||
        SSL_CTX_set_session_id_context(s, (const unsigned char *)"openclaw", 8) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(s, on_ticket) != 1)
        return fail(e, ERR_SYS, "TLS");
    return 0;
}

int tls_warm_up(struct err *e)
{
    return OPENSSL_init_ssl(0, NULL) == 1 ? 0 : fail(e, ERR_SYS, "the TLS library");
}

static void unref(struct tls_ctx *c)
{
    if (--c->users)
        return;
    SSL_CTX_free(c->ssl);
    BIO_meth_free(c->bio);
    mem_wipe(c->key, sizeof(c->key));
    mem_free(c);
}

int tls_ctx_new(struct tls_ctx **out, const struct ipc_tls *m, struct err *e)
{
    struct tls_ctx *c = NULL;
    int r;

    if (m->tickets.n == 0 || m->tickets.n % TICKET_KEY || m->tickets.n > sizeof(c->key))
        return err_set(e, ERR_INVALID, "tickets: %zu bytes are no keys", m->tickets.n);
    if ((r = mem_new(&c, sizeof(*c), e)) < 0)
        return r;
    c->users = 1;
    c->keys = (unsigned)(m->tickets.n / TICKET_KEY);
    memcpy(c->key, m->tickets.p, m->tickets.n);
    c->bio = new_method();
    c->ssl = SSL_CTX_new(TLS_server_method());
    if (!c->bio || !c->ssl)
        r = fail(e, ERR_NOMEM, "TLS");
    if (r == 0)
        r = set_up(c, e);
    if (r == 0)
        r = use_chain(c->ssl, m->chain, e);
    if (r == 0)
        r = use_key(c->ssl, m->key, e);
    if (r == 0 && m->issuers.n)
        r = use_issuers(c->ssl, m->issuers, e);
    if (r < 0)
        unref(c);
    else
        *out = c;
    return r;
}

void tls_ctx_free(struct tls_ctx **cp)
{
    if (*cp)
        unref(*cp);
    *cp = NULL;
}

/* -------------------------------------------------------------- one connection */
int tls_new(struct tls **out, struct tls_ctx *c, struct err *e)
{
    struct tls *t = NULL;
    BIO *b;
    int r;

    if ((r = mem_new(&t, sizeof(*t), e)) < 0)
        return r;
    buf_init(&t->out, TLS_OUT_MAX);
    t->ctx = c;
    c->users++;
    t->ssl = SSL_new(c->ssl);
    b = t->ssl ? BIO_new(c->bio) : NULL;
    if (!b) {
        tls_free(&t);
        return fail(e, ERR_NOMEM, "TLS connection");
    }
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    SSL_set_bio(t->ssl, b, b);
    SSL_set_accept_state(t->ssl);
    *out = t;
    return 0;
}

void tls_free(struct tls **tp)
{
    struct tls *t = *tp;

    if (!t)
        return;
    SSL_free(t->ssl);
    buf_fini(&t->out);
    unref(t->ctx);
    mem_free(t);
    *tp = NULL;
}

bool tls_up(const struct tls *t)
{
    return SSL_is_init_finished(t->ssl) == 1;
}

bool tls_h2(const struct tls *t)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(t->ssl, &name, &n);
    return view_eq(view_of((const char *)name, n), V("h2"));
}

int tls_open(struct tls *t, struct view cipher, char *plain, size_t cap, size_t *n, bool *end,
             struct err *e)
{
    int why;

    *n = 0;
    *end = false;
    t->in = cipher;
    ERR_clear_error();
    for (;;) {
        size_t got = 0;

        if (*n == cap)
            return err_set(e, ERR_LIMIT, "TLS: more plaintext than ciphertext");
        if (SSL_read_ex(t->ssl, plain + *n, cap - *n, &got) != 1)
            break;
        *n += got;
    }
    why = SSL_get_error(t->ssl, 0);
    t->in = VIEW_EMPTY;
    *end = why == SSL_ERROR_ZERO_RETURN;
    return *end || why == SSL_ERROR_WANT_READ ? 0 : fail(e, ERR_INVALID, "TLS");
}

int tls_seal(struct tls *t, struct buf *plain, struct err *e)
{
    size_t n = plain->n < TLS_SEAL ? plain->n : TLS_SEAL, put = 0;

    ERR_clear_error();
    if (SSL_write_ex(t->ssl, plain->p + plain->off, n, &put) != 1)
        return t->out.failed ? buf_check(&t->out, e) : fail(e, ERR_INVALID, "TLS");
    buf_eat(plain, put);
    return 0;
}

void tls_bye(struct tls *t)
{
    if (t->said_bye || !tls_up(t))
        return;
    t->said_bye = true;
    (void)SSL_shutdown(t->ssl); /* 0: ours is out, the peer's is not here: we do not wait for it */
    ERR_clear_error();
}

struct buf *tls_out(struct tls *t)
{
    return &t->out;
}
