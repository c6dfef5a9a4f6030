/* channels/telegram/tg_request.c - the requests of a message: parameters as JSON, or as a form when
 * a file goes with them. */
#include "render.h"
#include "tg_buttons.h"
#include "tg_emoji.h"
#include "tg_media.h"
#include "tg_out.h"

#include "json.h"
#include "mem.h"

#include <stdio.h>

enum {
    CAPTION_MAX = 1024,
    POLL_OPTIONS_MAX = 12,
    POLL_SECONDS_MAX = 604800,
    NAME_MAX_BYTES = 200,
};

/* Parameters, their values one behind the other in the request's buffer. */
struct fields {
    struct buf *b;
    unsigned n;
    struct {
        const char *name;
        size_t at, n;
        bool text; /* else JSON */
    } row[TG_FIELDS_MAX];
};

static void begin_field(struct fields *f, const char *name, bool text)
{
    f->row[f->n].name = name;
    f->row[f->n].text = text;
    f->row[f->n].at = f->b->n;
}

static void end_field(struct fields *f)
{
    f->row[f->n].n = f->b->n - f->row[f->n].at;
    f->n++;
}

static void put_text(struct fields *f, const char *name, struct view v)
{
    begin_field(f, name, true);
    buf_put_view(f->b, v);
    end_field(f);
}

static void put_number(struct fields *f, const char *name, int64_t v)
{
    begin_field(f, name, false);
    buf_put_i64(f->b, v);
    end_field(f);
}

static void put_json(struct fields *f, const char *name, const char *json)
{
    begin_field(f, name, false);
    buf_put_str(f->b, json);
    end_field(f);
}

static void as_json(const struct fields *f, struct tg_request *q)
{
    struct buf out = BUF_INIT(TG_BODY_BYTES);
    struct jw w = JW_INIT(&out);

    jw_obj(&w);
    for (unsigned i = 0; i < f->n; i++) {
        struct view v = view_of(buf_view(f->b).p + f->row[i].at, f->row[i].n);

        if (f->row[i].text)
            jw_kstr(&w, f->row[i].name, v);
        else
            jw_kraw(&w, f->row[i].name, v);
    }
    jw_obj_end(&w);
    if (f->b->failed)
        out.failed = true;
    buf_fini(q->body);
    *q->body = out;
}

/* The file's name and type as strings behind the parameters. */
static void put_file(struct fields *f, const struct channel_blob *b, size_t *name_at,
                     size_t *type_at)
{
    *name_at = f->b->n;
    buf_put_view(f->b, b->name.n && b->name.n <= NAME_MAX_BYTES ? b->name : V("file"));
    buf_put_char(f->b, '\0');
    *type_at = f->b->n;
    buf_put_view(f->b, b->type.n && b->type.n < 128 ? b->type : V("application/octet-stream"));
    buf_put_char(f->b, '\0');
}

/* Parameters, then the files: fields names them. */
static void as_form(struct fields *f, struct tg_request *q, const char *const *fields,
                    const struct channel_blob *b, unsigned n)
{
    size_t name_at[TG_ALBUM_MAX], type_at[TG_ALBUM_MAX];
    const char *words;

    for (unsigned i = 0; i < n; i++)
        put_file(f, &b[i], &name_at[i], &type_at[i]);
    if (f->b->failed)
        return;
    words = buf_view(f->b).p; /* it stands still now */
    for (unsigned i = 0; i < f->n; i++)
        q->parts[q->part_n++] = (struct chan_http_part){
            .name = f->row[i].name, .value = view_of(words + f->row[i].at, f->row[i].n)};
    for (unsigned i = 0; i < n; i++)
        q->parts[q->part_n++] = (struct chan_http_part){.name = fields[i],
                                                        .filename = words + name_at[i],
                                                        .type = words + type_at[i],
                                                        .fd = b[i].fd,
                                                        .bytes = b[i].bytes};
}

/* ---- what many have ---- */

static void put_chat(struct fields *f, const struct tg_send *s)
{
    if (s->target.chat)
        put_number(f, "chat_id", s->target.chat);
    else
        put_text(f, "chat_id", s->target.name);
}

/* Where, in answer to what, how loud. The topic General has no number when something is sent. */
static void put_place(struct fields *f, const struct tg_send *s)
{
    int64_t reply = tg_number(s->op->reply_to);

    put_chat(f, s);
    if (s->target.thread && s->target.thread != TG_GENERAL && !s->no_thread)
        put_number(f, "message_thread_id", s->target.thread);
    if (reply > 0 && !s->no_reply && !s->message_id[0]) {
        begin_field(f, "reply_parameters", false);
        buf_printf(f->b, "{\"message_id\":%lld,\"allow_sending_without_reply\":true}",
                   (long long)reply);
        end_field(f);
    }
    if (s->op->silent)
        put_json(f, "disable_notification", "true");
}

