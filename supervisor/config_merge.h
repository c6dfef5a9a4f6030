/*
 * supervisor/config_merge.h - a merge patch (RFC 7396) over the configuration's document. Lists of
 * things that have an `id` are merged by it. What a patch takes out of a list must be named, or a
 * client that saw a part of the list would clobber the rest.
 */
#ifndef CONFIG_MERGE_H
#define CONFIG_MERGE_H

#include "err.h"
#include "view.h"

#include <jansson.h>

/* The `id` of an element, or empty; the element that has it, or NULL. */
struct view config_item_id(const json_t *v);
json_t *config_item_by_id(const json_t *list, struct view id);

/* *out = the new document. replace: the lists that the patch replaces or takes from, a path a line,
 * "a.b[].c"; nothing else is replaced by naming what is above it.
 * Errors: ERR_DENIED it takes from a list that is not named; ERR_LIMIT lists too long to be merged;
 * ERR_NOMEM. */
int config_merge(const json_t *from, const json_t *patch, struct view replace, json_t **out,
                 struct err *e) MUST_USE;

#endif
