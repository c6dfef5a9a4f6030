/*
 * common/jscan.h - strict JSON (RFC 8259) checked in one pass without building a document, and the
 * spans of the members of its outermost object. For the hot path: a frame is checked once, at the
 * boundary, and its parts are passed on as the bytes they came as. Refused: depth over
 * JSCAN_DEPTH_MAX, more than JSCAN_MEMBERS_MAX members and elements in all, duplicate keys in one
 * object (compared after unescaping), numbers outside int64/double range, lone surrogate escapes,
 * invalid UTF-8, control characters, anything after the value but white space. \u0000 is legal.
 * Costs no memory but for objects with many keys or keys with escapes (jkeys.h).
 */
#ifndef JSCAN_H
#define JSCAN_H

#include "err.h"
#include "view.h"

#include <stdint.h>

enum { JSCAN_DEPTH_MAX = 64, JSCAN_MEMBERS_MAX = 100000, JSCAN_TOP_MAX = 32 };

enum jscan_type { JSCAN_NULL, JSCAN_BOOL, JSCAN_NUMBER, JSCAN_STRING, JSCAN_ARRAY, JSCAN_OBJECT };

struct jscan_member {
    struct view key; /* as written between the quotes: escapes not resolved (our keys have none) */
    struct view value; /* raw JSON text, quotes included for a string */
    enum jscan_type type;
    bool plain; /* a string without escapes: value without its quotes is the text */
};

struct jscan {
    enum jscan_type type; /* of the whole text */
    unsigned count;       /* members of the outermost object, at most JSCAN_TOP_MAX are kept (more:
                             ERR_LIMIT) */
    bool ambiguous; /* it failed on what the grammar allows but readers understand differently: a
                       key twice, a number out of range, half a surrogate pair */
    struct jscan_member member[JSCAN_TOP_MAX];
};

/* Check text whole and fill *out.
 * Errors: ERR_INVALID with byte offset, ERR_LIMIT, ERR_NOMEM. *out is untouched on failure only as
 * far as count: it is 0 then. *out needs no zeroing before. */
int jscan(struct view text, struct jscan *out, struct err *e) MUST_USE;
/* As jscan for any value, without the members. */
int jscan_check(struct view text, struct err *e) MUST_USE;
/* The member named key, or NULL. */
const struct jscan_member *jscan_get(const struct jscan *s, struct view key);
/* The text of a string value into room of its raw length; returns its length. raw includes the
 * quotes. */
size_t jscan_unescape(struct view raw, char *out);

#endif
