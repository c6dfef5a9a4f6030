/*
 * workers/hub/tool_policy.h - which tools may be used, decided here and only here. Pure: out of the
 * configuration and who asks. Every layer must allow a tool, in each of them a deny wins:
 *   tools.profile, widened by alsoAllow     the agent's own (agents.list[].tools) instead of tools
 *   byProvider[].profile, likewise          the agent's instead; "provider/model" before "provider"
 *   tools.allow, alsoAllow, deny            and the same of tools.byProvider, of the agent, and of
 *                                           the agent's byProvider
 *   a subagent's session                    T_NOT_SUB, T_NOT_LEAF, tools.subagents.tools
 *   HTTP, tools.invoke                      gateway.tools.deny; T_OUTSIDE unless
 *                                           gateway.tools.allow names it
 *   whoever is not the owner                nothing that is T_OWNER
 *
 * An empty or absent allow list allows everything; entries are names, group:<section>,
 * group:openclaw, and patterns with *. Source: the reference's configuration of tool policies.
 */
#ifndef TOOL_POLICY_H
#define TOOL_POLICY_H

#include "view.h"

#include <jansson.h>
#include <stdbool.h>

enum tool_flags {
    T_READ = 1 << 0,
    T_OUTSIDE = 1 << 1,
    T_OWNER = 1 << 2,
    T_NOT_SUB = 1 << 3,
    T_NOT_LEAF = 1 << 4,
    T_NOT_GROUP = 1 << 5,
};
enum tool_profile { P_MINIMAL = 1 << 0, P_CODING = 1 << 1, P_MESSAGING = 1 << 2 };
enum tool_owner { TOOL_OF_NOBODY, TOOL_OF_HUB };

struct tool_row {
    struct view name;
    struct view section;
    unsigned profiles, flags;
    enum tool_owner owner;
    const char *params, *help;
};

/* Those that are served first. */
enum tool_index {
#define TOOL(name, section, profiles, flags, owner, params, help) TOOL_##name,
#define KNOWN(name, section, profiles, flags)
#include "tools.def"
#undef TOOL
#undef KNOWN
    TOOLS_SERVED,
    TOOLS_BEFORE_KNOWN = TOOLS_SERVED - 1,
#define TOOL(name, section, profiles, flags, owner, params, help)
#define KNOWN(name, section, profiles, flags) TOOL_##name,
#include "tools.def"
#undef TOOL
#undef KNOWN
    TOOLS_ALL
};
const struct tool_row *tool_row(enum tool_index i);
/* By name or an older name of it, in any case; TOOLS_ALL: nobody knows it. */
enum tool_index tool_find(struct view name);

struct tool_asker {
    const json_t *conf;          /* the whole slice */
    struct view agent;           /* id */
    struct view provider, model; /* that would use it; empty when no model is asked */
    struct view session;         /* full key */
    bool outside;                /* over HTTP or tools.invoke */
    bool owner;
};

/* *layer (may be NULL): which of them says no. */
bool tool_allowed(const struct tool_asker *a, const struct tool_row *t, const char **layer);
/* The profile in force: "full" when none is set. */
struct view tool_profile_of(const struct tool_asker *a);

#endif
