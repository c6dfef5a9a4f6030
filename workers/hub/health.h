/*
 * workers/hub/health.h - the health snapshot: made at most once a second, told to every front
 * (which answers `health` from it), shown in hello. Event `health` once it is older than the
 * refresh interval and somebody is there to hear it.
 */
#ifndef HEALTH_H
#define HEALTH_H

#include "conn.h"

enum {
    HEALTH_REFRESH_MS = 60000, /* protocol, 1.2 */
    HEALTH_CHANGE_MS = 1000,   /* a change in the store shows up after this */
    HEALTH_RECENT = 5,         /* sessions listed */
};

int health_open(struct hub *h, struct err *e) MUST_USE;
void health_close(struct hub *h);
/* JSON object text; valid until the next turn. */
struct view health_text(struct hub *h);
/* Something in the store changed. */
void health_stale(struct hub *h);
/* Make it again and tell everybody, if it is older than the refresh interval (true then). */
bool health_if_old(struct hub *h);
/* Configuration changed. */
void health_now(struct hub *h);
/* Stopping: the fronts answer /ready with no. */
void health_ready(struct hub *h);
/* A front's line came up: it needs all snapshots. */
void health_to_front(struct hub *h, struct link *l);
/* Members path, recent and count of an open object: of one agent, or of all when agent is empty. */
void health_sessions(struct hub *h, struct jw *w, struct view agent, bool show_path);

#endif
