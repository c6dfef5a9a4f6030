/*
 * workers/hub/blocks.h - block streaming: finished paragraphs of an answer go to its platform as
 * messages while the rest is still being made. Each is a delivery like any other, in the same batch
 * as the word that it was said: how far the text goes, and a hash of it up to there. The turn's
 * end says only what follows the last one, whichever hub or agent ends it. A text that was begun
 * anew and says something else is said from where it differs.
 * Settings: agents.defaults.blockStreaming*, the account's wish (channel_state.blocks).
 * Trusts: its own records. Dies: without harm; what was not said yet comes with the end.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "buf.h"
#include "err.h"
#include "view.h"

#include <stdint.h>

struct run;

/* What an account wants; numbers 0: not said. */
struct blocks_wish {
    int enabled;  /* -1: not said */
    bool preview; /* an edited preview is configured, which goes before the default */
    bool each;    /* every paragraph is a message */
    uint32_t limit, min, max, idle_ms;
};
/* channel_state.blocks; what is wrong in it is as if it was not there. */
void blocks_wish_read(struct view json, struct blocks_wish *out);

/* A model has begun on r; again when an agent or a hub is a new one. */
void blocks_begin(struct run *r);
/* Are its paragraphs sent as they come? Then no preview of it is shown. */
bool blocks_on(const struct run *r);
/* New text in r->said. */
void blocks_text(struct run *r);
/* The turn's part is over with this text: what of it was not said, into rest. *ret_later: the
 * beginning was. Long rests are sent as blocks but for their last. */
int blocks_rest(struct run *r, struct view text, struct buf *rest, bool *ret_later,
                struct err *e) MUST_USE;
/* Tools are called behind this text, and what comes then is another one: where blocks are said, all
 * of it is. Again: nothing new. blocks_over follows when the calls are in the batch. */
int blocks_part(struct run *r, struct view text, struct err *e) MUST_USE;
/* Its row ends with this batch: nothing has to be remembered. */
int blocks_over(struct run *r, struct err *e) MUST_USE;
void blocks_free(struct run *r);

#endif
