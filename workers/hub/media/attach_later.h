/*
 * media/attach_later.h - a call whose attachments are large: they are written in steps, then its
 * handler runs again with them on the disk. Until then nothing was said or done; whoever leaves
 * meanwhile leaves nothing behind.
 */
#ifndef ATTACH_LATER_H
#define ATTACH_LATER_H

#include "attach.h"
#include "call.h"

/* Takes *files on success; c is answered later.  Errors: ERR_AGAIN too many, ERR_NOMEM. */
int attach_later(struct call *c, struct attachments *files, struct err *e) MUST_USE;

#endif
