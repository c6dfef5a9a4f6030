/*
 * workers/hub/chanpair.h - strangers who ask to be let in to an account of a channel: a code for
 * each, said to them once and to the owner in channels.pairing.list; and who was let in.
 * Invariants: a code is good for an hour from its making; at most three wait per account; the code,
 * and the message that tells it, are in one batch. Not here: whether somebody has to ask (the
 * channel's access decision).
 */
#ifndef CHANPAIR_H
#define CHANPAIR_H

#include "hub.h"

enum {
    CHANPAIR_TTL_MS = 3600 * 1000,
    CHANPAIR_PENDING_MAX = 3,
    CHANPAIR_PAIRED_MAX = 1000, /* of one account */
    CHANPAIR_CODE = 8,
};

int chanpair_on_ask(struct hub *h, struct link *from, struct ipc_pairing_ask *m, struct err *e);
/* Who was let in, a JSON array of ids; valid until the store changes. */
int chanpair_paired(struct hub *h, const char *channel, const char *account, struct view *out,
                    struct err *e) MUST_USE;

#endif
