/*
 * supervisor/gateway.h - one run of the gateway: state folder, token, configuration, fleet,
 * signals, reload.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "options.h"

#include <stdint.h>

/* Runs until stopped. start_ns: the monotonic clock at main().  Returns the exit code. */
int gateway_main(const struct options *o, uint64_t start_ns);

#endif
