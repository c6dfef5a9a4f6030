/*
 * common/utf8.h - UTF-8 as RFC 3629 has it (no overlong forms, no surrogates, nothing above
 * U+10FFFF), also in pieces.
 */
#ifndef UTF8_H
#define UTF8_H

#include "view.h"

#include <stdint.h>

/* State between pieces of one text; zeroed at its start. */
struct utf8 {
    uint8_t need;   /* continuation bytes still to come */
    uint8_t lo, hi; /* bounds of the next one */
};

/* Feed a piece. false as soon as a byte cannot continue valid UTF-8 (fail fast): the text is then
 * lost. */
bool utf8_feed(struct utf8 *u, struct view piece);
/* Whether the text may end here. */
static inline bool utf8_done(const struct utf8 *u)
{
    return u->need == 0;
}
/* Whole text at once. */
bool utf8_valid(struct view v);

#endif
