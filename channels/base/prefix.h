/*
 * channels/base/prefix.h - what goes in front of an agent's answer: responsePrefix of the account,
 * else of messages, with what stands in braces replaced. Pure.
 */
#ifndef PREFIX_H
#define PREFIX_H

#include "buf.h"

#include <jansson.h>
#include <stdbool.h>

enum { PREFIX_BYTES = 256 }; /* a longer one is a mistake */

/* Append the prefix that words mean: "auto" is [identity.name]; {model}, {modelFull}, {provider},
 * {thinkingLevel} or {think}, {identity.name} or {identityName} are members of vars, in any case of
 * letters; others stay. vars NULL: not known yet.
 * false: nothing goes in front: it is empty, too long, or something of it is not known yet. */
bool prefix_write(struct view words, const json_t *vars, struct buf *out);

#endif
