#include "render_table.h"

enum { WIDTH_MAX = 60 }; /* a column is not made wider than this for alignment's sake */

void render_table_init(struct render_table *t, size_t max)
{
    buf_init(&t->text, max);
    t->rows = t->cols = t->col = 0;
    t->too_large = false;
}

void render_table_fini(struct render_table *t)
{
    buf_fini(&t->text);
}

void render_table_row(struct render_table *t)
{
    if (t->rows == RENDER_ROWS_MAX) {
        t->too_large = true;
        return;
    }
    t->rows++;
    t->col = 0;
}

void render_table_cell(struct render_table *t)
{
    if (t->too_large || t->col == RENDER_COLS_MAX)
        return;
    t->cell[t->rows - 1][t->col].at = (uint32_t)t->text.n;
    t->cell[t->rows - 1][t->col].n = 0;
}

void render_table_cell_end(struct render_table *t)
{
    if (t->too_large || t->col == RENDER_COLS_MAX)
        return;
    t->cell[t->rows - 1][t->col].n = (uint32_t)t->text.n - t->cell[t->rows - 1][t->col].at;
    t->col++;
    if (t->col > t->cols)
        t->cols = t->col;
    for (unsigned c = t->col; c < RENDER_COLS_MAX; c++)
        t->cell[t->rows - 1][c].n = 0;
}

static struct view cell(const struct render_table *t, unsigned r, unsigned c)
{
    return t->cell[r][c].n ? view_of(buf_view(&t->text).p + t->cell[r][c].at, t->cell[r][c].n)
                           : VIEW_EMPTY;
}

static unsigned width(struct view v)
{
    unsigned n = 0;

    for (size_t i = 0; i < v.n; i++)
        n += ((unsigned char)v.p[i] & 0xc0) != 0x80;
    return n;
}

static void fill(struct buf *out, char c, unsigned n)
{
    while (n-- > 0)
        buf_put_char(out, c);
}

void render_table_aligned(const struct render_table *t, struct buf *out)
{
    unsigned wide[RENDER_COLS_MAX] = {0};

    for (unsigned r = 0; r < t->rows; r++)
        for (unsigned c = 0; c < t->cols; c++) {
            unsigned w = width(cell(t, r, c));

            w = w < WIDTH_MAX ? w : WIDTH_MAX;
            wide[c] = w > wide[c] ? w : wide[c];
        }
    for (unsigned r = 0; r < t->rows; r++) {
        if (r)
            buf_put_char(out, '\n');
        for (unsigned c = 0; c < t->cols; c++) {
            struct view v = cell(t, r, c);
            unsigned w = width(v);

            if (c)
                buf_put_str(out, " | ");
            buf_put_view(out, v);
            if (c + 1 < t->cols && w < wide[c])
                fill(out, ' ', wide[c] - w);
        }
        if (r)
            continue;
        buf_put_char(out, '\n');
        for (unsigned c = 0; c < t->cols; c++) {
            if (c)
                buf_put_str(out, "-+-");
            fill(out, '-', wide[c]);
        }
    }
}

void render_table_bullets(const struct render_table *t, struct buf *out)
{
    for (unsigned r = 1; r < t->rows; r++) {
        if (r > 1)
            buf_put_str(out, "\n\n");
        for (unsigned c = 0, any = 0; c < t->cols; c++) {
            struct view head = cell(t, 0, c), v = cell(t, r, c);

            if (!v.n)
                continue;
            if (any++)
                buf_put_char(out, '\n');
            buf_put_str(out, "\xe2\x80\xa2 ");
            if (head.n) {
                buf_put_view(out, head);
                buf_put_str(out, ": ");
            }
            buf_put_view(out, v);
        }
    }
}
