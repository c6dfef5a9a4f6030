/*
 * workers/agent/reply.h - one answer as it grows, in the same shape whoever the provider is.
 * Invariants: text only grows; done means the provider's own terminator came; with fail set
 * nothing more is added and the answer must not be passed on as a whole one.
 * What has newly come is text beyond what the reader saw before: there are no delta events.
 */
#ifndef REPLY_H
#define REPLY_H

#include "buf.h"
#include "fail.h"

enum {
    REPLY_TEXT_MAX = 1 << 20, /* a run_done message carries all of it */
    REPLY_ARGS_MAX = 1 << 20, /* arguments of one tool call */
    REPLY_TOOLS_MAX = 64,     /* tool calls of one answer */
    REPLY_ID_MAX = 128,       /* a tool call's id or name */
};

enum reply_stop { STOP_NONE, STOP_END, STOP_LENGTH, STOP_TOOLS };

struct reply_tool {
    uint32_t index; /* as the provider numbers them */
    struct buf id, name, args;
};

/* Tokens. input is without what came from or went to the provider's cache. */
struct reply_usage {
    bool seen;
    uint64_t input, output, cache_read, cache_write;
};

struct reply {
    struct buf text;
    uint64_t reasoning_bytes; /* thinking is not shown yet, only counted */
    struct reply_tool *tool;  /* owned, REPLY_TOOLS_MAX of them once there is one */
    unsigned tools;
    struct reply_usage usage;
    enum reply_stop stop;
    bool refused; /* the text is the model's refusal */
    bool done;
    struct failure fail;
};

void reply_init(struct reply *r);
void reply_fini(struct reply *r);
/* Ready for another attempt; keeps no text. */
void reply_reset(struct reply *r);

/* Adding beyond a limit or without memory sets r->fail. */
void reply_text(struct reply *r, struct view text);
/* The call that the provider numbers so, made when new; NULL when there are too many (r->fail is
 * set). */
struct reply_tool *reply_tool_at(struct reply *r, uint32_t index);
/* A further call, numbered behind all others. */
struct reply_tool *reply_tool_new(struct reply *r);
void reply_tool_args(struct reply *r, struct reply_tool *t, struct view piece);

/* Whether it may be delivered as complete: done, no failure, and something in it. Otherwise
 * r->fail says why not, after this call at the latest. */
bool reply_complete(struct reply *r);

/* "stop", "length", "toolUse": the wire's stopReason. */
const char *reply_stop_name(enum reply_stop stop);
/* The usage object as history and events show it; cost is in money per million tokens. */
struct reply_cost {
    double input, output, cache_read, cache_write;
};
void reply_usage_json(const struct reply *r, const struct reply_cost *cost, struct buf *out);

#endif
