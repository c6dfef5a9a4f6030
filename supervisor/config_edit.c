#include "config_edit.h"

#include "config_lex.h"
#include "config_put.h"
#include "config_text.h"
#include "json.h"
#include "json5.h"
#include "mem.h"

enum {
    PAIRS_MAX = 256 * 1024, /* of elements that are compared, of one list */
    LINE_LOOK = 512,        /* bytes of a line that are looked at for its begin */
};

struct pen {
    struct view text;
    const char *at; /* what is before it is in *out, or was left out */
    struct buf *out;
    struct config_hand hand;
    bool lost; /* text and document do not agree */
};

/* A member of a map, an element of a list. */
struct item {
    const char *from;  /* its key, or its value in a list */
    const char *comma; /* behind it, or NULL */
    struct view value;
    const json_t *old, *new; /* new == NULL: it goes */
};

struct items {
    struct item *v; /* owned */
    size_t n;
    const json_t *old, *new;
    const char *close;
    bool lines;   /* the closing bracket begins a line */
    size_t more;  /* parts of the new that are not in the text */
    size_t place; /* in a list: the first of them */
    void *member; /* in a map: where to look for the next of them */
};

static void edit_value(struct pen *k, struct view value, const json_t *old, const json_t *new,
                       bool flat);

/* -------------------------------------------------------------- places in the text */
static void copy_to(struct pen *k, const char *p)
{
    if (p > k->at) {
        buf_put(k->out, k->at, (size_t)(p - k->at));
        k->at = p;
    }
}

/* The begin of p's line, or of what is looked at of a long one: a text without line ends is not
 * searched through for each of its values. */
static const char *line_of(const struct pen *k, const char *p)
{
    for (size_t n = 0; p > k->text.p && p[-1] != '\n' && n < LINE_LOOK; n++)
        p--;
    return p;
}

static bool blank_between(const char *p, const char *end)
{
    while (p < end) {
        size_t n = config_lex_blank(p, end);

        if (!n)
            return false;
        p += n;
    }
    return true;
}

/* The white space that the line of p begins with. */
static struct view indent_of(const struct pen *k, const char *p)
{
    const char *from = line_of(k, p), *to = from;

    if (from > k->text.p && from[-1] != '\n')
        return VIEW_EMPTY;
    while (to < p && (*to == ' ' || *to == '\t'))
        to++;
    return view_of(from, (size_t)(to - from));
}

/* The end of p's line when nothing but blanks and a comment stands before it, else NULL. */
static const char *rest_of_line(const struct pen *k, const char *p)
{
    const char *end = k->text.p + k->text.n;

    for (;;) {
        struct config_lex l = {.p = p, .end = end};
        size_t n = config_lex_blank(p, end);

        if (p == end || *p == '\n')
            return p;
        if (n) {
            p += n;
            continue;
        }
        if (end - p < 2 || *p != '/')
            return NULL;
        if (p[1] == '/') {
            while (p < end && *p != '\n')
                p++;
            return p;
        }
        l.end = memchr(p, '\n', (size_t)(end - p));
        l.end = l.end ? l.end : end;
        config_lex_space(&l); /* a comment that goes on below is not of this line */
        if (l.p == p || (l.p == l.end && !(l.p - p >= 4 && l.p[-1] == '/')))
            return NULL;
        p = l.p;
    }
}

/* -------------------------------------------------------------- what belongs to what */
static bool same_one(const json_t *a, const json_t *b)
{
    struct view id = json_is_object(a) ? json_view(a, "id") : VIEW_EMPTY;

    return json_equal(a, b) || (id.n && json_is_object(b) && view_eq(id, json_view(b, "id")));
}

/* Whether an element that found no place would have one further on: they changed places. */
static bool moved(const struct items *s, size_t next)
{
    size_t n = json_array_size(s->new);

    if (next < n && s->n > PAIRS_MAX / (n - next))
        return true; /* too many to look at; place by place is right, too */
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = next; j < n && !s->v[i].new; j++)
            if (same_one(s->v[i].old, json_array_get(s->new, j)))
                return true;
    return false;
}

/* Elements that stay in their order, with others behind them; or place by place. */
static void match_list(struct items *s)
{
    size_t n = json_array_size(s->new), next = 0;

    for (size_t i = 0; i < s->n; i++)
        if (next < n && same_one(s->v[i].old, json_array_get(s->new, next)))
            s->v[i].new = json_array_get(s->new, next++);
    if ((next < n && next < s->n) || moved(s, next))
        for (size_t i = next = 0; i < s->n; i++, next += next < n)
            s->v[i].new = json_array_get(s->new, i);
    s->place = next;
    s->more = n - next;
}

static void match_map(struct items *s)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)s->new, key, v) s->more +=
        !json_object_get(s->old, key);
    s->member = json_object_iter((json_t *)(uintptr_t)s->new);
}

