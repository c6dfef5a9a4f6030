/*
 * channels/base/chan_tls.h - the client's side of TLS as bytes in and bytes out; chan_stream moves
 * them. Loaded when a platform needs it, so that others do not pay for it (0.5 MB). TLS 1.2
 * and 1.3, the certificate and its name always verified, by the machine's authorities and those of
 * the conf.
 */
#ifndef CHAN_TLS_H
#define CHAN_TLS_H

#include "buf.h"

struct chan_tls;

/* Before the sandbox: loads libssl and what it reads when it is first used. */
int chan_tls_load(struct err *e) MUST_USE;

struct chan_tls_conf {
    const char *name;          /* of the certificate: a host or an address */
    struct view cert, key, ca; /* PEM, or "" */
};
int chan_tls_new(struct chan_tls **out, const struct chan_tls_conf *conf, struct err *e) MUST_USE;
void chan_tls_free(struct chan_tls **t);
/* Bytes of the socket become plain text, appended; bytes for the socket are appended to cipher.
 * *up: the handshake is over. *end: the peer said that it is done.
 * Errors: ERR_DENIED the certificate is not good, ERR_INVALID it is no TLS. */
int chan_tls_in(struct chan_tls *t, struct view bytes, struct buf *plain, struct buf *cipher,
                bool *up, bool *end, struct err *e) MUST_USE;
int chan_tls_out(struct chan_tls *t, struct view plain, struct buf *cipher, struct err *e) MUST_USE;
/* The polite end. */
void chan_tls_bye(struct chan_tls *t, struct buf *cipher);

#endif
