/*
 * workers/script/script.h - node as a child, which runs the operator's JavaScript modules: a
 * question is a line of JSON, its answer another one. Node is not ours and not part of the
 * gateway: where there is none, every question is answered with SCRIPT_NONE.
 * Trusts nothing it says: an answer belongs to a question that is open, is JSON and has a limit.
 * One that takes longer than SCRIPT_TIME_MS ends the process, whatever else is under way: a module
 * that loops holds the only thread there is.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "loop.h"
#include "msg.h"

enum {
    SCRIPTS_MAX = 64, /* questions at a time; the hub asks no more (hook_script.h) */
    SCRIPT_TIME_MS = 10 * 1000,
};

struct scripts;

struct scripts_on {
    void (*answer)(void *ctx, uint64_t req, unsigned result,
                   struct view text);           /* msg.h: SCRIPT_* */
    void (*broken)(void *ctx, const char *why); /* node ended, or hangs: so should we */
};

/* node: its path, or NULL to look for it. Before the sandbox. */
int scripts_new(struct scripts **out, struct loop *l, const char *node, const struct scripts_on *on,
                void *ctx, struct err *e) MUST_USE;
void scripts_listen(struct scripts *s); /* behind it */
void scripts_free(struct scripts **s);
/* ask: JSON object text without line ends.  Errors: ERR_LIMIT. */
int scripts_ask(struct scripts *s, uint64_t req, struct view ask, struct err *e) MUST_USE;
/* A line of node's: what it answers. Pure.  False: it is no answer. *text points into *doc's dump,
 * appended to out. */
bool script_read(struct view line, uint64_t *req, unsigned *result, struct buf *out);

#endif
