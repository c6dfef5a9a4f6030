/* proto/roles.h - the kinds of processes, from roles.def. */
#ifndef ROLES_H
#define ROLES_H

#include <stdint.h>

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
