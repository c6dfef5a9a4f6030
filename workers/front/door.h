/*
 * workers/front/door.h - the bearer of an HTTP request as bytes, and what is said to those who do
 * not get in. Who is right is the hub's to say (ipc door). Pure.
 */
#ifndef DOOR_H
#define DOOR_H

#include "buf.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum { DOOR_CREDENTIAL_MAX = 4096 }; /* ipc.def, door */

/* The credential of "Bearer <credential>", the scheme in any case. False: another scheme, nothing
 * behind it, or more than the hub takes. */
bool door_bearer(struct view authorization, struct view *credential);
/* "Retry-After: <seconds, rounded up>\r\n" */
enum { DOOR_RETRY_MAX = 48 };
void door_retry_after(char out[DOOR_RETRY_MAX], uint64_t ms);
/* What POST /tools/invoke says while there are no tools, into out. Returns the status. */
unsigned door_tool_missing(struct view body, struct buf *out);

#endif
