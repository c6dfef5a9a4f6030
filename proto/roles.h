/* proto/roles.h - the kinds of processes, from roles.def. */
#ifndef ROLES_H
#define ROLES_H

#include <stdint.h>

/* How a worker ends when nobody killed it. */
enum worker_exit {
    EXIT_ASKED,   /* to stop */
    EXIT_FAILED,  /* with a reason in the log */
    EXIT_NEVER,   /* bad configuration: not restarted with the same one */
    EXIT_STORAGE, /* the disk failed (or filled in the middle of a commit): nothing that was not yet
                     acknowledged counts */
};

enum role {
#define ROLE(id, name) ROLE_##id,
#include "roles.def"
#undef ROLE
    ROLE_COUNT
};

/* One bit a role, for rules that name several. */
enum role_bit {
#define ROLE(id, name) R_##id = 1 << ROLE_##id,
#include "roles.def"
#undef ROLE
    R_ANY_WORKER = ((1 << ROLE_COUNT) - 1) & ~R_SUPERVISOR,
};

/* "openclaw-front"; "?" when out of range. */
const char *role_name(enum role r);

#endif
