/*
 * supervisor/statedir.h - the state folder: made with safe modes, held by one gateway at a time.
 */
#ifndef STATEDIR_H
#define STATEDIR_H

#include "err.h"
#include "secret.h"

/* Make it (0700) if it is missing and take its lock. We hold the lock until the
 * descriptor is closed or we die; children do not inherit it. Errors: ERR_CONFLICT another gateway
 * holds it (the sentence names pid, port and since when). */
int statedir_open(const char *path, unsigned port, int *out_lock, struct err *e) MUST_USE;
/* The gateway's token: read from <dir>/gateway.token, or made there (0600) when it is missing.
 * made: it is new. */
int statedir_token(const char *path, struct secret *out, bool *made, struct err *e) MUST_USE;
/* The hub's own folder below it: made, closed to others and, with a uid, given to it. *out: its
 * path, the caller's. A database from before there was this folder moves in. */
int statedir_store(const char *path, bool own_uid, unsigned uid, char **out,
                   struct err *e) MUST_USE;

#endif
