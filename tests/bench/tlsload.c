/*
 * tests/bench/tlsload.c - connects over and over: TCP, TLS (full, resumed, or none), upgrade,
 * challenge, connect, hello; from several processes, because a client's share of a TLS handshake is
 * as dear as a server's.
 *   tlsload PORT TOKEN full|resumed|plain|signed PROCESSES SECONDS   prints per_s=N hello=N
 * signed: in the clear, as a device that signs its challenge (Ed25519, version 3)
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 65536, PROCESSES_MAX = 64 };

struct load {
    int port, fd;
    const char *token;
    bool tls, resume, sign;
    EVP_PKEY *device; /* signs; NULL: a client without a device */
    char key[64], id[65];
    SSL_CTX *ctx;
    SSL *ssl;
    SSL_SESSION *session;
    size_t got; /* in room */
    char room[ROOM];
};

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool put(struct load *l, const char *p, size_t n)
{
    return l->ssl ? SSL_write(l->ssl, p, (int)n) == (int)n
                  : send(l->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* Reads until what was said holds this. */
static bool until(struct load *l, const char *text)
{
    size_t n = 0;

    while (n < ROOM) {
        int r = l->ssl ? SSL_read(l->ssl, l->room + n, (int)(ROOM - n))
                       : (int)recv(l->fd, l->room + n, ROOM - n, 0);

        if (r <= 0)
            return false;
        n += (size_t)r;
        l->got = n;
        l->room[n < ROOM ? n : ROOM - 1] = 0;
        if (memmem(l->room, n, text, strlen(text)))
            return true;
    }
    return false;
}

static void b64url(const unsigned char *p, size_t n, char *out)
{
    unsigned char text[128];
    size_t k = 0;

    (void)EVP_EncodeBlock(text, p, (int)n);
    for (; text[k] && text[k] != '='; k++)
        out[k] = (char)(text[k] == '+' ? '-' : text[k] == '/' ? '_' : text[k]);
    out[k] = 0;
}

static bool make_device(struct load *l)
{
    unsigned char key[32], sum[32];
    size_t n = sizeof(key);

    l->device = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!l->device || !EVP_PKEY_get_raw_public_key(l->device, key, &n) ||
        !EVP_Q_digest(NULL, "SHA256", NULL, key, n, sum, NULL))
        return false;
    b64url(key, n, l->key);
    for (size_t i = 0; i < sizeof(sum); i++)
        (void)snprintf(l->id + 2 * i, 3, "%02x", sum[i]);
    return true;
}

/* The member "device" of connect, for the challenge that was just read; empty without a device. */
static bool device_member(struct load *l, char *out, size_t room)
{
    char nonce[128] = "", text[512], sig[128];
    /* the frame's head may hold a NUL */
    const char *at = memmem(l->room, l->got, "\"nonce\":\"", 9);
    unsigned char raw[64];
    struct timespec t;
    size_t n = sizeof(raw);
    EVP_MD_CTX *ctx;
    long long ms;
    bool ok;
    int len;

    *out = 0;
    if (!l->device)
        return true;
    if (at)
        (void)sscanf(at + 9, "%127[^\"]", nonce);
    (void)clock_gettime(CLOCK_REALTIME, &t);
    ms = (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    len = snprintf(text, sizeof(text),
                   "v3|%s|gateway-client|backend|operator|operator.read|%lld|%s|%s|linux|", l->id,
                   ms, l->token, nonce);
    ctx = EVP_MD_CTX_new();
    ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, l->device) == 1 &&
         EVP_DigestSign(ctx, raw, &n, (unsigned char *)text, (size_t)len) == 1;
    EVP_MD_CTX_free(ctx);
    b64url(raw, sizeof(raw), sig);
    (void)snprintf(out, room,
                   ",\"device\":{\"id\":\"%s\",\"publicKey\":\"%s\",\"signature\":\"%s\","
                   "\"signedAt\":%lld,\"nonce\":\"%s\"}",
                   l->id, l->key, sig, ms, nonce);
    return ok;
}

static bool say_connect(struct load *l)
{
    char text[2048], frame[2048 + 8], device[768];
    int n = snprintf(text, sizeof(text),
                     "{\"type\":\"req\",\"id\":\"c\",\"method\":\"connect\",\"params\":{"
                     "\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"gateway-client\","
                     "\"version\":\"1\",\"platform\":\"linux\",\"mode\":\"backend\"},"
                     "\"role\":\"operator\",\"scopes\":[\"operator.read\"],\"auth\":{\"token\":"
                     "\"%s\"}%s}}",
                     l->token, device_member(l, device, sizeof(device)) ? device : "");

    /* masked with zeros: the text as it is */
    (void)snprintf(frame, sizeof(frame), "%c%c%c%c", (char)0x81, (char)(0x80 | 126), n >> 8,
                   n & 255);
    memset(frame + 4, 0, 4);
    memcpy(frame + 8, text, (size_t)n);
    return put(l, frame, (size_t)n + 8);
}

static bool talk(struct load *l)
{
    static const char up[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
                             "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                             "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

    return put(l, up, sizeof(up) - 1) && until(l, "connect.challenge") && say_connect(l) &&
           until(l, "hello-ok");
}

static bool once(struct load *l)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->port)};
    struct linger hard = {.l_onoff = 1};
    int one = 1;
    bool ok;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    /* no port waits for its last packets: there are fewer than a run needs */
    (void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    ok = connect(l->fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    if (ok && l->tls) {
        l->ssl = SSL_new(l->ctx);
        (void)SSL_set_fd(l->ssl, l->fd);
        if (l->resume && l->session)
            (void)SSL_set_session(l->ssl, l->session);
        ok = SSL_connect(l->ssl) == 1 && (!l->resume || !l->session || SSL_session_reused(l->ssl));
    }
    ok = ok && talk(l);
    if (l->ssl) {
        if (ok && l->resume) {
            SSL_SESSION_free(l->session);
            l->session = SSL_get1_session(l->ssl);
        }
        SSL_set_shutdown(l->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else no session */
        SSL_free(l->ssl);
        l->ssl = NULL;
    }
    (void)close(l->fd);
    return ok;
}

static long run(struct load *l, double seconds)
{
    double end = now() + seconds;
    long done = 0;

    if (l->sign && !make_device(l))
        return -1;
    if (l->tls)
        l->ctx = SSL_CTX_new(TLS_client_method());
    while (now() < end) {
        if (!once(l))
            return -1;
        done++;
    }
    return done;
}

int main(int argc, char **argv)
{
    static struct load l;
    int pipes[2], count;
    long total = 0, got;
    double seconds, began;

    if (argc != 6) {
        (void)fprintf(stderr,
                      "usage: tlsload PORT TOKEN full|resumed|plain|signed PROCESSES SECONDS\n");
        return 2;
    }
    l.port = atoi(argv[1]);
    l.token = argv[2];
    l.sign = strcmp(argv[3], "signed") == 0;
    l.tls = strcmp(argv[3], "plain") != 0 && !l.sign;
    l.resume = strcmp(argv[3], "resumed") == 0;
    count = atoi(argv[4]);
    seconds = atof(argv[5]);
    if (count < 1 || count > PROCESSES_MAX || pipe(pipes) < 0)
        return 2;
    began = now();
    for (int i = 0; i < count; i++)
        if (fork() == 0) {
            got = run(&l, seconds);
            _exit(write(pipes[1], &got, sizeof(got)) == sizeof(got) ? 0 : 1);
        }
    for (int i = 0; i < count; i++) {
        if (read(pipes[0], &got, sizeof(got)) != sizeof(got) || got < 0) {
            (void)fprintf(stderr, "a connection failed\n");
            return 1;
        }
        total += got;
    }
    while (wait(NULL) > 0)
        ;
    (void)printf("done per_s=%.1f hello=%ld\n", (double)total / (now() - began), total);
    return 0;
}
