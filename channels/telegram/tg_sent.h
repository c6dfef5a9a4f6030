/*
 * channels/telegram/tg_sent.h - which messages are ours, as far as it is remembered: to tell
 * whether a reaction is to one of them (reactionNotifications: own), and in which topic it is,
 * which Telegram does not say. In memory, the newest TG_SENT_MAX: what is older counts as somebody
 * else's. Pure.
 */
#ifndef TG_SENT_H
#define TG_SENT_H

#include <stdbool.h>
#include <stdint.h>

enum { TG_SENT_MAX = 512 };

struct tg_sent {
    struct {
        int64_t chat, message, thread; /* thread 0: none */
        bool own;
    } rows[TG_SENT_MAX];
    unsigned at;
};

void tg_sent_put(struct tg_sent *s, int64_t chat, int64_t message, int64_t thread, bool own);
/* false: it is not remembered. */
bool tg_sent_find(const struct tg_sent *s, int64_t chat, int64_t message, int64_t *thread,
                  bool *own);

#endif
