/*
 * workers/hub/presentation.h - what a message has beside its text, as clients say it: presentation
 * (title and blocks), buttons in rows, channelData. Read once: what is words becomes text, what
 * can be pressed becomes the one shape that channels take (channels/base/channel.h, op.extra).
 * Pure. A client's document: everything has a limit, what is wrong in it is refused with a
 * sentence.
 */
#ifndef PRESENTATION_H
#define PRESENTATION_H

#include "buf.h"
#include "err.h"

#include <jansson.h>

enum { PRESENTATION_BUTTONS_MAX = 100, PRESENTATION_ROW_MAX = 8 };

/* Append to text what p's presentation says in words (below what is there), and to extra the JSON
 * object for the channel; nothing when there is nothing to press and no channelData.
 * presentation may be the text of its JSON, as the command line gives it.
 * Errors: ERR_INVALID, ERR_LIMIT, ERR_NOMEM. */
int presentation_read(const json_t *p, struct buf *text, struct buf *extra, struct err *e) MUST_USE;

#endif
