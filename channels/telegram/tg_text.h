/*
 * channels/telegram/tg_text.h - a message's text and its entities, whose places count UTF-16 units.
 * Pure; what does not lie in the text is left out.
 */
#ifndef TG_TEXT_H
#define TG_TEXT_H

#include "buf.h"
#include "channel.h"

enum { TG_ENTITIES_MAX = 256 }; /* Telegram has at most 100 in a message */

struct tg_bot { /* who we are, as getMe says */
    int64_t id;
    struct view username;
};

/* What the entities say of whom the text is for. */
struct tg_said {
    enum channel_mention mention;
    bool command;    /* it begins with a command that is ours, or nobody's */
    bool other_bots; /* it begins with a command that names another bot */
};

/* Bytes of text before `units` UTF-16 units; n of the text when it has fewer, or when the place is
 * inside a character. */
size_t tg_text_at(struct view text, uint64_t units);
/* Append the text as the agent reads it: "/command@ourname" is "/command", a link behind words is
 * [words](link). */
void tg_text_read(struct view text, const json_t *entities, const struct tg_bot *bot,
                  struct tg_said *said, struct buf *out);

#endif
