/*
 * workers/files/watch.h - says once when something below a folder changed, a moment after the last
 * change. Folders that appear are watched, too; hidden ones and node_modules are not. Beyond
 * WATCH_FOLDERS_MAX folders the rest is not watched, which on_change's owner is told once.
 * Changes the process's working directory.
 */
#ifndef WATCH_H
#define WATCH_H

#include "loop.h"

enum {
    WATCH_FOLDERS_MAX = 1024, /* a kernel's default limit is 8192 for a whole user */
    WATCH_DEPTH_MAX = 32,
    WATCH_QUIET_MS = 75,    /* as the reference: a file is written in several pieces */
    WATCH_LATEST_MS = 1000, /* but one who never stops writing is heard of, too */
};

struct watch;

enum watch_news { WATCH_CHANGED, WATCH_TOO_MANY, WATCH_GONE /* the folder itself */ };

typedef void watch_fn(void *ctx, enum watch_news news);

/* folder: borrowed, stays open as long as the watch.  Errors: ERR_NOMEM, ERR_SYS. */
int watch_new(struct watch **out, struct loop *l, int folder, watch_fn *on_news, void *ctx,
              struct err *e) MUST_USE;
void watch_free(struct watch **w);

#endif
