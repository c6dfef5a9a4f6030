/* supervisor/config_path.h - where in the document we are: names of maps and positions in lists, as
 * text "a.b[0].c". */
#ifndef CONFIG_PATH_H
#define CONFIG_PATH_H

#include "buf.h"
#include "view.h"

enum {
    CONFIG_PATH_MAX = 66,       /* JSON5_DEPTH_MAX and one more */
    CONFIG_PATH_TEXT_MAX = 512, /* longer ones are cut: they are for people */
};

struct config_part {
    struct view key; /* borrowed; p == NULL: an element */
    size_t index;
};

enum { CONFIG_ROWS_MAX = 1024 }; /* bits of a set of rows of conf/keys.def */

struct config_path {
    unsigned n;
    struct config_part part[CONFIG_PATH_MAX];
    /* Which rows agree with the parts up to here, for the first `known` parts; config_keys.c's own.
     */
    unsigned known;
    uint64_t rows[CONFIG_PATH_MAX][CONFIG_ROWS_MAX / 64];
};

/* Push and pop; pushing beyond the depth of any document we parse is a bug. */
void config_path_key(struct config_path *p, struct view key);
void config_path_index(struct config_path *p, size_t index);
void config_path_pop(struct config_path *p);
/* Its text, cut to the room; control characters become '?'. */
void config_path_text(const struct config_path *p, char out[CONFIG_PATH_TEXT_MAX]);

#endif
