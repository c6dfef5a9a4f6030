/* workers/hub/deliver_split.h - a long text in parts that a channel takes. Pure. */
#ifndef DELIVER_SPLIT_H
#define DELIVER_SPLIT_H

#include "buf.h"

enum { DELIVER_PARTS_MAX = 16384, DELIVER_PART_MIN = 16 };

/* Append text to body as parts of at most limit bytes (u32 length, little endian, and the bytes):
 * cut at the last newline, else the last blank, else between characters; blanks at a cut go away.
 * limit is taken as DELIVER_PART_MIN at least. Returns how many parts, 0 for blank text.
 * Errors: ERR_LIMIT more than DELIVER_PARTS_MAX. */
int deliver_split(struct view text, size_t limit, struct buf *body, uint32_t *ret_parts,
                  struct err *e) MUST_USE;
/* Part number i of a body; false when there is none. */
bool deliver_part(struct view body, uint32_t i, struct view *out);

#endif
