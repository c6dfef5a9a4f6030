/*
 * workers/front/ws_door.h - whether a request may become a WebSocket, whichever version of HTTP
 * brought it, and what has to be remembered of it until hello. Not here: how that version says so.
 */
#ifndef WS_DOOR_H
#define WS_DOOR_H

#include "conn.h"

/* c is what would be the WebSocket. form: what its version of HTTP finds wrong with the request, or
 * NULL. True: c->hello is there, a place is what is missing. False: *a says why not. */
bool ws_door_open(struct conn *c, const struct http_req *q, const struct http_answer *form,
                  struct http_answer *a);
/* There is no place, or none in time. */
void ws_door_crowded(struct http_answer *a);
/* The subprotocol that is said back, or empty. */
struct view ws_door_protocol(const struct http_req *q);

#endif
