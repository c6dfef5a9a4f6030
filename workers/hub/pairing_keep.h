/* workers/hub/pairing_keep.h - requests of devices on disk, so that a restart of the hub does not
 * lose what somebody is about to approve. Only pairing.c uses it. */
#ifndef PAIRING_KEEP_H
#define PAIRING_KEEP_H

#include "pairing.h"

/* Into the batch of this turn; a failure is logged: the request lives in memory all the same. */
void pairing_keep(struct hub *h, const struct pair_request *q);
void pairing_unkeep(struct hub *h, const char *request_id);
/* At most max, oldest first. *out_n = how many. */
int pairing_keep_load(struct hub *h, struct pair_request *out, unsigned max, unsigned *out_n,
                      struct err *e) MUST_USE;

#endif
