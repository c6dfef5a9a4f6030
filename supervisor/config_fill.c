#include "config_int.h"

#include "json.h"
#include "mem.h"

static int no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory for the configuration");
}

/* model: "a/b" is model: {primary: "a/b"}. */
static int spread_model(json_t *of, const char *name, struct err *e)
{
    json_t *v = json_object_get(of, name);
    json_t *map;

    if (!json_is_string(v))
        return 0;
    map = json_pack("{s:O}", "primary", v);
    if (!map || json_object_set_new(of, name, map) < 0)
        return no_memory(e);
    return 0;
}

/* What an alias of agents.defaults.models stands for; NULL when it is none. */
static json_t *alias_target(json_t *models, const json_t *ref)
{
    const char *name;
    json_t *m;

    json_object_foreach(models, name, m)
    {
        if (json_view_of(ref).n && view_eq(json_view(m, "alias"), json_view_of(ref)))
            return json_string(name);
    }
    return NULL;
}

/* Aliases in a {primary, fallbacks} map by what they stand for. */
static int resolve_aliases(json_t *models, json_t *model, struct err *e)
{
    json_t *list = json_object_get(model, "fallbacks");
    json_t *ref = alias_target(models, json_object_get(model, "primary"));

    if (ref && json_object_set_new(model, "primary", ref) < 0)
        return no_memory(e);
    for (size_t i = 0; i < json_array_size(list); i++) {
        ref = alias_target(models, json_array_get(list, i));
        if (ref && json_array_set_new(list, i, ref) < 0)
            return no_memory(e);
    }
    return 0;
}

/* agents.entries, a map, as more elements of agents.list. */
static int entries_to_list(json_t *agents, struct err *e)
{
    json_t *entries = json_object_get(agents, "entries"), *list = json_object_get(agents, "list");
    const char *id;
    json_t *entry;

    if (!json_is_object(entries))
        return 0;
    if (!json_is_array(list)) {
        list = json_array();
        if (!list || json_object_set_new(agents, "list", list) < 0)
            return no_memory(e);
    }
    json_object_foreach(entries, id, entry)
    {
        json_t *copy = json_copy(entry);

        if (!copy || json_array_append_new(list, copy) < 0 ||
            json_object_set_new(copy, "id", json_string(id)) < 0)
            return no_memory(e);
    }
    return json_object_del(agents, "entries") < 0 ? no_memory(e) : 0;
}

/* The model of one that may have one, in its long form. */
static int one_model(json_t *models, json_t *of, struct err *e)
{
    int r = spread_model(of, "model", e);

    return r < 0 ? r : resolve_aliases(models, json_object_get(of, "model"), e);
}

int config_normalize(json_t *doc, struct err *e)
{
    json_t *agents = json_object_get(doc, "agents"), *agent;
    json_t *defaults = json_object_get(agents, "defaults");
    json_t *models = json_object_get(defaults, "models");
    size_t i;
    int r;

    if ((r = entries_to_list(agents, e)) < 0 || (r = one_model(models, defaults, e)) < 0 ||
        (r = one_model(models, json_object_get(defaults, "subagents"), e)) < 0)
        return r;
    json_array_foreach(json_object_get(agents, "list"), i, agent)
    {
        if ((r = one_model(models, agent, e)) < 0)
            return r;
    }
    return 0;
}

static int default_of(const struct config_key *k, json_t **out, struct err *e)
{
    int r = json_parse(view_str(k->def), out, e);

    return r < 0 ? err_wrap(e, "default of %s", k->path) : 0;
}

/* Set the rest of a row's path below at: maps are made on the way as long as `make`, which ends
 * behind a wildcard; what is there stays. */
static int fill(json_t *at, const char *row, const struct config_key *k, bool make, struct err *e)
{
    size_t n = strcspn(row, ".[");
    char name[128];
    json_t *next, *item, *v = NULL;
    const char *key;
    size_t i;
    int r = 0;

    if (!json_is_object(at) || n >= sizeof(name))
        return 0; /* another shape than the row's: it has been reported */
    if (row[0] == '*') {
        json_object_foreach(at, key, item) if (r == 0) r = fill(item, row + 2, k, false, e);
        return r;
    }
    memcpy(name, row, n);
    name[n] = 0;
    next = json_object_get(at, name);
    if (row[n] == '[') {
        json_array_foreach(next, i, item) if (r == 0) r = fill(item, row + n + 3, k, false, e);
        return r;
    }
    if (row[n] == 0 && !next) {
        if ((r = default_of(k, &v, e)) == 0 && json_object_set_new(at, name, v) < 0)
            r = no_memory(e);
        return r;
    }
    if (row[n] == 0 || (!next && !make))
        return 0;
    if (!next && (json_object_set_new(at, name, json_object()) < 0 ||
                  (next = json_object_get(at, name)) == NULL))
        return no_memory(e);
    return fill(next, row + n + 1, k, make, e);
}

int config_defaults(json_t *doc, struct err *e)
{
    int r = 0;

    for (size_t i = 0; i < config_key_count() && r == 0; i++)
        if (config_keys[i].def)
            r = fill(doc, config_keys[i].path, &config_keys[i], true, e);
    return r;
}

static unsigned choice_index(const char *list, struct view v)
{
    struct view choice;
    unsigned i = 0;

    while (config_choice(&list, &choice) && !view_eq(choice, v))
        i++;
    return i;
}

static int put_field(void *at, const struct config_key *k, const json_t *v, struct err *e)
{
    uint64_t n = (uint64_t)json_integer_value(v);

    switch (k->type) {
    case CT_BOOL:
        *(bool *)at = json_is_true(v);
        return 0;
    case CT_U16:
        *(uint16_t *)at = (uint16_t)n;
        return 0;
    case CT_U32:
        *(uint32_t *)at = (uint32_t)n;
        return 0;
    case CT_U64:
    case CT_MS:
        *(uint64_t *)at = n;
        return 0;
    case CT_ENUM:
        *(unsigned *)at = choice_index(k->of, json_view_of(v));
        return 0;
    case CT_STR:
    case CT_MODELREF:
    case CT_URL:
        *(const char **)at = json_string_value(v);
        return 0;
    case CT_STRLIST:
        *(const json_t **)at = v;
        return 0;
    case CT_SECRET:
        return v ? secret_set(at, json_view_of(v), e) : 0;
    case CT_NUM:
    case CT_MAP:
    case CT_LIST:
    case CT_ANY:
        break;
    }
    return err_set(e, ERR_INVALID, "%s: no field can hold this type",
                   k->path); /* a bug in keys.def */
}

int config_conf_fill(struct conf *conf, const json_t *doc, struct err *e)
{
    int r = 0;

    for (size_t i = 0; i < config_key_count() && r == 0; i++) {
        const struct config_key *k = &config_keys[i];

        if (k->field != CONFIG_NO_FIELD)
            r = put_field((char *)conf + k->field, k, json_at(doc, k->path), e);
    }
    return r;
}

void config_conf_fini(struct conf *conf)
{
    for (size_t i = 0; i < config_key_count(); i++)
        if (config_keys[i].field != CONFIG_NO_FIELD && config_keys[i].type == CT_SECRET)
            secret_fini((struct secret *)(void *)((char *)conf + config_keys[i].field));
}
