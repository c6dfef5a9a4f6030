/*
 * workers/hub/sendpolicy.h - whether a session may be written to and answered (session.sendPolicy,
 * protocol 5.2): the session's own word, else the rules, of which the first deny that matches wins,
 * else their default. A key that can be read in two ways is denied when there are rules.
 */
#ifndef SENDPOLICY_H
#define SENDPOLICY_H

#include "session.h"

/* channel and type ("direct", "group", "channel") of the message, VIEW_EMPTY: as the session and
 * its key say. */
bool sendpolicy_allows(const json_t *conf, const struct session *s, struct view channel,
                       struct view type);

#endif
