/* channels/telegram/tg_emoji.h - the emoji that Telegram takes as a bot's reaction. Pure. */
#ifndef TG_EMOJI_H
#define TG_EMOJI_H

#include "view.h"

/* As Telegram spells it (without variation selectors that it does not want); "" when it takes no
 * such reaction. */
struct view tg_emoji(struct view emoji);

#endif
