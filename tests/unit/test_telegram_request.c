/* Telegram: which requests a message needs, one after the other, and what stands in them. */
#include "ck.h"
#include "json.h"
#include "tg_media.h"
#include "tg_out.h"

#include <stdio.h>

static struct telegram tg;

static struct tg_send sending(struct channel_op *op, enum tg_send_kind kind, const char *target)
{
    struct tg_send s = {.x = &tg, .op = op, .kind = kind};

    ck_assert(tg_target_read(view_str(target), &s.target));
    return s;
}

/* The next request as "method {json}", or "method name=value ... file(name,type,bytes)". */
static const char *made(struct tg_send *s)
{
    static char text[8192];
    struct chan_http_part parts[TG_PARTS_MAX];
    struct buf body = BUF_INIT(TG_BODY_BYTES), out = BUF_INIT(sizeof(text) - 1);
    struct tg_request q = {.body = &body, .parts = parts};

    if (!tg_request_make(s, &q)) {
        buf_put_str(&out, q.why);
    } else {
        buf_put_str(&out, q.method);
        for (unsigned i = 0; i < q.part_n; i++) {
            if (parts[i].filename)
                buf_printf(&out, " %s(%s,%s,%zu)", parts[i].name, parts[i].filename, parts[i].type,
                           parts[i].bytes ? (size_t)parts[i].bytes : parts[i].value.n);
            else
                buf_printf(&out, " %s=%.*s", parts[i].name, VIEW_FMT(parts[i].value));
        }
        if (!q.part_n) {
            buf_put_char(&out, ' ');
            buf_put_view(&out, buf_view(&body));
        }
    }
    (void)snprintf(text, sizeof(text), "%.*s", VIEW_FMT(buf_view(&out)));
    buf_fini(&out);
    buf_fini(&body);
    return text;
}

static struct channel_op words(const char *html, const char *plain)
{
    return (struct channel_op){.text = view_str(html), .plain = view_str(plain)};
}

START_TEST(test_text)
{
    struct channel_op op = words("<b>a</b>", "a");
    struct tg_send s = sending(&op, TG_SEND_MESSAGE, "-5");

    ck_assert_str_eq(made(&s), "sendMessage {\"chat_id\":-5,\"text\":\"<b>a</b>\","
                               "\"parse_mode\":\"HTML\"}");
    s.plain = true;
    ck_assert_str_eq(made(&s), "sendMessage {\"chat_id\":-5,\"text\":\"a\"}");
    ck_assert(!tg_more(&s));

    op.reply_to = V("17");
    op.silent = true;
    s = sending(&op, TG_SEND_MESSAGE, "@news:topic:3");
    ck_assert_str_eq(made(&s), "sendMessage {\"chat_id\":\"@news\",\"message_thread_id\":3,"
                               "\"reply_parameters\":{\"message_id\":17,"
                               "\"allow_sending_without_reply\":true},"
                               "\"disable_notification\":true,\"text\":\"<b>a</b>\","
                               "\"parse_mode\":\"HTML\"}");
    s.no_reply = s.no_thread = true;
    op.silent = false;
    ck_assert_str_eq(made(&s), "sendMessage {\"chat_id\":\"@news\",\"text\":\"<b>a</b>\","
                               "\"parse_mode\":\"HTML\"}");

    op = words("a", "a");
    op.reply_to = V("17; x");
    s = sending(&op, TG_SEND_MESSAGE, "-5:topic:1");
    tg.conf.no_preview = true;
    ck_assert_msg(strcmp(made(&s),
                         "sendMessage {\"chat_id\":-5,\"text\":\"a\",\"parse_mode\":"
                         "\"HTML\",\"link_preview_options\":{\"is_disabled\":true}}") == 0,
                  "General has no number, no number is no reply: %s", made(&s));
    tg.conf.no_preview = false;
    op = words("", "");
    ck_assert_msg(strstr(made(&s), "nothing to say"), "%s", made(&s));
}
END_TEST

