/*
 * supervisor/config_edit.h - a JSON5 file changed where its document changes and nowhere else:
 * comments, order, quotes and spaces of all the rest stay. A comment at the end of a removed line
 * goes with it, one above it stays.
 */
#ifndef CONFIG_EDIT_H
#define CONFIG_EDIT_H

#include "buf.h"

#include <jansson.h>

/* text, which parses to `from`, as one that parses to `to`; proven by parsing it.
 * Errors: ERR_INVALID it cannot be done here (nothing is wrong with `to`); ERR_NOMEM, ERR_LIMIT. */
int config_edit(struct view text, const json_t *from, const json_t *to, struct buf *out,
                struct err *e) MUST_USE;

#endif