static void put_words(struct fields *f, const struct tg_send *s, const char *name)
{
    const struct channel_op *op = s->op;

    put_text(f, name, s->plain ? op->plain : op->text);
    if (!s->plain)
        put_text(f, "parse_mode", V("HTML"));
}

static void put_buttons(struct fields *f, const struct tg_send *s)
{
    struct jw w = JW_INIT(f->b);

    bool direct = s->target.chat > 0;

    if (s->x->conf.buttons == TG_BUTTONS_OFF ||
        s->x->conf.buttons == (direct ? TG_BUTTONS_GROUP : TG_BUTTONS_DM))
        return;
    begin_field(f, "reply_markup", false);
    if (tg_buttons_put(&w, s->op->extra, direct))
        end_field(f);
}

/* ---- one function a request ---- */

static bool make_text(struct tg_send *s, struct fields *f, struct tg_request *q)
{
    q->method = "sendMessage";
    if (!(s->plain ? s->op->plain : s->op->text).n) {
        q->why = "Telegram: there is nothing to say";
        return false;
    }
    put_place(f, s);
    put_words(f, s, "text");
    if (s->x->conf.no_preview)
        put_json(f, "link_preview_options", "{\"is_disabled\":true}");
    put_buttons(f, s);
    as_json(f, q);
    return true;
}

static bool fits_caption(const struct channel_op *op)
{
    return op->text.n && render_cost(DIALECT_HTML, UNIT_UTF16, op->text) <= CAPTION_MAX;
}

