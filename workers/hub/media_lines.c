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

struct fence {
    char c; /* 0: not in code */
    size_t n;
};

/* Whether this line belongs to a block of code: also the lines around it. */
static bool in_code(struct fence *f, struct view line)
{
    struct view v = view_trim(line);
    char c = v.n ? *v.p : 0;
    size_t n = 0;

    while (n < v.n && v.p[n] == c)
        n++;
    if (!f->c) {
        if ((c != '`' && c != '~') || n < 3 || (c == '`' && memchr(v.p + n, '`', v.n - n)))
            return false;
        *f = (struct fence){c, n};
    } else if (c == f->c && n >= f->n && !skip_white(view_from(v, n)).n) {
        f->c = 0;
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

static struct view line_of(struct view text)
{
    size_t n = view_find(text, '\n');

    return view_of(text.p, n < text.n ? n + 1 : n);
}

void media_lines_read(struct view text, struct buf *out, struct media_lines *ret)
{
    struct media_lines m = {.n = 0};
    struct fence f = {0};
    struct buf said = BUF_INIT(text.n + 1);
    struct tags t = {.reply_to = VIEW_EMPTY};
    bool gap = false; /* a line has left: a blank one behind it goes, too */

    for (struct view rest = text, line; rest.n; rest = view_from(rest, line.n)) {
        struct view v;

        line = line_of(rest);
        v = skip_white(line);
        if (!in_code(&f, line) && begins(v, mark) && read_refs(view_from(v, mark.n), &m)) {
            gap = true;
            continue;
        }
        if (gap && !view_trim(line).n)
            continue;
        gap = false;
        buf_put_view(out, line);
    }
    if (text.n && memmem(text.p, text.n, "[[", 2)) {
        tags_read(text, &said, &t);
        m.voice = t.audio_as_voice;
    }
    buf_fini(&said);
    *ret = m;
}

size_t media_lines_shown(struct view text)
{
    struct fence f = {0};
    size_t done = 0;

    for (struct view rest = text, line; rest.n; rest = view_from(rest, line.n)) {
        struct view v;
        bool whole;

        line = line_of(rest);
        whole = line.p[line.n - 1] == '\n';
        v = skip_white(whole ? view_of(line.p, line.n - 1) : line);
        if (!in_code(&f, line) && !whole &&
            (begins(v, mark) || view_ieq(v, view_of(mark.p, v.n < mark.n ? v.n : mark.n))))
            return done;
        done += line.n;
    }
    return done;
}
