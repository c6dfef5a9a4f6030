#include "tls_keys.h"

#include "fd.h"
#include "log.h"
#include "rand.h"
#include "tls_make.h"
#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_CERT,
    FILE_KEY,
    FILE_ISSUERS,
    FILES,
    CERT_MAX = 256 * 1024, /* as in ipc.def */
    KEY_MAX = 32 * 1024,
    ISSUERS_MAX = 1024 * 1024,
    TICKET_KEY = 80,
    ROTATE_MS = 3600 * 1000, /* a stolen memory image opens two hours of tickets */
};

struct tls_keys {
    char path[FILES][PATH_MAX]; /* empty: none */
    struct buf file[FILES];     /* what is in force */
    unsigned char tickets[2 * TICKET_KEY];
    unsigned tickets_n; /* keys in use */
    char fingerprint[TLS_FINGERPRINT_MAX];
    bool made;
    struct watch *watch[FILES];
    struct loop_timer rotate;
    void (*changed)(void *ctx);
    void *ctx;
};

/* -- reading -- */
static int read_files(const struct tls_keys *k, struct buf out[FILES], struct err *e)
{
    static const size_t max[FILES] = {CERT_MAX, KEY_MAX, ISSUERS_MAX};
    struct stat st;
    int r = 0;

    for (int i = 0; i < FILES && r == 0; i++) {
        buf_init(&out[i], max[i]);
        out[i].secret = i == FILE_KEY;
    }
    for (int i = 0; i < FILES && r == 0; i++)
        if (k->path[i][0] && (r = fd_read_file(k->path[i], max[i], &out[i], e)) < 0)
            (void)err_wrap(e, "gateway.tls: %s", k->path[i]);
    if (r == 0 && stat(k->path[FILE_KEY], &st) == 0 && (st.st_mode & 077))
        log_warn("tls.key_readable", KV("file", k->path[FILE_KEY]),
                 KV("do", "chmod 600: others can read the private key"));
    return r;
}

static int no_password(char *p, int n, int writing, void *ctx)
{
    (void)p;
    (void)n;
    (void)writing;
    (void)ctx;
    return 0;
}

static int print(X509 *x, char out[TLS_FINGERPRINT_MAX], struct err *e)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (X509_digest(x, EVP_sha256(), md, &n) != 1 || n != 32)
        return err_set(e, ERR_SYS, "cannot hash the certificate");
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(out + i * 3, TLS_FINGERPRINT_MAX - i * 3, "%02X%s", md[i],
                       i + 1 < n ? ":" : "");
    return 0;
}

static X509 *read_cert(struct view pem)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *x = b ? PEM_read_bio_X509(b, NULL, no_password, NULL) : NULL;

    BIO_free(b);
    return x;
}

/* The pair fits, so that no front starts with half of it. */
static int check(const struct tls_keys *k, const struct buf f[FILES],
                 char fingerprint[TLS_FINGERPRINT_MAX], struct err *e)
{
    X509 *x = read_cert(buf_view(&f[FILE_CERT])), *issuer = NULL;
    BIO *b = BIO_new_mem_buf(buf_view(&f[FILE_KEY]).p, (int)f[FILE_KEY].n);
    EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL) : NULL;
    int r = 0;

    if (!x)
        r = err_set(e, ERR_INVALID, "gateway.tls: %s holds no certificate in PEM form",
                    k->path[FILE_CERT]);
    else if (!key)
        r = err_set(e, ERR_INVALID, "gateway.tls: %s holds no private key without a passphrase",
                    k->path[FILE_KEY]);
    else if (X509_check_private_key(x, key) != 1)
        r = err_set(e, ERR_INVALID, "gateway.tls: the key %s is not that of the certificate %s",
                    k->path[FILE_KEY], k->path[FILE_CERT]);
    else if (k->path[FILE_ISSUERS][0] && !(issuer = read_cert(buf_view(&f[FILE_ISSUERS]))))
        r = err_set(e, ERR_INVALID, "gateway.tls: %s holds no certificate in PEM form",
                    k->path[FILE_ISSUERS]);
    else
        r = print(x, fingerprint, e);
    if (r == 0 && X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
        log_warn("tls.expired", KV("file", k->path[FILE_CERT]));
    EVP_PKEY_free(key);
    BIO_free(b);
    X509_free(issuer);
    X509_free(x);
    ERR_clear_error();
    return r;
}

