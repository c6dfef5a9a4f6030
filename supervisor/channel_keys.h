/*
 * supervisor/channel_keys.h - the keys of channels.<id>, as channels/base/common_keys.def and
 * channels/<name>/keys.def declare them: for warnings, the schema and the documents. What a section
 * means, and whether its channel can work with it, is the channel's own word; so whatever is wrong
 * here is a warning and stops nothing.
 */
#ifndef CHANNEL_KEYS_H
#define CHANNEL_KEYS_H

#include "config_keys.h"

struct config_walk;

/* Rows with whole paths, channels.<id>.<key> and channels.<id>.accounts.*.<key>; K_LATER: accepted
 * without effect, help says why. */
const struct config_key *channel_keys(size_t *ret_count);
/* Warn about what no platform of this build knows, and about keys without effect. The document was
 * walked; it is not changed. */
void channel_keys_check(struct config_walk *w);

#endif
