#include "params.h"

#include "json.h"
#include "mem.h"
#include "num.h"
#include "params_int.h"

#include <math.h>
#include <stdio.h>

struct reader {
    const char *p;
    struct params *to;
    unsigned depth;
    struct err *e;
};

static int fail(struct reader *r, const char *what)
{
    return err_set(r->e, ERR_INVALID, "%s at \"%.24s\"", what, r->p);
}

static void blanks(struct reader *r)
{
    while (*r->p == ' ' || *r->p == '\n')
        r->p++;
}

static bool take(struct reader *r, char c)
{
    blanks(r);
    if (*r->p != c)
        return false;
    r->p++;
    return true;
}

static int node_new(struct reader *r, struct node **out)
{
    int rc = mem_new(out, sizeof(**out), r->e);

    if (rc == 0) {
        (*out)->all = r->to->all;
        r->to->all = *out;
    }
    return rc;
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '$' || c == ':';
}

static bool number(struct reader *r, double *out)
{
    bool any = false;
    double v = 0;

    for (; *r->p >= '0' && *r->p <= '9'; r->p++, any = true)
        v = v * 10 + (*r->p - '0');
    *out = v;
    return any;
}

/* (a..b), (a..), (..b) */
static int range(struct reader *r, struct node *n)
{
    double v;

    if (*r->p != '(')
        return 0;
    r->p++;
    if ((n->has_min = number(r, &v)))
        n->min = v;
    if (r->p[0] != '.' || r->p[1] != '.')
        return fail(r, "expected ..");
    r->p += 2;
    if ((n->has_max = number(r, &v)))
        n->max = v;
    if (*r->p != ')')
        return fail(r, "expected )");
    r->p++;
    return 0;
}

static int read_type(struct reader *r, struct node **out);

/* name!:type, name:type, ... up to end */
static int read_fields(struct reader *r, struct node *obj, char end)
{
    struct node **last = &obj->next, *f = NULL;
    const char *from;
    int rc;

    obj->alt = NULL;
    last = &obj->alt;
    blanks(r);
    if (*r->p == end)
        return 0;
    do {
        blanks(r);
        if (strncmp(r->p, "...", 3) == 0) {
            r->p += 3;
            obj->open = true;
            break;
        }
        for (from = r->p; word_char(*r->p) && *r->p != ':'; r->p++)
            ;
        if (r->p == from)
            return fail(r, "expected a name");
        if ((rc = node_new(r, &f)) < 0)
            return rc;
        f->name = view_of(from, (size_t)(r->p - from));
        f->required = take(r, '!');
        if (!take(r, ':'))
            return fail(r, "expected :");
        if ((rc = read_type(r, &f->alt)) < 0)
            return rc;
        *last = f;
        last = &f->next;
    } while (take(r, ','));
    blanks(r);
    return *r->p == end ? 0 : fail(r, "expected the end of the fields");
}

static const struct {
    const char *word;
    enum kind kind;
} words[] = {{"text", K_STRING},   {"str", K_STRING}, {"int", K_INT},
             {"num", K_NUM},       {"bool", K_BOOL},  {"any", K_ANY},
             {"object", K_OBJECT}, {"null", K_NULL},  {"hex64", K_HEX64}};

static int read_word(struct reader *r, struct node *n)
{
    const char *from = r->p;

    while (word_char(*r->p) && *r->p != ':')
        r->p++;
    n->name = view_of(from, (size_t)(r->p - from));
    if (n->name.n == 0)
        return fail(r, "expected a type");
    n->kind = K_CONST;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (view_eq(n->name, view_str(words[i].word)))
            n->kind = words[i].kind;
    if (n->kind == K_CONST)
        return 0;
    if (n->kind == K_STRING && n->name.p[0] == 's') {
        int rc = range(r, n);

        if (!n->has_min || n->min < 1) {
            n->has_min = true;
            n->min = 1;
        }
        return rc;
    }
    return range(r, n);
}

static int read_alt(struct reader *r, struct node *n)
{
    int rc;

    blanks(r);
    if (*r->p == '[') {
        r->p++;
        n->kind = K_LIST;
        if ((rc = read_type(r, &n->alt)) < 0)
            return rc;
        if (!take(r, ']'))
            return fail(r, "expected ]");
        return range(r, n);
    }
    if (*r->p == '{') {
        r->p++;
        n->kind = K_FIELDS;
        if ((rc = read_fields(r, n, '}')) < 0)
            return rc;
        r->p++;
        return 0;
    }
    return read_word(r, n);
}

static int read_type(struct reader *r, struct node **out)
{
    struct node **last = out, *n = NULL;
    int rc;

    if (++r->depth > PARAMS_DEPTH_MAX)
        return fail(r, "nested too deeply");
    do {
        if ((rc = node_new(r, &n)) < 0 || (rc = read_alt(r, n)) < 0)
            return rc;
        *last = n;
        last = &n->next;
    } while (take(r, '/'));
    r->depth--;
    return 0;
}

