#include "tool_policy.h"

#include "json.h"

#include <ctype.h>
#include <string.h>

#define HUB TOOL_OF_HUB
static const struct tool_row rows[TOOLS_ALL] = {
#define TOOL(name_, section_, profiles_, flags_, owner_, params_, help_)                           \
    [TOOL_##name_] = {.name = {#name_, sizeof(#name_) - 1},                                        \
                      .section = {#section_, sizeof(#section_) - 1},                               \
                      .profiles = (profiles_),                                                     \
                      .flags = (flags_),                                                           \
                      .owner = (owner_),                                                           \
                      .params = (params_),                                                         \
                      .help = (help_)},
#define KNOWN(name_, section_, profiles_, flags_)                                                  \
    [TOOL_##name_] = {.name = {#name_, sizeof(#name_) - 1},                                        \
                      .section = {#section_, sizeof(#section_) - 1},                               \
                      .profiles = (profiles_),                                                     \
                      .flags = (flags_),                                                           \
                      .owner = TOOL_OF_NOBODY},
#include "tools.def"
#undef TOOL
#undef KNOWN
};
#undef HUB

const struct tool_row *tool_row(enum tool_index i)
{
    return &rows[i];
}

/* ---- names ---- */

/* Names that tools had, and what models like to call them. */
static const struct {
    struct view was, is;
} aliases[] = {{{"bash", 4}, {"exec", 4}},
               {{"apply-patch", 11}, {"apply_patch", 11}},
               {{"cron", 4}, {"automations", 11}}};

static struct view today(struct view name)
{
    name = view_trim(name);
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (view_ieq(name, aliases[i].was))
            return aliases[i].is;
    return name;
}

enum tool_index tool_find(struct view name)
{
    name = today(name);
    for (unsigned i = 0; i < TOOLS_ALL; i++)
        if (view_ieq(name, rows[i].name))
            return (enum tool_index)i;
    return TOOLS_ALL;
}

/* * is any text; everything else is itself, in any case. */
static bool fits(struct view pattern, struct view name)
{
    size_t p = 0, n = 0, star = (size_t)-1, from = 0;

    while (n < name.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = n;
        } else if (p < pattern.n &&
                   tolower((unsigned char)pattern.p[p]) == tolower((unsigned char)name.p[n])) {
            p++;
            n++;
        } else if (star != (size_t)-1) {
            p = star + 1;
            n = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

/* Whether an entry of a list speaks of t. */
static bool speaks_of(struct view entry, const struct tool_row *t)
{
    entry = today(entry);
    if (entry.n > 6 && view_ieq(view_of(entry.p, 6), V("group:"))) {
        struct view group = view_from(entry, 6);

        if (view_ieq(group, V("openclaw")))
            return !(t->flags & T_NOT_GROUP);
        return view_ieq(group, t->section);
    }
    return entry.n > 0 && fits(entry, t->name);
}

static bool listed(const json_t *list, const struct tool_row *t)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (speaks_of(json_view_of(v), t))
            return true;
    }
    return false;
}

/* ---- layers ---- */

/* allow, alsoAllow and deny of one object; outside of any profile alsoAllow alone takes nothing
 * away. */
static bool section_allows(const json_t *o, const struct tool_row *t)
{
    const json_t *allow = json_object_get(o, "allow"), *also = json_object_get(o, "alsoAllow");

    if (listed(json_object_get(o, "deny"), t))
        return false;
    return json_array_size(allow) == 0 || listed(allow, t) || listed(also, t);
}

static unsigned profile_bit(struct view name)
{
    return view_eq(name, V("minimal"))     ? P_MINIMAL
           : view_eq(name, V("coding"))    ? P_CODING
           : view_eq(name, V("messaging")) ? P_MESSAGING
                                           : 0;
}

/* also: the lists of the nearer and the wider object; the first that is there counts. */
static bool profile_allows(struct view profile, const json_t *near, const json_t *wide,
                           const struct tool_row *t)
{
    unsigned bit = profile_bit(profile);
    const json_t *also = json_object_get(near, "alsoAllow");

    if (!json_is_array(also))
        also = json_object_get(wide, "alsoAllow");
    return !bit || (t->profiles & bit) || listed(also, t);
}

/* The entry of byProvider for this model, else for its provider. */
static const json_t *by_provider(const json_t *tools, const struct tool_asker *a)
{
    /* jansson's iterator wants it so; nothing is changed */
    union {
        const json_t *in;
        json_t *out;
    } map = {.in = json_object_get(tools, "byProvider")};
    const json_t *wide = NULL;
    const char *key;
    json_t *v;

    if (!a->provider.n || !json_is_object(map.in))
        return NULL;
    json_object_foreach(map.out, key, v)
    {
        struct view k = view_trim(view_str(key));
        size_t slash = view_find(k, '/');

        if (!json_is_object(v) || !view_ieq(view_of(k.p, slash), a->provider))
            continue;
        if (slash == k.n || slash + 1 == k.n)
            wide = v;
        else if (a->model.n && view_ieq(view_from(k, slash + 1), a->model))
            return v;
    }
    return wide;
}

static const json_t *agent_tools(const struct tool_asker *a)
{
    const json_t *list = json_at(a->conf, "agents.list"), *agent;
    size_t i;

    json_array_foreach(list, i, agent)
    {
        if (view_ieq(json_view(agent, "id"), a->agent))
            return json_object_get(agent, "tools");
    }
    return list ? NULL : json_at(a->conf, "agents.defaults.tools");
}

static struct view profile_of(const json_t *near, const json_t *wide)
{
    struct view p = json_view(near, "profile");

    return p.n ? p : json_view(wide, "profile");
}

static bool is_sub(struct view session)
{
    struct view rest = view_starts(session, V("agent:")) ? view_from(session, 6) : session;

    rest = view_from(rest, view_find(rest, ':'));
    return view_starts(rest, V(":subagent:"));
}

struct view tool_profile_of(const struct tool_asker *a)
{
    struct view p = profile_of(agent_tools(a), json_object_get(a->conf, "tools"));

    return profile_bit(p) ? p : V("full");
}

static const char *refusing(const struct tool_asker *a, const struct tool_row *t)
{
    const json_t *all = json_object_get(a->conf, "tools"), *own = agent_tools(a),
                 *all_by = by_provider(all, a), *own_by = by_provider(own, a),
                 *outside = json_at(a->conf, "gateway.tools"),
                 *sub = json_at(a->conf, "tools.subagents.tools");

    if ((t->flags & T_OWNER) && !a->owner)
        return "owner";
    if (!profile_allows(profile_of(own, all), own, all, t))
        return "tools.profile";
    if (!profile_allows(profile_of(own_by, all_by), own_by, all_by, t))
        return "tools.byProvider.profile";
    if (!section_allows(all, t))
        return "tools.allow";
    if (!section_allows(all_by, t))
        return "tools.byProvider.allow";
    if (!section_allows(own, t))
        return "agents.list.tools.allow";
    if (!section_allows(own_by, t))
        return "agents.list.tools.byProvider.allow";
    if (is_sub(a->session) && ((t->flags & (T_NOT_SUB | T_NOT_LEAF)) || !section_allows(sub, t)))
        return "tools.subagents";
    if (!a->outside)
        return NULL;
    if (listed(json_object_get(outside, "deny"), t))
        return "gateway.tools.deny";
    if (t->flags & T_OUTSIDE) {
        const json_t *v;
        size_t i;

        json_array_foreach(json_object_get(outside, "allow"), i, v)
        {
            if (view_ieq(today(json_view_of(v)), t->name))
                return NULL; /* by its name only: a pattern opens nothing */
        }
        return "gateway.tools.allow";
    }
    return NULL;
}

bool tool_allowed(const struct tool_asker *a, const struct tool_row *t, const char **layer)
{
    const char *no = refusing(a, t);

    if (layer)
        *layer = no;
    return no == NULL;
}
