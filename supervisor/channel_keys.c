#include "channel_keys.h"

#include "config_int.h"
#include "json.h"
#include "mem.h"

#include <inttypes.h>

#define ROW_AT(at, path_, type_, def_, min_, max_, of_, flags_, help_)                             \
    {"channels." CHANNEL_ID at path_,                                                              \
     CT_##type_,                                                                                   \
     CHANNEL_DEF(#def_),                                                                           \
     min_,                                                                                         \
     max_,                                                                                         \
     of_,                                                                                          \
     CONFIG_RESTART,                                                                               \
     0,                                                                                            \
     (flags_) | K_NO_RPC,                                                                          \
     help_,                                                                                        \
     CONFIG_NO_FIELD},
#define CHANNEL_DEF(text) (sizeof(text) == sizeof("NONE") && (text)[0] == 'N' ? NULL : (text))
#define CKEY(path_, type_, def_, min_, max_, of_, flags_, help_)                                   \
    ROW_AT(".", path_, type_, def_, min_, max_, of_, flags_, help_)                                \
    ROW_AT(".accounts.*.", path_, type_, def_, min_, max_, of_, flags_, help_)
#define CNOT(path_, help_) CKEY(path_, ANY, NONE, 0, 0, "", K_LATER, help_)

static const struct config_key rows[] = {
#include "channel_keys_list.h"
};

#undef CKEY
#undef CNOT

const struct config_key *channel_keys(size_t *ret_count)
{
    *ret_count = COUNT_OF(rows);
    return rows;
}

/* ---- a row and a place ---- */

enum agrees { NO, ABOVE, LIST_ABOVE, HERE };

/* The next step of a row's path from at on; "[]" has no name. */
static const char *next_step(const char *at, struct view *out)
{
    size_t n = at[0] == '[' ? 2 : strcspn(at, ".[");

    *out = at[0] == '[' ? (struct view){NULL, 0} : view_of(at, n);
    at += n;
    return *at == '.' ? at + 1 : at;
}

/* ABOVE: the row is below the place; LIST_ABOVE: as elements of it. */
static enum agrees agree(const char *row, const struct config_path *p, unsigned *ret_stars)
{
    *ret_stars = 0;
    for (unsigned i = 0; i < p->n; i++) {
        struct view step, key = p->part[i].key;

        if (!*row)
            return NO;
        row = next_step(row, &step);
        if (!step.p || !key.p) {
            if (step.p || key.p)
                return NO;
        } else if (view_eq(step, V("*"))) {
            ++*ret_stars;
        } else if (!view_eq(step, key)) {
            return NO;
        }
    }
    return !*row ? HERE : *row == '[' ? LIST_ABOVE : ABOVE;
}

struct found {
    const struct config_key *row;
    bool below, list;
};

static struct found find(const struct config_path *p)
{
    struct found f = {.row = NULL};
    unsigned best = UINT32_MAX, stars;

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        switch (agree(rows[i].path, p, &stars)) {
        case HERE:
            if (stars < best) {
                f.row = &rows[i];
                best = stars;
            }
            break;
        case LIST_ABOVE:
            f.list = true;
            break;
        case ABOVE:
            f.below = true;
            break;
        case NO:
            break;
        }
    return f;
}

/* The known name below p's parent that the last one may be a slip of; p->part[n-1] is a name. */
static struct view nearest(struct config_path *p)
{
    struct view key = p->part[p->n - 1].key, near = {NULL, 0}, step;
    unsigned best = (unsigned)(key.n / 3 < 2 ? 2 : key.n / 3) + 1, stars;

    p->n--;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *at = rows[i].path;

        if (agree(at, p, &stars) != ABOVE)
            continue;
        for (unsigned k = 0; k < p->n; k++)
            at = next_step(at, &step);
        (void)next_step(at, &step);
        if (step.p && !view_eq(step, V("*")) && config_name_distance(key, step) < best) {
            best = config_name_distance(key, step);
            near = step;
        }
    }
    p->n++;
    return near;
}

/* ---- values ---- */

static bool in_list(const char *choices, struct view v)
{
    struct view choice;

    while (config_choice(&choices, &choice))
        if (view_eq(choice, v))
            return true;
    return false;
}

static bool ids_only(const json_t *list, uint64_t max)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (!json_is_string(v) && !json_is_integer(v))
            return false;
    }
    return json_is_array(list) && json_array_size(list) <= max;
}

