/*
 * channels/base/extra.h - what goes with a message beside its text (ipc.def: deliver.extra), where
 * a platform cannot show it: the labels of buttons as lines of text; and what the account's owner
 * does not let clients and tools do. Pure.
 */
#ifndef EXTRA_H
#define EXTRA_H

#include "buf.h"

#include <jansson.h>
#include <stdbool.h>

/* Append the labels of extra's buttons, one a line, with the address of those that lead somewhere.
 * What has no label says nothing. */
void extra_labels(const json_t *extra, struct buf *out);
/* There is something in it for the platform. */
bool extra_any(const json_t *extra);
/* actions.<name> of an account's section is false for what kind (DELIVER_KIND_*) does: the name,
 * else NULL. Platforms of OpenClaw name them differently. */
const char *extra_switched_off(const json_t *conf, unsigned kind);
/* A poll as words: the question, then its options by number. */
void extra_poll(const json_t *poll, struct buf *out);

#endif
