/*
 * workers/hub/tools.h - what an agent can do besides talking: the table (tools.def), who may use
 * which (tool_policy.h), and one way to do it, whoever does it. A tool is asked for by a model's
 * turn (tool_turn.c), POST /tools/invoke (http_tools.c) or tools.invoke (tool_rpc.c); it is done by
 * its owner: the hub itself, or a process of its own behind the same struct tool_call.
 * Invariants: nothing is started that the policy does not allow and whose arguments do not fit its
 * row; a call ends once, or is dropped by whoever made it; what a call does, it does once for its
 * id. Not here: how a call survives a death (tool_turn.c), what a tool does (tool_*.c).
 */
#ifndef TOOLS_H
#define TOOLS_H

#include "hub.h"
#include "jw.h"
#include "session.h"
#include "tool_policy.h"

enum {
    TOOL_RESULT_MAX = 64 * 1024, /* text of a result: what a model reads of it */
    TOOL_ARGS_MAX = 128 * 1024,  /* and of the arguments */
    TOOL_ID_MAX = 64,            /* of our own; a model's may be longer */
    TOOL_CALLS_MAX = 1024,       /* under way in all */
    TOOL_WAIT_MAX_MS = 3600 * 1000,
};

enum tool_end {
    TOOL_NOT_ENDED = -1,
    TOOL_DONE,      /* text is what it says, JSON of an object */
    TOOL_BAD_INPUT, /* text says what is wrong with the arguments */
    TOOL_FORBIDDEN, /* text says why */
    TOOL_FAILED,    /* text says what went wrong */
};

struct tool_call {
    /* whoever makes it fills in */
    struct hub *hub;
    const struct tool_row *row;
    json_t *args;               /* owned from here on; an object */
    char id[TOOL_ID_MAX + 1];   /* the same id is the same deed */
    struct session_key session; /* on whose behalf */
    bool owner, inside;         /* the gateway's owner; whoever may see more than that session */
    unsigned hops;              /* sessions that sent into each other before this one */
    void (*on_end)(struct tool_call *c, enum tool_end end, struct view text);
    void *user;
    /* the owner's */
    void (*stop)(struct tool_call *c); /* while it is under way; NULL: there is nothing to stop */
    void *work;
};

/* Does it: on_end comes before this returns, or later. The arguments are checked here, the policy
 * by whoever calls. */
void tool_start(struct tool_call *c);
/* From the tool: over. c may be gone when this returns. */
void tool_end(struct tool_call *c, enum tool_end end, struct view text);
void tool_endf(struct tool_call *c, enum tool_end end, const char *fmt, ...) PRINTF(3, 4);
/* Whoever made it does not wait any more: on_end is not called. */
void tool_drop(struct tool_call *c);

/* -- the table -- */
typedef void tool_fn(struct tool_call *c);
struct tools;
int tools_open(struct hub *h, struct err *e) MUST_USE;
void tools_close(struct hub *h);
/* {"name","description","parameters"}: a tool as a model is offered it, parameters as the text of
 * their schema. Lives as long as the hub. */
struct view tools_offer(const struct hub *h, enum tool_index i);

/* -- which sessions a tool may look at (tool_sessions.c) -- */
/* tools.sessions.visibility and tools.agentToAgent; whoever is not the owner sees the session he
 * speaks in, and no other. */
bool tool_sees(const struct tool_call *c, struct view key);
/* The session that arguments name; false: the call has ended. */
bool tool_session(struct tool_call *c, struct view asked, struct session_key *out);

#define TOOL(name, section, profiles, flags, owner, params, help) tool_fn tool_##name;
#define KNOWN(name, section, profiles, flags)
#include "tools.def"
#undef TOOL
#undef KNOWN

#endif
