/*
 * workers/front/door.h - what the hub is told of an HTTP request before anything is said of it: the
 * credential it shows, and the headers that mean something. Pure.
 */
#ifndef DOOR_H
#define DOOR_H

#include "http.h"

enum { DOOR_CREDENTIAL_MAX = 4 * 1024, DOOR_ID_MAX = 128 }; /* ipc.def, http_ask */

/* The text behind "Bearer"; false: there is none, or it is too long. */
bool door_bearer(struct view authorization, struct view *credential);
/* What the request shows: its bearer, or X-OpenClaw-Token where a route judges for itself. */
void door_credential(const struct http_req *q, enum route_auth auth, struct view *out);
/* "name: value\n" lines with the name in lower case, without what belongs to the connection or its
 * framing, and without credentials, except Authorization where a platform proves itself with it. */
void door_headers(const struct http_req *q, bool own, struct buf *out);
/* traceparent when it is one (W3C Trace Context, 2.2), else empty. */
struct view door_trace(const struct http_req *q);
/* x-request-id when it is one that may be logged and sent back, else empty. */
struct view door_id(const struct http_req *q);

#endif
