/*
 * workers/hub/hook_run.h - what a hook starts: a turn of an agent, or words into its main session.
 * Accepted means on disk. Not here: requests and mappings (http_hooks.c), templates (hook_map.h).
 */
#ifndef HOOK_RUN_H
#define HOOK_RUN_H

#include "http.h"

#include <jansson.h>

/* What is wanted, from the payload or a mapping; views into either or into buffers of the caller.
 */
struct hook_ask {
    struct view message, name, agent, key, channel, to, account, model, thinking, replay;
    bool key_from_payload, persistent, deliver, wrap, next_heartbeat;
    bool last; /* no place is named: where the agent's main session was last spoken to from */
    bool may_ignore_model; /* one that is not there */
    int64_t timeout_s;
};

/* hooks of the configuration, or NULL. */
const json_t *hook_conf(const struct hub *h);
bool hook_prefix_allowed(const json_t *conf, struct view key);
/* 0 with the run's id, or the status of the refusal with why. */
unsigned hook_start(struct http_request *r, const struct hook_ask *a, char run_id[40],
                    char why[256]);
/* For the agent's main session: a turn now, or a message that the next turn there will see. */
unsigned hook_wake(struct http_request *r, const struct hook_ask *a, char why[256]);

#endif
