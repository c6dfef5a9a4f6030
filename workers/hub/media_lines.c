#include "media_lines.h"

#include "tags.h"

#include <string.h>

enum { REF_BYTES = 4096 }; /* longer is no path; data: addresses may be as long as they are */

static const struct view mark = {"MEDIA:", 6};

static bool white(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct view skip_white(struct view v)
{
    while (v.n && white(*v.p))
        v = view_from(v, 1);
    return v;
}

static bool begins(struct view v, struct view with)
{
    return v.n >= with.n && view_ieq(view_of(v.p, with.n), with);
}

/* ---- code ---- */

/* Whether this line belongs to a block of code: also the lines around it. */
static bool in_code(struct media_filter *f, struct view line)
{
    struct view v = view_trim(line);
    char c = v.n ? *v.p : 0;
    size_t n = 0;

    while (n < v.n && v.p[n] == c)
        n++;
    if (!f->fence) {
        if ((c != '`' && c != '~') || n < 3 || (c == '`' && memchr(v.p + n, '`', v.n - n)))
            return false;
        f->fence = c;
        f->fence_n = n;
    } else if (c == f->fence && n >= f->fence_n && !skip_white(view_from(v, n)).n) {
        f->fence = 0;
    }
    return true;
}

/* ---- one line ---- */

/* What a model puts around an address. */
static struct view unwrap(struct view v)
{
    while (v.n && strchr("`\"'[{(<", *v.p))
        v = view_from(v, 1);
    while (v.n && strchr("`\"'\\})],>", v.p[v.n - 1]))
        v.n--;
    return v;
}

static bool has_scheme(struct view v)
{
    static const struct view known[] = {
        {"https://", 8}, {"http://", 7}, {"data:", 5}, {"media://", 8}, {"file:", 5}};

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (begins(v, known[i]))
            return v.n > known[i].n;
    return false;
}

static bool is_rooted(struct view v)
{
    return v.n > 1 && (*v.p == '/' || begins(v, V("./")) || begins(v, V("~/")));
}

/* a/b.png, b.png: one word with an end that looks like a file's */
static bool is_relative(struct view v)
{
    size_t dot = v.n;

    while (dot && v.p[dot - 1] != '.' && v.p[dot - 1] != '/')
        dot--;
    for (size_t i = 0; i < v.n; i++)
        if (white(v.p[i]) || v.p[i] == ':')
            return false;
    return dot && v.p[dot - 1] == '.' && dot > 1 && v.n - dot >= 1 && v.n - dot <= 10;
}

static bool is_ref(struct view v)
{
    if (begins(v, V("data:")))
        return v.n > 5;
    return v.n <= REF_BYTES && (has_scheme(v) || is_rooted(v) || is_relative(v));
}

static void add(struct media_lines *m, struct view ref)
{
    if (m->n < MEDIA_LINES_MAX)
        m->ref[m->n++] = ref;
    else
        m->beyond++;
}

/* The files of what stands behind the mark; false: there is none. */
static bool read_refs(struct view v, struct media_lines *m)
{
    bool found = false;
    struct view whole;

    v = view_trim(v);
    whole = unwrap(v);
    /* quoted, or a path: blanks may be in it */
    if ((v.n > 2 && *v.p == v.p[v.n - 1] && strchr("`\"'", *v.p)) || is_rooted(whole)) {
        whole = view_trim(whole);
        if (is_ref(whole))
            add(m, whole);
        return is_ref(whole);
    }
    while (v.n) {
        size_t n = 0;
        struct view word;

        while (n < v.n && !white(v.p[n]))
            n++;
        word = unwrap(view_of(v.p, n));
        if (is_ref(word)) {
            add(m, word);
            found = true;
        }
        v = skip_white(view_from(v, n));
    }
    return found;
}

/* ---- the text ---- */

static struct view line_of(struct view text)
{
    size_t n = view_find(text, '\n');

    return view_of(text.p, n < text.n ? n + 1 : n);
}

/* An unfinished line that, when it goes on, may be one that leaves, or the edge of code. */
static bool undecided(const struct media_filter *f, struct view line)
{
    struct view v = skip_white(line);
    size_t n = 0;

    if (!v.n)
        return true;
    while (n < v.n && v.p[n] == v.p[0])
        n++;
    if ((*v.p == '`' || *v.p == '~') && (n >= 3 || n == v.n))
        return true;
    return !f->fence &&
           (begins(v, mark) || view_ieq(v, view_of(mark.p, v.n < mark.n ? v.n : mark.n)));
}

static size_t filter(struct media_filter *f, struct view text, bool whole, struct buf *out,
                     struct media_lines *m)
{
    size_t done = 0;

    for (struct view line; done < text.n; done += line.n) {
        bool complete, leaves;

        line = line_of(view_from(text, done));
        complete = line.p[line.n - 1] == '\n';
        if (f->mid) {
            buf_put_view(out, line);
            f->mid = !complete;
            continue;
        }
        if (!complete && !whole) {
            if (undecided(f, line))
                break;
            f->mid = true;
            f->gap = false;
            buf_put_view(out, line);
            continue;
        }
        leaves = !in_code(f, line) && begins(skip_white(line), mark) &&
                 read_refs(view_from(skip_white(line), mark.n), m);
        if (leaves || (f->gap && !view_trim(line).n)) {
            f->gap = true;
            continue;
        }
        f->gap = false;
        buf_put_view(out, line);
    }
    return done;
}

size_t media_filter(struct media_filter *f, struct view next, bool whole, struct buf *out)
{
    struct media_lines ignored = {.n = 0};

    return filter(f, next, whole, out, &ignored);
}

void media_lines_read(struct view text, struct buf *out, struct media_lines *ret)
{
    struct media_lines m = {.n = 0};
    struct media_filter f = {.fence = 0};
    struct buf said = BUF_INIT(text.n + 1);
    struct tags t = {.reply_to = VIEW_EMPTY};

    (void)filter(&f, text, true, out, &m);
    if (text.n && memmem(text.p, text.n, "[[", 2)) {
        tags_read(text, &said, &t);
        m.voice = t.audio_as_voice;
    }
    buf_fini(&said);
    *ret = m;
}
