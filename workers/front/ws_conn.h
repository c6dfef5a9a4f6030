/*
 * workers/front/ws_conn.h - a connection that speaks WebSocket: the rules of the handshake before
 * hello (protocol reference, 1.3 and 2.1), requests and their answers after it (1.4).
 */
#ifndef WS_CONN_H
#define WS_CONN_H

#include "conn.h"

/* After 101: send the challenge. */
void ws_conn_start(struct conn *c);
void ws_conn_feed(struct conn *c, char **p, size_t *n);
/* The hub's answer to connect. */
void ws_conn_accepted(struct conn *c, uint32_t audience, struct view body);
void ws_conn_refused(struct conn *c, uint16_t code, struct view reason, struct view body);
/* {"type":"res","id":<id>,<body>: body is the rest of the frame. */
void ws_conn_answer(struct conn *c, struct view id, struct view body);
/* Error answer. */
void ws_conn_error(struct conn *c, struct view id, const char *code, struct view message,
                   bool retryable);
/* It may have happened, or not: who knows a key repeats it, who does not looks first. */
void ws_conn_unknown(struct conn *c, struct view id, struct view message);

#endif
