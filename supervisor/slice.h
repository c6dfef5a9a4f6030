/*
 * supervisor/slice.h - what each worker is told: its cut of the configuration and, under "runtime",
 * what only this start knows. The token and the password go to nobody: the hub gets keyed hashes of
 * them, or the crypt(3) hash that the configuration holds.
 */
#ifndef SLICE_H
#define SLICE_H

#include "config.h"

enum { SLICE_KEY_BYTES = 32 };

struct slice_runtime {
    const struct config *config;
    const struct config_report *report;
    const char *state_dir; /* borrowed */
    const char *bind;
    unsigned fronts;                    /* that share what an address may have */
    unsigned char key[SLICE_KEY_BYTES]; /* of this start: seals tickets, hashes the token and
                                           config.get's hash */
    int64_t started_ms;
    json_t *channels; /* owned reference: [{instance, channel, account}], for the hub */
};

/* The role's slice as JSON text appended to out. */
int slice_write(const struct slice_runtime *rt, enum role role, struct buf *out,
                struct err *e) MUST_USE;

#endif
