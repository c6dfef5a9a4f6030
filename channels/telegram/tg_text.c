#include "tg_text.h"

#include "json.h"
#include "mem.h"

/* An entity's place in bytes. */
struct span {
    size_t from, to;
    const json_t *entity;
};

/* Goes on from where the last search ended: entities come in order. */
struct cursor {
    struct view text;
    size_t byte;
    uint64_t units;
};

static size_t length_of(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

static size_t seek(struct cursor *c, uint64_t units)
{
    if (units < c->units)
        c->byte = 0, c->units = 0;
    while (c->units < units && c->byte < c->text.n) {
        size_t n = length_of((unsigned char)c->text.p[c->byte]);
        unsigned u = n == 4 ? 2 : 1;

        if (c->units + u > units || n > c->text.n - c->byte)
            return c->text.n;
        c->byte += n;
        c->units += u;
    }
    return c->byte;
}

size_t tg_text_at(struct view text, uint64_t units)
{
    struct cursor c = {.text = text};

    return seek(&c, units);
}

static unsigned spans_of(struct view text, const json_t *entities, struct span out[TG_ENTITIES_MAX])
{
    struct cursor c = {.text = text};
    const json_t *entity;
    unsigned n = 0;
    size_t i;

    json_array_foreach(entities, i, entity)
    {
        int64_t offset = json_i64(entity, "offset", -1), length = json_i64(entity, "length", -1);
        size_t from, to;

        if (n == TG_ENTITIES_MAX)
            break;
        if (offset < 0 || length <= 0 || offset > INT32_MAX || length > INT32_MAX)
            continue;
        from = seek(&c, (uint64_t)offset);
        to = seek(&c, (uint64_t)offset + (uint64_t)length);
        if (from < to)
            out[n++] = (struct span){.from = from, .to = to, .entity = entity};
    }
    return n;
}

static struct view words_of(struct view text, const struct span *s)
{
    return view_of(text.p + s->from, s->to - s->from);
}

static void mentions(struct tg_said *said, bool us)
{
    if (us)
        said->mention = MENTION_SELF;
    else if (said->mention == MENTION_NONE)
        said->mention = MENTION_OTHER;
}

/* "/command" or "/command@name"; true: it names us, and the name may go. */
static bool command(struct view words, bool first, const struct tg_bot *bot, struct tg_said *said)
{
    size_t at = view_find(words, '@');
    bool named = at < words.n,
         us = named && bot->username.n && view_ieq(view_from(words, at + 1), bot->username);

    if (named)
        mentions(said, us);
    if (first) {
        said->command = us || !named;
        said->other_bots = named && !us;
    }
    return us;
}

/* Links that a model may follow: what a person could have typed. */
static bool link_ok(struct view url)
{
    if (!view_starts(url, V("http://")) && !view_starts(url, V("https://")))
        return false;
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || url.p[i] == ')' || url.p[i] == '(')
            return false;
    return url.n <= 2048;
}

void tg_text_read(struct view text, const json_t *entities, const struct tg_bot *bot,
                  struct tg_said *said, struct buf *out)
{
    struct span spans[TG_ENTITIES_MAX];
    unsigned n = spans_of(text, entities, spans);
    size_t done = 0; /* bytes of text that are written */

    *said = (struct tg_said){.mention = MENTION_NONE};
    for (unsigned i = 0; i < n; i++) {
        const struct span *s = &spans[i];
        struct view type = json_view(s->entity, "type"), words = words_of(text, s);
        struct view url = json_view(s->entity, "url");

        if (view_eq(type, V("mention"))) {
            mentions(said, bot->username.n && words.p[0] == '@' &&
                               view_ieq(view_from(words, 1), bot->username));
        } else if (view_eq(type, V("text_mention"))) {
            mentions(said, json_i64(json_object_get(s->entity, "user"), "id", 0) == bot->id);
        } else if (view_eq(type, V("bot_command"))) {
            if (command(words, s->from == 0, bot, said) && s->from >= done) {
                buf_put_view(out, view_of(text.p + done, s->from - done));
                buf_put_view(out, view_of(words.p, view_find(words, '@')));
                done = s->to;
            }
        } else if (view_eq(type, V("text_link")) && s->from >= done && link_ok(url) &&
                   !view_eq(url, words)) {
            buf_put_view(out, view_of(text.p + done, s->from - done));
            buf_put_char(out, '[');
            buf_put_view(out, words);
            buf_put(out, "](", 2);
            buf_put_view(out, url);
            buf_put_char(out, ')');
            done = s->to;
        }
    }
    buf_put_view(out, view_from(text, done));
}
