#include "tg_sent.h"

void tg_sent_put(struct tg_sent *s, int64_t chat, int64_t message, int64_t thread, bool own)
{
    if (message <= 0)
        return;
    s->rows[s->at].chat = chat;
    s->rows[s->at].message = message;
    s->rows[s->at].thread = thread;
    s->rows[s->at].own = own;
    s->at = (s->at + 1) % TG_SENT_MAX;
}

bool tg_sent_find(const struct tg_sent *s, int64_t chat, int64_t message, int64_t *thread,
                  bool *own)
{
    for (unsigned i = 0; i < TG_SENT_MAX; i++)
        if (message > 0 && s->rows[i].chat == chat && s->rows[i].message == message) {
            *thread = s->rows[i].thread;
            *own = s->rows[i].own;
            return true;
        }
    return false;
}
