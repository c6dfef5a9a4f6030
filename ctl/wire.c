#include "wire.h"

#include "buf.h"
#include "fd.h"
#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

enum { CERT_FILE_MAX = 256 * 1024 };

struct wire {
    int fd;
    short events;
    SSL_CTX *ctx;
    SSL *ssl; /* NULL: in the clear */
    char pin[WIRE_PIN_MAX];
    char fingerprint[96];
};

static int fail(struct err *e, int code, const char *what)
{
    unsigned long n = ERR_peek_last_error();
    const char *why = n ? ERR_reason_error_string(n) : NULL;

    ERR_clear_error();
    return err_set(e, code, "%s: %s", what, why ? why : "no reason given");
}

/* -- pins -- */
int wire_pin_parse(struct view v, char out[WIRE_PIN_MAX], struct err *e)
{
    size_t n = 0;

    v = view_trim(v);
    if (v.n > 7 && view_ieq(view_of(v.p, 7), V("sha256:")))
        v = view_from(v, 7);
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];

        if (c == ':' || c == ' ' || c == '-')
            continue;
        if (c >= 'a' && c <= 'f')
            c = (char)(c - 'a' + 'A');
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')) || n + 1 >= WIRE_PIN_MAX)
            return err_set(e, ERR_INVALID, "not a SHA-256 fingerprint");
        out[n++] = c;
    }
    out[n] = 0;
    return n == WIRE_PIN_MAX - 1 ? 0 : err_set(e, ERR_INVALID, "not a SHA-256 fingerprint");
}

static int pin_of(X509 *x, char out[WIRE_PIN_MAX], struct err *e)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (X509_digest(x, EVP_sha256(), md, &n) != 1 || 2 * n + 1 != WIRE_PIN_MAX)
        return fail(e, ERR_SYS, "certificate");
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(out + 2 * i, WIRE_PIN_MAX - 2 * i, "%02X", md[i]);
    return 0;
}

int wire_pin_file(const char *path, char out[WIRE_PIN_MAX], struct err *e)
{
    struct buf b = BUF_INIT(CERT_FILE_MAX);
    X509 *x = NULL;
    BIO *io;
    int r = fd_read_file(path, CERT_FILE_MAX, &b, e);

    if (r == 0) {
        io = BIO_new_mem_buf(buf_view(&b).p, (int)b.n);
        x = io ? PEM_read_bio_X509(io, NULL, NULL, NULL) : NULL;
        BIO_free(io);
        r = x ? pin_of(x, out, e) : fail(e, ERR_INVALID, path);
    }
    X509_free(x);
    buf_fini(&b);
    return r;
}

/* -- life -- */
static int set_up(struct wire *w, const char *host, struct err *e)
{
    unsigned char addr[16];
    bool ip = inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1;

    w->ctx = SSL_CTX_new(TLS_client_method());
    if (!w->ctx || SSL_CTX_set_min_proto_version(w->ctx, TLS1_2_VERSION) != 1)
        return fail(e, ERR_NOMEM, "TLS");
    if (!w->pin[0]) {
        SSL_CTX_set_verify(w->ctx, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_set_default_verify_paths(w->ctx) != 1)
            return fail(e, ERR_SYS, "this machine's certificate authorities");
    }
    w->ssl = SSL_new(w->ctx);
    if (!w->ssl || SSL_set_fd(w->ssl, w->fd) != 1 ||
        (ip ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(w->ssl), host)
            : SSL_set1_host(w->ssl, host) &&
                  SSL_ctrl(w->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                           (void *)(uintptr_t)host)) != 1)
        return fail(e, ERR_NOMEM, "TLS");
    SSL_set_connect_state(w->ssl);
    (void)SSL_set_mode(w->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return 0;
}

int wire_new(struct wire **out, int fd, bool tls, const char *host, const char *pin, struct err *e)
{
    struct wire *w = NULL;
    int r;

    if ((r = mem_new(&w, sizeof(*w), e)) < 0)
        return r;
    w->fd = fd;
    (void)snprintf(w->pin, sizeof(w->pin), "%s", pin ? pin : "");
    if (tls && (r = set_up(w, host, e)) < 0)
        wire_free(&w);
    else
        *out = w;
    return r;
}

void wire_free(struct wire **wp)
{
    struct wire *w = *wp;

    if (!w)
        return;
    SSL_free(w->ssl);
    SSL_CTX_free(w->ctx);
    mem_free(w);
    *wp = NULL;
}

/* -- bytes -- */
/* What to wait for; false: it is over. */
static bool again(struct wire *w)
{
    int why = SSL_get_error(w->ssl, 0);

    w->events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

static int judge(struct wire *w, struct err *e)
{
    char pin[WIRE_PIN_MAX];
    X509 *x = SSL_get1_peer_certificate(w->ssl);
    int r = x ? pin_of(x, pin, e) : err_set(e, ERR_DENIED, "the gateway shows no certificate");

    X509_free(x);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < WIRE_PIN_MAX - 1; i += 2)
        (void)snprintf(w->fingerprint + i / 2 * 3, sizeof(w->fingerprint) - i / 2 * 3, "%.2s%s",
                       pin + i, i + 3 < WIRE_PIN_MAX ? ":" : "");
    if (w->pin[0] && memcmp(w->pin, pin, sizeof(pin)) != 0)
        return err_set(e, ERR_DENIED, "the gateway's certificate is %s, not the one expected",
                       w->fingerprint);
    return 0;
}

int wire_greet(struct wire *w, struct err *e)
{
    long verified;

    if (!w->ssl)
        return 0;
    ERR_clear_error();
    if (SSL_do_handshake(w->ssl) == 1)
        return judge(w, e);
    if (again(w))
        return ERR_AGAIN;
    verified = SSL_get_verify_result(w->ssl);
    if (!w->pin[0] && verified != X509_V_OK) {
        ERR_clear_error();
        return err_set(e, ERR_DENIED,
                       "the gateway's certificate: %s; give its fingerprint with --tls-fingerprint",
                       X509_verify_cert_error_string(verified));
    }
    return fail(e, ERR_DENIED, "TLS with the gateway");
}

static ssize_t broken(struct wire *w)
{
    bool end = SSL_get_error(w->ssl, 0) == SSL_ERROR_ZERO_RETURN;

    if (again(w)) {
        errno = EAGAIN;
        return -1;
    }
    ERR_clear_error();
    errno = EPIPE;
    return end ? 0 : -1;
}

ssize_t wire_send(struct wire *w, const void *p, size_t n)
{
    size_t done = 0;

    w->events = POLLOUT;
    if (!w->ssl)
        return send(w->fd, p, n, MSG_NOSIGNAL);
    ERR_clear_error();
    return SSL_write_ex(w->ssl, p, n, &done) == 1 ? (ssize_t)done : broken(w);
}

ssize_t wire_recv(struct wire *w, void *p, size_t n)
{
    size_t done = 0;

    w->events = POLLIN;
    if (!w->ssl)
        return recv(w->fd, p, n, 0);
    ERR_clear_error();
    return SSL_read_ex(w->ssl, p, n, &done) == 1 ? (ssize_t)done : broken(w);
}

short wire_events(const struct wire *w)
{
    return w->events;
}

const char *wire_fingerprint(const struct wire *w)
{
    return w->ssl ? w->fingerprint : NULL;
}
