/*
 * workers/front/http_conn.h - a connection as long as it speaks HTTP: one request after the other,
 * until one of them upgrades. A refusal ends the connection: after a request that we did not
 * understand, the next byte has no meaning.
 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include "conn.h"

struct xchg;

int http_conn_new(struct conn_http **out, struct conn *c, struct err *e) MUST_USE;
void http_conn_free(struct conn_http **h);
void http_conn_feed(struct conn *c, char **p, size_t *n);
/* Answer with a line of text and end the connection. */
void http_conn_refuse(struct conn *c, unsigned status, const char *text);
/* It waits for the hub or for a place: nothing more of it is used meanwhile. */
bool http_conn_waits(const struct conn *c);
/* The hub works for it: when its client hangs up, the work is for nobody. */
bool http_conn_asked(const struct conn *c);
/* The exchange of that number, or NULL. */
struct xchg *http_conn_xchg(struct conn *c, uint64_t number);
/* The connection serves no more. */
void http_conn_gone(struct conn *c);
/* Bytes have gone to the client. */
void http_conn_taken(struct conn *c);
/* The hub went away: what it was asked has no answer. */
void http_conn_unanswered(struct conn *c);
/* It waited for a place and has one: upgrade it now. */
void http_conn_admit(struct conn *c);
/* The deadline came. */
void http_conn_due(struct conn *c);

#endif
