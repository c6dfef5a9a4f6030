/*
 * channels/telegram/tg_buttons.h - buttons below a message (channel.h, op.extra.buttons), and what
 * a press of one says. Pure.
 */
#ifndef TG_BUTTONS_H
#define TG_BUTTONS_H

#include "jw.h"

#include <jansson.h>
#include <stdbool.h>

enum { TG_BUTTONS_MAX = 100, TG_BUTTON_DATA_MAX = 64 };

/* Writes the value of reply_markup; false and nothing when there are none. Buttons that Telegram
 * would not take are left out, and so are those of web apps where it has none (groups). */
bool tg_buttons_put(struct jw *w, const json_t *extra, bool web_apps);
/* The words of whom presses a button with this data: a command, or "callback_data: ..." as OpenClaw
 * tells its agents. Appended to out. */
void tg_buttons_pressed(struct view data, struct buf *out);

#endif
