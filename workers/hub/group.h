/*
 * workers/hub/group.h - conversations of several people: which message is for the agent, and what
 * was said before it. A message is for the agent when a mention is not needed (/activation always,
 * or the group's settings), when the platform or a pattern says that it names the agent, when it
 * replies to the agent, or when it is a command of somebody who may give it. The others are kept,
 * as many as groupChat.historyLimit, on disk, and told with the next one that is for the agent.
 * Not here: who may write at all (the channel's access decision comes before).
 */
#ifndef GROUP_H
#define GROUP_H

#include "session.h"
#include "source.h"

struct groups; /* the patterns of every agent */

/* h->w.conf and h->settings are new. */
int group_config(struct hub *h, struct groups **io, struct err *e) MUST_USE;
void group_free(struct groups **g);
/* is_command: of a sender who may. */
bool group_for_us(const struct groups *g, const struct session *s, const struct source *src,
                  struct view text, bool is_command);
/* Not for us: kept for later. Part of the batch. */
int group_keep(struct hub *h, const struct groups *g, const struct session_key *key,
               const struct source *src, struct view text, struct err *e) MUST_USE;
/* What was kept, as the text to tell before the next message; nothing when nothing was. It stays
 * until group_forget, so that a message that could not be taken finds it again. */
int group_context(struct hub *h, const struct session_key *key, struct buf *out,
                  struct err *e) MUST_USE;
int group_forget(struct hub *h, const struct session_key *key, struct err *e) MUST_USE;

#endif
