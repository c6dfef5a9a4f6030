/*
 * workers/agent/embed.h - POST /v1/embeddings: the hub asks, a provider that speaks OpenAI's
 * interface answers, its vectors go back as 32-bit floats.
 * Trusts nothing of the provider: an answer has a limit, exactly as many vectors as texts, all of
 * one length, all of finite numbers. Texts are asked for in batches, so that the answer of each
 * stays small. Nothing is tried again here: OpenAI's clients do that.
 * Not here: who may ask, which model, what the client is told (the hub's api_embed.c).
 */
#ifndef EMBED_H
#define EMBED_H

#include "models.h"
#include "msg.h"

enum {
    EMBEDS_MAX = 32,             /* under way; the hub asks no more (its API_EMBEDS_MAX) */
    EMBED_BATCH = 32,            /* texts of one request: 32 * 3072 numbers are 1.3 MB of JSON */
    EMBED_ANSWER_MAX = 4 << 20,  /* bytes of one answer */
    EMBED_DIMENSIONS_MAX = 8192, /* of a vector; the largest models have 4096 */
};

struct embeds;

/* on_done: m's fields live until it returns. */
typedef void embed_done_fn(void *ctx, const struct ipc_embed_done *m);

int embeds_new(struct embeds **out, struct loop *l, embed_done_fn *on_done, void *ctx,
               struct err *e) MUST_USE;
void embeds_free(struct embeds **es); /* closes every transfer, nobody is told */
/* What is wrong with the request, or with its provider, is told through on_done like an answer, at
 * the end of the turn or later. A reference to models is taken.  Errors: ERR_LIMIT, ERR_NOMEM. */
int embeds_ask(struct embeds *es, struct http *http, struct models *models,
               const struct ipc_embed *m, struct err *e) MUST_USE;
void embeds_cancel(struct embeds *es, uint64_t req);
/* The hub that asked is gone: nobody waits any more. */
void embeds_cancel_all(struct embeds *es);
unsigned embeds_under_way(const struct embeds *es);

/* Vectors of one answer, appended to out as floats; *dims is set by the first one and holds for the
 * rest. tokens: what the provider says they cost, or 0. Pure.
 * Errors: ERR_INVALID what is wrong with it. */
int embed_read(struct view answer, unsigned texts, uint32_t *dims, uint64_t *tokens,
               struct buf *out, struct err *e) MUST_USE;

#endif
