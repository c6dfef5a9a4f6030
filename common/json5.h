/*
 * common/json5.h - JSON5 text to a jansson document: comments, trailing commas, single quotes,
 * unquoted keys, hex, +/-, Infinity/NaN refused. For files and config texts: bounded, strict about
 * the rest, exact about where it went wrong.
 */
#ifndef JSON5_H
#define JSON5_H

#include "err.h"
#include "view.h"

#include <jansson.h>

enum { JSON5_DEPTH_MAX = 64, JSON5_TEXT_MAX = 4 * 1024 * 1024 };

/* *out = new document (caller's reference).
 * Errors: ERR_INVALID "line 3, column 7: expected ':' after key", also for duplicate keys;
 * ERR_LIMIT too deep or long. */
int json5_parse(struct view text, json_t **out, struct err *e) MUST_USE;

#endif
