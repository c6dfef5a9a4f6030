/* supervisor/watch.h - notices that a file was changed: written in place, replaced by a rename, or
 * reached through a link that was exchanged, wherever on the way to it. */
#ifndef WATCH_H
#define WATCH_H

#include "loop.h"

struct watch;

/* on_change is called once things have been quiet for a moment. A folder that cannot be watched is
 * an error the caller may live with (SIGHUP still works). */
int watch_new(struct watch **out, struct loop *l, const char *path, void (*on_change)(void *ctx),
              void *ctx, struct err *e) MUST_USE;
void watch_free(struct watch **w);

#endif
