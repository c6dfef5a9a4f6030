/*
 * workers/hub/http_door.h - may an HTTP request come in (protocol, 10.2): its bearer is the token
 * or the password, judged and counted like that of a connect. Makes no identity. A wrong one on
 * this machine is answered late; what waits is bounded.
 */
#ifndef HTTP_DOOR_H
#define HTTP_DOOR_H

#include "hub.h"
#include "msg.h"

enum { HTTP_DOOR_WAITING_MAX = 256 }; /* refusals that wait; more are told to come back later */

int http_door_open(struct hub *h, struct err *e) MUST_USE;
void http_door_close(struct hub *h);
/* ipc door: answered with door_answer. */
int http_door_on_door(struct hub *h, struct link *from, struct ipc_door *m, struct err *e);

#endif
