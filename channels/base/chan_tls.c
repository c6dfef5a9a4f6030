#include "chan_tls.h"

#include "ip.h"
#include "mem.h"

#include <dlfcn.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { PIECE = 16384 };

/* Every function we use, by its own name. */
#define TLS_FUNCTIONS(X)                                                                           \
    X(TLS_client_method)                                                                           \
    X(SSL_CTX_new)                                                                                 \
    X(SSL_CTX_free)                                                                                \
    X(SSL_CTX_ctrl)                                                                                \
    X(SSL_CTX_set_verify)                                                                          \
    X(SSL_CTX_load_verify_dir)                                                                     \
    X(SSL_CTX_get_cert_store)                                                                      \
    X(SSL_CTX_use_certificate)                                                                     \
    X(SSL_CTX_use_PrivateKey)                                                                      \
    X(SSL_CTX_check_private_key)                                                                   \
    X(SSL_new)                                                                                     \
    X(SSL_free)                                                                                    \
    X(SSL_ctrl)                                                                                    \
    X(SSL_set1_host)                                                                               \
    X(SSL_set_bio)                                                                                 \
    X(SSL_get0_param)                                                                              \
    X(SSL_set_connect_state)                                                                       \
    X(SSL_do_handshake)                                                                            \
    X(SSL_read_ex)                                                                                 \
    X(SSL_write_ex)                                                                                \
    X(SSL_get_error)                                                                               \
    X(SSL_shutdown)                                                                                \
    X(SSL_is_init_finished)                                                                        \
    X(SSL_get_verify_result)                                                                       \
    X(BIO_new)                                                                                     \
    X(BIO_s_mem)                                                                                   \
    X(BIO_new_mem_buf)                                                                             \
    X(BIO_read)                                                                                    \
    X(BIO_write)                                                                                   \
    X(BIO_free)                                                                                    \
    X(PEM_read_bio_X509)                                                                           \
    X(PEM_read_bio_PrivateKey)                                                                     \
    X(X509_free)                                                                                   \
    X(EVP_PKEY_free)                                                                               \
    X(X509_STORE_add_cert)                                                                         \
    X(X509_VERIFY_PARAM_set1_ip_asc)                                                               \
    X(X509_verify_cert_error_string)                                                               \
    X(ERR_peek_last_error)                                                                         \
    X(ERR_reason_error_string)                                                                     \
    X(ERR_clear_error)

static struct {
#define X(name) __typeof__(name) *name;
    TLS_FUNCTIONS(X)
#undef X
} api; /* the library itself is process-wide */

struct chan_tls {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out; /* the ssl's */
};

int chan_tls_load(struct err *e)
{
    static const char *const names[] = {
#define X(name) #name,
        TLS_FUNCTIONS(X)
#undef X
    };
    struct chan_tls *first = NULL;
    void *lib = dlopen("libssl.so.3", RTLD_LAZY | RTLD_LOCAL), *sym;
    int r;

    if (!lib)
        return err_set(e, ERR_SYS, "cannot load libssl: %s", dlerror());
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!(sym = dlsym(lib, names[i])))
            return err_set(e, ERR_SYS, "libssl has no %s", names[i]);
        /* POSIX: a data pointer from dlsym holds a function's address */
        memcpy((char *)&api + i * sizeof(sym), &sym, sizeof(sym));
    }
    r = chan_tls_new(&first, &(struct chan_tls_conf){.name = "localhost"}, e);
    chan_tls_free(&first);
    return r;
}

static int fail(struct err *e, int code, const char *what)
{
    unsigned long n = api.ERR_peek_last_error();
    const char *why = n ? api.ERR_reason_error_string(n) : NULL;

    api.ERR_clear_error();
    return err_set(e, code, "%s: %s", what, why ? why : "no reason given");
}

/* ---- certificates ---- */

static BIO *pem(struct view v)
{
    return v.n && v.n < INT_MAX ? api.BIO_new_mem_buf(v.p, (int)v.n) : NULL;
}

static int own_certificate(SSL_CTX *ctx, const struct chan_tls_conf *conf, struct err *e)
{
    BIO *c = pem(conf->cert), *k = pem(conf->key);
    X509 *x = c ? api.PEM_read_bio_X509(c, NULL, NULL, NULL) : NULL;
    EVP_PKEY *p = k ? api.PEM_read_bio_PrivateKey(k, NULL, NULL, NULL) : NULL;
    int r = 0;

    if (!x || !p || api.SSL_CTX_use_certificate(ctx, x) != 1 ||
        api.SSL_CTX_use_PrivateKey(ctx, p) != 1 || api.SSL_CTX_check_private_key(ctx) != 1)
        r = fail(e, ERR_INVALID, "our certificate and key");
    api.X509_free(x);
    api.EVP_PKEY_free(p);
    api.BIO_free(c);
    api.BIO_free(k);
    return r;
}

static int more_authorities(SSL_CTX *ctx, struct view ca, struct err *e)
{
    BIO *b = pem(ca);
    unsigned n = 0;
    X509 *x;

    while (b && (x = api.PEM_read_bio_X509(b, NULL, NULL, NULL))) {
        n += api.X509_STORE_add_cert(api.SSL_CTX_get_cert_store(ctx), x) == 1;
        api.X509_free(x);
    }
    api.BIO_free(b);
    api.ERR_clear_error(); /* the end of the text is one, too */
    return n ? 0 : err_set(e, ERR_INVALID, "no certificate in the authorities that were given");
}