START_TEST(test_others)
{
    struct channel_op op = words("<i>x</i>", "x");
    struct tg_send s = sending(&op, TG_SEND_EDIT, "42");

    ck_assert_msg(strstr(made(&s), "no message's number"), "%s", made(&s));
    op.message_id = V("9");
    ck_assert_str_eq(made(&s), "editMessageText {\"chat_id\":42,\"message_id\":9,"
                               "\"text\":\"<i>x</i>\",\"parse_mode\":\"HTML\"}");
    s.caption = true;
    ck_assert_str_eq(made(&s), "editMessageCaption {\"chat_id\":42,\"message_id\":9,"
                               "\"caption\":\"<i>x</i>\",\"parse_mode\":\"HTML\"}");
    s.kind = TG_SEND_REMOVE;
    ck_assert_str_eq(made(&s), "deleteMessage {\"chat_id\":42,\"message_id\":9}");
    s.kind = TG_SEND_REACT;
    op.emoji = V("👍");
    ck_assert_str_eq(made(&s), "setMessageReaction {\"chat_id\":42,\"message_id\":9,\"reaction\":"
                               "[{\"type\":\"emoji\",\"emoji\":\"👍\"}]}");
    op.emoji = V("🦖");
    ck_assert_msg(strstr(made(&s), "cannot react"), "%s", made(&s));
    op.remove = true;
    ck_assert_str_eq(made(&s),
                     "setMessageReaction {\"chat_id\":42,\"message_id\":9,\"reaction\":[]}");
    s = sending(&op, TG_SEND_TYPING, "-5:1");
    ck_assert_str_eq(
        made(&s), "sendChatAction {\"chat_id\":-5,\"message_thread_id\":1,\"action\":\"typing\"}");
}
END_TEST

START_TEST(test_poll)
{
    struct channel_op op = words("", "");
    struct tg_send s = sending(&op, TG_SEND_POLL, "42");
    struct err e = ERR_INIT;
    json_t *poll = NULL;

    ck_assert_int_eq(json_parse(V("{\"question\":\"q\",\"options\":[\"a\",\"b\"],"
                                  "\"maxSelections\":2,\"durationSeconds\":60,"
                                  "\"isAnonymous\":false}"),
                                &poll, &e),
                     0);
    op.poll = poll;
    ck_assert_str_eq(made(&s), "sendPoll {\"chat_id\":42,\"question\":\"q\",\"options\":"
                               "[{\"text\":\"a\"},{\"text\":\"b\"}],\"is_anonymous\":false,"
                               "\"allows_multiple_answers\":true,\"open_period\":60}");
    (void)json_array_clear(json_object_get(poll, "options"));
    ck_assert_msg(strstr(made(&s), "2 to 12"), "%s", made(&s));
    json_decref(poll);
}
END_TEST

START_TEST(test_files)
{
    struct channel_blob blobs[] = {
        {.bytes = 5, .type = V("image/png"), .name = V("a.png")},
        {.bytes = 1, .type = V("audio/ogg"), .name = VIEW_EMPTY, .voice = true},
        {.bytes = 2, .type = V("video/mp4"), .name = V("g.mp4"), .gif = true},
    };
    struct channel_op op = words("<b>cap</b>", "cap");
    struct tg_send s = sending(&op, TG_SEND_MESSAGE, "42");

    op.media = blobs;
    op.media_n = 3;
    ck_assert_str_eq(made(&s), "sendPhoto chat_id=42 caption=<b>cap</b> parse_mode=HTML "
                               "photo(a.png,image/png,5)");
    s.as_file = true;
    ck_assert_str_eq(made(&s), "sendDocument chat_id=42 caption=<b>cap</b> parse_mode=HTML "
                               "document(a.png,image/png,5)");
    ck_assert(tg_more(&s) && !s.as_file);
    ck_assert_str_eq(made(&s), "sendVoice chat_id=42 voice(file,audio/ogg,1)");
    ck_assert(tg_more(&s));
    ck_assert_str_eq(made(&s), "sendAnimation chat_id=42 animation(g.mp4,video/mp4,2)");
    ck_assert_msg(!tg_more(&s), "its text was the caption");
}
END_TEST

/* Pictures and films in one album, files in another; where, in answer to what and how loud counts
 * for each, words and the reply for the first. */
