/*
 * workers/hub/mention.h - whether a text names an agent: regular expressions of its configuration,
 * else its name and sign. Invariants: an expression that does not compile, or is too long, is
 * passed over and counted; a match costs a bounded number of steps whatever expression and text
 * are, and counts as none when it would cost more. Not here: whether a mention is needed (group.h).
 */
#ifndef MENTION_H
#define MENTION_H

#include "err.h"
#include "view.h"

#include <jansson.h>
#include <stdbool.h>

enum {
    MENTION_PATTERNS_MAX = 64,
    MENTION_PATTERN_BYTES = 512,
    MENTION_STEPS = 20000,         /* of the matcher; a few hundred microseconds */
    MENTION_TEXT_BYTES = 16 << 10, /* the beginning of a message is looked at */
};

struct mention;

/* patterns: an array of expressions, or NULL: then name and emoji (either may be empty) count.
 * *ret_bad gets how many expressions were passed over.  Errors: ERR_NOMEM. */
int mention_new(struct mention **out, const json_t *patterns, struct view name, struct view emoji,
                unsigned *ret_bad, struct err *e) MUST_USE;
void mention_free(struct mention **m);
bool mention_in(const struct mention *m, struct view text);

#endif
