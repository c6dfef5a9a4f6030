#include "tg_state.h"

#include "json.h"
#include "jw.h"

#include <string.h>

void tg_state_read(struct tg_state *s, struct view text, int64_t bot)
{
    struct err e = ERR_INIT;
    const json_t *pair;
    json_t *doc = NULL;
    size_t i;

    *s = (struct tg_state){.bot = bot};
    if (!text.n || json_parse(text, &doc, &e) < 0 || json_i64(doc, "bot", 0) != bot) {
        json_decref(doc);
        return;
    }
    s->seen.next = json_i64(doc, "next", 0);
    s->seen.at_ms = json_i64(doc, "at", 0);
    if (s->seen.next < 0)
        s->seen.next = 0;
    json_array_foreach(json_object_get(doc, "moved"), i, pair)
    {
        int64_t from = json_integer_value(json_array_get(pair, 0)),
                to = json_integer_value(json_array_get(pair, 1));

        if (from && to)
            (void)tg_state_moved(s, from, to);
    }
    json_decref(doc);
}

void tg_state_write(const struct tg_state *s, struct buf *out)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_ki64(&w, "bot", s->bot);
    jw_ki64(&w, "next", s->seen.next);
    jw_ki64(&w, "at", s->seen.at_ms);
    jw_key(&w, "moved");
    jw_arr(&w);
    for (unsigned i = 0; i < s->moved_n; i++) {
        jw_arr(&w);
        jw_i64(&w, s->moved[i].from);
        jw_i64(&w, s->moved[i].to);
        jw_arr_end(&w);
    }
    jw_arr_end(&w);
    jw_obj_end(&w);
}

bool tg_state_moved(struct tg_state *s, int64_t from, int64_t to)
{
    if (from == to || tg_state_to(s, from) == to || tg_state_to(s, to) == from)
        return false; /* a circle would lead nowhere */
    if (s->moved_n == TG_MOVED_MAX)
        memmove(s->moved, s->moved + 1, --s->moved_n * sizeof(*s->moved));
    s->moved[s->moved_n++] = (struct tg_moved){.from = from, .to = to};
    return true;
}

int64_t tg_state_to(const struct tg_state *s, int64_t chat)
{
    for (unsigned hop = 0, i = 0; hop < TG_MOVED_MAX && i < s->moved_n; i++)
        if (s->moved[i].from == chat) {
            chat = s->moved[i].to;
            i = (unsigned)-1; /* it may have moved again */
            hop++;
        }
    return chat;
}

int64_t tg_state_from(const struct tg_state *s, int64_t chat)
{
    for (unsigned hop = 0, i = 0; hop < TG_MOVED_MAX && i < s->moved_n; i++)
        if (s->moved[i].to == chat) {
            chat = s->moved[i].from;
            i = (unsigned)-1;
            hop++;
        }
    return chat;
}