int params_compile(struct params **out, const char *text, struct err *e)
{
    struct params *p = NULL;
    struct reader r = {.e = e};
    int rc;

    if ((rc = mem_new(&p, sizeof(*p), e)) < 0)
        return rc;
    if (!(p->text = mem_dup(text, strlen(text)))) {
        rc = err_set(e, ERR_NOMEM, "no memory for a parameter table");
        goto out;
    }
    p->root.kind = K_FIELDS;
    r.p = p->text;
    r.to = p;
    if ((rc = read_fields(&r, &p->root, '\0')) < 0)
        goto out;
    *out = TAKE(p);
out:
    params_free(&p);
    return rc;
}

void params_free(struct params **pp)
{
    struct params *p = *pp;

    if (!p)
        return;
    for (struct node *n = p->all, *next; n; n = next) {
        next = n->all;
        mem_free(n);
    }
    mem_free(p->text);
    mem_free(p);
    *pp = NULL;
}

bool params_all_optional(const struct params *p)
{
    for (const struct node *f = p->root.alt; f; f = f->next)
        if (f->required)
            return false;
    return true;
}

/* Where the checker is, as a chain on the stack: the path is only written for a complaint. */
struct place {
    const struct place *up;
    struct view name; /* or, when name.p is NULL, an index */
    size_t index;
};

struct check {
    struct buf *to; /* NULL: only yes or no */
    unsigned count;
};

static void put_path(struct buf *b, const struct place *at)
{
    if (!at->up)
        return;
    put_path(b, at->up);
    buf_put_char(b, '/');
    if (at->name.p)
        buf_put_view(b, at->name);
    else
        buf_put_u64(b, at->index);
}

/* false, so that a check can end with it */
static bool complain(struct check *c, const struct place *at, bool name_root, const char *text)
{
    if (!c->to || c->count >= PARAMS_ERRORS_MAX)
        return false;
    if (c->count++)
        buf_put_str(c->to, "; ");
    if (at->up) {
        buf_put_str(c->to, "at ");
        put_path(c->to, at);
        buf_put_str(c->to, ": ");
    } else if (name_root)
        buf_put_str(c->to, "at root: ");
    buf_put_str(c->to, text);
    return false;
}

static bool complain_name(struct check *c, const struct place *at, bool name_root, const char *text,
                          struct view name)
{
    unsigned before = c->count;

    (void)complain(c, at, name_root, text);
    if (c->to && c->count > before) {
        buf_put_char(c->to, '\'');
        buf_put_view(c->to, view_of(name.p, name.n < 128 ? name.n : 128));
        buf_put_char(c->to, '\'');
    }
    return false;
}

static bool complain_bound(struct check *c, const struct place *at, const char *before,
                           double bound, const char *behind)
{
    char text[96];

    (void)snprintf(text, sizeof(text), "%s%.0f%s", before, bound, behind);
    return complain(c, at, false, text);
}

