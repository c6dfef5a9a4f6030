/*
 * ctl/client.h - one connection to a gateway, used step by step: connect, call, wait for events.
 * Blocking, with time limits.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "json.h"
#include "secret.h"

struct client;

struct client_conf {
    const char *host;
    unsigned port;
    bool tls;
    const char *pin;            /* see wire.h */
    const struct secret *token; /* may be unset */
    const char *password;       /* shown besides; may be NULL */
    unsigned timeout_ms;        /* for connecting and for each answer */
};

/* Upgrade, challenge, connect.  Errors: ERR_SYS nobody listens, ERR_TIMEOUT, ERR_DENIED with the
 * gateway's sentence. */
int client_open(struct client **out, const struct client_conf *conf, struct err *e) MUST_USE;
void client_close(struct client **c);
/* The payload of hello-ok, borrowed. */
const json_t *client_hello(const struct client *c);
/* SHA-256 of the gateway's certificate, or NULL in the clear. */
const char *client_fingerprint(const struct client *c);
/* Call and wait for the answer. *out = the payload (caller's reference). params may be NULL.
 * Errors: ERR_DENIED with "CODE: message" of the gateway's error; ERR_CLOSED, ERR_TIMEOUT. */
int client_call(struct client *c, const char *method, json_t *params, json_t **out,
                struct err *e) MUST_USE;
/* The next event of this name within timeout_ms (0: no limit); its payload is the caller's
 * reference. Events that came during a call are kept for this. */
int client_event(struct client *c, const char *name, unsigned timeout_ms, json_t **out,
                 struct err *e) MUST_USE;

#endif
