/*
 * media/pass.h - a pass: text that lets whoever holds it read one file for some minutes, for places
 * where a browser sends no credential (src of an image). Made of a keyed hash; nothing is kept.
 */
#ifndef PASS_H
#define PASS_H

#include "media.h"

enum {
    PASS_MS = 5 * 60 * 1000, /* as the reference: pages ask again before */
    PASS_TEXT_MAX = 80,
};

/* Errors: ERR_SYS the hash. */
int pass_make(struct hub *h, struct view id, int64_t until_ms, char out[PASS_TEXT_MAX],
              struct err *e) MUST_USE;
/* Constant time in what is secret about it. */
bool pass_good(struct hub *h, struct view id, struct view pass, int64_t now_ms);

#endif
