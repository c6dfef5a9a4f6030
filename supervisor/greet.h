/*
 * supervisor/greet.h - what a person at a terminal is told once the gateway is ready: where it is,
 * by what one comes in, what to do next.
 */
#ifndef GREET_H
#define GREET_H

#include "config.h"

struct greeting {
    const struct conf *conf;
    const char *config_path, *state_dir, *exe_dir, *host;
    const char *fingerprint; /* of the certificate; NULL: clear text */
    unsigned port;
    bool config_exists;
    bool own_token; /* the token is the state folder's */
};

/* The shared secret is the token; in mode tailscale, too, of programs on this machine. */
bool greet_by_token(const struct conf *conf);
/* To standard output, when that is a terminal or OPENCLAW_GREETING is 1. */
void greet(const struct greeting *g);

/* Everything that was found in the configuration, into the log. */
void greet_report(const struct config_report *r);

#endif
