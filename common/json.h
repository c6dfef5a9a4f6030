/*
 * common/json.h - small helpers around jansson: parse with our limits, read members with a type,
 * dump.
 */
#ifndef JSON_H
#define JSON_H

#include "buf.h"
#include "err.h"
#include "view.h"

#include <jansson.h>
#include <stdint.h>

/* Whole text, duplicate keys refused, any value allowed at the top. *out is the caller's reference.
 */
int json_parse(struct view text, json_t **out, struct err *e) MUST_USE;
/* While on, documents are wiped as they are freed, and what parsing leaves behind, too: for those
 * with credentials in them. */
void json_wiping(bool on);
/* Compact text appended to b. */
int json_dump(const json_t *doc, struct buf *b, struct err *e) MUST_USE;

/* Members of an object; the fallback when absent, null or of another type. Views point into the
 * document. */
struct view json_view(const json_t *obj, const char *key); /* VIEW_EMPTY when absent */
struct view json_view_of(const json_t *string); /* text of a string value, else VIEW_EMPTY */
int64_t json_i64(const json_t *obj, const char *key, int64_t fallback);
bool json_flag(const json_t *obj, const char *key, bool fallback);
/* The value at a dotted path ("gateway.auth.token"), or NULL. Borrowed. */
json_t *json_at(const json_t *obj, const char *dotted);
/* Set the value at a dotted path, making objects on the way; steals value, also on failure. */
int json_set_at(json_t *obj, const char *dotted, json_t *value, struct err *e) MUST_USE;

#endif
