/*
 * workers/base/sandbox.h - what a class of process may do, and the call that gives up everything
 * else. Each worker's main() declares its row; entering is one way.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "err.h"

enum sandbox_allow {
    SB_NONE = 0,             /* the sockets it holds, memory, time */
    SB_CONNECT = 1 << 0,     /* outbound TCP */
    SB_STATE_DIR = 1 << 1,   /* read and write below its state folder */
    SB_MEMFD = 1 << 2,       /* make sealed memory files */
    SB_RECV_SOCKETS = 1 << 3 /* serve sockets that are handed to it */
};

struct sandbox {
    unsigned allow; /* SB_* */
};

/* Errors: ERR_SYS a layer that the kernel has could not be entered. */
int sandbox_enter(const struct sandbox *s, struct err *e) MUST_USE;

#endif
