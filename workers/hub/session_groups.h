/*
 * workers/hub/session_groups.h - the groups that people sort sessions into (protocol 9.3,
 * sessions.groups.*): a list of names in an order, kept as one setting of the store; which session
 * is in which is the member category of its row. A group with sessions in it does not vanish by
 * being left out of a list. Renaming and deleting (session_regroup.c) goes through all sessions in
 * steps: that it is under way is in the setting before the first of them, so that the next hub goes
 * on with it; the name is there, and takes nobody in, until the last session has left it.
 */
#ifndef SESSION_GROUPS_H
#define SESSION_GROUPS_H

#include "call.h"
#include "hub.h"

enum { GROUPS_MAX = 200, GROUP_NAME_BYTES = 2048 /* 512 characters */ };

/* A session was put into it: it is in the list from now on. Errors: ERR_LIMIT GROUPS_MAX,
 * ERR_AGAIN its sessions are just leaving it, the store's. */
int groups_add(struct hub *h, struct view name, struct err *e) MUST_USE;
/* Go on with what the last process had begun. */
int groups_open(struct hub *h, struct err *e) MUST_USE;

/* -- between session_groups.c and session_regroup.c -- */
/* The setting, with all its members; the caller's. */
int groups_load(struct hub *h, json_t **out, struct err *e) MUST_USE;
int groups_save(struct hub *h, const json_t *doc, struct err *e) MUST_USE;
/* SIZE_MAX: not in it. */
size_t groups_place(const json_t *names, struct view name);
/* "category":"..." as a row has it, and whether it does. */
int groups_quoted(struct view name, struct buf *out, struct err *e) MUST_USE;
bool groups_has(const struct rec_session_put *r, struct view quoted);
/* Both take doc (may be NULL). updated < 0: not said. */
int groups_answer(struct call *c, json_t *doc, int64_t updated) MUST_USE;
int groups_failed(struct call *c, json_t *doc, const struct err *e) MUST_USE;
/* sessions.changed: the list is another one. */
void groups_tell(struct hub *h);

#endif
