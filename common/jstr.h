/*
 * common/jstr.h - the text behind a JSON string that was checked already: escapes resolved on the
 * fly, so that keys can be compared and hashed without memory. Bytes that were never checked give
 * wrong text, never a read or write out of bounds.
 */
#ifndef JSTR_H
#define JSTR_H

#include "view.h"

#include <stdint.h>

/* The value of 4 hexadecimal digits at p, or -1; there must be 4 bytes. */
int32_t jstr_hex4(const char *p);
/* Whether p (up to end) begins with \uXXXX; the unit goes to *out. */
bool jstr_unit(const char *p, const char *end, uint32_t *out);
/* The UTF-8 of code point cp; returns its length, 1 to 4. */
size_t jstr_encode(uint32_t cp, char out[4]);
/* The text of what stands between the quotes, into room for raw.n bytes; returns its length. */
size_t jstr_text(struct view raw, char *out);
/* Whether both mean the same text. */
bool jstr_eq(struct view a, struct view b);

/* A universal hash of the text under a random key: who does not know the key cannot make keys
 * collide. */
struct jstr_key {
    uint64_t mul, mix;
};
void jstr_key_init(struct jstr_key *k);
/* salt: equal texts under different salts do not meet either. */
uint32_t jstr_hash(const struct jstr_key *k, uint32_t salt, struct view raw);

#endif
