/* channels/base/render_table.h - a table of Markdown on its way to text: cells are gathered, then
 * written with aligned columns (for a block of code) or as lists. Pure. */
#ifndef RENDER_TABLE_H
#define RENDER_TABLE_H

#include "buf.h"

enum { RENDER_COLS_MAX = 64, RENDER_ROWS_MAX = 1024 };

struct render_table {
    struct buf text; /* of all cells */
    struct {
        uint32_t at, n;
    } cell[RENDER_ROWS_MAX][RENDER_COLS_MAX];
    unsigned rows, cols, col; /* rows begun; cells of the widest and of the last one */
    bool too_large;           /* the rest is left out */
};

void render_table_init(struct render_table *t, size_t max);
void render_table_fini(struct render_table *t);
void render_table_row(struct render_table *t);
void render_table_cell(struct render_table *t); /* text goes to t->text from here on */
void render_table_cell_end(struct render_table *t);
void render_table_aligned(const struct render_table *t, struct buf *out);
/* "• head: cell" lines, a blank line between rows. */
void render_table_bullets(const struct render_table *t, struct buf *out);

#endif