static void check_number(struct config_walk *w, const struct config_key *k, const json_t *v)
{
    bool whole = k->type != CT_NUM;
    double n = json_number_value(v);

    if (!(whole ? json_is_integer(v) : json_is_number(v)) || n < (double)k->min ||
        n > (double)k->max)
        config_warn(w, "should be a %snumber from %" PRIu64 " to %" PRIu64, whole ? "whole " : "",
                    k->min, k->max);
}

static void check_value(struct config_walk *w, const struct config_key *k, const json_t *v,
                        bool below)
{
    switch (k->type) {
    case CT_BOOL:
        if (!json_is_boolean(v))
            config_warn(w, "should be true or false");
        break;
    case CT_U16:
    case CT_U32:
    case CT_U64:
    case CT_MS:
    case CT_NUM:
        check_number(w, k, v);
        break;
    case CT_ENUM:
        if (!in_list(k->of, json_view_of(v)) && !(below && json_is_boolean(v)))
            config_warn(w, "should be one of %s", k->of);
        break;
    case CT_STRLIST:
        if (!ids_only(v, k->max))
            config_warn(w, "should be a list of at most %" PRIu64 " texts or numbers", k->max);
        break;
    case CT_SECRET:
        if (!json_is_string(v) && !json_is_object(v))
            config_warn(w, "should be a text or a reference {source, id}");
        break;
    case CT_STR:
    case CT_URL:
        if (!json_is_string(v) || json_string_length(v) > k->max)
            config_warn(w, "should be a text of at most %" PRIu64 " bytes", k->max);
        break;
    case CT_MODELREF:
    case CT_MAP:
    case CT_LIST:
    case CT_ANY:
        break;
    }
}

/* ---- the walk ---- */

static void look(struct config_walk *w, const json_t *v);

static void look_below(struct config_walk *w, const json_t *v)
{
    const char *name;
    json_t *member;
    size_t i;

    json_object_foreach((json_t *)(uintptr_t)v, name, member)
    {
        config_path_key(&w->path, view_str(name));
        look(w, member);
        config_path_pop(&w->path);
    }
    json_array_foreach(v, i, member)
    {
        config_path_index(&w->path, i);
        look(w, member);
        config_path_pop(&w->path);
    }
}

static void look(struct config_walk *w, const json_t *v)
{
    struct found f = find(&w->path);
    struct view near;

    if (!f.row && !f.below && !f.list) {
        near = w->path.part[w->path.n - 1].key.p ? nearest(&w->path) : VIEW_EMPTY;
        config_warn(w, "unknown key%s%.*s%s", near.n ? "; did you mean " : "", VIEW_FMT(near),
                    near.n ? "?" : "");
    } else if (f.row && f.row->flags & K_LATER) {
        config_warn(w, "accepted, and without effect here: %s", f.row->help);
    } else if ((json_is_object(v) && f.below) || (json_is_array(v) && f.list)) {
        look_below(w, v);
    } else if (f.row) {
        check_value(w, f.row, v, f.below);
    } else {
        config_warn(w, f.list ? "should be a list [...]" : "should be a map {...}");
    }
}

/* A platform of this build. */
static bool is_platform(const char *id)
{
    static const char *const names[] = {
#define CHANNEL(name) #name,
#include "list.def"
#undef CHANNEL
    };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i], id) == 0)
            return true;
    return false;
}

/* Members of a channel's section, or of an account's. */
static void look_section(struct config_walk *w, const json_t *section)
{
    const char *name, *account;
    json_t *v, *own;

    json_object_foreach((json_t *)(uintptr_t)section, name, v)
    {
        config_path_key(&w->path, view_str(name));
        if (strcmp(name, "accounts") != 0) {
            look(w, v);
        } else {
            json_object_foreach(v, account, own)
            {
                config_path_key(&w->path, view_str(account));
                look_section(w, own);
                config_path_pop(&w->path);
            }
        }
        config_path_pop(&w->path);
    }
}

void channel_keys_check(struct config_walk *w)
{
    struct config_path keep = w->path;
    const char *id;
    json_t *section;

    json_object_foreach(json_object_get(w->doc, "channels"), id, section)
    {
        w->path.n = 0;
        config_path_key(&w->path, V("channels"));
        config_path_key(&w->path, view_str(id));
        if (strcmp(id, "fake") == 0 || json_object_get(section, "command"))
            continue; /* a program has keys of its own */
        if (is_platform(id))
            look_section(w, section);
        else
            config_warn(w, "this build has no channel of that name; the section has no effect");
    }
    w->path = keep;
}
