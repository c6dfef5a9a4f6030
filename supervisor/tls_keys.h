/*
 * supervisor/tls_keys.h - the gateway's certificate and key: read or made here, checked, and given
 * to the fronts alone. Trusts: files that only the operator can write. Parses nothing a client
 * sent. Invariant: what is in force was whole and fitted together when it was read; a bad file
 * changes nothing.
 */
#ifndef TLS_KEYS_H
#define TLS_KEYS_H

#include "config.h"
#include "loop.h"
#include "msg.h"

enum { TLS_FINGERPRINT_MAX = 96 }; /* SHA-256 as AB:CD:... */

struct tls_keys;

/* From gateway.tls.*; the default files are in the state folder. When both are missing and may be
 * made, they are. changed is called when a watched file or the tickets' key is new (watch: files
 * are watched). Errors: ERR_INVALID a file does not parse, the pair does not fit, or only one is
 * there; ERR_SYS. */
int tls_keys_new(struct tls_keys **out, const struct conf *conf, const char *state_dir,
                 struct loop *loop, bool watch, void (*changed)(void *ctx), void *ctx,
                 struct err *e) MUST_USE;
void tls_keys_free(struct tls_keys **k);
/* Read the files again. *news: they differ from before.  Errors: as above; the old stay in force.
 */
int tls_keys_reload(struct tls_keys *k, bool *news, struct err *e) MUST_USE;
int tls_keys_send(const struct tls_keys *k, struct link *front, struct err *e) MUST_USE;
const char *tls_keys_fingerprint(const struct tls_keys *k);
const char *tls_keys_cert_path(const struct tls_keys *k);
/* It was made by this start. */
bool tls_keys_made(const struct tls_keys *k);

#endif
