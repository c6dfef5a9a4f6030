/*
 * workers/hub/tool_invoke.h - a tool that is asked for by name, without a model: what POST
 * /tools/invoke and tools.invoke have in common (protocol, 10.2).
 */
#ifndef TOOL_INVOKE_H
#define TOOL_INVOKE_H

#include "tools.h"

struct tool_ask {
    struct hub *hub;
    const json_t *body; /* name or tool, action, args, sessionKey, agentId, idempotencyKey */
    const char *by;     /* who asks: ids of calls begin with it */
    bool owner;
};

enum tool_fault { TOOL_FINE, TOOL_INVALID_REQUEST, TOOL_NOT_FOUND };

/* Fills row, args, id, session, owner of *c; hub, too. name: what was asked for, at most 128
 * bytes. why: what is wrong. On a fault *c holds nothing. */
enum tool_fault tool_prepare(const struct tool_ask *a, struct tool_call *c, struct view *name,
                             char why[256]);
/* {"content":[{"type":"text","text"}],"details":{...}} of a result's JSON text. */
void tool_put_result(struct jw *w, struct view text);

#endif
