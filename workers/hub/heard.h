/*
 * workers/hub/heard.h - what happens in a conversation beside messages (somebody reacts to one, or
 * changes it): kept on disk as a line each, HEARD_MAX of a session, and told with the next message
 * that is for the agent. It wakes nobody. The text is a stranger's.
 */
#ifndef HEARD_H
#define HEARD_H

#include "session.h"

enum { HEARD_MAX = 20, HEARD_TEXT_BYTES = 1000 };

/* Keep it; the oldest go. Part of the batch. */
int heard_keep(struct hub *h, const struct session_key *key, struct view text,
               struct err *e) MUST_USE;
/* Append the lines that are kept and forget them, with this batch; nothing when there are none. */
int heard_take(struct hub *h, const struct session_key *key, struct buf *out,
               struct err *e) MUST_USE;

#endif
