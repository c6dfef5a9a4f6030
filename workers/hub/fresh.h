/*
 * workers/hub/fresh.h - when a session begins anew by itself (session.reset, resetByType,
 * resetByChannel): after an hour of the day, after a pause, never. Pure; who resets is the caller.
 */
#ifndef FRESH_H
#define FRESH_H

#include "view.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum fresh_mode { FRESH_ALWAYS, FRESH_DAILY, FRESH_IDLE };
enum fresh_type { FRESH_DIRECT, FRESH_GROUP, FRESH_THREAD };

struct fresh_policy {
    enum fresh_mode mode;
    unsigned at_hour;
    int64_t idle_ms; /* 0: no pause is too long */
};

/* channel: "" for clients. */
void fresh_policy(const json_t *conf, enum fresh_type type, struct view channel,
                  struct fresh_policy *out);
/* began: of the session as it is; interaction: the last message, 0: none. Local time. */
bool fresh_is(const struct fresh_policy *p, int64_t began_ms, int64_t interaction_ms,
              int64_t now_ms);

#endif