static size_t characters(const json_t *v)
{
    const char *s = json_string_value(v);
    size_t n = json_string_length(v), count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

static bool check_type(struct check *c, const struct node *t, const json_t *v,
                       const struct place *at);

static bool check_string(struct check *c, const struct node *n, const json_t *v,
                         const struct place *at)
{
    size_t len;

    if (!json_is_string(v))
        return complain(c, at, false, "must be string");
    if (!n->has_min && !n->has_max)
        return true;
    len = characters(v);
    if (n->has_min && (double)len < n->min)
        return complain_bound(c, at, "must not have fewer than ", n->min, " characters");
    if (n->has_max && (double)len > n->max)
        return complain_bound(c, at, "must not have more than ", n->max, " characters");
    return true;
}

static bool check_number(struct check *c, const struct node *n, const json_t *v,
                         const struct place *at)
{
    double d = json_number_value(v);

    if (n->kind == K_INT ? !(json_is_integer(v) || (json_is_real(v) && floor(d) == d))
                         : !json_is_number(v))
        return complain(c, at, false, n->kind == K_INT ? "must be integer" : "must be number");
    if (n->has_min && d < n->min)
        return complain_bound(c, at, "must be >= ", n->min, "");
    if (n->has_max && d > n->max)
        return complain_bound(c, at, "must be <= ", n->max, "");
    return true;
}

static bool check_hex64(struct check *c, const json_t *v, const struct place *at)
{
    const char *s = json_string_value(v);

    if (!s)
        return complain(c, at, false, "must be string");
    if (json_string_length(v) != 64 || strspn(s, "0123456789abcdefABCDEF") != 64)
        return complain(c, at, false, "must match pattern \"^[a-fA-F0-9]{64}$\"");
    return true;
}

static bool check_list(struct check *c, const struct node *n, const json_t *v,
                       const struct place *at)
{
    size_t count = json_array_size(v), i;
    bool ok = true;
    json_t *item;

    if (!json_is_array(v))
        return complain(c, at, false, "must be array");
    if (n->has_min && (double)count < n->min)
        ok = complain_bound(c, at, "must not have fewer than ", n->min, " items");
    if (n->has_max && (double)count > n->max)
        return complain_bound(c, at, "must not have more than ", n->max, " items");
    json_array_foreach(v, i, item)
    {
        struct place here = {.up = at, .index = i};

        if (!check_type(c, n->alt, item, &here))
            ok = false;
        if (!ok && (!c->to || c->count >= PARAMS_ERRORS_MAX))
            return false;
    }
    return ok;
}

static bool check_fields(struct check *c, const struct node *n, const json_t *v,
                         const struct place *at)
{
    /* jansson's readers take a const object, its iterator does not; nothing is changed here */
    union {
        const json_t *in;
        json_t *out;
    } obj = {.in = v};
    const char *key;
    size_t known = 0, key_len;
    bool ok = true;
    json_t *m;

    if (!json_is_object(v))
        return complain(c, at, false, "must be object");
    for (const struct node *f = n->alt; f; f = f->next) {
        m = json_object_getn(v, f->name.p, f->name.n);
        if (m)
            known++;
        else if (f->required)
            ok = complain_name(c, at, false, "must have required property ", f->name);
    }
    if (!n->open && known < json_object_size(v)) {
        json_object_keylen_foreach(obj.out, key, key_len, m)
        {
            const struct node *f = n->alt;

            while (f && !view_eq(f->name, view_of(key, key_len)))
                f = f->next;
            if (!f)
                ok = complain_name(c, at, true, "unexpected property ", view_of(key, key_len));
        }
    }
    for (const struct node *f = n->alt; f; f = f->next) {
        struct place here = {.up = at, .name = f->name};

        if ((m = json_object_getn(v, f->name.p, f->name.n)) && !check_type(c, f->alt, m, &here))
            ok = false;
    }
    return ok;
}

/* true, false and whole numbers are meant as such, every other word as a text. */
static bool is_const(struct view word, const json_t *v)
{
    struct err e = ERR_INIT;
    uint64_t n;

    if (view_eq(word, V("true")) || view_eq(word, V("false")))
        return word.p[0] == 't' ? json_is_true(v) : json_is_false(v);
    if (word.p[0] >= '0' && word.p[0] <= '9' && num_u64(word, 0, INT64_MAX, &n, &e) == 0)
        return json_is_integer(v) && (uint64_t)json_integer_value(v) == n;
    return json_is_string(v) && view_eq(json_view_of(v), word);
}

static bool check_one(struct check *c, const struct node *n, const json_t *v,
                      const struct place *at)
{
    switch (n->kind) {
    case K_STRING:
        return check_string(c, n, v, at);
    case K_INT:
    case K_NUM:
        return check_number(c, n, v, at);
    case K_BOOL:
        return json_is_boolean(v) ? true : complain(c, at, false, "must be boolean");
    case K_ANY:
        return true;
    case K_OBJECT:
        return json_is_object(v) ? true : complain(c, at, false, "must be object");
    case K_NULL:
        return json_is_null(v) ? true : complain(c, at, false, "must be null");
    case K_HEX64:
        return check_hex64(c, v, at);
    case K_LIST:
        return check_list(c, n, v, at);
    case K_FIELDS:
        return check_fields(c, n, v, at);
    case K_CONST:
        return is_const(n->name, v);
    }
    return false;
}

static bool check_type(struct check *c, const struct node *t, const json_t *v,
                       const struct place *at)
{
    struct check quiet = {.to = NULL};
    bool words_only = true, any_word = false;

    if (!t->next && t->kind != K_CONST)
        return check_one(c, t, v, at);
    for (const struct node *n = t; n; n = n->next) {
        if (check_one(&quiet, n, v, at))
            return true;
        if (n->kind == K_CONST)
            any_word = true;
        else
            words_only = false;
    }
    if (any_word)
        (void)complain(c, at, false,
                       t->next || !words_only ? "must be equal to one of the allowed values"
                                              : "must be equal to constant");
    if (words_only)
        return false;
    for (const struct node *n = t; n; n = n->next)
        if (n->kind != K_CONST)
            (void)check_one(c, n, v, at);
    return complain(c, at, false, "must match a schema in anyOf");
}

bool params_check(const struct params *p, const json_t *value, struct buf *complaints)
{
    struct check c = {.to = complaints};
    struct place root = {.up = NULL};

    return check_fields(&c, &p->root, value, &root);
}
