/*
 * workers/hub/auth.h - decides who may connect, and is the only maker of a struct identity. Checks
 * run in the order of protocol 2.3; the first that fails answers.
 */
#ifndef AUTH_H
#define AUTH_H

#include "conn.h"
#include "tailnet.h"

int auth_open(struct hub *h, struct err *e) MUST_USE;
void auth_close(struct hub *h);
/* What HTTP requests are judged by too (credential.h). */
struct door auth_door(struct hub *h);
/* There are new settings. */
void auth_reconfigured(struct hub *h);
/* ipc connect: answered with connect_ok or connect_refused, a wrong secret perhaps a little later.
 */
int auth_on_connect(struct hub *h, struct link *from, struct ipc_connect *m, struct err *e);
/* The same, once it is known who has the client's address in the tailnet. */
int auth_on_connect_known(struct hub *h, struct link *from, struct ipc_connect *m,
                          const struct tailnet_who *tailnet, struct err *e);

#endif
