/*
 * workers/hub/deliver_media.h - the files of a delivery come into the store of files before its
 * first part is sent: asked for once its turn has come and its channel is there, one after the
 * other. What was accepted with an address is durable with it; the plan (deliver_plan.h) is durable
 * before anything leaves. A hub that dies in between begins again with the first file.
 * What cannot be had: a client's message waits, or ends, as deliver.h says of any failure; an
 * agent's answer goes without it and says so, because people wait for its words.
 */
#ifndef DELIVER_MEDIA_H
#define DELIVER_MEDIA_H

#include "deliver_plan.h"
#include "deliver_table.h"

/* x is unready; when it is ready its target is. Asking twice is fine. x may be gone afterwards. */
void deliver_prepare(struct deliveries *ds, struct delivery *x);
void deliver_prep_free(struct delivery *x);
/* The files of a part, before its deliver.  Errors: ERR_NOT_FOUND one is gone; the line's. */
int deliver_send_files(struct hub *h, struct link *to, const struct delivery *x,
                       const struct deliver_piece *p, struct err *e) MUST_USE;
/* Those that are in the store belong to it, with this turn's batch. */
int deliver_keep_files(struct hub *h, uint64_t id, const struct media *m, unsigned n,
                       struct err *e) MUST_USE;

#endif