int tls_keys_reload(struct tls_keys *k, bool *news, struct err *e)
{
    char fingerprint[TLS_FINGERPRINT_MAX];
    struct buf next[FILES] = {0};
    int r;

    *news = false;
    if ((r = read_files(k, next, e)) == 0 && (r = check(k, next, fingerprint, e)) == 0) {
        for (int i = 0; i < FILES; i++) {
            struct buf old = k->file[i];

            *news |= !view_eq(buf_view(&old), buf_view(&next[i]));
            k->file[i] = next[i];
            next[i] = old;
        }
        memcpy(k->fingerprint, fingerprint, sizeof(fingerprint));
    }
    for (int i = 0; i < FILES; i++)
        buf_fini(&next[i]);
    return r;
}

/* -- making -- */
static int make_folder(const char *state_dir, const char *name, struct err *e)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", state_dir, name) >= sizeof(path))
        return err_set(e, ERR_LIMIT, "state folder: path too long");
    return mkdir(path, 0700) < 0 && errno != EEXIST ? err_sys(e, "make folder %s", path) : 0;
}

static int make_pair(struct tls_keys *k, struct err *e)
{
    struct buf cert = BUF_INIT(CERT_MAX), key = BUF_INIT(KEY_MAX);
    char host[256] = "";
    int r;

    key.secret = true;
    (void)gethostname(host, sizeof(host) - 1);
    /* the key first: a certificate without one would be a pair that never fits */
    if ((r = tls_make(host, &cert, &key, e)) == 0 &&
        (r = fd_write_file(k->path[FILE_KEY], buf_view(&key), 0600, e)) == 0)
        r = fd_write_file(k->path[FILE_CERT], buf_view(&cert), 0600, e);
    buf_fini(&cert);
    buf_fini(&key);
    k->made = r == 0;
    return r;
}

static int make_if_missing(struct tls_keys *k, const struct conf *conf, const char *state_dir,
                           struct err *e)
{
    bool cert = access(k->path[FILE_CERT], F_OK) == 0, key = access(k->path[FILE_KEY], F_OK) == 0;
    int r;

    if (cert && key)
        return 0;
    if (cert || key)
        return err_set(e, ERR_INVALID, "gateway.tls: %s is missing beside %s",
                       k->path[cert ? FILE_KEY : FILE_CERT], k->path[cert ? FILE_CERT : FILE_KEY]);
    if (!conf->gateway_tls_auto_generate)
        return err_set(e, ERR_INVALID,
                       "gateway.tls: %s is missing, and gateway.tls.autoGenerate is false",
                       k->path[FILE_CERT]);
    if ((!conf->gateway_tls_cert_path || !conf->gateway_tls_key_path) &&
        ((r = make_folder(state_dir, "gateway", e)) < 0 ||
         (r = make_folder(state_dir, "gateway/tls", e)) < 0))
        return r;
    return make_pair(k, e);
}

/* -- life -- */
static int set_path(char out[PATH_MAX], const char *path, const char *state_dir,
                    const char *fallback, struct err *e)
{
    const char *home = getenv("HOME");
    int n = 0;

    if (!path && fallback)
        n = snprintf(out, PATH_MAX, "%s/%s", state_dir, fallback);
    else if (path && path[0] == '/')
        n = snprintf(out, PATH_MAX, "%s", path);
    else if (path && path[0] == '~' && path[1] == '/' && home)
        n = snprintf(out, PATH_MAX, "%s%s", home, path + 1);
    else if (path)
        return err_set(e, ERR_INVALID, "gateway.tls: %s is not a whole path", path);
    return n < PATH_MAX ? 0 : err_set(e, ERR_LIMIT, "gateway.tls: path too long");
}

