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

enum match {
    MATCH_NO,
    MATCH_EXACT,
    MATCH_BELOW,
    MATCH_ABOVE
}; /* the row is below, above the place */

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

static enum match match(const char *row, const struct config_path *p)
{
    unsigned i = 0;

    while (*row && i < p->n) {
        struct view want, got = step_of(p, i);

        row = next_step(row, &want);
        if (!want.p != !got.p)
            return MATCH_NO;
        if (want.p && !view_eq(want, V("*")) && !view_eq(want, got))
            return MATCH_NO;
        i++;
    }
    if (*row)
        return MATCH_BELOW;
    return i == p->n ? MATCH_EXACT : MATCH_ABOVE;
}

static bool has_star(const char *row)
{
    return strchr(row, '*') != NULL;
}

const struct config_key *config_key_find(const struct config_path *p)
{
    const struct config_key *found = NULL;

    for (size_t i = 0; i < COUNT_OF(config_keys); i++) {
        const struct config_key *k = &config_keys[i];

        if (match(k->path, p) == MATCH_EXACT &&
            (!found || strlen(k->path) > strlen(found->path) || !has_star(k->path)))
            found = k;
    }
    return found;
}

const struct config_key *config_key_over(const struct config_path *p)
{
    const struct config_key *found = NULL;
    struct config_path up = *p;

    for (; up.n && !found; up.n--)
        found = config_key_find(&up);
    return found;
}

bool config_key_below(const struct config_path *p, bool *ret_list)
{
    for (size_t i = 0; i < COUNT_OF(config_keys); i++)
        if (match(config_keys[i].path, p) == MATCH_BELOW) {
            const char *at = config_keys[i].path;
            struct view step;

            for (unsigned n = 0; n <= p->n; n++)
                at = next_step(at, &step);
            if (ret_list)
                *ret_list = !step.p;
            return true;
        }
    return false;
}

bool config_key_seen(const struct config_path *p, unsigned role_bit)
{
    for (size_t i = 0; i < COUNT_OF(config_keys); i++) {
        const struct config_key *k = &config_keys[i];
        enum match m = k->roles & role_bit ? match(k->path, p) : MATCH_NO;

        if (m == MATCH_EXACT || m == MATCH_BELOW)
            return true;
    }
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
static unsigned distance(struct view a, struct view b)
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

/* The name at the depth of p's last part in a row that agrees with p up to there; p == NULL for a
 * list or wildcard. */
static struct view sibling(const char *row, const struct config_path *p)
{
    struct config_path parent = *p;
    struct view step = {NULL, 0};
    enum match m;

    parent.n--;
    m = match(row, &parent);
    if (m != MATCH_BELOW)
        return (struct view){NULL, 0};
    for (unsigned i = 0; i < p->n; i++)
        row = next_step(row, &step);
    return step.p && view_eq(step, V("*")) ? (struct view){NULL, 0} : step;
}

static struct view last_step(const char *row)
{
    struct view step = {NULL, 0};

    while (*row)
        row = next_step(row, &step);
    return step;
}

bool config_key_nearest(const struct config_path *p, char out[CONFIG_PATH_TEXT_MAX])
{
    struct view key = p->part[p->n - 1].key;
    unsigned best = (unsigned)(key.n / 3 < 2 ? 2 : key.n / 3) + 1;
    struct config_path near = *p;
    const char *elsewhere = NULL;
    bool found = false;

    if (!key.p)
        return false;
    if (key.n <= 2) /* two edits turn it into anything */
        best = 2;
    for (size_t i = 0; i < COUNT_OF(config_keys); i++) {
        struct view name = sibling(config_keys[i].path, p);
        struct view last = last_step(config_keys[i].path);

        if (name.p && distance(key, name) < best) {
            best = distance(key, name);
            near.part[near.n - 1].key = name;
            found = true;
        }
        if (!elsewhere && !(config_keys[i].flags & K_LATER) && last.p && view_ieq(last, key))
            elsewhere = config_keys[i].path;
    }
    if (found)
        config_path_text(&near, out);
    else if (elsewhere)
        (void)snprintf(out, CONFIG_PATH_TEXT_MAX, "%s", elsewhere);
    return found || elsewhere;
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