/* One picture after the other in one message; its words stand below the first. */
static void make_album(struct tg_send *s, struct fields *f, struct tg_request *q)
{
    static const char *const names[TG_ALBUM_MAX] = {"f0", "f1", "f2", "f3", "f4",
                                                    "f5", "f6", "f7", "f8", "f9"};
    const struct channel_blob *b = &s->op->media[s->media_at];
    struct jw w = JW_INIT(f->b);
    char attach[16];

    q->method = "sendMediaGroup";
    put_place(f, s);
    begin_field(f, "media", false);
    jw_arr(&w);
    for (unsigned i = 0; i < s->batch; i++) {
        jw_obj(&w);
        jw_kcstr(&w, "type", tg_media_method(&b[i], s->as_file).field);
        (void)snprintf(attach, sizeof(attach), "attach://%s", names[i]);
        jw_kcstr(&w, "media", attach);
        if (s->media_at == 0 && i == 0 && fits_caption(s->op)) {
            jw_kstr(&w, "caption", s->plain ? s->op->plain : s->op->text);
            if (!s->plain)
                jw_kcstr(&w, "parse_mode", "HTML");
        }
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    end_field(f);
    as_form(f, q, names, b, s->batch);
}

static void make_file(struct tg_send *s, struct fields *f, struct tg_request *q)
{
    const struct channel_blob *b = &s->op->media[s->media_at];
    struct tg_method how = tg_media_method(b, s->as_file);

    q->method = how.method;
    put_place(f, s);
    if (s->media_at == 0 && fits_caption(s->op)) {
        put_words(f, s, "caption");
        if (s->op->media_n == 1)
            put_buttons(f, s);
    }
    as_form(f, q, &how.field, b, 1);
}

static bool make_files(struct tg_send *s, struct fields *f, struct tg_request *q)
{
    const struct channel_blob *b = &s->op->media[s->media_at];

    /* refused as what they are: these go as files, the others as what they are */
    s->batch = tg_media_batch(b, s->as_file ? s->batch : s->op->media_n - s->media_at, s->as_file);
    for (unsigned i = 0; i < s->batch; i++)
        if (b[i].bytes > (uint64_t)TG_UPLOAD_MB << 20) {
            q->why = "Telegram: the file is larger than 50 MB";
            return false;
        }
    if (s->batch > 1)
        make_album(s, f, q);
    else
        make_file(s, f, q);
    return true;
}

static bool make_edit(struct tg_send *s, struct fields *f, struct tg_request *q)
{
    bool words = s->op->text.n > 0;

    q->method = !words       ? "editMessageReplyMarkup"
                : s->caption ? "editMessageCaption"
                             : "editMessageText";
    put_chat(f, s);
    put_number(f, "message_id", tg_number(s->op->message_id));
    if (!words) { /* only what is below it */
        put_buttons(f, s);
        as_json(f, q);
        return true;
    }
    put_words(f, s, s->caption ? "caption" : "text");
    if (s->x->conf.no_preview && !s->caption)
        put_json(f, "link_preview_options", "{\"is_disabled\":true}");
    put_buttons(f, s);
    as_json(f, q);
    return true;
}

static bool make_remove(struct tg_send *s, struct fields *f, struct tg_request *q)
{
    q->method = "deleteMessage";
    put_chat(f, s);
    put_number(f, "message_id", tg_number(s->op->message_id));
    as_json(f, q);
    return true;
}

static bool make_react(struct tg_send *s, struct fields *f, struct tg_request *q)
{
    struct view emoji = s->op->remove ? VIEW_EMPTY : tg_emoji(s->op->emoji);

    q->method = "setMessageReaction";
    if (!s->op->remove && !emoji.n) {
        q->why = "Telegram: bots cannot react with this emoji";
        return false;
    }
    put_chat(f, s);
    put_number(f, "message_id", tg_number(s->op->message_id));
    begin_field(f, "reaction", false);
    if (emoji.n)
        buf_printf(f->b, "[{\"type\":\"emoji\",\"emoji\":\"%.*s\"}]", VIEW_FMT(emoji));
    else
        buf_put_str(f->b, "[]");
    end_field(f);
    as_json(f, q);
    return true;
}

static bool make_typing(struct tg_send *s, struct fields *f, struct tg_request *q)
{
    q->method = "sendChatAction";
    put_chat(f, s);
    if (s->target.thread) /* here General has its number */
        put_number(f, "message_thread_id", s->target.thread);
    put_text(f, "action", V("typing"));
    as_json(f, q);
    return true;
}

static bool make_poll(struct tg_send *s, struct fields *f, struct tg_request *q)
{
    const json_t *poll = s->op->poll, *options = json_object_get(poll, "options"), *option;
    int64_t seconds =
        json_i64(poll, "durationSeconds", 0) + 3600 * json_i64(poll, "durationHours", 0);
    struct jw w = JW_INIT(f->b);
    size_t i, n = json_array_size(options);

    q->method = "sendPoll";
    if (n < 2 || n > POLL_OPTIONS_MAX) {
        q->why = "Telegram: a poll has 2 to 12 options";
        return false;
    }
    put_place(f, s);
    put_text(f, "question", json_view(poll, "question"));
    begin_field(f, "options", false);
    jw_arr(&w);
    json_array_foreach(options, i, option)
    {
        jw_obj(&w);
        jw_kstr(&w, "text", json_view_of(option));
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    end_field(f);
    put_json(f, "is_anonymous", json_flag(poll, "isAnonymous", true) ? "true" : "false");
    put_json(f, "allows_multiple_answers",
             json_i64(poll, "maxSelections", 1) > 1 ? "true" : "false");
    if (seconds >= 5 && seconds <= POLL_SECONDS_MAX) /* others stay open */
        put_number(f, "open_period", seconds);
    as_json(f, q);
    return true;
}

/* ---- which one ---- */

bool tg_request_make(struct tg_send *s, struct tg_request *q)
{
    struct fields f = {.b = q->body};

    if ((s->kind == TG_SEND_EDIT || s->kind == TG_SEND_REMOVE || s->kind == TG_SEND_REACT) &&
        tg_number(s->op->message_id) <= 0) {
        q->why = "Telegram: this is no message's number";
        return false;
    }
    switch (s->kind) {
    case TG_SEND_EDIT:
        return make_edit(s, &f, q);
    case TG_SEND_REMOVE:
        return make_remove(s, &f, q);
    case TG_SEND_REACT:
        return make_react(s, &f, q);
    case TG_SEND_TYPING:
        return make_typing(s, &f, q);
    case TG_SEND_POLL:
        return make_poll(s, &f, q);
    case TG_SEND_MESSAGE:
        break;
    }
    return s->media_at < s->op->media_n ? make_files(s, &f, q) : make_text(s, &f, q);
}

bool tg_more(struct tg_send *s)
{
    const struct channel_op *op = s->op;

    if (s->kind != TG_SEND_MESSAGE || s->text_done)
        return false;
    if (s->media_at == op->media_n) {
        s->text_done = true;
        return false;
    }
    s->media_at += s->batch;
    s->as_file = false;
    if (s->media_at < op->media_n)
        return true;
    s->text_done = !op->text.n || fits_caption(op);
    return !s->text_done;
}
