/*
 * channels/base/blocks.h - what the account's section says of paragraphs that are sent while an
 * answer is made, for the hub, which parts them (workers/hub/blocks.h). Keys of both of OpenClaw's
 * generations: streaming.block.enabled, streaming.block.coalesce, streaming.chunkMode;
 * blockStreaming, blockStreamingCoalesce, chunkMode. Pure.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "channel.h"

/* Append a JSON object: {enabled, preview, each, limit, minChars, maxChars, idleMs}, each only
 * where it is said; preview: an edited preview is configured and can be shown. */
void blocks_wish(const struct channel_ops *ops, const json_t *conf, struct buf *out);
/* Is an edited preview shown while an answer is made? *ret_said (may be NULL): the section says so
 * itself. */
bool blocks_preview(const struct channel_ops *ops, const json_t *conf, bool *ret_said);

#endif
