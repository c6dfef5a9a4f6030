/*
 * workers/front/http_conn.h - a connection as long as it speaks HTTP: one request after the other,
 * until one of them upgrades. A refusal ends the connection: after a request that we did not
 * understand, the next byte has no meaning.
 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include "conn.h"

int http_conn_new(struct conn_http **out, struct err *e) MUST_USE;
void http_conn_free(struct conn_http **h);
void http_conn_feed(struct conn *c, char **p, size_t *n);
/* Answer with a line of text and end the connection. */
void http_conn_refuse(struct conn *c, unsigned status, const char *text);
/* It waits for the hub or for a place: nothing more of it is used meanwhile. */
bool http_conn_waits(const struct conn *c);
/* The hub has judged the bearer of question req. result: DOOR_ANSWER_* */
void http_conn_judged(struct conn *c, uint64_t req, unsigned result, uint64_t retry_after_ms);
/* The hub went away: what it was asked has no answer. */
void http_conn_unanswered(struct conn *c);
/* It waited for a place and has one: upgrade it now. */
void http_conn_admit(struct conn *c);
/* The deadline came. */
void http_conn_due(struct conn *c);

#endif
