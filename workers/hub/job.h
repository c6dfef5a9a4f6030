/*
 * workers/hub/job.h - a turn as the lanes see it: the payload for the agent, its way to the
 * supervisor, and what the supervisor says about it.
 */
#ifndef JOB_H
#define JOB_H

#include "hub.h"

int job_on_state(struct hub *h, struct ipc_job_state *m, struct err *e);

#endif
