/* proto/rpc.h - the method table (rpc.def), scopes, and the error codes of the wire. */
#ifndef RPC_H
#define RPC_H

#include "mem.h"
#include "view.h"

#include <stdint.h>

/* What a credential may do; bit sets. Wire names: "operator." + name. */
enum scope {
    SCOPE_READ = 1 << 0,
    SCOPE_WRITE = 1 << 1,
    SCOPE_ADMIN = 1 << 2,
    SCOPE_PAIRING = 1 << 3,
    SCOPE_APPROVALS = 1 << 4,
    SCOPE_QUESTIONS = 1 << 5,
    SCOPE_TALK = 1 << 6,
    SCOPE_TALK_SECRETS = 1 << 7,
    SCOPE_SESSIONS_READ = 1 << 8,
    SCOPE_SESSIONS_WRITE = 1 << 9,
    /* not credentials: rules of rows */
    SCOPE_NODE = 1 << 16,    /* node role only */
    SCOPE_ANY = 1 << 17,     /* any role, any scope */
    SCOPE_DYNAMIC = 1 << 18, /* the handler decides by parameters, write at least */
};

enum rpc_flags {
    RPC_REPEAT = 1 << 0,
    RPC_SNAPSHOT = 1 << 1,
    RPC_HIDDEN = 1 << 2,
    RPC_SESSION = 1 << 3,
    RPC_DURING_STOP = 1 << 4,
    RPC_WHEN_FULL = 1 << 5,
    RPC_CONTROL = 1 << 6,
};

struct rpc_row {
    struct view name;
    enum scope scope;
    size_t max_bytes;
    unsigned flags;
    const char *params;
    const char *help;
};

enum rpc_index {
#define RPC(name, fn, scope, max, flags, params, help) RPC_##fn,
#include "rpc.def"
#undef RPC
    RPC_COUNT
};

/* Index of the row of that name or alias (alias.def), or RPC_COUNT. */
enum rpc_index rpc_find(struct view name);
const struct rpc_row *rpc_row(enum rpc_index i);
/* Whether stock clients know a method of that name (methods.def), served or not, and its scope. */
bool rpc_known(struct view name, enum scope *out);

/* "operator.read" -> SCOPE_READ; 0 when unknown. */
enum scope scope_from(struct view name);
/* SCOPE_READ -> "operator.read" */
const char *scope_name(enum scope s);
/* A set with everything it implies: admin all; write read, talk, sessions; read sessions.read;
 * sessions.write sessions.read. */
unsigned scope_expand(unsigned set);

/* Codes of the wire's error object. */
#define RPC_INVALID_REQUEST "INVALID_REQUEST"
#define RPC_NOT_PAIRED      "NOT_PAIRED"
#define RPC_FORBIDDEN       "FORBIDDEN"
#define RPC_UNAVAILABLE     "UNAVAILABLE"

#endif
