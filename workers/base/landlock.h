/*
 * workers/base/landlock.h - Landlock: no path but the class's own to read, TCP to its ports only,
 * no signal and no abstract socket to the outside.
 */
#ifndef LANDLOCK_H
#define LANDLOCK_H

#include "cage.h"
#include "sandbox.h"

/* Returns the version the kernel has, 0 when it has none.  Errors: ERR_SYS. */
int landlock_enter(const struct cage *c, const struct sandbox *s, struct err *e) MUST_USE;

#endif
