/*
 * channels/base/chunk.h - the next piece of a text that fits into one message of the platform.
 * Pure. The same text and place give the same piece, so that a text can go on where it stopped,
 * also in another process.
 */
#ifndef CHUNK_H
#define CHUNK_H

#include "channel.h"

/* Append to rendered the piece of source (Markdown) that begins at byte `from`, in the platform's
 * dialect and within its text_limit, and to plain the same without marks. *next: where the rest
 * begins; 0: there is none.
 * Errors: ERR_NOMEM, ERR_INVALID from is not in the text. */
int chunk_next(const struct channel_ops *ops, struct view source, uint32_t from,
               struct buf *rendered, struct buf *plain, uint32_t *next, struct err *e) MUST_USE;

#endif
