/* supervisor/tls_make.h - a self-signed certificate, for the time until there is a real one: EC
 * P-256, for localhost, 127.0.0.1, ::1 and this machine's name, ten years. */
#ifndef TLS_MAKE_H
#define TLS_MAKE_H

#include "buf.h"

/* Append both as PEM. key->secret should be set.  Errors: ERR_SYS the library refused. */
int tls_make(const char *hostname, struct buf *cert, struct buf *key, struct err *e) MUST_USE;

#endif