/* Names of maps come in the text's order, elements too. False: text and document disagree. */
static bool read_items(struct pen *k, struct items *s, struct view value)
{
    struct config_lex l = {.p = value.p + 1, .end = value.p + value.n};
    bool map = json_is_object(s->old);
    size_t max = map ? json_object_size(s->old) : json_array_size(s->old);

    for (;; s->n++) {
        struct item *it = &s->v[s->n];
        json_t *own = NULL;

        config_lex_space(&l);
        if (l.p == l.end || *l.p == '}' || *l.p == ']')
            break;
        if (s->n == max)
            return false;
        it->from = l.p;
        if (map) {
            struct view name = config_lex_name(config_lex_token(&l), &own);

            it->old = json_object_getn(s->old, name.p, name.n);
            it->new = json_object_getn(s->new, name.p, name.n);
            json_decref(own);
            config_lex_space(&l);
            if (l.p == l.end || *l.p++ != ':')
                return false;
            config_lex_space(&l);
        } else {
            it->old = json_array_get(s->old, s->n);
        }
        it->value = config_lex_value(&l);
        config_lex_space(&l);
        if (l.p < l.end && *l.p == ',')
            it->comma = l.p++;
        if (!it->old)
            return false;
    }
    s->close = l.p;
    s->lines = blank_between(line_of(k, l.p), l.p);
    if (map)
        match_map(s);
    else
        match_list(s);
    return s->n == max && l.p + 1 == l.end;
}

/* The next part that is new; there are s->more of them. */
static const json_t *next_new(struct items *s, const char **key)
{
    json_t *map = (json_t *)(uintptr_t)s->new;
    const json_t *v = NULL;

    *key = NULL;
    if (json_is_array(s->new))
        return json_array_get(s->new, s->place++);
    while (s->member && !v) {
        *key = json_object_iter_key(s->member);
        v = json_object_get(s->old, *key) ? NULL : json_object_iter_value(s->member);
        s->member = json_object_iter_next(map, s->member);
    }
    return v;
}

/* -------------------------------------------------------------- cutting and adding */
static void cut(struct pen *k, const struct item *it)
{
    const char *from = it->from, *to = it->comma ? it->comma + 1 : it->value.p + it->value.n;
    const char *line = line_of(k, from), *rest = rest_of_line(k, to);

    if (blank_between(line, from) && rest) {
        from = line;
        to = rest + (rest < k->text.p + k->text.n);
    } else if (!it->comma && blank_between(k->at, from)) {
        from = k->at; /* the bracket that closes comes up */
    } else if (blank_between(line, from) || (from[-1] != ' ' && from[-1] != '\t')) {
        while (*to == ' ' || *to == '\t')
            to++;
    } else {
        while (from > k->at && (from[-1] == ' ' || from[-1] == '\t'))
            from--;
    }
    copy_to(k, from);
    if (to > k->at)
        k->at = to;
}

static void put_part(struct pen *k, struct items *s, struct view indent)
{
    const char *key;
    const json_t *v = next_new(s, &key);

    if (key)
        config_put_key(&k->hand, view_str(key), k->out);
    config_put(&k->hand, v, indent, !s->lines, k->out);
}

/* Behind the last part that stays. comma: one goes behind the last new part, too. */
static void put_added(struct pen *k, struct items *s, struct view indent, bool comma)
{
    for (size_t i = 0; i < s->more; i++) {
        if (s->lines)
            buf_put_char(k->out, '\n');
        buf_put_view(k->out, s->lines ? indent : V(" "));
        put_part(k, s, indent);
        if (i + 1 < s->more || comma)
            buf_put_char(k->out, ',');
    }
}

/* Into brackets in which nothing stays but comments. */
static void put_first(struct pen *k, struct items *s, struct view indent)
{
    copy_to(k, s->lines ? line_of(k, s->close) : s->close);
    for (size_t i = 0; i < s->more; i++) {
        if (i)
            buf_put_str(k->out, s->lines ? ",\n" : ", ");
        if (s->lines)
            buf_put_view(k->out, indent);
        put_part(k, s, indent);
    }
    buf_put_str(k->out, s->lines ? "\n" : *s->close == '}' ? " " : "");
}

/* The last part that stays: its comma, and what comes behind it. */
static void end_items(struct pen *k, struct items *s, const struct item *it, struct view indent)
{
    const char *end = it->value.p + it->value.n, *rest;
    bool more = s->more > 0, trailing = s->v[s->n - 1].comma != NULL;

    copy_to(k, end);
    if ((more || trailing) && !it->comma) {
        buf_put_char(k->out, ',');
    } else if (it->comma) {
        copy_to(k, it->comma);
        if (more || trailing)
            copy_to(k, it->comma + 1);
        k->at = it->comma + 1;
        end = it->comma + 1;
    }
    if (!more)
        return;
    rest = s->lines ? rest_of_line(k, end) : NULL;
    copy_to(k, rest ? rest : end);
    put_added(k, s, indent, trailing);
}

