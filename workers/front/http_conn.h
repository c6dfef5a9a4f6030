/*
 * workers/front/http_conn.h - a connection as long as it speaks HTTP: one request after the other,
 * until one of them upgrades. A refusal ends the connection: after a request that we did not
 * understand, the next byte has no meaning.
 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include "conn.h"

extern const struct conn_ops http_conn_ops;
int http_conn_new(struct conn_http **out, struct conn *c, struct err *e) MUST_USE;
void http_conn_free(struct conn_http **h);
/* Answer with a line of text and end the connection. */
void http_conn_refuse(struct conn *c, unsigned status, const char *text);

#endif
