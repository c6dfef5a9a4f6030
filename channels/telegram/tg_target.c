#include "tg_target.h"

#include "mem.h"
#include "num.h"

enum { NAME_MAX_BYTES = 64 }; /* Telegram has at most 32 */

int64_t tg_number(struct view v)
{
    struct err e = ERR_INIT;
    int64_t n;

    return num_i64(v, INT64_MIN, INT64_MAX, &n, &e) == 0 ? n : 0;
}

static struct view without_prefix(struct view v)
{
    static const struct view prefixes[] = {{"telegram:", 9}, {"tg:", 3}, {"group:", 6}};
    bool again = true;

    while (again) {
        again = false;
        for (size_t i = 0; i < COUNT_OF(prefixes); i++)
            if (v.n > prefixes[i].n && view_ieq(view_of(v.p, prefixes[i].n), prefixes[i])) {
                v = view_trim(view_from(v, prefixes[i].n));
                again = true;
            }
    }
    return v;
}

static bool is_name(struct view v)
{
    if (v.n < 2 || v.n > NAME_MAX_BYTES || v.p[0] != '@')
        return false;
    for (size_t i = 1; i < v.n; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return true;
}

bool tg_target_read(struct view text, struct tg_target *out)
{
    struct view v = without_prefix(view_trim(text)), topic;
    size_t at = view_find(v, ':');

    *out = (struct tg_target){.name = VIEW_EMPTY};
    topic = view_from(v, at + 1);
    v = view_of(v.p, at);
    if (view_starts(topic, V("topic:")))
        topic = view_from(topic, 6);
    if (topic.n && (out->thread = tg_number(topic)) <= 0)
        return false;
    if (is_name(v)) {
        out->name = v;
        return true;
    }
    out->chat = tg_number(v);
    return out->chat != 0;
}

void tg_target_put(struct jw *w, const struct tg_target *t)
{
    if (t->chat)
        jw_ki64(w, "chat_id", t->chat);
    else
        jw_kstr(w, "chat_id", t->name);
}
