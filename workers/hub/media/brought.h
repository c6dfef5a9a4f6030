/*
 * media/brought.h - files that a channel brought for a message that is not here yet: descriptors,
 * nothing of them on the disk. A channel that says them again replaces them; when its line ends
 * they go, for it will say everything again. Nothing is lost when they are dropped: their message
 * is then asked for again.
 */
#ifndef BROUGHT_H
#define BROUGHT_H

#include "attach.h"
#include "msg.h"

enum {
    BROUGHT_MAX = 128,      /* descriptors, of 512 that the sandbox leaves */
    BROUGHT_OF_ONE = 64,    /* of one account */
    BROUGHT_INDEX_MAX = 64, /* of one message: as ATTACH_MAX */
    BROUGHT_KNOWN = 8192,   /* of one account, those without a descriptor, too: 512 messages wait */
};

/* Errors: ERR_INVALID what came is no sealed memory file, or none that a message may have;
 * ERR_LIMIT more than a channel keeps. */
int brought_on_media(struct hub *h, struct link *from, struct ipc_inbound_media *m, struct err *e);
/* The line ended. */
void brought_line_gone(struct hub *h, const struct link *from);
/* Those of that message, in their order, as attachments: they stay here, too. ERR_AGAIN: some had
 * to be dropped, the whole message has to be said again. */
int brought_take(struct hub *h, const struct link *from, struct view update_id,
                 struct attachments *out, struct err *e) MUST_USE;
/* The message was taken up, or means nothing. */
void brought_done(struct hub *h, const struct link *from, struct view update_id);
void brought_close(struct hub *h);

#endif
