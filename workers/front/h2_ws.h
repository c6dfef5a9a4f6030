/*
 * workers/front/h2_ws.h - WebSockets on streams of HTTP/2 (RFC 8441). Each is a connection of its
 * own (conn.h) with a stream where others have a socket: to the hub and to ws_conn.h there is no
 * difference. Its id is not the supervisor's, who knows only the socket.
 */
#ifndef H2_WS_H
#define H2_WS_H

#include "h2.h"

/* An extended CONNECT. */
void h2_ws_request(struct h2_stream *s, const struct http_req *q, struct view protocol);

/* -- for conn.h: what it would do with a socket -- */
void h2_ws_flush(struct conn *c);          /* it has bytes to send */
void h2_ws_used(struct conn *c, size_t n); /* bytes of the client were used */
void h2_ws_gone(struct conn *c);           /* it is dead */
void h2_ws_known(struct conn *c);          /* the hub let it in */

/* -- for the stream -- */
void h2_ws_bytes(struct h2_stream *s, struct view bytes);
void h2_ws_ended(struct h2_stream *s); /* the client sends no more */
void h2_ws_lost(struct h2_stream *s);  /* there is no stream any more */
void h2_ws_emptied(struct conn_h2 *h); /* what some of them had to send is in frames */

#endif
