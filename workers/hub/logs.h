/* workers/hub/logs.h - the newest log lines of the fleet, as the supervisor tells them; nothing on
 * disk. */
#ifndef LOGS_H
#define LOGS_H

#include "hub.h"

enum { LOGS_BYTES = 256 * 1024 };

int logs_on_lines(struct hub *h, struct ipc_log_lines *m, struct err *e);

#endif
