/* channels/base/out_text.c - what is said of a part: its text, what stands in front of it, what the
 * platform has no form for in words, and a piece of it at a time. */
#include "chunk.h"
#include "extra.h"
#include "out_item.h"
#include "prefix.h"
#include "tags.h"

#include "json.h"

#include <stdio.h>

/* ---- what the hub says ---- */

static struct view copy(struct buf *b, struct view v)
{
    size_t at = b->n;

    buf_put_view(b, v);
    return view_of((const char *)at, v.n); /* an offset until the buffer stands still */
}

static void settle(const struct buf *b, struct view *v)
{
    *v = v->n ? view_of(buf_view(b).p + (uintptr_t)v->p, v->n) : VIEW_EMPTY;
}

/* Which message it replies to: what was asked for, or what mode and model say of an answer. */
static void reply_mode(struct item *it, uint32_t options)
{
    struct view mode = json_view(it->c->conf, "replyToMode");
    struct tags t = {.reply_to = VIEW_EMPTY};
    bool all = view_eq(mode, V("all")),
         first = view_eq(mode, V("first")) || view_eq(mode, V("batched"));

    if (!(options & DELIVER_ANSWER))
        return;
    it->answer = true;
    it->later = options & DELIVER_LATER;
    tags_read(it->text, &it->said, &t);
    if (!it->said.failed)
        it->text = buf_view(&it->said);
    if (!(it->c->ops->caps & CHANNEL_CAN_REPLY) ||
        !(all || (it->from == 0 && ((first && !it->later) || t.reply_to_current || t.reply_to.n))))
        it->op.reply_to = VIEW_EMPTY;
    else if (t.reply_to.n)
        it->op.reply_to = t.reply_to;
}

/* {messageId, text, emoji, remove} of an action. */
static int read_action(struct item *it, struct err *e)
{
    int r;

    if ((r = json_parse(it->text, &it->doc, e)) < 0)
        return r;
    it->op.message_id = json_view(it->doc, "messageId");
    it->op.emoji = json_view(it->doc, "emoji");
    it->op.remove = json_flag(it->doc, "remove", false);
    it->op.extra = json_object_get(it->doc, "extra");
    if (it->kind != DELIVER_KIND_EDIT)
        return 0;
    if ((r = chunk_next(it->c->ops, json_view(it->doc, "text"), 0, &it->rendered, &it->plain,
                        &it->next, e)) < 0)
        return r;
    it->next = 0; /* what does not fit is left out: an edit is one message */
    it->op.text = buf_view(&it->rendered);
    it->op.plain = buf_view(&it->plain);
    it->op.source = json_view(it->doc, "text");
    return 0;
}

/* What the platform has no form for is said in words. The same each time, so that a text goes on
 * where it stopped. */
static int in_words(struct item *it, struct err *e)
{
    unsigned caps = it->c->ops->caps;

    if (it->kind == DELIVER_KIND_POLL && !(caps & CHANNEL_CAN_POLL)) {
        extra_poll(it->doc, &it->words_instead);
        it->kind = DELIVER_KIND_TEXT;
        it->op.poll = NULL;
    } else if (it->kind == DELIVER_KIND_TEXT && it->last && it->extra &&
               !(caps & CHANNEL_CAN_BUTTONS)) {
        struct buf labels = BUF_INIT(CHANNEL_TEXT_BYTES);

        extra_labels(it->extra, &labels);
        buf_put_view(&it->words_instead, it->text);
        buf_printf(&it->words_instead, "%s%.*s", it->text.n && labels.n ? "\n\n" : "",
                   VIEW_FMT(buf_view(&labels)));
        it->words_instead.failed |= labels.failed;
        buf_fini(&labels);
    } else {
        return 0;
    }
    it->text = buf_view(&it->words_instead);
    return buf_check(&it->words_instead, e);
}

