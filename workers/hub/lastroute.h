/*
 * workers/hub/lastroute.h - where a session was last spoken to from: what "last" means for whatever
 * is sent without being asked for (heartbeats, jobs, agent with deliver). A message of a channel
 * sets it, with two exceptions: clients of the gateway never do, and in a main session that several
 * people share only its owner does, when the channel knows one (routing section 8).
 * It is the members deliveryContext and last* of the session's row, as clients know them.
 */
#ifndef LASTROUTE_H
#define LASTROUTE_H

#include "session.h"
#include "source.h"

struct lastroute {
    char channel[ID_MAX + 1], account[ID_MAX + 1];
    char to[SOURCE_TO_MAX + 1], thread[SOURCE_THREAD_MAX + 1];
};

/* false: none is known; *out is empty then. A key that names a conversation is one. */
bool lastroute_of(const struct session *s, struct lastroute *out);
/* main: the message went to the agent's main session. Changes *s, not the store. */
int lastroute_note(struct session *s, const struct source *src, bool main, struct err *e) MUST_USE;

#endif
