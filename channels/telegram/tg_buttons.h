/*
 * channels/telegram/tg_buttons.h - buttons below a message, from channelData of who sends it:
 * {buttons: [[{text, callback_data | url}]]}, or the same under "telegram". Pure.
 */
#ifndef TG_BUTTONS_H
#define TG_BUTTONS_H

#include "jw.h"

#include <jansson.h>
#include <stdbool.h>

enum { TG_BUTTONS_MAX = 100, TG_BUTTON_DATA_MAX = 64 };

/* Writes the value of reply_markup; false and nothing when there are none. Buttons that Telegram
 * would not take are left out. */
bool tg_buttons_put(struct jw *w, const json_t *extra);

#endif
