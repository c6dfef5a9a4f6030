/*
 * workers/hub/tokens.h - how many tokens a text is for a model, without its tokenizer: counted by
 * kinds of characters, so that it costs one pass and no tables. Meant to be a little too much:
 * never less than 90 % of what o200k_base and cl100k_base count on the texts of
 * tests/unit/data/tokens.json, at most 1.6 times as much on ordinary prose. Code, long words of
 * learned English and runs of one character come out higher.
 * Pure: no state, no memory. Where a provider said what a prompt was, its number is used instead
 * (prompt.h).
 */
#ifndef TOKENS_H
#define TOKENS_H

#include "view.h"

#include <stdint.h>

enum {
    TOKENS_MESSAGE = 4,  /* a message is that much more than its text: role and separators */
    TOKENS_IMAGE = 1600, /* an image, whatever its bytes: the most that large providers count */
};

/* Of plain text (UTF-8; other bytes count as something rare). */
uint64_t tokens_text(struct view text);
/* Of the strings of a JSON text, escapes resolved; its own punctuation counts, too. What is called
 * "data" is an image. */
uint64_t tokens_json(struct view json);

#endif
