/*
 * supervisor/site.h - the folder of gateway.controlUi.root, read into one sealed memory file that
 * every front gets: so that what strangers talk to needs no path at all. The price is that its
 * files stay in memory, once for all fronts, and that a changed file is seen at the next reload.
 * Not here: what the files are (the front's site.h).
 */
#ifndef SITE_H
#define SITE_H

#include "err.h"

#include <stdint.h>

enum {
    SITE_FILES_MAX = 8192,              /* five times the stock control page's */
    SITE_BYTES_MAX = 192 * 1024 * 1024, /* of all files */
    SITE_FILE_MAX = 32 * 1024 * 1024,
    SITE_PATH_MAX = 512,
    SITE_DEPTH_MAX = 16,
};

/* Links are not followed, names that begin with a dot and what is no file are left out.
 * *fd: the sealed memory file of *size bytes; *files: how many.
 * Errors: ERR_LIMIT one of the numbers above, ERR_SYS. Blocks on the disk: at start and reload. */
int site_pack(const char *root, int *fd, unsigned *files, uint64_t *size, struct err *e) MUST_USE;

#endif
