/* common/num.h - numbers from text: they parse whole and in range, or they fail. Nothing falls back
 * to a default. */
#ifndef NUM_H
#define NUM_H

#include "err.h"
#include "view.h"

#include <stdint.h>

/* Decimal digits only, no sign, no blanks.  Errors: ERR_INVALID not a number, ERR_LIMIT out of
 * [min, max]. */
int num_u64(struct view v, uint64_t min, uint64_t max, uint64_t *out, struct err *e) MUST_USE;
int num_u32(struct view v, uint32_t min, uint32_t max, uint32_t *out, struct err *e) MUST_USE;
/* As num_u64 with an optional leading '-'. */
int num_i64(struct view v, int64_t min, int64_t max, int64_t *out, struct err *e) MUST_USE;
/* Hexadecimal digits only, as in HTTP chunk sizes. */
int num_hex_u64(struct view v, uint64_t max, uint64_t *out, struct err *e) MUST_USE;

#endif
