/*
 * supervisor/workspaces.h - which folder is whose (the configuration says it), what the agents'
 * processes are told of it, and the hub's requests for it.
 * A process is told before a job of an agent whose files it does not know as they are now; so a
 * change holds from the next turn on. Looking costs some microseconds a job.
 */
#ifndef WORKSPACES_H
#define WORKSPACES_H

#include "msg.h"

#include <jansson.h>

struct workspaces;

int workspaces_new(struct workspaces **out, struct err *e) MUST_USE;
void workspaces_free(struct workspaces **w);
/* doc: the configuration. Errors: ERR_NOMEM, nothing changed. */
int workspaces_set(struct workspaces *w, const json_t *doc, const char *state_dir,
                   struct err *e) MUST_USE;
/* session: its key names the agent. life: of the process, never used twice. Errors: of the line;
 * what cannot be read is logged and left out. */
int workspaces_tell(struct workspaces *w, struct link *agent, unsigned instance, uint64_t life,
                    struct view session, struct err *e) MUST_USE;
/* The hub asks. Errors: of the answer alone. */
int workspaces_on_ask(struct workspaces *w, struct link *from, const struct ipc_agent_files *m,
                      struct err *e) MUST_USE;

#endif
