/*
 * supervisor/logsink.h - where log lines end: standard error, readable on a terminal, JSON lines
 * otherwise. A slow or full device never stops the service: lines are dropped and counted. A
 * talkative worker is cut to a rate.
 */
#ifndef LOGSINK_H
#define LOGSINK_H

#include "log.h"
#include "loop.h"

/* Our own lines come here, too. */
void logsink_init(void);
void logsink_write(enum log_level level, struct view event, const char *proc, int pid,
                   struct view fields);

/* The newest lines (LOGSINK_RECENT bytes) are remembered for logs.tail and given, as JSON lines, to
 * send at the end of each turn; what send refuses is tried again after logsink_again. */
enum { LOGSINK_RECENT = 192 * 1024 };
void logsink_follow(struct loop *l, bool (*send)(void *ctx, struct view lines), void *ctx);
/* There is a new listener: all that is remembered is news to it. */
void logsink_again(void);
void logsink_unfollow(void);

#endif
