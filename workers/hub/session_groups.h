/*
 * workers/hub/session_groups.h - the groups that people sort sessions into (protocol 9.3,
 * sessions.groups.*): a list of names in an order, kept as one setting of the store; which session
 * is in which is the member category of its row. A group with sessions in it does not vanish by
 * being left out of a list.
 */
#ifndef SESSION_GROUPS_H
#define SESSION_GROUPS_H

#include "hub.h"

enum { GROUPS_MAX = 200, GROUP_NAME_BYTES = 2048 /* 512 characters */ };

/* A session was put into it: it is in the list from now on. Errors: ERR_LIMIT GROUPS_MAX, the
 * store's. */
int groups_add(struct hub *h, struct view name, struct err *e) MUST_USE;

#endif
