#include "config_keys.h"

#include "mem.h"

#include <stddef.h>
#include <stdio.h>

/* NONE, as the default column is turned to text before macros in it are seen. */
#define DEF(text) (sizeof(text) == sizeof("NONE") && (text)[0] == 'N' ? NULL : (text))

const struct config_key config_keys[] = {
#define KEY(path_, field_, type_, def_, min_, max_, of_, reload_, roles_, flags_, help_)           \
    {path_,                                                                                        \
     CT_##type_,                                                                                   \
     DEF(#def_),                                                                                   \
     min_,                                                                                         \
     max_,                                                                                         \
     of_,                                                                                          \
     CONFIG_##reload_,                                                                             \
     roles_,                                                                                       \
     flags_,                                                                                       \
     help_,                                                                                        \
     offsetof(struct conf, field_)},
#define ROW(path_, type_, def_, min_, max_, of_, reload_, roles_, flags_, help_)                   \
    {path_,  CT_##type_, DEF(#def_), min_,           max_, of_, CONFIG_##reload_,                  \
     roles_, flags_,     help_,      CONFIG_NO_FIELD},
#define LATER(path_)                                                                               \
    {path_, CT_ANY, NULL, 0, 0, "", CONFIG_HOT, 0, K_LATER, "not supported yet", CONFIG_NO_FIELD},
#include "keys.def"
#undef KEY
#undef ROW
#undef LATER
};

size_t config_key_count(void)
{
    return COUNT_OF(config_keys);
}

_Static_assert(COUNT_OF(config_keys) <= CONFIG_ROWS_MAX, "more rows than a set has bits");

/* The next step of a row's path: a name, "*" or "[]" (out->p == NULL). */
static const char *next_step(const char *at, struct view *out)
{
    size_t n;

    if (at[0] == '[') {
        *out = (struct view){NULL, 0};
        at += 2;
    } else {
        n = strcspn(at, ".[");
        *out = view_of(at, n);
        at += n;
    }
    return *at == '.' ? at + 1 : at;
}

/* The step of the place as the table has it: entries is list, its keys are elements. */
static struct view step_of(const struct config_path *p, unsigned i)
{
    bool entries = p->n > 2 && view_eq(p->part[0].key, V("agents")) && p->part[1].key.p &&
                   view_eq(p->part[1].key, V("entries"));

    if (entries && i == 1)
        return V("list");
    return entries && i == 2 ? (struct view){NULL, 0} : p->part[i].key;
}

/* The step of a row at depth i, and what is left of it; false when the row ends before. */
static bool row_step(const char *row, unsigned i, struct view *step, const char **rest)
{
    do {
        if (!*row)
            return false;
        row = next_step(row, step);
    } while (i--);
    *rest = row;
    return true;
}

static bool row_agrees(size_t row, const struct config_path *p, unsigned i)
{
    struct view want, got = step_of(p, i);
    const char *rest;

    if (!row_step(config_keys[row].path, i, &want, &rest) || !want.p != !got.p)
        return false;
    return !want.p || view_eq(want, V("*")) || view_eq(want, got);
}

/* The rows that agree with the whole path: of the place itself or below it. NULL for the root: all.
 */
static const uint64_t *rows_of(struct config_path *p)
{
    /* the meaning of "entries" hangs on what follows it */
    if (p->known > 1 && p->part[1].key.p && view_eq(p->part[1].key, V("entries")))
        p->known = 1;
    for (; p->known < p->n; p->known++) {
        const uint64_t *from = p->known ? p->rows[p->known - 1] : NULL;
        uint64_t *to = p->rows[p->known];

        memset(to, 0, sizeof(p->rows[0]));
        for (size_t i = 0; i < COUNT_OF(config_keys); i++)
            if ((!from || from[i / 64] >> (i % 64) & 1) && row_agrees(i, p, p->known))
                to[i / 64] |= (uint64_t)1 << (i % 64);
    }
    return p->n ? p->rows[p->n - 1] : NULL;
}

/* The next row of a set from *i on; NULL at the end. *ret_rest is what its path has below p. */
static const struct config_key *next_row(const struct config_path *p, const uint64_t *set,
                                         size_t *i, const char **ret_rest)
{
    for (; *i < COUNT_OF(config_keys); ++*i) {
        const char *rest = config_keys[*i].path;
        struct view step;

        if (set && set[*i / 64] == 0) { /* most are */
            *i |= 63;
            continue;
        }
        if (set && !(set[*i / 64] >> (*i % 64) & 1))
            continue;
        if (p->n)
            (void)row_step(rest, p->n - 1, &step, &rest);
        *ret_rest = rest;
        return &config_keys[(*i)++];
    }
    return NULL;
}

static bool has_star(const char *row)
{
    return strchr(row, '*') != NULL;
}

const struct config_key *config_key_find(struct config_path *p)
{
    const struct config_key *found = NULL, *k;
    const uint64_t *set = rows_of(p);
    const char *rest;
    size_t i = 0;

    while (set && (k = next_row(p, set, &i, &rest)))
        if (!*rest && (!found || strlen(k->path) > strlen(found->path) || !has_star(k->path)))
            found = k;
    return found;
}

const struct config_key *config_key_over(struct config_path *p)
{
    const struct config_key *found = NULL;
    unsigned n = p->n;

    for (; p->n && !found; p->n--)
        found = config_key_find(p);
    p->n = n; /* what is known of the longer path still holds */
    return found;
}

bool config_key_below(struct config_path *p, bool *ret_list)
{
    const uint64_t *set = rows_of(p);
    const char *rest;
    size_t i = 0;

    while (next_row(p, set, &i, &rest))
        if (*rest) {
            if (ret_list)
                *ret_list = *rest == '[';
            return true;
        }
    return false;
}

bool config_key_seen(struct config_path *p, unsigned role_bit)
{
    const uint64_t *set = rows_of(p);
    const struct config_key *k;
    const char *rest;
    size_t i = 0;

    while ((k = next_row(p, set, &i, &rest)))
        if (k->roles & role_bit)
            return true;
    return false;
}

enum { NAME_MAX_LEN = 48 }; /* longer names are not compared */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* Edits from a to b, a swap of neighbours counting as one; capitals do not count. */
unsigned config_name_distance(struct view a, struct view b)
{
    unsigned d[3][NAME_MAX_LEN + 1];
    unsigned now = 0;

    if (a.n > NAME_MAX_LEN || b.n > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (unsigned j = 0; j <= b.n; j++)
        d[0][j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned up = (i - 1) % 3, upup = (i + 1) % 3;

        now = i % 3;
        d[now][0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            char x = lower(a.p[i - 1]), y = lower(b.p[j - 1]);

            d[now][j] = min3(d[up][j] + 1, d[now][j - 1] + 1, d[up][j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.p[j - 2]) && y == lower(a.p[i - 2]) &&
                d[upup][j - 2] + 1 < d[now][j])
                d[now][j] = d[upup][j - 2] + 1;
        }
    }
    return d[now][b.n];
}

/* The name that a row has right below p; p == NULL for a list or wildcard. */
static struct view child_name(const char *rest)
{
    struct view step = {NULL, 0};

    if (*rest)
        (void)next_step(rest, &step);
    return step.p && view_eq(step, V("*")) ? (struct view){NULL, 0} : step;
}

static struct view last_step(const char *row)
{
    struct view step = {NULL, 0};

    while (*row)
        row = next_step(row, &step);
    return step;
}

/* A row that has this name at its end, wherever. */
static const char *elsewhere(struct view key)
{
    for (size_t i = 0; i < COUNT_OF(config_keys); i++) {
        struct view last = last_step(config_keys[i].path);

        if (!(config_keys[i].flags & K_LATER) && last.p && view_ieq(last, key))
            return config_keys[i].path;
    }
    return NULL;
}

bool config_key_nearest(struct config_path *p, char out[CONFIG_PATH_TEXT_MAX])
{
    struct view key = p->part[p->n - 1].key, near = {NULL, 0};
    unsigned best = (unsigned)(key.n / 3 < 2 ? 2 : key.n / 3) + 1;
    const char *rest, *other;
    const uint64_t *set;
    size_t i = 0;

    if (!key.p)
        return false;
    if (key.n <= 2) /* two edits turn it into anything */
        best = 2;
    config_path_pop(p);
    set = rows_of(p);
    while (next_row(p, set, &i, &rest)) {
        struct view name = child_name(rest);

        if (name.p && config_name_distance(key, name) < best) {
            best = config_name_distance(key, name);
            near = name;
        }
    }
    if (near.p) {
        config_path_key(p, near);
        config_path_text(p, out);
        config_path_pop(p);
    }
    config_path_key(p, key);
    if (near.p)
        return true;
    if ((other = elsewhere(key)))
        (void)snprintf(out, CONFIG_PATH_TEXT_MAX, "%s", other);
    return other != NULL;
}

bool config_choice(const char **list, struct view *out)
{
    size_t n = strcspn(*list, "|");

    if (!**list)
        return false;
    *out = view_of(*list, n);
    *list += n + ((*list)[n] == '|');
    return true;
}
