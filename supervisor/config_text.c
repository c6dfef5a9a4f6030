#include "config_text.h"

#include "config_lex.h"
#include "json.h"

struct scan {
    const struct config_text *t;
    struct config_lex lex;
    struct config_path path;
    bool stop;
};

static void scan_value(struct scan *s, struct view at);

static void scan_items(struct scan *s, char close)
{
    for (size_t index = 0; s->lex.p < s->lex.end && !s->stop; index++) {
        struct view at;
        json_t *own = NULL;

        config_lex_space(&s->lex);
        if (s->lex.p == s->lex.end || *s->lex.p == close)
            break;
        at = view_of(s->lex.p, 1);
        if (close == '}') {
            at = config_lex_token(&s->lex);
            config_path_key(&s->path, config_lex_name(at, &own));
            config_lex_space(&s->lex);
            s->lex.p += s->lex.p < s->lex.end && *s->lex.p == ':';
            config_lex_space(&s->lex);
        } else {
            config_path_index(&s->path, index);
        }
        scan_value(s, at);
        config_path_pop(&s->path);
        json_decref(own);
        config_lex_space(&s->lex);
        s->lex.p += s->lex.p < s->lex.end && *s->lex.p == ',';
    }
    s->lex.p += s->lex.p < s->lex.end;
}

/* s->lex.p at the first byte of a value. Recursion is bounded by the path. */
static void scan_value(struct scan *s, struct view at)
{
    struct config_spot spot = {.path = &s->path, .at = at};
    char c = s->lex.p < s->lex.end ? *s->lex.p : 0;

    if (c == '{' || c == '[') {
        spot.open = true;
        if (s->path.n)
            s->stop = !s->t->on_spot(s->t->ctx, &spot);
        if (s->path.n == CONFIG_PATH_MAX)
            s->stop = true;
        if (s->stop)
            return;
        s->lex.p++;
        scan_items(s, c == '{' ? '}' : ']');
        return;
    }
    spot.value = config_lex_token(&s->lex);
    if (s->path.n)
        s->stop = !s->t->on_spot(s->t->ctx, &spot);
}

void config_text_walk(const struct config_text *t, struct view text)
{
    struct scan s = {
        .t = t,
        .lex = {.p = text.p, .end = text.p + text.n, .on_comment = t->on_comment, .ctx = t->ctx}};

    config_lex_space(&s.lex);
    scan_value(&s, view_of(s.lex.p, 0));
    if (!s.stop)
        config_lex_space(&s.lex);
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
