/*
 * workers/base/sandbox.h - a worker gives up everything that its class does not need. The class's
 * rows are in conf/sandbox/; what must be done before a program starts (namespaces, uid, limits)
 * the supervisor has done. Every layer is applied if the kernel has it; what is really in force the
 * supervisor reads from /proc and judges by sandbox.mode. Entering is one way.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "err.h"
#include "roles.h"

#include <stdbool.h>
#include <stdint.h>

enum sandbox_allow {
    SB_NONE = 0,              /* the sockets it holds, memory, time */
    SB_CONNECT = 1 << 0,      /* outbound TCP, to ports */
    SB_STATE_DIR = 1 << 1,    /* files that it opened before */
    SB_MEMFD = 1 << 2,        /* make sealed memory files */
    SB_RECV_SOCKETS = 1 << 3, /* serve sockets that are handed to it */
    SB_FOLDER = 1 << 4        /* make, read and remove files in one folder that it holds open */
};

enum { SANDBOX_PORTS_MAX = 128 }; /* as many as there may be providers */

/* What main() declares of its class; the rows of conf/sandbox/ are what holds. */
struct sandbox {
    unsigned allow;        /* SB_* */
    const uint16_t *ports; /* SB_CONNECT: to these and the class's own; borrowed */
    unsigned port_count;
    int folder;         /* SB_FOLDER: its descriptor */
    const int *folders; /* descriptors, -1: none there: what lies below may be read; borrowed */
    unsigned folder_count;
};

/* The layers of this process's class, in the order in which each still allows the next.
 * *said: CAGE_SAID_* of cage.h, what the kernel shows to nobody else.
 * Errors: ERR_SYS a layer that the kernel has could not be entered. */
int sandbox_enter(enum role role, const struct sandbox *s, uint32_t *said, struct err *e) MUST_USE;

#endif
