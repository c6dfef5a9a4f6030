#include "block.h"

#include <string.h>

enum { INDENT_MAX = 3, FENCE_MIN = 3, FENCE_LINE_MAX = 200 }; /* CommonMark, 4.5 */

static bool starts_char(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

size_t block_chars(struct view v)
{
    size_t n = 0;

    for (size_t i = 0; i < v.n; i++)
        n += starts_char(v.p[i]);
    return n;
}

/* ---- fences ---- */

/* Marks at the beginning of a line; what is behind them in *rest. */
static size_t marks_of(struct view line, char *mark, struct view *rest)
{
    size_t indent = 0, n = 0;

    while (indent < line.n && line.p[indent] == ' ')
        indent++;
    line = view_from(line, indent);
    if (indent > INDENT_MAX || !line.n || (line.p[0] != '`' && line.p[0] != '~'))
        return 0;
    while (n < line.n && line.p[n] == line.p[0])
        n++;
    *mark = line.p[0];
    *rest = view_trim(view_from(line, n));
    return n >= FENCE_MIN ? n : 0;
}

static bool closes(const struct block_place *p, struct view line)
{
    struct view rest = {NULL, 0};
    char mark = 0;
    size_t n = marks_of(line, &mark, &rest);

    return p->fence && n >= p->marks && mark == p->mark && !rest.n;
}

static void read_line(struct view text, size_t from, size_t to, struct block_place *p)
{
    struct view line = view_of(text.p + from, to - from), rest = {NULL, 0};
    char mark = 0;
    size_t n = marks_of(line, &mark, &rest);

    if (p->fence) {
        p->fence = !closes(p, line);
    } else if (n && !(mark == '`' && memchr(rest.p ? rest.p : "", '`', rest.n))) {
        p->fence = true;
        p->mark = mark;
        p->marks = n;
        p->open = from;
        p->open_n = line.n < FENCE_LINE_MAX ? line.n : n; /* marks alone say enough */
        while (p->open_n && is_blank(text.p[p->open + p->open_n - 1]))
            p->open_n--;
    }
}

void block_go(struct view text, size_t to, struct block_place *p)
{
    while (p->at < to) {
        const char *nl = memchr(text.p + p->at, '\n', text.n - p->at);
        size_t end = nl ? (size_t)(nl - text.p) : text.n;

        if (end > to) { /* in the middle of a line */
            p->at = to;
            return;
        }
        if (p->at == 0 || text.p[p->at - 1] == '\n')
            read_line(text, p->at, end, p);
        p->at = end < to ? end + 1 : to;
    }
}

/* ---- parting ---- */

/* The line behind the newline at i is there and blank. */
static bool blank_line_at(struct view text, size_t i)
{
    for (i++; i < text.n && is_blank(text.p[i]); i++)
        ;
    return i < text.n && text.p[i] == '\n';
}

static bool ends_sentence(struct view text, size_t from, size_t i)
{
    while (i > from && (text.p[i - 1] == '"' || text.p[i - 1] == ')' || text.p[i - 1] == '*'))
        i--;
    return i > from && strchr(".!?", text.p[i - 1]);
}

static size_t begin_of(struct view text, const struct block_place *from)
{
    size_t i = from->at;

    while (!from->fence && i < text.n && (is_blank(text.p[i]) || text.p[i] == '\n'))
        i++;
    return i;
}

/* Places where a piece that is too long may end, best first. */
struct breaks {
    size_t newline, sentence, blank, code;
};

static size_t best_of(const struct breaks *b, enum block_pref pref, size_t hard)
{
    const size_t order[] = {pref == BLOCK_SENTENCE ? b->sentence : b->newline,
                            pref == BLOCK_SENTENCE ? b->newline : b->sentence, b->blank, b->code};

    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
        if (order[i])
            return order[i];
    return hard;
}

/* What the newline at i is; n characters are before it. true: the piece ends here. */
static bool at_newline(struct view text, size_t i, size_t n, const struct block_conf *c,
                       struct block_place *p, struct breaks *b)
{
    block_go(text, i, p);
    if (p->fence) {
        b->code = i;
        return false;
    }
    if (n >= c->min || c->each) {
        if (blank_line_at(text, i) || (c->pref == BLOCK_NEWLINE && n >= c->min))
            return true;
    }
    if (n >= c->min)
        b->newline = b->sentence = b->blank = i;
    return false;
}

size_t block_cut(struct view text, const struct block_place *from, const struct block_conf *c,
                 bool done)
{
    struct block_place p = *from;
    struct breaks b = {.newline = 0};
    size_t begin = begin_of(text, from), n = 0;

    for (size_t i = begin; i < text.n; i++) {
        char ch = text.p[i];

        if (starts_char(ch) && n++ == c->max)
            return best_of(&b, c->pref, i);
        if (ch == '\n') {
            if (i > begin && at_newline(text, i, n - 1, c, &p, &b))
                return i;
        } else if (is_blank(ch) && !p.fence && n > c->min) {
            b.blank = i;
            if (ends_sentence(text, begin, i)) {
                b.sentence = i;
                if (c->pref == BLOCK_SENTENCE)
                    return i;
            }
        }
    }
    return done && begin < text.n ? text.n : 0;
}

/* A piece that would begin with the end of its fence begins behind it. */
static struct block_place real_begin(struct view text, const struct block_place *from, size_t to)
{
    struct block_place p = *from;
    size_t i = p.at, end;

    if (!p.fence)
        return p;
    while (i < to && (text.p[i] == '\n' || is_blank(text.p[i])))
        i++;
    while (i > p.at && text.p[i - 1] != '\n')
        i--;
    end = i + view_find(view_of(text.p + i, to - i), '\n');
    if (i < end && (i == 0 || text.p[i - 1] == '\n') && closes(&p, view_of(text.p + i, end - i))) {
        p.fence = false;
        p.at = end;
    }
    return p;
}

void block_put(struct view text, const struct block_place *from, const struct block_place *to,
               struct buf *out)
{
    struct block_place p = real_begin(text, from, to->at);
    size_t i = p.at, end = to->at, line;

    line = i;
    while (line < end && (text.p[line] == '\n' || is_blank(text.p[line])))
        if (text.p[line++] == '\n' || (!p.fence && i && text.p[i - 1] != '\n'))
            i = line; /* whole lines of blanks; all blanks where a line was parted */
    while (end > i && (text.p[end - 1] == '\n' || is_blank(text.p[end - 1])))
        end--;
    if (line >= end)
        return;
    if (p.fence) {
        buf_put_view(out, view_of(text.p + p.open, p.open_n));
        buf_put_char(out, '\n');
    }
    buf_put_view(out, view_of(text.p + i, end - i));
    if (to->fence) {
        buf_put_char(out, '\n');
        for (size_t k = 0; k < to->marks; k++)
            buf_put_char(out, to->mark);
    }
}
