/*
 * channels/base/draft.h - an answer in the making: that somebody types, an ack reaction on the
 * message it answers, and a preview that is edited as the text grows (streaming: "partial"). One
 * request of a preview at a time, the newest text wins; it stops at the first failure or when the
 * text does not fit into one message any more. The answer itself comes as a delivery and takes the
 * preview over.
 */
#ifndef DRAFT_H
#define DRAFT_H

#include "channel_int.h"

void draft_close(struct channel *c);
int draft_on_message(void *ctx, struct link *from, struct ipc_draft *m, struct err *e);
/* A hub that knows of no preview: those that no delivery has taken over are removed. An answer that
 * is on its way to one finds it gone and is said anew. */
void draft_new_hub(struct channel *c);
/* The delivery that ends it has come. true: a preview is just being sent; on_free is called when it
 * is known what came of it, and then this is asked again. id: copied, the message that shows it, or
 * "". */
bool draft_take(struct channel *c, uint64_t draft, char id[CHANNEL_ID_BYTES + 1],
                void (*on_free)(void *ctx), void *ctx);
/* The delivery is over. */
void draft_done(struct channel *c, uint64_t draft);
/* Whether an op is one of ours: its end. */
bool draft_op_done(struct channel *c, struct channel_op *op, const struct channel_result *r);

#endif
