/*
 * supervisor/folders.h - the folders whose files openclaw-files may read: opened here, where paths
 * are, and handed over as descriptors. The canvas folder is made when it is not there, with a first
 * page that says what it is for.
 */
#ifndef FOLDERS_H
#define FOLDERS_H

#include "config.h"
#include "msg.h"

/* A folder that cannot be opened is logged and left out: its pages are missing then.
 * Errors: of the line. */
int folders_send(const struct conf *conf, const char *state_dir, struct link *files,
                 struct err *e) MUST_USE;

#endif
