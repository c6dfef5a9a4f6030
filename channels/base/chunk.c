#include "chunk.h"

static bool inside(char b) /* of a character of several bytes */
{
    return ((unsigned char)b & 0xc0) == 0x80;
}

static bool blank(char b)
{
    return b == ' ' || b == '\n' || b == '\t' || b == '\r';
}

/* Where the text has used up its limit: at a border of characters. */
static size_t reach(struct view t, enum channel_unit unit, uint32_t limit)
{
    uint64_t used = 0;
    size_t i = 0;

    while (i < t.n) {
        size_t n = 1;
        unsigned cost;

        while (i + n < t.n && inside(t.p[i + n]))
            n++;
        cost = unit == UNIT_BYTES ? (unsigned)n : unit == UNIT_UTF16 && n >= 4 ? 2 : 1;
        if (used + cost > limit)
            break;
        used += cost;
        i += n;
    }
    return i;
}

int chunk_next(const struct channel_ops *ops, struct view source, uint32_t from,
               struct buf *rendered, struct buf *plain, uint32_t *next, struct err *e)
{
    struct view rest;
    size_t end, cut;

    if (from > source.n)
        return err_set(e, ERR_INVALID, "the text has no byte %u", from);
    rest = view_from(source, from);
    end = reach(rest, ops->unit, ops->text_limit);
    if (end == 0 && rest.n)
        end = 1; /* a limit below one character: never */
    cut = end;
    if (end < rest.n) {
        size_t line = end, space = end;

        while (line > 0 && rest.p[line] != '\n')
            line--;
        while (space > 0 && !blank(rest.p[space]))
            space--;
        cut = line ? line : space ? space : end;
    }
    buf_put_view(rendered, view_trim(view_of(rest.p, cut)));
    buf_put_view(plain, view_trim(view_of(rest.p, cut)));
    while (cut < rest.n && blank(rest.p[cut]))
        cut++;
    *next = cut < rest.n ? from + (uint32_t)cut : 0;
    return buf_check(rendered, e);
}
