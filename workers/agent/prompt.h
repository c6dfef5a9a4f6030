/*
 * workers/agent/prompt.h - the standing part of what a model is told: the files that an agent's
 * folder holds for that purpose (AGENTS.md, SOUL.md, ...).
 * Trusts: the configuration for the folders, nothing in them: no links are followed out or at all,
 * only regular files are read, sizes are bounded. Folders are opened once, before the sandbox
 * closes; files are looked at again at most once a second.
 */
#ifndef PROMPT_H
#define PROMPT_H

#include "json.h"

enum {
    PROMPT_PLACES_MAX = 257,   /* agents.list and the default */
    PROMPT_FILE_MAX = 1 << 20, /* a larger file is no note to a model */
    PROMPT_TEXT_MAX = 4 << 20, /* agents.defaults.bootstrapTotalMaxChars goes as far */
    PROMPT_CHECK_MS = 1000,
};

struct prompt;

/* Errors: ERR_NOMEM. A folder that is not there is none. */
int prompt_new(struct prompt **out, const json_t *conf, struct err *e) MUST_USE;
void prompt_free(struct prompt **p);
/* What the agent's models are told, empty when its folder holds nothing. Valid until the next call.
 */
struct view prompt_text(struct prompt *p, struct view agent, uint64_t now_ms);

#endif
