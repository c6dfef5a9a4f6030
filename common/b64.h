/* common/b64.h - bytes as text: base64 (RFC 4648, section 4) and its spelling for URLs (section 5).
 */
#ifndef B64_H
#define B64_H

#include "buf.h"

#define B64URL_LEN(n) (((n)*4 + 2) / 3)

/* Appends bytes in base64, padded. */
void b64_put(struct buf *out, struct view bytes);
/* The bytes of padded base64 without anything else in it, appended; false: it is none, or there is
 * no room. */
bool b64_get(struct view text, struct buf *out) MUST_USE;
/* For URLs, without padding: writes B64URL_LEN(n) characters and NUL. */
void b64url(const unsigned char *p, size_t n, char *out);

#endif