int item_take(struct item *it, const struct ipc_deliver *m, struct err *e)
{
    struct view *all[] = {&it->op.target, &it->op.thread, &it->op.reply_to, &it->op.client_id,
                          &it->text};
    const struct view from[] = {m->target, m->thread, m->reply_to, m->client_id, m->text};
    int r;

    buf_reset(&it->words, 0);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        *all[i] = copy(&it->words, from[i]);
    if ((r = buf_check(&it->words, e)) < 0)
        return r;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        settle(&it->words, all[i]);
    it->kind = m->kind;
    it->from = m->from;
    if (it->media && it->c->ops->caps & CHANNEL_CAN_MEDIA) {
        it->op.media = media_blobs(it->media);
        it->op.media_n = media_count(it->media);
    }
    it->op.silent = m->options & DELIVER_SILENT;
    it->draft = m->draft;
    it->why_only = m->options & DELIVER_ERROR;
    if (it->why_only && json_flag(it->c->conf, "silentErrorReplies", false))
        it->op.silent = true;
    it->off = m->options & DELIVER_ACTION ? extra_switched_off(it->c->conf, m->kind) : NULL;
    (void)snprintf(it->shown, sizeof(it->shown), "%.*s", VIEW_FMT(m->shown));
    if (m->kind == DELIVER_KIND_POLL) {
        if ((r = json_parse(it->text, &it->doc, e)) < 0)
            return r;
        it->op.poll = it->doc;
    }
    if (m->kind == DELIVER_KIND_TEXT) {
        reply_mode(it, m->options);
        it->last = m->options & DELIVER_LAST;
        if (m->extra.n && (r = json_parse(m->extra, &it->extra, e)) < 0)
            return r;
    } else if (m->kind != DELIVER_KIND_POLL) {
        return read_action(it, e);
    }
    return in_words(it, e);
}

/* ---- a piece at a time ---- */

bool out_prefix(const struct channel *c, const json_t *vars, struct view text, struct buf *out)
{
    struct buf words = BUF_INIT(8 * PREFIX_BYTES);
    bool any = view_trim(text).n &&
               prefix_write(json_view_of(channel_setting(c, "responsePrefix")), vars, &words) &&
               !words.failed && !view_starts(text, buf_view(&words));

    if (any) {
        buf_put_view(out, buf_view(&words));
        buf_put_char(out, ' ');
    }
    buf_fini(&words);
    return any;
}

/* What goes in front of the text: files that the platform does not take, as words; the prefix. */
static void put_front(const struct item *it, struct buf *out)
{
    if (it->media && !it->op.media_n) {
        media_say(it->media, it->c->ops->text_limit / 2, out);
        buf_put_char(out, ' ');
    }
    if (it->answer && !it->later && it->from == 0)
        (void)out_prefix(it->c, json_object_get(it->extra, "vars"), it->text, out);
}

/* What may be said at once: below files it is less. */
static struct channel_ops limits(const struct item *it)
{
    struct channel_ops ops = *it->c->ops;

    if (it->op.media_n && ops.caption_limit && ops.caption_limit < ops.text_limit)
        ops.text_limit = ops.caption_limit;
    return ops;
}

/* The next part of the text. Positions are those of the text without what is put in front: another
 * configuration between two parts moves nothing. */
int item_cut(struct item *it, struct err *e)
{
    const struct channel_ops ops = limits(it);
    uint32_t front, next = 0;
    int r;

    it->source = it->text;
    buf_reset(&it->prefixed, 4096);
    put_front(it, &it->prefixed);
    front = (uint32_t)it->prefixed.n;
    if (front) {
        buf_put_view(&it->prefixed, it->text);
        if ((r = buf_check(&it->prefixed, e)) < 0 ||
            (r = chunk_next(&ops, buf_view(&it->prefixed), 0, &it->rendered, &it->plain, &next,
                            e)) < 0)
            return r;
        if (next == 0 || next > front) { /* else there is no room for it */
            it->source = view_of(it->prefixed.p, next ? next : it->prefixed.n);
            it->next = next ? next - front : 0;
            return 0;
        }
        buf_reset(&it->rendered, 4096);
        buf_reset(&it->plain, 4096);
    }
    if ((r = chunk_next(&ops, it->text, it->from, &it->rendered, &it->plain, &it->next, e)) < 0)
        return r;
    it->source =
        view_of(it->text.p + it->from, (it->next ? it->next : (uint32_t)it->text.n) - it->from);
    return 0;
}
