/*
 * workers/hub/presence.h - who is listed as present: the gateway itself first, then lasting clients
 * and notes, newest first. Changes of one moment make one `presence` event.
 */
#ifndef PRESENCE_H
#define PRESENCE_H

#include "conn.h"

enum {
    PRESENCE_MAX =
        200, /* entries; the oldest one that left makes room, then nobody new is listed */
    PRESENCE_LEFT_MS = 5 * 60 * 1000, /* a client that left and a note stay this long */
    PRESENCE_PAUSE_MS = 100,          /* between two events, more with many entries */
    PRESENCE_BODY_MAX = 4096,         /* one entry's members */
};

int presence_open(struct hub *h, struct err *e) MUST_USE;
void presence_close(struct hub *h);
/* A connection with c->listed set came or went. */
void presence_joined(struct hub *h, const struct conn *c);
void presence_left(struct hub *h, const struct conn *c);
/* A note (system-event): key tells which older note it replaces, members as in conn.listed. */
void presence_note(struct hub *h, struct view key, struct view members, const char *reason);
/* The whole list as the next value. */
void presence_write(struct hub *h, struct jw *w);

#endif
