/* workers/hub/tick.h - what happens by the clock while somebody is connected: `tick` events and
 * fresh health. */
#ifndef TICK_H
#define TICK_H

#include "hub.h"

enum {
    TICK_MS = 30000
}; /* hello's policy.tickIntervalMs; clients give up after two without any frame */

void tick_open(struct hub *h);
void tick_close(struct hub *h);
/* The number of connections changed: without any there is no timer. */
void tick_conns(struct hub *h);

#endif
