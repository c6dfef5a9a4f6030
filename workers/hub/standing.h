/*
 * workers/hub/standing.h - does the credential by which a connection came in still hold. Every
 * identity carries a print of it; what rotates, revokes, removes or reconfigures a credential asks
 * here, and so does a connection that comes back with its ticket.
 */
#ifndef STANDING_H
#define STANDING_H

#include "conn.h"
#include "devices.h"

/* The print of the credential in force for somebody who came in that way; p: his device, or NULL.
 */
void standing_print(const struct hub *h, const struct identity *who, const struct paired *p,
                    unsigned char out[IDENTITY_PRINT]);
bool standing_good(struct hub *h, const struct identity *who);
/* After a reload: close whose credential is another one now. Returns how many. */
unsigned standing_recheck(struct hub *h);
/* After a change of this device: close those of its connections that do not stand any more, with
 * 4001 and the reason. */
void standing_device_changed(struct hub *h, struct view device_id, const char *reason);
/* Some connection of this device is open. */
bool standing_device_here(struct hub *h, const char *device_id);

#endif
