/* supervisor/notify.h - what systemd is told, when it is there: ready, reloading, stopping, one
 * line of status. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "view.h"

/* Sends one datagram to $NOTIFY_SOCKET; does nothing without one. state: "READY=1", "STOPPING=1",
 * "STATUS=...". */
void notify_send(struct view state);

#endif
