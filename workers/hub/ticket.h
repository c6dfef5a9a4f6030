/*
 * workers/hub/ticket.h - a connection's identity and subscriptions, sealed for the front to keep:
 * it gives them back to a restarted hub and can neither make nor change nor lend one (the
 * connection's id is part of it).
 */
#ifndef TICKET_H
#define TICKET_H

#include "buf.h"
#include "conn.h"
#include "mac.h"

enum {
    TICKET_MAX = 40 * 1024
}; /* CONN_SUBS_MAX keys of 512 bytes and the rest; ipc.def has the same limit */

/* Append the ticket of c.  Errors: ERR_LIMIT. */
int ticket_seal(struct mac *key, const struct conn *c, struct buf *out, struct err *e) MUST_USE;
/* Fill c (zeroed, id and front set by the caller).
 * Errors: ERR_DENIED the seal is not ours or belongs to another connection, ERR_NOMEM. c may hold
 * strings then. */
int ticket_open(struct mac *key, struct view ticket, struct conn *c, struct err *e) MUST_USE;

#endif
