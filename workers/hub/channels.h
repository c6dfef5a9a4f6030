/*
 * workers/hub/channels.h - what the hub keeps for channels made with channels/base: whom a person
 * let in, and where a platform's stream of events goes on after a restart. Not here: what comes in
 * (inbound.h) and what goes out (deliveries.h).
 */
#ifndef CHANNELS_H
#define CHANNELS_H

#include "hub.h"

/* A channel has said its first word on this line: tell it what it needs before it connects. */
int channels_begin(struct hub *h, struct link *to, const char *channel, const char *account,
                   struct err *e) MUST_USE;
/* Part of this turn's batch, like every inbound before it; the answer leaves behind its commit. */
int channels_on_resume(struct hub *h, struct link *from, struct ipc_resume_put *m, struct err *e);

#endif
