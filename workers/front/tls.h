/*
 * workers/front/tls.h - TLS between a socket and the bytes of a connection. No I/O: ciphertext is
 * handed in and taken out, so that a wake-up costs one read and a flush one write.
 * Trusts: nothing in the bytes. Holds: the private key, in memory only. Invariant: after
 * tls_warm_up nothing here opens a file, also not for a new key.
 * TLS 1.2 and 1.3; no renegotiation, compression or early data; tickets are sealed with keys of the
 * supervisor's that live in memory and change every hour.
 */
#ifndef TLS_H
#define TLS_H

#include "buf.h"
#include "msg.h"

enum {
    TLS_HANDSHAKE = 0x16,     /* the first byte of every client (RFC 8446, 5.1) */
    TLS_CERT_MAX = 32 * 1024, /* a client's certificates */
    TLS_OUT_MAX = 512 * 1024, /* ciphertext that waits for the socket */
    TLS_SEAL = 128 * 1024,    /* plaintext that becomes ciphertext at once */
};

struct tls_ctx; /* what new connections are made from: key, certificates, whom to let in */
struct tls;     /* one connection's */

/* The library reads files when it is first used: before the sandbox. */
int tls_warm_up(struct err *e) MUST_USE;
/* From the supervisor's message. Connections that were made from an older one go on. */
int tls_ctx_new(struct tls_ctx **out, const struct ipc_tls *m, struct err *e) MUST_USE;
void tls_ctx_free(struct tls_ctx **c);

int tls_new(struct tls **out, struct tls_ctx *c, struct err *e) MUST_USE;
void tls_free(struct tls **t);
/* The handshake is over. */
bool tls_up(const struct tls *t);
/* And HTTP/2 was agreed on. */
bool tls_h2(const struct tls *t);
/* What came from the socket becomes plaintext, at most cap bytes: *n. All of cipher is used, so cap
 * has to be larger by a record (17 KiB). *end: the peer will send no more. There may be something
 * to send afterwards.  Errors: ERR_INVALID it is no TLS, or TLS we refuse; tls_out may hold an
 * alert. */
int tls_open(struct tls *t, struct view cipher, char *plain, size_t cap, size_t *n, bool *end,
             struct err *e) MUST_USE;
/* Turn the front of plain into ciphertext, as much as may wait.  Errors: ERR_NOMEM, ERR_INVALID. */
int tls_seal(struct tls *t, struct buf *plain, struct err *e) MUST_USE;
/* Say that nothing more will be sent; once. */
void tls_bye(struct tls *t);
/* What has to go to the socket. */
struct buf *tls_out(struct tls *t);

#endif
