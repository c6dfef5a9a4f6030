/*
 * workers/files/folder.h - a file below a folder that is held as a descriptor, whatever others do
 * to the folder meanwhile: the kernel resolves the path beneath it, without symbolic links.
 * Hidden names (.git, .env) are not there, and what is no regular file (a pipe, a device) neither.
 */
#ifndef FOLDER_H
#define FOLDER_H

#include "err.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum folder_found {
    FOLDER_FILE,    /* *fd, *size */
    FOLDER_MISSING, /* or not to be seen; nobody is told which */
    FOLDER_IS_ONE,  /* a folder, asked for without "/" at the end */
};

enum { FOLDER_PATH_MAX = 4096 };

/* path: decoded. Empty, or ending in "/": index.html there. */
enum folder_found folder_open(int folder, struct view path, int *fd, uint64_t *size);
/* Whether the path may be looked for: parts neither empty nor beginning with a dot, no NUL, no
 * backslash. Pure. */
bool folder_path_good(struct view path);
/* A folder below, to be listed or watched; -1. */
int folder_below(int folder, const char *path);

#endif
