/*
 * workers/agent/tools.h - tools of a job in the shape each interface wants: what is offered, which
 * calls an earlier answer made, what came back. A call whose result is not right behind it, and a
 * result whose call is not right before it, are left out: providers refuse half of a pair.
 * Job members: tools [{name, description?, parameters?, strict?}], toolChoice "auto", "none",
 * "required" or {name}. Messages: parts {type: "toolCall", id, name, arguments}, and messages
 * {role: "toolResult", toolCallId, toolName?, content}.
 */
#ifndef TOOLS_H
#define TOOLS_H

#include "json.h"
#include "jw.h"

enum {
    TOOLS_CALLS_MAX = 128,    /* of one message that are looked at */
    TOOLS_TEXT_MAX = 1 << 20, /* as the hub writes it */
};

bool tools_offered(const json_t *job);
/* Members tools and tool_choice of a request. */
int tools_openai(const json_t *job, struct jw *w, struct err *e) MUST_USE;
int tools_anthropic(const json_t *job, struct jw *w, struct err *e) MUST_USE;

/* Calls of message i that have their results. */
bool tools_called(const json_t *messages, size_t i);
void tools_put_calls_openai(const json_t *messages, size_t i, struct jw *w);
void tools_put_calls_anthropic(const json_t *messages, size_t i, struct jw *w);
/* The id of the call that message i, a result, answers; empty: leave it out. */
struct view tools_answers(const json_t *messages, size_t i);

/* -- what stands behind a job's document: a NUL and the list of its tools -- */
/* The list that was read last: the next job's is the same nearly always. */
struct tools_seen {
    struct buf text;
    json_t *list; /* owned */
};
void tools_seen_init(struct tools_seen *t);
void tools_seen_fini(struct tools_seen *t);
/* Cuts it off *text and makes it member tools of the document that *text then is. seen: NULL
 * remembers nothing. */
int tools_take(struct view *text, struct tools_seen *seen, json_t **list, struct err *e) MUST_USE;

struct reply;
/* The calls of an answer as JSON text: [{"id","name","arguments": text}]; "" without any. */
void tools_reply_json(const struct reply *r, struct buf *out);

#endif
