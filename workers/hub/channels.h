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
/* Somebody was let in: its channel is told, if there is one. */
void channels_paired(struct hub *h, const char *channel, const char *account);
/* Part of this turn's batch, like every inbound before it; the answer leaves behind its commit. */
int channels_on_resume(struct hub *h, struct link *from, struct ipc_resume_put *m, struct err *e);

int channels_on_did(struct hub *h, struct link *from, struct ipc_channel_did *m, struct err *e);
int channels_open(struct hub *h, struct err *e) MUST_USE;
void channels_close(struct hub *h);

#endif
