/*
 * workers/fetch/name.h - what a fetched file is called: as the answer says, else the last part of
 * its address. Pure; every byte is a stranger's.
 */
#ifndef NAME_H
#define NAME_H

#include "view.h"

enum { FETCH_NAME_BYTES = 256 }; /* ipc.def: fetched.name, and a NUL */

/* disposition: the header's value, or "". "" when there is no name that can be used: never a
 * control character, a slash, a leading dot or half a character. */
void name_of(struct view disposition, struct view url, char out[FETCH_NAME_BYTES]);

#endif
