/*
 * workers/hub/chanalarm.h - an account that will not come back by itself (its platform refused it
 * for good, or its process fails again and again), or that was without a connection for a quarter
 * of an hour: the log says so, and its owner is told once, where the main session was last spoken
 * to from, when that is another account that works. Told again only after it was connected in
 * between.
 */
#ifndef CHANALARM_H
#define CHANALARM_H

#include "hub.h"

/* What accounts or their processes say of themselves has changed. */
void chanalarm_look(struct hub *h);
/* Its timer; deliveries_open and _close. */
void chanalarm_on_time(void *hub);

#endif
