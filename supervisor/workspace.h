/*
 * supervisor/workspace.h - the files of an agent's workspace that say who it is
 * (conf/workspace.def), read and written for the others: whatever user a tool runs as, the folder
 * stays what it is, and no worker but the tools needs a path to it. Nothing in a file is understood
 * here. Does not trust: the folder's content. Names come from the table; each is opened below the
 * folder, never through a link or onto another file system, and is a plain file with one name, or
 * not there.
 */
#ifndef WORKSPACE_H
#define WORKSPACE_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WORKSPACE_FILES = 8,             /* rows of the table */
    WORKSPACE_FILE_MAX = 256 * 1024, /* of one file */
    WORKSPACE_TEXT_MAX = 3 << 20,    /* all of them, as JSON */
};

struct workspace_file {
    bool there;
    uint64_t size, changed_ms;
    uint64_t ino;
    int64_t changed_ns; /* of that millisecond's second */
    char hash[65];      /* SHA-256 of the content, after workspace_read */
};

/* Row i of the table; NULL behind the last. Its number, or -1. */
const char *workspace_name(unsigned i);
int workspace_find(struct view name);

/* What is there, without reading it: cheap. A folder that is not there has no file. */
void workspace_look(const char *folder, struct workspace_file out[WORKSPACE_FILES]);
/* Appends the content. Errors: ERR_NOT_FOUND, ERR_LIMIT too large, ERR_SYS. */
int workspace_read(const char *folder, unsigned i, struct workspace_file *f, struct buf *out,
                   struct err *e) MUST_USE;
/* Whole or not at all, on the disk when it returns; the folder is made. expected: the hash of what
 * is there, or empty. Errors: ERR_CONFLICT something else is there, ERR_LIMIT, ERR_SYS. */
int workspace_write(const char *folder, unsigned i, struct view text, struct view expected,
                    struct err *e) MUST_USE;

#endif
