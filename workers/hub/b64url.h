/* workers/hub/b64url.h - base64 for URLs (RFC 4648, 5), without padding. */
#ifndef B64URL_H
#define B64URL_H

#include <stddef.h>

#define B64URL_LEN(n) (((n)*4 + 2) / 3)

/* Writes B64URL_LEN(n) characters and NUL. */
void b64url(const unsigned char *p, size_t n, char *out);

#endif
