/*
 * channels/telegram/tg_target.h - where a message goes, as people and sessions write it: "123",
 * "-1001234", "@name", each with "telegram:", "tg:" or "group:" before it and ":topic:N" behind it.
 * Pure.
 */
#ifndef TG_TARGET_H
#define TG_TARGET_H

#include "jw.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

struct tg_target {
    int64_t chat;     /* 0: it has a name instead */
    struct view name; /* "@name" */
    int64_t thread;   /* 0: none */
};

bool tg_target_read(struct view text, struct tg_target *out);
/* "chat_id": ... */
void tg_target_put(struct jw *w, const struct tg_target *t);
/* A number as Telegram has them; 0 when it is none. */
int64_t tg_number(struct view v);

#endif
