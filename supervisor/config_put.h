/*
 * supervisor/config_put.h - a value as text in the hand of a file: its quotes, its keys, its
 * indentation. Strict JSON when the file is.
 */
#ifndef CONFIG_PUT_H
#define CONFIG_PUT_H

#include "buf.h"

#include <jansson.h>

struct config_hand {
    bool bare;   /* keys that need no quotes have none */
    bool single; /* strings in '...' */
    bool tabs;   /* one for each step in, instead of two spaces */
};

void config_put_string(const struct config_hand *hand, struct view text, struct buf *out);
void config_put_key(const struct config_hand *hand, struct view name, struct buf *out);
/* On one line when it is short, or `flat` says so; else what is in it stands one step further in
 * than `indent`. Errors: the buffer's, and its failed mark for want of memory. */
void config_put(const struct config_hand *hand, const json_t *v, struct view indent, bool flat,
                struct buf *out);

#endif