START_TEST(test_albums)
{
    struct channel_blob blobs[] = {
        {.bytes = 1, .type = V("image/png"), .name = V("a.png")},
        {.bytes = 2, .type = V("video/mp4"), .name = V("b.mp4")},
        {.bytes = 3, .type = V("application/pdf"), .name = V("c.pdf")},
        {.bytes = 4, .type = V("image/png"), .name = V("d \"x\".png"), .document = true},
    };
    struct channel_op op = words("<b>cap</b>", "cap");
    struct tg_send s = sending(&op, TG_SEND_MESSAGE, "-6:topic:5");

    op.media = blobs;
    op.media_n = 4;
    op.silent = true;
    op.reply_to = V("17");
    ck_assert_str_eq(made(&s),
                     "sendMediaGroup chat_id=-6 message_thread_id=5 reply_parameters="
                     "{\"message_id\":17,\"allow_sending_without_reply\":true} "
                     "disable_notification=true media="
                     "[{\"type\":\"photo\",\"media\":\"attach://f0\",\"caption\":\"<b>cap</b>\","
                     "\"parse_mode\":\"HTML\"},{\"type\":\"video\",\"media\":\"attach://f1\"}] "
                     "f0(a.png,image/png,1) f1(b.mp4,video/mp4,2)");
    s.plain = s.as_file = true;
    ck_assert_msg(s.batch == 2 && strstr(made(&s), "\"type\":\"document\"") && s.batch == 2,
                  "those that were refused, not those behind them: %s", made(&s));
    ck_assert(strstr(made(&s), "\"caption\":\"cap\"}"));
    s = sending(&op, TG_SEND_MESSAGE, "-6:topic:5");
    (void)made(&s);
    (void)snprintf(s.message_id, sizeof(s.message_id), "9");
    ck_assert(tg_more(&s) && s.media_at == 2);
    ck_assert_str_eq(made(&s),
                     "sendMediaGroup chat_id=-6 message_thread_id=5 disable_notification=true "
                     "media=[{\"type\":\"document\",\"media\":\"attach://f0\"},"
                     "{\"type\":\"document\",\"media\":\"attach://f1\"}] "
                     "f0(c.pdf,application/pdf,3) f1(d \"x\".png,image/png,4)");
    ck_assert(!tg_more(&s));
}
END_TEST

/* Text at the limit of a caption, and one more: it follows as a message of its own. */
START_TEST(test_long_caption)
{
    struct channel_blob blob = {.bytes = 5, .type = V("application/pdf"), .name = V("a")};
    struct channel_op op = {.media = &blob, .media_n = 1};
    char text[1100];
    struct tg_send s;

    memset(text, 'x', sizeof(text));
    for (size_t n = 1023; n <= 1025; n++) {
        op.text = op.plain = view_of(text, n);
        s = sending(&op, TG_SEND_MESSAGE, "42");
        ck_assert_msg(!strstr(made(&s), "caption") == (n > 1024), "%zu", n);
        ck_assert_msg(tg_more(&s) == (n > 1024), "%zu", n);
        if (n > 1024) {
            ck_assert_msg(strstr(made(&s), "sendMessage"), "%s", made(&s));
            ck_assert(!tg_more(&s));
        }
    }
    blob.bytes = ((uint64_t)TG_UPLOAD_MB << 20) + 1; /* never read */
    s = sending(&op, TG_SEND_MESSAGE, "42");
    ck_assert_msg(strstr(made(&s), "50 MB"), "%s", made(&s));
}
END_TEST

START_TEST(test_buttons)
{
    struct channel_op op = words("a", "a");
    struct tg_send s = sending(&op, TG_SEND_MESSAGE, "42");
    struct err e = ERR_INIT;
    json_t *extra = NULL;

    ck_assert_int_eq(
        json_parse(V("{\"buttons\":[[{\"text\":\"A\",\"value\":\"a\"}]]}"), &extra, &e), 0);
    op.extra = extra;
    tg.conf.buttons = TG_BUTTONS_ALL;
    ck_assert_str_eq(made(&s), "sendMessage {\"chat_id\":42,\"text\":\"a\",\"parse_mode\":\"HTML\","
                               "\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"A\","
                               "\"callback_data\":\"a\"}]]}}");
    tg.conf.buttons = TG_BUTTONS_OFF;
    ck_assert_msg(!strstr(made(&s), "reply_markup"), "%s", made(&s));
    json_decref(extra);
}
END_TEST

static void add_cases(TCase *t)
{
    tcase_add_test(t, test_text);
    tcase_add_test(t, test_others);
    tcase_add_test(t, test_poll);
    tcase_add_test(t, test_files);
    tcase_add_test(t, test_albums);
    tcase_add_test(t, test_long_caption);
    tcase_add_test(t, test_buttons);
}

CK_MAIN("telegram_request")
