/*
 * workers/hub/draft.h - answers in the making, for the channels they will go to: that one is begun,
 * its text now and then, its end. What shows it there comes back and goes along with the delivery.
 * In memory only: a preview that nobody knows of any more is overtaken by the answer itself.
 */
#ifndef DRAFT_H
#define DRAFT_H

#include "hub.h"

struct run;
struct draft;

/* The agent has begun, or goes on: the run came from a channel that shows drafts, or nothing. */
void draft_begin(struct run *r);
/* r->said has grown. */
void draft_text(struct run *r);
/* The message that shows it; "" none. Valid until the next call. */
struct view draft_shown(const struct run *r);
/* The run is over; told only when no delivery tells it (delivered: one does). */
/* All of the answer was said in blocks: nothing else ends it. */
void draft_said(struct run *r);
void draft_end(struct run *r, bool delivered);
int draft_on_shown(struct hub *h, struct link *from, struct ipc_draft_shown *m, struct err *e);

#endif
