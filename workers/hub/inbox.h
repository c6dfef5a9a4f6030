/*
 * workers/hub/inbox.h - what other processes say to the hub, each message to whom it belongs.
 * Requests of a front's line that a newer one has replaced are dropped: its connections are gone.
 */
#ifndef INBOX_H
#define INBOX_H

#include "msg.h"

extern const struct ipc_handlers hub_inbox;

#endif
