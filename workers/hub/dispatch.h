/*
 * workers/hub/dispatch.h - a request's way to its handler: role, scope, parameters, each decided
 * here and nowhere else (protocol, 3.3).
 */
#ifndef DISPATCH_H
#define DISPATCH_H

#include "call.h"

enum {
    DISPATCH_BAD_ROLE_MAX = 10, /* protocol, 1.2 */
    DISPATCH_SLOW_MS = 50,      /* a handler that takes longer is logged: everybody waits for it */
};

/* Compile the parameters of every row. */
struct call;
int dispatch_open(struct hub *h, struct err *e) MUST_USE;
void dispatch_close(struct hub *h);
/* The handler of a call that was put off, with its parameters as they were checked. */
int dispatch_again(struct call *c);
/* ipc rpc */
int dispatch_on_rpc(struct hub *h, struct link *from, struct ipc_rpc *m, struct err *e);

#endif
