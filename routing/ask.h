/*
 * routing/ask.h - the router and the keys asked in JSON, answered in JSON: what tools and tests
 * speak. Invariant: an answer is one JSON value; a refusal is {"error": code}.
 */
#ifndef ASK_H
#define ASK_H

#include "jtext.h"
#include "jw.h"
#include "route.h"

/* A message out of {"channel", "accountId", "peer", "parentPeer", "guildId", "teamId",
 * "memberRoleIds", "defaultAgentId", "dmScope", "groupScope"}; views point into the document and
 * into *out. Errors: ERR_INVALID not an object, or a member of
 * another type than the reference takes; ERR_LIMIT too many roles. */
struct ask_route {
    struct route_in in;
    struct view roles[ROUTE_ROLES_MAX];
    char rooms[4][JTEXT_NUMBER_MAX];
    char role_rooms[ROUTE_ROLES_MAX][JTEXT_NUMBER_MAX];
};
int ask_read(struct ask_route *out, const json_t *input, struct err *e) MUST_USE;

/* The answer of one function of the reference by its name ("resolveAgentRoute"); with fn empty the
 * input says it itself: a record {"fn", "input"}, or by its members a route, a route with a thread,
 * a Telegram message, a thread key. ix serves inputs without "cfg" of their own.
 * Errors: ERR_INVALID no such function or not an object, others as the router's. Nothing was
 * written then. */
int ask(const struct index *ix, struct view fn, const json_t *input, struct jw *w,
        struct err *e) MUST_USE;
/* The same, a failure written as {"error": code}; with "message" when the question was at fault. */
void ask_or_error(const struct index *ix, struct view fn, const json_t *input, struct jw *w);
void ask_error(struct jw *w, const struct err *e);

#endif
