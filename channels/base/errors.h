/* channels/base/errors.h - errorPolicy: answers that only say what went wrong are sent always, once
 * in a while, or never. What was said is remembered in memory: after a restart it is said once
 * more. */
#ifndef ERRORS_H
#define ERRORS_H

#include "channel_int.h"

/* true: it is not said. Otherwise it counts as said now. */
bool errors_held(struct channel *c, struct view target, struct view text);
void errors_close(struct channel *c);

#endif
