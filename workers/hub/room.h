/*
 * workers/hub/room.h - the door while the disk is full: new work is refused as UNAVAILABLE or not
 * acknowledged (channels), what is under way ends from a reserve, reads go on; open again half a
 * second after there is space at the latest, without anybody's help.
 */
#ifndef ROOM_H
#define ROOM_H

#include "hub.h"

enum { ROOM_RETRY_MS = 500 };

void room_open(struct hub *h);
void room_close(struct hub *h);
/* Room for that many bytes of new records?  false: refuse, it may be asked for again. */
bool room_for(struct hub *h, size_t bytes);
/* The store took something, or did not for want of room: the door closes. */
void room_saw(struct hub *h, int result);

#endif
