/*
 * workers/hub/hook_script.h - questions to openclaw-script, which runs the transforms of hooks. Its
 * process is started with the first one. Not here: what is asked and what it means (http_hooks.c).
 */
#ifndef HOOK_SCRIPT_H
#define HOOK_SCRIPT_H

#include "hub.h"
#include "msg.h"

enum {
    HOOK_SCRIPTS_MAX = 64,            /* openclaw-script's SCRIPTS_MAX */
    HOOK_SCRIPT_WAIT_MS = 20 * 1000,  /* for the process to start, and 10 s of its own */
    HOOK_SCRIPT_IDLE_MS = 300 * 1000, /* node takes tens of MiB: not for nobody */
};

struct hook_script;

/* result: SCRIPT_* of msg.h. The question is gone when this is called. */
typedef void hook_script_fn(void *ctx, unsigned result, struct view answer);

/* ask: JSON object text on one line.  Errors: ERR_LIMIT, ERR_NOMEM. */
int hook_script_ask(struct hub *h, struct view ask, hook_script_fn *on_answer, void *ctx,
                    struct hook_script **out, struct err *e) MUST_USE;
void hook_script_cancel(struct hook_script **s);

void hook_scripts_on_peer(struct hub *h, struct link *l, bool up);
int hook_scripts_on_answer(struct hub *h, struct link *from, const struct ipc_script_answer *m,
                           struct err *e);
void hook_scripts_close(struct hub *h);

#endif
