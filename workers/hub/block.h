/*
 * workers/hub/block.h - where a text that is still being written can be parted into messages: at
 * the end of a paragraph when there is enough of it, elsewhere only when it becomes too long.
 * Fenced code is parted only when it must be, closed there and reopened in the next piece. Pure;
 * the text is a model's, so it may be anything. What it costs is linear in the text.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "buf.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum block_pref { BLOCK_PARAGRAPH, BLOCK_NEWLINE, BLOCK_SENTENCE };

struct block_conf {
    uint32_t min, max; /* characters of a piece; 0 < min <= max */
    enum block_pref pref;
    bool each; /* every paragraph, however short */
};

/* A place in the text, and the fence that is open there. {.at = 0} is the beginning. */
struct block_place {
    size_t at;
    bool fence;
    size_t open, open_n; /* the line that opened it */
    char mark;           /* ` or ~ */
    size_t marks;
};

/* Go on to byte `to`, not before p->at. */
void block_go(struct view text, size_t to, struct block_place *p);
/* Where the piece that begins at *from ends; 0: not yet. done: nothing more comes, so that there is
 * an end whenever there is text. */
size_t block_cut(struct view text, const struct block_place *from, const struct block_conf *c,
                 bool done);
/* Append the piece as a text of its own; nothing when only blanks are in it. */
void block_put(struct view text, const struct block_place *from, const struct block_place *to,
               struct buf *out);
/* Characters of v. */
size_t block_chars(struct view v);

#endif
