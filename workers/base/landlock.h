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

/* For a program that somebody else wrote, between fork and exec: it writes no file (but /dev/null),
 * signals and speaks to no process outside (kernels that can), and connects to these TCP ports only
 * (port_count 0: to any; without network: to none). Reading and running files stays with their
 * permissions. System calls only. The version of Landlock, 0 without it, -1 it could not be
 * entered. */
int landlock_program(bool network, const uint16_t *ports, unsigned port_count);

#endif
