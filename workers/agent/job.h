/* workers/agent/job.h - a job's document out of its sealed file: with the tools that stand behind
 * it (tools.h) and what the agent's workspace adds (persona.h). */
#ifndef JOB_H
#define JOB_H

#include "persona.h"
#include "tools.h"

/* *out: the caller's. seen may be NULL.  Errors: ERR_INVALID, ERR_LIMIT, ERR_NOMEM, the file's. */
int job_read(int payload, struct tools_seen *seen, struct view persona, enum persona_when when,
             json_t **out, struct err *e) MUST_USE;

#endif
