/*
 * workers/hub/tool_turn.h - tools in a turn: what its model is offered, and what happens when the
 * model asks for them. The answer with its calls and what they say are messages of the transcript;
 * then the turn goes on with another job of the same run, until a model's answer has no calls.
 * Invariants: the answer and its calls are on disk before the agent may forget them; a result's id
 * follows from its call, so that a hub after this one knows which calls are done; one that is done
 * again finds its deed done (tools.h). At most TOOL_ROUNDS_MAX times in one turn, and within its
 * time. Calls of tools that a client of OpenAI's interface has are none of this.
 */
#ifndef TOOL_TURN_H
#define TOOL_TURN_H

#include "chat.h"

enum {
    TOOL_ROUNDS_MAX = 32, /* answers with calls in one turn; then the model has to answer */
    TOOL_ROUND_CALLS = 16 /* calls of one answer that are done */
};

/* What stands behind its job's document: a NUL and the list of its tools, the same bytes for every
 * job that has the same ones, so that an agent reads them once. false: there are none. */
bool tool_turn_offer(const struct run *r, struct buf *out);
/* Whether r->result, a good end, is one that asks for tools: r goes on then. */
bool tool_turn_begin(struct run *r);
/* After a start of the hub: r->calls are as they were. */
void tool_turn_resume(struct run *r);
/* It ends otherwise: nothing is waited for any more. */
void tool_turn_drop(struct run *r);

#endif
