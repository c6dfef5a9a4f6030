/*
 * workers/hub/inbound.h - what people write on platforms: taken up once, on disk before the channel
 * may acknowledge it to the platform, routed to a session, and the start of a turn whose answer
 * goes back to where it came from. The run's id is made of channel, account and the platform's id,
 * so that the same message is the same run, whatever was forgotten.
 */
#ifndef INBOUND_H
#define INBOUND_H

#include "hub.h"

enum {
    INBOUND_KEPT_MS = 48 * 3600 * 1000, /* robustness D3: 24 h or 100,000 ids, whichever is less */
    INBOUND_KEPT = 100000,
    INBOUND_RETRY_MS = 1000, /* not now: when the channel offers it again */
};

int inbound_open(struct hub *h, struct err *e) MUST_USE;
void inbound_close(struct hub *h);
/* h->w.conf is new: agents and bindings. */
void inbound_config(struct hub *h);
int inbound_on_message(struct hub *h, struct link *from, struct ipc_inbound *m, struct err *e);

#endif