static void edit_items(struct pen *k, struct items *s)
{
    size_t last = s->n;
    char room[256];
    struct view indent;

    for (size_t i = 0; i < s->n; i++)
        last = s->v[i].new ? i : last;
    if (s->n && blank_between(line_of(k, s->v[0].from), s->v[0].from)) {
        indent = indent_of(k, s->v[0].from);
    } else {
        struct view outer = indent_of(k, s->close);
        size_t n = outer.n < sizeof(room) - 2 ? outer.n : 0;

        memcpy(room, outer.p, n);
        memcpy(room + n, k->hand.tabs ? "\t" : "  ", 2);
        indent = view_of(room, n + (k->hand.tabs ? 1 : 2));
    }
    for (size_t i = 0; i < s->n && !k->lost; i++) {
        const struct item *it = &s->v[i];

        if (!it->new) {
            cut(k, it);
            continue;
        }
        edit_value(k, it->value, it->old, it->new, !s->lines);
        if (i == last && (s->more || last + 1 < s->n))
            end_items(k, s, it, indent);
    }
    if (last == s->n && s->more)
        put_first(k, s, indent);
}

/* -------------------------------------------------------------- one value */
static void on_comment(void *ctx, struct view comment)
{
    (void)comment;
    *(bool *)ctx = true;
}

static bool has_comment(struct view value)
{
    bool found = false;
    struct config_lex l = {
        .p = value.p, .end = value.p + value.n, .on_comment = on_comment, .ctx = &found};

    (void)config_lex_value(&l);
    return found;
}

/* Whether its brackets stay and only parts change. */
static bool goes_on(const json_t *old, const json_t *new, struct view value)
{
    size_t was = json_object_size(old) + json_array_size(old),
           will = json_object_size(new) + json_array_size(new);

    if (!(json_is_object(old) && json_is_object(new)) &&
        !(json_is_array(old) && json_is_array(new)))
        return false;
    return (was && will) || has_comment(value);
}

/* Recursion is bounded by the depth the parser takes. */
static void edit_value(struct pen *k, struct view value, const json_t *old, const json_t *new,
                       bool flat)
{
    struct items s = {.old = old, .new = new};
    size_t room = json_object_size(old) + json_array_size(old) + 1;

    if (k->lost || k->out->failed || json_equal(old, new))
        return;
    if (!goes_on(old, new, value)) {
        copy_to(k, value.p);
        config_put(&k->hand, new, indent_of(k, value.p), flat, k->out);
        k->at = value.p + value.n;
        return;
    }
    if (!(s.v = mem_calloc(room, sizeof(*s.v))))
        k->out->failed = true;
    else if (!read_items(k, &s, value))
        k->lost = true;
    else
        edit_items(k, &s);
    mem_free(s.v);
}

/* -------------------------------------------------------------- all of it */
struct look {
    struct config_hand *hand;
    bool string; /* one was seen */
    bool key;
};

static bool on_spot(void *ctx, const struct config_spot *spot)
{
    struct look *l = ctx;
    bool named = spot->path->part[spot->path->n - 1].key.p != NULL;

    if (named && !l->key) {
        l->key = true;
        l->hand->bare = *spot->at.p != '"' && *spot->at.p != '\'';
    }
    if (!spot->open && !l->string && spot->value.n && strchr("\"'", *spot->value.p)) {
        l->string = true;
        l->hand->single = *spot->value.p == '\'';
    }
    return !(l->key && l->string);
}

static struct config_hand hand_of(struct view text)
{
    struct config_hand hand = {.tabs = memmem(text.p, text.n, "\n\t", 2) != NULL};
    struct look l = {.hand = &hand};

    config_text_walk(&(struct config_text){.on_spot = on_spot, .ctx = &l}, text);
    return hand;
}

int config_edit(struct view text, const json_t *from, const json_t *to, struct buf *out,
                struct err *e)
{
    struct pen k = {.text = text, .at = text.p, .out = out};
    struct config_lex l = {.p = text.p, .end = text.p + text.n};
    size_t mark = out->n;
    json_t *read = NULL;
    int r;

    if (!text.n)
        return err_set(e, ERR_INVALID, "there is no text to edit");
    k.hand = hand_of(text);
    config_lex_space(&l);
    edit_value(&k, config_lex_value(&l), from, to, false);
    copy_to(&k, text.p + text.n);
    if ((r = buf_check(out, e)) < 0)
        return r;
    r = k.lost ? err_set(e, ERR_INVALID, "the text is not of this document")
               : json5_parse(view_from(buf_view(out), mark), &read, e);
    if (r == 0 && !json_equal(read, to))
        r = err_set(e, ERR_INVALID, "the text became another document");
    json_decref(read);
    if (r < 0)
        buf_cut(out, mark);
    return r < 0 && r != ERR_NOMEM ? err_set(e, ERR_INVALID, "the text cannot be edited") : r;
}
