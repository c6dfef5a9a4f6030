#include "chunk.h"

#include "render.h"

enum {
    FENCE_INFO_MAX = 24,
    TRIES = 48, /* each leaves at most 15/16 of the one before: enough for any text */
};

/* A fence of code that is open at some place of the text. */
struct fence {
    bool open;
    char mark;
    unsigned n;
    struct view info;
};

static bool inside(char b) /* of a character of several bytes */
{
    return ((unsigned char)b & 0xc0) == 0x80;
}

static bool blank(char b)
{
    return b == ' ' || b == '\n' || b == '\t' || b == '\r';
}

/* One line more: does it open or close a fence? */
static void fence_line(struct fence *f, struct view line)
{
    size_t i = 0, n = 0;
    char c;

    while (i < line.n && i < 3 && line.p[i] == ' ')
        i++;
    line = view_from(line, i);
    c = line.n ? line.p[0] : 0;
    if (c != '`' && c != '~')
        return;
    while (n < line.n && line.p[n] == c)
        n++;
    if (n < 3)
        return;
    if (!f->open) {
        struct view info = view_trim(view_from(line, n));

        if (c == '`' && view_find(info, '`') < info.n)
            return; /* code in a line, not a fence */
        *f = (struct fence){.open = true,
                            .mark = c,
                            .n = (unsigned)n,
                            .info = info.n <= FENCE_INFO_MAX ? info : VIEW_EMPTY};
    } else if (c == f->mark && n >= f->n && view_trim(view_from(line, n)).n == 0) {
        f->open = false;
    }
}

/* Whole lines from `from` up to `to`. */
static void fence_scan(struct fence *f, struct view text, size_t from, size_t to)
{
    while (from < to) {
        size_t n = view_find(view_of(text.p + from, to - from), '\n');

        fence_line(f, view_of(text.p + from, n));
        from += n + 1;
    }
}

static void put_fence(struct buf *b, const struct fence *f, bool with_info)
{
    for (unsigned i = 0; i < f->n; i++)
        buf_put_char(b, f->mark);
    if (with_info)
        buf_put_view(b, f->info);
}

/* The piece as a text of its own: a fence that is open where it begins or ends is closed and opened
 * again. */
static int compose(struct view source, size_t from, size_t cut, const struct fence *at_from,
                   struct buf *out, struct err *e)
{
    struct fence end = *at_from;

    if (at_from->open) {
        put_fence(out, at_from, true);
        buf_put_char(out, '\n');
    }
    buf_put(out, source.p + from, cut - from);
    fence_scan(&end, source, from, cut);
    if (end.open) {
        if (out->n && buf_view(out).p[out->n - 1] != '\n')
            buf_put_char(out, '\n');
        put_fence(out, &end, false);
    }
    return buf_check(out, e);
}

/* A good place to cut in (from, to]: before a blank line, a line end, a blank outside brackets, any
 * blank, else between two characters. */
static size_t good_cut(struct view t, size_t from, size_t to)
{
    size_t para = 0, line = 0, space = 0, least = from + (to - from) / 4;
    int deep = 0;

    if (to >= t.n)
        return t.n;
    for (size_t i = from; i <= to && i < t.n; i++) {
        char c = t.p[i];

        if (c == '(' || c == '[')
            deep++;
        else if ((c == ')' || c == ']') && deep > 0)
            deep--;
        else if (c == '\n') {
            deep = 0;
            line = i;
            if (i + 1 < t.n && t.p[i + 1] == '\n')
                para = i;
        } else if (blank(c) && deep == 0) {
            space = i;
        }
    }
    if (para > least)
        return para;
    if (line > least)
        return line;
    if (space > from)
        return space;
    if (line > from)
        return line;
    while (to > from + 1 && inside(t.p[to]))
        to--;
    return to;
}

/* The piece [from, cut) as the platform would get it. *cost: of its limit. */
static int attempt(const struct channel_ops *ops, struct view source, size_t from, size_t cut,
                   const struct fence *f, struct buf *rendered, size_t *cost, struct err *e)
{
    struct buf piece = BUF_INIT(CHANNEL_TEXT_BYTES + 4 * FENCE_INFO_MAX);
    int r;

    buf_reset(rendered, CHANNEL_TEXT_BYTES);
    if ((r = compose(source, from, cut, f, &piece, e)) == 0)
        r = render(ops->dialect, buf_view(&piece), rendered, e);
    if (r == ERR_INVALID) { /* it nests beyond reason: said as it is */
        buf_reset(rendered, CHANNEL_TEXT_BYTES);
        render_verbatim(ops->dialect, buf_view(&piece), rendered);
        r = buf_check(rendered, e);
    }
    *cost = render_cost(ops->dialect, ops->unit, buf_view(rendered));
    buf_fini(&piece);
    return r;
}

/* The worst of escapes makes 5 of 1. */
static void verbatim(const struct channel_ops *ops, struct view source, size_t start, size_t *cut,
                     struct buf *rendered)
{
    size_t n = ops->text_limit / 5 ? ops->text_limit / 5 : 1;

    *cut = good_cut(source, start, n < source.n - start ? start + n : source.n);
    if (*cut <= start)
        *cut = start + 1;
    buf_reset(rendered, CHANNEL_TEXT_BYTES);
    render_verbatim(ops->dialect, view_of(source.p + start, *cut - start), rendered);
}

int chunk_next(const struct channel_ops *ops, struct view source, uint32_t from,
               struct buf *rendered, struct buf *plain, uint32_t *next, struct err *e)
{
    struct channel_ops simple = {.dialect = DIALECT_PLAIN, .unit = ops->unit};
    struct fence f = {.open = false, .info = VIEW_EMPTY};
    size_t start = from, reach = source.n, cut = source.n, cost = 0, ignored;
    int r = 0;

    if (from > source.n)
        return err_set(e, ERR_INVALID, "the text has no byte %u", from);
    fence_scan(&f, source, 0, start);
    if (source.n - start > 4 * (size_t)ops->text_limit) /* no need to look at more */
        reach = start + 4 * (size_t)ops->text_limit;
    for (int i = 0; i < TRIES; i++) {
        size_t fits;

        cut = good_cut(source, start, reach);
        if (cut <= start)
            cut = source.n; /* nothing is left */
        if ((r = attempt(ops, source, start, cut, &f, rendered, &cost, e)) < 0)
            return r;
        if (cost <= ops->text_limit || cut == start + 1)
            break;
        fits = (cut - start) * ops->text_limit / cost; /* what the same density would give */
        reach = start + (fits < (cut - start) * 15 / 16 ? fits : (cut - start) * 15 / 16);
        if (reach <= start)
            reach = start + 1;
    }
    if (cost > ops->text_limit) /* marks alone are more than the limit: said without any */
        verbatim(ops, source, start, &cut, rendered);
    if ((r = attempt(&simple, source, start, cut, &f, plain, &ignored, e)) < 0)
        return r;
    while (cut < source.n && (source.p[cut] == '\n' || (!f.open && blank(source.p[cut]))))
        cut++;
    *next = cut < source.n ? (uint32_t)cut : 0;
    return 0;
}