static void new_ticket_key(struct tls_keys *k)
{
    memmove(k->tickets + TICKET_KEY, k->tickets, TICKET_KEY);
    rand_bytes(k->tickets, TICKET_KEY);
    if (k->tickets_n < 2)
        k->tickets_n++;
}

static void on_rotate(void *ctx)
{
    struct tls_keys *k = ctx;

    new_ticket_key(k);
    loop_timer_set(&k->rotate, ROTATE_MS);
    k->changed(k->ctx);
}

static void on_file(void *ctx)
{
    struct tls_keys *k = ctx;
    struct err e = ERR_INIT;
    bool news;

    if (tls_keys_reload(k, &news, &e) < 0) {
        log_error("tls.reload_refused", KV("why", e.text), KV("kept", "the certificate in force"));
    } else if (news) {
        log_info("tls.reloaded", KV("fingerprint", k->fingerprint));
        k->changed(k->ctx);
    }
}

int tls_keys_new(struct tls_keys **out, const struct conf *conf, const char *state_dir,
                 struct loop *loop, bool watch, void (*changed)(void *ctx), void *ctx,
                 struct err *e)
{
    struct tls_keys *k = NULL;
    struct err why = ERR_INIT;
    bool news;
    int r;

    if ((r = mem_new(&k, sizeof(*k), e)) < 0)
        return r;
    k->changed = changed;
    k->ctx = ctx;
    new_ticket_key(k);
    if ((r = set_path(k->path[FILE_CERT], conf->gateway_tls_cert_path, state_dir,
                      "gateway/tls/gateway-cert.pem", e)) < 0 ||
        (r = set_path(k->path[FILE_KEY], conf->gateway_tls_key_path, state_dir,
                      "gateway/tls/gateway-key.pem", e)) < 0 ||
        (r = set_path(k->path[FILE_ISSUERS], conf->gateway_tls_ca_path, state_dir, NULL, e)) < 0 ||
        (r = make_if_missing(k, conf, state_dir, e)) < 0 || (r = tls_keys_reload(k, &news, e)) < 0)
        goto out;
    loop_timer_init(&k->rotate, loop, on_rotate, k);
    loop_timer_set(&k->rotate, ROTATE_MS);
    for (int i = 0; i < FILES && watch; i++)
        if (k->path[i][0] && watch_new(&k->watch[i], loop, k->path[i], on_file, k, &why) < 0)
            log_warn("tls.unwatched", KV("file", k->path[i]), KV("why", why.text));
    *out = TAKE(k);
out:
    tls_keys_free(&k);
    return r;
}

void tls_keys_free(struct tls_keys **kp)
{
    struct tls_keys *k = *kp;

    if (!k)
        return;
    loop_timer_fini(&k->rotate);
    for (int i = 0; i < FILES; i++) {
        watch_free(&k->watch[i]);
        buf_fini(&k->file[i]);
    }
    mem_wipe(k->tickets, sizeof(k->tickets));
    mem_free(k);
    *kp = NULL;
}

int tls_keys_send(const struct tls_keys *k, struct link *front, struct err *e)
{
    struct ipc_tls m = {.chain = buf_view(&k->file[FILE_CERT]),
                        .key = buf_view(&k->file[FILE_KEY]),
                        .issuers = buf_view(&k->file[FILE_ISSUERS]),
                        .tickets =
                            view_of((const char *)k->tickets, k->tickets_n * (size_t)TICKET_KEY)};

    return msg_send_tls(front, &m, e);
}

const char *tls_keys_fingerprint(const struct tls_keys *k)
{
    return k->fingerprint;
}

const char *tls_keys_cert_path(const struct tls_keys *k)
{
    return k->path[FILE_CERT];
}

bool tls_keys_made(const struct tls_keys *k)
{
    return k->made;
}
