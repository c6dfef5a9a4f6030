/*
 * ctl/wire.h - bytes to and from a gateway, in the clear or through TLS. Non-blocking: as send and
 * recv, with EAGAIN and wire_events to wait for.
 * Whom it believes: with a pin the certificate with that SHA-256 and no other; without one what
 * this machine's authorities vouch for under the host's name.
 */
#ifndef WIRE_H
#define WIRE_H

#include "err.h"
#include "view.h"

#include <stdbool.h>
#include <sys/types.h>

enum { WIRE_PIN_MAX = 65 }; /* 64 hexadecimal digits, upper case */

struct wire;

/* pin: empty for none.  Errors: ERR_NOMEM, ERR_SYS. Owns: not fd. */
int wire_new(struct wire **out, int fd, bool tls, const char *host, const char *pin,
             struct err *e) MUST_USE;
void wire_free(struct wire **w);
/* The handshake: ERR_AGAIN until it is done.  Errors: ERR_DENIED it is not who it should be. */
int wire_greet(struct wire *w, struct err *e) MUST_USE;
ssize_t wire_send(struct wire *w, const void *p, size_t n);
ssize_t wire_recv(struct wire *w, void *p, size_t n);
/* POLLIN or POLLOUT, after EAGAIN. */
short wire_events(const struct wire *w);
/* AB:CD:..., or NULL in the clear. */
const char *wire_fingerprint(const struct wire *w);

/* A fingerprint as people write it (colons, blanks, "sha256:" before it).  Errors: ERR_INVALID. */
int wire_pin_parse(struct view v, char out[WIRE_PIN_MAX], struct err *e) MUST_USE;
/* That of the first certificate in a PEM file.  Errors: ERR_NOT_FOUND, ERR_SYS, ERR_INVALID. */
int wire_pin_file(const char *path, char out[WIRE_PIN_MAX], struct err *e) MUST_USE;

#endif
