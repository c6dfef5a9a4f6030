#include "config_text.h"

#include "json.h"
#include "json5.h"

struct scan {
    const struct config_text *t;
    const char *p, *end;
    struct config_path path;
    bool stop;
};

/* Bytes of the white space at p (JSON5, 8), or 0. */
static size_t space(const char *p, const char *end)
{
    static const struct view wide[] = {
        {"\xc2\xa0", 2},     {"\xe2\x80\xa8", 3}, {"\xe2\x80\xa9", 3}, {"\xe2\x80\xaf", 3},
        {"\xe2\x81\x9f", 3}, {"\xe1\x9a\x80", 3}, {"\xe3\x80\x80", 3}, {"\xef\xbb\xbf", 3}};
    struct view rest = view_of(p, (size_t)(end - p));

    if (p == end)
        return 0;
    if (*p == ' ' || (*p >= '\t' && *p <= '\r'))
        return 1;
    for (size_t i = 0; (unsigned char)*p >= 0x80 && i < sizeof(wide) / sizeof(wide[0]); i++)
        if (view_starts(rest, wide[i]))
            return wide[i].n;
    /* U+2000 to U+200A */
    return rest.n > 2 && view_starts(rest, V("\xe2\x80")) && (unsigned char)p[2] <= 0x8a ? 3 : 0;
}

static bool line_end(struct view rest)
{
    return rest.p[0] == '\n' || rest.p[0] == '\r' || view_starts(rest, V("\xe2\x80\xa8")) ||
           view_starts(rest, V("\xe2\x80\xa9"));
}

static struct view rest_of(const struct scan *s)
{
    return view_of(s->p, (size_t)(s->end - s->p));
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end) {
        size_t n = space(s->p, s->end);
        const char *from = s->p;

        if (n) {
            s->p += n;
            continue;
        }
        if (view_starts(rest_of(s), V("//"))) {
            while (s->p < s->end && !line_end(rest_of(s)))
                s->p++;
        } else if (view_starts(rest_of(s), V("/*"))) {
            for (s->p += 2; s->p < s->end && !view_starts(rest_of(s), V("*/")); s->p++)
                continue;
            s->p += s->end - s->p >= 2 ? 2 : s->end - s->p;
        } else {
            return;
        }
        if (s->t->on_comment)
            s->t->on_comment(s->t->ctx, view_of(from, (size_t)(s->p - from)));
    }
}

/* A string, number, word or unquoted key. */
static struct view skip_token(struct scan *s)
{
    const char *from = s->p;

    if (s->p < s->end && (*s->p == '"' || *s->p == '\'')) {
        char quote = *s->p++;

        while (s->p < s->end && *s->p != quote)
            s->p += *s->p == '\\' && s->end - s->p > 1 ? 2 : 1;
        s->p += s->p < s->end;
    } else {
        while (s->p < s->end && !strchr(",:[]{}/\"'", *s->p) && !space(s->p, s->end))
            s->p++;
        s->p += s->p == from && s->p < s->end; /* never stand still */
    }
    return view_of(from, (size_t)(s->p - from));
}

static void scan_value(struct scan *s, struct view at);

/* Name of the key as written; *own keeps what had escapes. */
static struct view key_text(struct view raw, json_t **own)
{
    struct err e = ERR_INIT;

    if (raw.n < 2 || (raw.p[0] != '"' && raw.p[0] != '\''))
        return raw;
    if (view_find(raw, '\\') < raw.n && json5_parse(raw, own, &e) == 0 && json_is_string(*own))
        return json_view_of(*own);
    return view_of(raw.p + 1, raw.n - 2);
}

static void scan_items(struct scan *s, char close)
{
    for (size_t index = 0; s->p < s->end && !s->stop; index++) {
        struct view at;
        json_t *own = NULL;

        skip_space(s);
        if (s->p == s->end || *s->p == close)
            break;
        at = view_of(s->p, 1);
        if (close == '}') {
            at = skip_token(s);
            config_path_key(&s->path, key_text(at, &own));
            skip_space(s);
            s->p += s->p < s->end && *s->p == ':';
            skip_space(s);
        } else {
            config_path_index(&s->path, index);
        }
        scan_value(s, at);
        config_path_pop(&s->path);
        json_decref(own);
        skip_space(s);
        s->p += s->p < s->end && *s->p == ',';
    }
    s->p += s->p < s->end;
}

/* s->p at the first byte of a value. Recursion is bounded by the path. */
static void scan_value(struct scan *s, struct view at)
{
    struct config_spot spot = {.path = &s->path, .at = at};
    char c = s->p < s->end ? *s->p : 0;

    if (c == '{' || c == '[') {
        spot.open = true;
        if (s->path.n)
            s->stop = !s->t->on_spot(s->t->ctx, &spot);
        if (s->path.n == CONFIG_PATH_MAX)
            s->stop = true;
        if (s->stop)
            return;
        s->p++;
        scan_items(s, c == '{' ? '}' : ']');
        return;
    }
    spot.value = skip_token(s);
    if (s->path.n)
        s->stop = !s->t->on_spot(s->t->ctx, &spot);
}

void config_text_walk(const struct config_text *t, struct view text)
{
    struct scan s = {.t = t, .p = text.p, .end = text.p + text.n};

    skip_space(&s);
    scan_value(&s, view_of(s.p, 0));
    if (!s.stop)
        skip_space(&s);
}

struct find {
    const struct config_path *want;
    const char *at;
};

static bool on_spot(void *ctx, const struct config_spot *spot)
{
    struct find *f = ctx;

    if (spot->path->n != f->want->n)
        return true;
    for (unsigned i = 0; i < f->want->n; i++) {
        const struct config_part *a = &spot->path->part[i], *b = &f->want->part[i];

        if (!a->key.p != !b->key.p)
            return true;
        if (a->key.p ? !view_eq(a->key, b->key) : a->index != b->index)
            return true;
    }
    f->at = spot->at.p;
    return false;
}

void config_text_find(struct view text, const struct config_path *path, unsigned *line,
                      unsigned *column)
{
    struct find f = {.want = path};

    *line = *column = 0;
    if (path->n == 0 || text.n == 0)
        return;
    config_text_walk(&(struct config_text){.on_spot = on_spot, .ctx = &f}, text);
    if (!f.at)
        return;
    *line = *column = 1;
    for (const char *p = text.p; p < f.at; p++) { /* as json5.c counts */
        if (*p == '\n' || (*p == '\r' && !(p + 1 < text.p + text.n && p[1] == '\n'))) {
            ++*line;
            *column = 1;
        } else if (((unsigned char)*p & 0xc0) != 0x80) {
            ++*column;
        }
    }
}
