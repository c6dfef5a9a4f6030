/*
 * supervisor/config_text.h - the places of values in a JSON5 text that was parsed already: for
 * reports, and to black out values without touching the rest. A text that was never parsed gives
 * wrong places, never a read out of bounds.
 */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include "config_path.h"

struct config_spot {
    struct config_path *path;
    struct view at;    /* the key as written, or the element's first byte */
    struct view value; /* whole, for a container too; n == 0 when it opens */
    bool open;         /* a container: its parts follow */
};

/* Calls on_spot for every value, parents first; it returns false to stop the walk. on_comment may
 * be NULL. */
struct config_text {
    bool (*on_spot)(void *ctx, const struct config_spot *spot);
    void (*on_comment)(void *ctx, struct view comment);
    void *ctx;
};
void config_text_walk(const struct config_text *t, struct view text);

/* Line and column (from 1, in characters) of a place; 0, 0 when it is not in the text. */
void config_text_find(struct view text, const struct config_path *path, unsigned *line,
                      unsigned *column);

#endif
