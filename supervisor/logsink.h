/*
 * supervisor/logsink.h - where log lines end: standard error, readable on a terminal, JSON lines
 * otherwise. A slow or full device never stops the service: lines are dropped and counted. A
 * talkative worker is cut to a rate.
 */
#ifndef LOGSINK_H
#define LOGSINK_H

#include "log.h"

/* Our own lines come here, too. */
void logsink_init(void);
void logsink_write(enum log_level level, struct view event, const char *proc, int pid,
                   struct view fields);

#endif
