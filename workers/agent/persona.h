/*
 * workers/agent/persona.h - what the files of an agent's workspace add to its prompts: which of
 * them (conf/workspace.def), how much of each, and as what. Trusts the supervisor for what they
 * hold; it is text for a model and nothing else.
 */
#ifndef PERSONA_H
#define PERSONA_H

#include "buf.h"

#include <jansson.h>
#include <stdbool.h>

enum { PERSONAS_MAX = 256 }; /* agents, as the hub has them */

enum persona_when { PERSONA_ALWAYS, PERSONA_FIRST, PERSONA_NEVER };

struct personas {
    struct persona {
        char id[65];
        json_t *files; /* owned: [{name, bytes, text}], NULL without any */
    } * list;          /* owned */
    unsigned count;
    enum persona_when when;
    uint64_t file_max, all_max; /* characters */
};

/* The settings of agents.defaults, of a worker's slice. */
void personas_config(struct personas *p, const json_t *conf);
void personas_fini(struct personas *p);
/* As `persona` of ipc.def has them; empty: it has none (any more). Errors: ERR_NOMEM, ERR_INVALID,
 * ERR_LIMIT too many agents. */
int personas_put(struct personas *p, struct view agent, struct view files, struct err *e) MUST_USE;
/* Appends what a turn of this session is told before its own instructions; nothing for a turn that
 * is the gateway's own work (lane nested). Errors: the buffer's. */
void persona_text(const struct personas *p, struct view session, struct view lane, struct buf *out);
/* Puts it before the system text of a job's document. Errors: ERR_NOMEM. */
int persona_join(json_t *job, struct view text, enum persona_when when, struct err *e) MUST_USE;

#endif