static int make_ctx(struct chan_tls *t, const struct chan_tls_conf *conf, struct err *e)
{
    int r;

    if (!(t->ctx = api.SSL_CTX_new(api.TLS_client_method())))
        return fail(e, ERR_NOMEM, "TLS");
    (void)api.SSL_CTX_ctrl(t->ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    (void)api.SSL_CTX_ctrl(t->ctx, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, NULL);
    (void)api.SSL_CTX_ctrl(t->ctx, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    api.SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
    /* the folder: only the one authority that is asked for is read */
    if (api.SSL_CTX_load_verify_dir(t->ctx, "/etc/ssl/certs") != 1)
        return fail(e, ERR_SYS, "the machine's authorities");
    if (conf->ca.n && (r = more_authorities(t->ctx, conf->ca, e)) < 0)
        return r;
    if (conf->cert.n && (r = own_certificate(t->ctx, conf, e)) < 0)
        return r;
    return 0;
}

int chan_tls_new(struct chan_tls **out, const struct chan_tls_conf *conf, struct err *e)
{
    struct chan_tls *t = NULL;
    char name[256];
    struct ip ip;
    size_t n = strlen(conf->name);
    int r;

    if (!api.SSL_new)
        return err_set(e, ERR_INVALID, "this platform did not say that it needs TLS");
    if (n == 0 || n >= sizeof(name))
        return err_set(e, ERR_INVALID, "no host to verify");
    memcpy(name, conf->name, n + 1);
    if ((r = mem_new(&t, sizeof(*t), e)) < 0)
        return r;
    if ((r = make_ctx(t, conf, e)) < 0)
        goto out;
    t->ssl = api.SSL_new(t->ctx);
    t->in = api.BIO_new(api.BIO_s_mem());
    t->out = api.BIO_new(api.BIO_s_mem());
    if (!t->ssl || !t->in || !t->out) {
        api.BIO_free(t->in);
        api.BIO_free(t->out);
        r = fail(e, ERR_NOMEM, "TLS");
        goto out;
    }
    api.SSL_set_bio(t->ssl, t->in, t->out);
    api.SSL_set_connect_state(t->ssl);
    if (ip_parse(view_str(name), &ip)) {
        if (api.X509_VERIFY_PARAM_set1_ip_asc(api.SSL_get0_param(t->ssl), name) != 1)
            r = fail(e, ERR_INVALID, "the address to verify");
    } else if (api.SSL_set1_host(t->ssl, name) != 1 ||
               api.SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                            name) != 1) {
        r = fail(e, ERR_INVALID, "the host to verify");
    }
    if (r == 0)
        *out = TAKE(t);
out:
    chan_tls_free(&t);
    return r;
}

void chan_tls_free(struct chan_tls **tp)
{
    struct chan_tls *t = *tp;

    if (!t)
        return;
    api.SSL_free(t->ssl);
    api.SSL_CTX_free(t->ctx);
    mem_free(t);
    *tp = NULL;
}

/* ---- bytes ---- */

static int drain(struct chan_tls *t, struct buf *cipher, struct err *e)
{
    for (;;) {
        char *room = buf_room(cipher, PIECE);
        int n = room ? api.BIO_read(t->out, room, PIECE) : 0;

        if (n <= 0)
            return buf_check(cipher, e);
        buf_added(cipher, (size_t)n);
    }
}

/* r: what an SSL function said. 0: go on later. */
static int judge(struct chan_tls *t, int r, bool *end, struct err *e)
{
    long why;

    switch (api.SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        *end = true;
        return 0;
    default:
        break;
    }
    why = api.SSL_get_verify_result(t->ssl);
    if (why != X509_V_OK) {
        api.ERR_clear_error();
        return err_set(e, ERR_DENIED, "the host's certificate: %s",
                       api.X509_verify_cert_error_string(why));
    }
    return fail(e, ERR_INVALID, "TLS");
}

int chan_tls_in(struct chan_tls *t, struct view bytes, struct buf *plain, struct buf *cipher,
                bool *up, bool *end, struct err *e)
{
    struct err ignored = ERR_INIT;
    int r = 0, done;

    api.ERR_clear_error();
    if (bytes.n && api.BIO_write(t->in, bytes.p, (int)bytes.n) != (int)bytes.n)
        return fail(e, ERR_NOMEM, "TLS");
    if (!api.SSL_is_init_finished(t->ssl) && (done = api.SSL_do_handshake(t->ssl)) != 1)
        r = judge(t, done, end, e);
    while (r == 0 && api.SSL_is_init_finished(t->ssl) && !*end) {
        char *room = buf_room(plain, PIECE);
        size_t n = 0;

        if (!room)
            return buf_check(plain, e);
        if ((done = api.SSL_read_ex(t->ssl, room, PIECE, &n)) != 1) {
            r = judge(t, done, end, e);
            break;
        }
        buf_added(plain, n);
    }
    *up = api.SSL_is_init_finished(t->ssl);
    if (r < 0) {
        (void)!drain(t, cipher, &ignored); /* an alert may be there to be sent */
        return r;
    }
    return drain(t, cipher, e);
}

int chan_tls_out(struct chan_tls *t, struct view plain, struct buf *cipher, struct err *e)
{
    api.ERR_clear_error();
    while (plain.n) {
        size_t n = 0;

        if (api.SSL_write_ex(t->ssl, plain.p, plain.n < PIECE ? plain.n : PIECE, &n) != 1 || n == 0)
            return fail(e, ERR_CLOSED, "TLS");
        plain = view_from(plain, n);
    }
    return drain(t, cipher, e);
}

void chan_tls_bye(struct chan_tls *t, struct buf *cipher)
{
    struct err e = ERR_INIT;

    api.ERR_clear_error();
    if (api.SSL_is_init_finished(t->ssl)) {
        (void)api.SSL_shutdown(t->ssl);
        (void)!drain(t, cipher, &e);
    }
    api.ERR_clear_error();
}
