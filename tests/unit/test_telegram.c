/* Telegram: what updates and answers mean, and where a position in the updates may stand. */
#include "ck.h"
#include "json.h"
#include "tg_buttons.h"
#include "tg_emoji.h"
#include "tg_media.h"
#include "tg_reply.h"
#include "tg_state.h"
#include "tg_target.h"
#include "tg_update.h"

#include <stdio.h>

static const struct tg_bot bot = {.id = 99, .username = {"my_bot", 6}};

/* Single quotes are double ones: rows stay readable. */
static json_t *doc_of(const char *text)
{
    char *copy = strdup(text);
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    ck_assert_msg(json_parse(view_str(copy), &doc, &e) == 0, "%s: %s", copy, e.text);
    free(copy);
    return doc;
}

static bool same(struct view v, const char *want)
{
    return view_eq(v, view_str(want));
}

/* ---- places in a text ---- */

static const struct {
    const char *name, *text;
    uint64_t units;
    size_t want;
} places[] = {
    {"begin", "abc", 0, 0},
    {"ascii", "abc", 2, 2},
    {"end", "abc", 3, 3},
    {"beyond", "abc", 9, 3},
    {"two bytes are one unit", "\xc3\xa4x", 1, 2},
    {"three bytes are one unit", "\xe2\x82\xacx", 1, 3},
    {"four bytes are two units", "\xf0\x9f\x98\x80x", 2, 4},
    {"inside of a pair", "\xf0\x9f\x98\x80x", 1, 5},
    {"behind two", "\xf0\x9f\x98\x80\xf0\x9f\x98\x80x", 4, 8},
    {"cut character", "a\xf0\x9f", 3, 3},
    {"empty", "", 1, 0},
};

START_TEST(test_place)
{
    ck_assert_msg(tg_text_at(view_str(places[_i].text), places[_i].units) == places[_i].want, "%s",
                  places[_i].name);
}
END_TEST

/* ---- entities ---- */

#define S MENTION_SELF
#define O MENTION_OTHER
#define N MENTION_NONE
static const struct {
    const char *name, *text, *entities, *want;
    enum channel_mention mention;
    bool command, others;
} said[] = {
    {"nothing", "hello", "[]", "hello", N, false, false},
    {"us", "@my_bot hi", "[{'type':'mention','offset':0,'length':7}]", "@my_bot hi", S, false,
     false},
    {"case", "@MY_Bot hi", "[{'type':'mention','offset':0,'length':7}]", "@MY_Bot hi", S, false,
     false},
    {"another", "@my_bot2 hi", "[{'type':'mention','offset':0,'length':8}]", "@my_bot2 hi", O,
     false, false},
    {"both", "@x @my_bot",
     "[{'type':'mention','offset':0,'length':2},{'type':'mention','offset':3,'length':7}]",
     "@x @my_bot", S, false, false},
    {"the name without an entity", "@my_bot hi", "[]", "@my_bot hi", N, false, false},
    {"the name within a word", "a@my_bot", "[{'type':'email','offset':0,'length':8}]", "a@my_bot",
     N, false, false},
    {"behind an emoji", "\xf0\x9f\x98\x80 @my_bot", "[{'type':'mention','offset':3,'length':7}]",
     "\xf0\x9f\x98\x80 @my_bot", S, false, false},
    {"by bytes it would be elsewhere", "\xf0\x9f\x98\x80 @my_bot",
     "[{'type':'mention','offset':5,'length':7}]", "\xf0\x9f\x98\x80 @my_bot", O, false, false},
    {"a name without username", "you there",
     "[{'type':'text_mention','offset':0,'length':3,'user':{'id':99}}]", "you there", S, false,
     false},
    {"another's name", "you there",
     "[{'type':'text_mention','offset':0,'length':3,'user':{'id':98}}]", "you there", O, false,
     false},
    {"a command", "/status now", "[{'type':'bot_command','offset':0,'length':7}]", "/status now", N,
     true, false},
    {"a command of ours", "/status@my_bot now", "[{'type':'bot_command','offset':0,'length':14}]",
     "/status now", S, true, false},
    {"another bot's", "/status@other now", "[{'type':'bot_command','offset':0,'length':13}]",
     "/status@other now", O, false, true},
    {"another bot's, later", "see /status@other", "[{'type':'bot_command','offset':4,'length':13}]",
     "see /status@other", O, false, false},
    {"a link", "see here!", "[{'type':'text_link','offset':4,'length':4,'url':'https://a.b/c'}]",
     "see [here](https://a.b/c)!", N, false, false},
    {"a link that is its text", "https://a.b/",
     "[{'type':'text_link','offset':0,'length':12,'url':'https://a.b/'}]", "https://a.b/", N, false,
     false},
    {"a link to run", "see here",
     "[{'type':'text_link','offset':4,'length':4,'url':'javascript:x'}]", "see here", N, false,
     false},
    {"links over each other", "abcdef",
     "[{'type':'text_link','offset':0,'length':4,'url':'http://a'},"
     "{'type':'text_link','offset':2,'length':4,'url':'http://b'}]",
     "[abcd](http://a)ef", N, false, false},
    {"beyond the text", "abc", "[{'type':'mention','offset':7,'length':7}]", "abc", N, false,
     false},
    {"longer than the text", "abc", "[{'type':'mention','offset':1,'length':99999999999}]", "abc",
     N, false, false},
    {"negative", "abc", "[{'type':'mention','offset':-1,'length':2}]", "abc", N, false, false},
    {"no numbers", "abc", "[{'type':'mention','offset':'0','length':[]},7,null]", "abc", N, false,
     false},
    {"no list", "abc", "{'type':'mention'}", "abc", N, false, false},
};

START_TEST(test_said)
{
    json_t *entities = doc_of(said[_i].entities);
    struct buf b = BUF_INIT(4096);
    struct tg_said got;

    tg_text_read(view_str(said[_i].text), entities, &bot, &got, &b);
    ck_assert_msg(same(buf_view(&b), said[_i].want), "%s: %.*s", said[_i].name,
                  VIEW_FMT(buf_view(&b)));
    ck_assert_msg(got.mention == said[_i].mention && got.command == said[_i].command &&
                      got.other_bots == said[_i].others,
                  "%s: mention %d", said[_i].name, (int)got.mention);
    buf_fini(&b);
    json_decref(entities);
}
END_TEST

/* ---- updates ---- */

#define FROM   "'from':{'id':7,'is_bot':false,'first_name':'Ada','last_name':'L','username':'ada'}"
#define DIRECT "'chat':{'id':7,'type':'private'}"
#define GROUP  "'chat':{'id':-5,'type':'supergroup','title':'The group'}"
#define FORUM  "'chat':{'id':-6,'type':'supergroup','title':'Forum','is_forum':true}"
#define TOPIC                                                                                      \
    "'reply_to_message':{'message_id':2,'forum_topic_created':{'name':'t'},'from':{'id':99}}"
static const struct {
    const char *name, *update;
    enum tg_kind kind;
    const char *key, *peer, *target, *thread, *parent, *sender, *text;
} updates[] = {
    {"direct",
     "{'update_id':5,'message':{'message_id':3,'date':10," FROM "," DIRECT ",'text':'hi'}}",
     TG_MESSAGE, "message:7:3", "7", "7", "", "", "7", "hi"},
    {"group", "{'update_id':5,'message':{'message_id':3," FROM "," GROUP ",'text':'hi'}}",
     TG_MESSAGE, "message:-5:3", "-5", "-5", "", "", "7", "hi"},
    {"a thread of replies is no topic",
     "{'message':{'message_id':3,'message_thread_id':2," FROM "," GROUP ",'text':'hi'}}",
     TG_MESSAGE, "message:-5:3", "-5", "-5", "", "", "7", "hi"},
    {"topic",
     "{'message':{'message_id':3,'message_thread_id':2,'is_topic_message':true," FROM "," FORUM
     ",'text':'hi'}}",
     TG_MESSAGE, "message:-6:3", "-6:topic:2", "-6", "2", "-6", "7", "hi"},
    {"General", "{'message':{'message_id':3," FROM "," FORUM ",'text':'hi'}}", TG_MESSAGE,
     "message:-6:3", "-6:topic:1", "-6", "1", "-6", "7", "hi"},
    {"a topic with the bot",
     "{'message':{'message_id':3,'message_thread_id':4,'is_topic_message':true," FROM "," DIRECT
     ",'text':'hi'}}",
     TG_MESSAGE, "message:7:3", "7", "7", "4", "", "7", "hi"},
    {"channel post",
     "{'channel_post':{'message_id':3,'sender_chat':{'id':-8,'title':'News','type':'channel'},"
     "'chat':{'id':-8,'type':'channel','title':'News'},'text':'hi'}}",
     TG_MESSAGE, "message:-8:3", "-8", "-8", "", "", "-8", "hi"},
    {"channel post without a sender",
     "{'channel_post':{'message_id':3,'chat':{'id':-8,'type':'channel','title':'N'},'text':'hi'}}",
     TG_MESSAGE, "message:-8:3", "-8", "-8", "", "", "-8", "hi"},
    {"anonymous administrator",
     "{'message':{'message_id':3,'from':{'id':1087968824,'is_bot':true,'username':"
     "'GroupAnonymousBot'},'sender_chat':{'id':-5,'title':'The group'}," GROUP ",'text':'hi'}}",
     TG_MESSAGE, "message:-5:3", "-5", "-5", "", "", "-5", "hi"},
    {"caption",
     "{'message':{'message_id':3," FROM "," DIRECT
     ",'caption':'look','photo':[{'file_id':'F','file_size':5}]}}",
     TG_MESSAGE, "message:7:3", "7", "7", "", "", "7", "look"},
    {"a picture alone",
     "{'message':{'message_id':3," FROM "," DIRECT ",'photo':[{'file_id':'F','file_size':5}]}}",
     TG_MESSAGE, "message:7:3", "7", "7", "", "", "7", ""},
    {"location",
     "{'message':{'message_id':3," FROM "," DIRECT ",'location':{'latitude':1.5,'longitude':-2}}}",
     TG_MESSAGE, "message:7:3", "7", "7", "", "", "7", "[location 1.500000, -2.000000]"},
    {"button",
     "{'callback_query':{'id':'c1'," FROM ",'message':{'message_id':9,'from':{'id':99}," GROUP
     "},'data':'yes'}}",
     TG_BUTTON, "callback:c1", "-5", "-5", "", "", "7", "callback_data: yes"},
    {"button in a direct chat",
     "{'callback_query':{'id':'c1'," FROM ",'message':{'message_id':9,'from':{'id':99}," DIRECT
     "},'data':'yes'}}",
     TG_BUTTON, "callback:c1", "7", "7", "", "", "7", "callback_data: yes"},
    {"button without data", "{'callback_query':{'id':'c1'," FROM ",'game_short_name':'g'}}",
     TG_BUTTON, "", "", "", "", "", "", ""},
    {"reaction",
     "{'update_id':5,'message_reaction':{'message_id':9,'user':{'id':7,'first_name':'Ada','"
     "username':'ada'}," GROUP ",'old_reaction':[{'type':'emoji','emoji':'A'}],'new_reaction':[{'"
     "type':'emoji','emoji':'A'},{'type':'emoji','emoji':'B'}]}}",
     TG_REACTION, "reaction:5", "-5", "-5", "", "", "7",
     "Telegram reaction added: B by Ada (@ada) on msg 9"},
    {"reaction taken away",
     "{'update_id':5,'message_reaction':{'message_id':9,'user':{'id':7}," GROUP
     ",'old_reaction':[{'type':'emoji','emoji':'A'}],'new_reaction':[]}}",
     TG_NOTHING, "", "-5", "-5", "", "", "7", ""},
    {"reaction of nobody",
     "{'update_id':5,'message_reaction':{'message_id':9,'actor_chat':{'id':-9}," GROUP
     ",'new_reaction':[{'emoji':'A'}]}}",
     TG_NOTHING, "", "", "", "", "", "", ""},
    {"edited",
     "{'update_id':6,'edited_message':{'message_id':3," FROM "," GROUP
     ",'edit_date':9,'text':'now this'}}",
     TG_EDITED, "edited:6", "-5", "-5", "", "", "7",
     "Telegram message edited by Ada L (@ada) on msg 3: now this"},
    {"edited without a date",
     "{'update_id':6,'edited_message':{'message_id':3," FROM "," GROUP ",'text':'now this'}}",
     TG_NOTHING, "", "", "", "", "", "", ""},
    {"moved", "{'message':{'message_id':3," FROM "," GROUP ",'migrate_to_chat_id':-1005}}",
     TG_MOVED, "", "-5", "-5", "", "", "7", ""},
    {"somebody joined",
     "{'message':{'message_id':3," FROM "," GROUP ",'new_chat_members':[{'id':99}]}}", TG_NOTHING,
     "", "-5", "-5", "", "", "7", ""},
    {"an edit", "{'edited_message':{'message_id':3," FROM "," DIRECT ",'text':'hi'}}", TG_NOTHING,
     "", "", "", "", "", "", ""},
    {"nobody", "{'message':{'message_id':3," DIRECT ",'text':'hi'}}", TG_NOTHING, "", "7", "7", "",
     "", "", ""},
    {"nowhere", "{'message':{'message_id':3," FROM ",'text':'hi'}}", TG_NOTHING, "", "", "", "", "",
     "7", ""},
    {"unknown kind of chat",
     "{'message':{'message_id':3," FROM ",'chat':{'id':7,'type':'secret'},'text':'hi'}}",
     TG_NOTHING, "", "", "", "", "", "7", ""},
    {"no number", "{'message':{'message_id':'3'," FROM "," DIRECT ",'text':'hi'}}", TG_NOTHING, "",
     "", "", "", "", "7", ""},
    {"no message", "{'update_id':5,'message':[]}", TG_NOTHING, "", "", "", "", "", "", ""},
    {"no update", "[]", TG_NOTHING, "", "", "", "", "", "", ""},
    {"empty text", "{'message':{'message_id':3," FROM "," DIRECT ",'text':''}}", TG_NOTHING, "",
     "7", "7", "", "", "7", ""},
};

START_TEST(test_update)
{
    json_t *doc = doc_of(updates[_i].update);
    struct tg_update u;
    const struct {
        const char *what;
        struct view got;
        const char *want;
    } views[] = {
        {"key", VIEW_EMPTY, updates[_i].key},       {"peer", VIEW_EMPTY, updates[_i].peer},
        {"target", VIEW_EMPTY, updates[_i].target}, {"thread", VIEW_EMPTY, updates[_i].thread},
        {"parent", VIEW_EMPTY, updates[_i].parent}, {"sender", VIEW_EMPTY, updates[_i].sender},
        {"text", VIEW_EMPTY, updates[_i].text},
    };
    struct view got[7];

    tg_update_read(&u, doc, &bot);
    got[0] = u.ev.update_id;
    got[1] = u.ev.peer;
    got[2] = u.ev.target;
    got[3] = u.ev.thread;
    got[4] = u.ev.parent;
    got[5] = u.ev.from.id;
    got[6] = u.ev.text;
    ck_assert_msg(u.kind == updates[_i].kind, "%s: kind %d", updates[_i].name, (int)u.kind);
    for (size_t i = 0; i < 7; i++)
        ck_assert_msg(same(got[i], views[i].want), "%s: %s: %.*s", updates[_i].name, views[i].what,
                      VIEW_FMT(got[i]));
    tg_update_fini(&u);
    json_decref(doc);
}
END_TEST

/* What file a message brings, and which one when it brings several sizes or only quotes one. */
static const struct {
    const char *name, *members, *want; /* kind ref type name bytes */
} files[] = {
    {"no file", "'text':'x'", ""},
    {"a picture's largest size",
     "'photo':[{'file_id':'S','file_size':5},{'file_id':'L','file_size':500}]",
     "image L image/jpeg  500"},
    {"the largest that may be fetched",
     "'photo':[{'file_id':'S','file_size':5},{'file_id':'L','file_size':20971521}]",
     "image S image/jpeg  5"},
    {"a document",
     "'document':{'file_id':'D','file_name':'a.pdf','mime_type':'application/pdf','file_size':9}",
     "document D application/pdf a.pdf 9"},
    {"a large document", "'document':{'file_id':'D','file_size':31000000}",
     "document D   31000000"},
    {"an animation comes as a document, too",
     "'document':{'file_id':'D'},'animation':{'file_id':'A','file_name':'g.mp4'}",
     "animation A video/mp4 g.mp4 0"},
    {"a voice", "'voice':{'file_id':'V','mime_type':'audio/ogg'}", "voice V audio/ogg  0"},
    {"music", "'audio':{'file_id':'M','file_name':'m.mp3'}", "audio M audio/mpeg m.mp3 0"},
    {"a film", "'video':{'file_id':'F'}", "video F video/mp4  0"},
    {"a round film", "'video_note':{'file_id':'N'}", "video_note N video/mp4  0"},
    {"a sticker", "'sticker':{'file_id':'T','is_animated':false}", "sticker T image/webp  0"},
    {"no id", "'text':'x','document':{'file_name':'a'}", ""},
    {"quoted",
     "'text':'what is it','reply_to_message':{'message_id':2,'from':{'id':5},"
     "'photo':[{'file_id':'Q','file_size':5}]}",
     "image Q image/jpeg  5"},
    {"its own before a quoted one",
     "'voice':{'file_id':'V'},'reply_to_message':{'message_id':2,'from':{'id':5},"
     "'photo':[{'file_id':'Q','file_size':5}]}",
     "voice V audio/ogg  0"},
    {"ours, quoted",
     "'text':'x','reply_to_message':{'message_id':2,'from':{'id':99},"
     "'photo':[{'file_id':'Q','file_size':5}]}",
     ""},
};

START_TEST(test_file)
{
    struct buf b = BUF_INIT(4096);
    struct tg_update u;
    char got[256] = "";
    json_t *doc;

    buf_printf(&b, "{'message':{'message_id':3," FROM "," DIRECT ",%s}}", files[_i].members);
    buf_put_char(&b, '\0');
    doc = doc_of(buf_view(&b).p);
    tg_update_read(&u, doc, &bot);
    ck_assert_msg(u.kind == TG_MESSAGE, "%s", files[_i].name);
    if (u.ev.media_n)
        (void)snprintf(got, sizeof(got), "%.*s %.*s %.*s %.*s %llu", VIEW_FMT(u.ev.media->kind),
                       VIEW_FMT(u.ev.media->ref), VIEW_FMT(u.ev.media->type),
                       VIEW_FMT(u.ev.media->name), (unsigned long long)u.ev.media->bytes);
    ck_assert_msg(strcmp(got, files[_i].want) == 0, "%s: %s", files[_i].name, got);
    tg_update_fini(&u);
    json_decref(doc);
    buf_fini(&b);
}
END_TEST

START_TEST(test_update_more)
{
    json_t *doc = doc_of("{'update_id':12,'message':{'message_id':3,'date':1700000000," FROM
                         "," FORUM ",'text':'hi'," TOPIC "}}");
    struct tg_update u;

    tg_update_read(&u, doc, &bot);
    ck_assert_int_eq(u.id, 12);
    ck_assert_msg(same(u.ev.from.name, "Ada L") && same(u.ev.from.username, "ada"), "name");
    ck_assert_msg(same(u.ev.peer_name, "Forum") && u.ev.kind == PEER_GROUP, "group");
    ck_assert_int_eq(u.ev.sent_ms, 1700000000000);
    ck_assert_msg(!u.ev.reply_to.n && !u.ev.reply_to_self, "a topic's beginning is no quote");
    tg_update_rename(&u, -600);
    ck_assert_msg(same(u.ev.peer, "-600:topic:1") && same(u.ev.parent, "-600") &&
                      same(u.ev.target, "-6"),
                  "%.*s", VIEW_FMT(u.ev.peer));
    tg_update_fini(&u);
    json_decref(doc);

    doc = doc_of("{'message':{'message_id':3," FROM "," GROUP ",'text':'no','media_group_id':'A',"
                 "'reply_to_message':{'message_id':2,'from':{'id':99,'first_name':'Bot'},"
                 "'text':'long text'},'quote':{'text':'long'}}}");
    tg_update_read(&u, doc, &bot);
    ck_assert_msg(u.ev.reply_to_self && same(u.ev.reply_to, "2") && same(u.ev.reply_text, "long") &&
                      same(u.ev.reply_sender, "Bot"),
                  "quote");
    ck_assert_msg(same(u.album, "A") && u.id == -1, "album");
    tg_update_fini(&u);
    json_decref(doc);

    doc =
        doc_of("{'message':{'message_id':3,'from':{'id':99,'is_bot':true}," GROUP ",'text':'me'}}");
    tg_update_read(&u, doc, &bot);
    ck_assert_msg(u.ev.from.self && u.ev.from.bot, "our own");
    tg_update_fini(&u);
    json_decref(doc);
}
END_TEST

/* ---- answers ---- */

static const struct {
    const char *name, *body;
    int r; /* of tg_reply_read */
    enum tg_why why;
    uint32_t retry_after_ms;
    int64_t moved_to;
} replies[] = {
    {"good", "{'ok':true,'result':{}}", 0, TG_WHY_NONE, 0, 0},
    {"token", "{'ok':false,'error_code':401,'description':'Unauthorized'}", 0, TG_WHY_TOKEN, 0, 0},
    {"no such bot", "{'ok':false,'error_code':404,'description':'Not Found'}", 0, TG_WHY_TOKEN, 0,
     0},
    {"no such method", "{'ok':false,'error_code':404,'description':'Not Found: method not found'}",
     0, TG_WHY_REFUSED, 0, 0},
    {"conflict", "{'ok':false,'error_code':409,'description':'Conflict: x'}", 0, TG_WHY_CONFLICT, 0,
     0},
    {"flood",
     "{'ok':false,'error_code':429,'description':'Too Many Requests: retry after 3',"
     "'parameters':{'retry_after':3}}",
     0, TG_WHY_FLOOD, 3000, 0},
    {"flood for ever", "{'ok':false,'error_code':429,'parameters':{'retry_after':99999999999}}", 0,
     TG_WHY_FLOOD, TG_RETRY_MAX_S * 1000, 0},
    {"flood backwards", "{'ok':false,'error_code':429,'parameters':{'retry_after':-5}}", 0,
     TG_WHY_FLOOD, 0, 0},
    {"moved",
     "{'ok':false,'error_code':400,'description':'Bad Request: group chat was upgraded to a "
     "supergroup chat','parameters':{'migrate_to_chat_id':-1005}}",
     0, TG_WHY_MOVED, 0, -1005},
    {"moved, not where",
     "{'ok':false,'error_code':400,'description':'Bad Request: group chat was upgraded to a "
     "supergroup chat'}",
     0, TG_WHY_MOVED, 0, 0},
    {"markup",
     "{'ok':false,'error_code':400,'description':'Bad Request: CAN\\u0027T PARSE ENTITIES: x'}", 0,
     TG_WHY_MARKUP, 0, 0},
    {"empty", "{'ok':false,'error_code':400,'description':'Bad Request: message text is empty'}", 0,
     TG_WHY_MARKUP, 0, 0},
    {"reply",
     "{'ok':false,'error_code':400,'description':'Bad Request: message to be replied not found'}",
     0, TG_WHY_REPLY_GONE, 0, 0},
    {"thread",
     "{'ok':false,'error_code':400,'description':'Bad Request: message thread not found'}", 0,
     TG_WHY_THREAD_GONE, 0, 0},
    {"same",
     "{'ok':false,'error_code':400,'description':'Bad Request: message is not modified: x'}", 0,
     TG_WHY_SAME, 0, 0},
    {"gone", "{'ok':false,'error_code':400,'description':'Bad Request: message to edit not found'}",
     0, TG_WHY_GONE, 0, 0},
    {"blocked", "{'ok':false,'error_code':403,'description':'Forbidden: bot was blocked'}", 0,
     TG_WHY_REFUSED, 0, 0},
    {"busy", "{'ok':false,'error_code':500,'description':'Internal Server Error'}", 0, TG_WHY_BUSY,
     0, 0},
    {"nothing said", "{'ok':false}", 0, TG_WHY_REFUSED, 0, 0},
    {"good without a result", "{'ok':true}", ERR_INVALID, TG_WHY_NONE, 0, 0},
    {"half", "{'ok':true,'result':{", ERR_INVALID, TG_WHY_NONE, 0, 0},
    {"a page", "<html></html>", ERR_INVALID, TG_WHY_NONE, 0, 0},
    {"another document", "{'ok':'yes','result':1}", ERR_INVALID, TG_WHY_NONE, 0, 0},
    {"empty body", "", ERR_INVALID, TG_WHY_NONE, 0, 0},
};

START_TEST(test_reply)
{
    char *body = strdup(replies[_i].body);
    struct tg_reply r;
    struct err e = ERR_INIT;
    int rc;

    for (char *p = body; *p; p++)
        if (*p == '\'')
            *p = '"';
    rc = tg_reply_read(&r, view_str(body), &e);
    ck_assert_msg(rc == replies[_i].r, "%s: %d %s", replies[_i].name, rc, e.text);
    if (rc == 0) {
        ck_assert_msg(r.why == replies[_i].why && r.ok == (r.why == TG_WHY_NONE), "%s: %d",
                      replies[_i].name, (int)r.why);
        ck_assert_msg(r.retry_after_ms == replies[_i].retry_after_ms &&
                          r.moved_to == replies[_i].moved_to,
                      "%s", replies[_i].name);
        tg_reply_fini(&r);
    }
    free(body);
}
END_TEST

/* ---- positions ---- */

#define DAY 86400000LL

START_TEST(test_seen)
{
    static struct tg_seen s;

    ck_assert_int_eq(tg_seen_offset(&s, 1000), 0);
    ck_assert_int_eq(tg_seen_look(&s, 100, 1000), TG_SEEN_NEW);
    ck_assert_int_eq(tg_seen_look(&s, 101, 1000), TG_SEEN_NEW);
    ck_assert_int_eq(tg_seen_look(&s, 103, 1000), TG_SEEN_NEW);
    ck_assert_int_eq(tg_seen_look(&s, 101, 1000), TG_SEEN_KNOWN);
    ck_assert_int_eq(tg_seen_offset(&s, 1000), 100);
    tg_seen_safe(&s, 101);
    ck_assert_msg(tg_seen_offset(&s, 1000) == 100, "never behind what is not safe");
    ck_assert_int_eq(tg_seen_look(&s, 101, 1000), TG_SEEN_KNOWN);
    tg_seen_safe(&s, 100);
    ck_assert_int_eq(tg_seen_offset(&s, 1000), 102);
    ck_assert(tg_seen_waits(&s));
    tg_seen_safe(&s, 103);
    ck_assert_msg(tg_seen_offset(&s, 1000) == 104 && !tg_seen_waits(&s), "all is safe");
    tg_seen_safe(&s, 103);
    tg_seen_safe(&s, 555);
    ck_assert_int_eq(tg_seen_offset(&s, 1000), 104);
    ck_assert_int_eq(tg_seen_look(&s, 103, 1000), TG_SEEN_KNOWN);
    ck_assert_int_eq(tg_seen_look(&s, -1, 1000), TG_SEEN_KNOWN);
}
END_TEST

START_TEST(test_seen_forget)
{
    static struct tg_seen s;

    ck_assert_int_eq(tg_seen_look(&s, 5, 1), TG_SEEN_NEW);
    ck_assert_int_eq(tg_seen_look(&s, 6, 1), TG_SEEN_NEW);
    tg_seen_safe(&s, 6);
    tg_seen_forget(&s, 5); /* not taken: Telegram is to say it again */
    ck_assert_int_eq(tg_seen_offset(&s, 1), 5);
    ck_assert_int_eq(tg_seen_look(&s, 5, 1), TG_SEEN_NEW);
    tg_seen_safe(&s, 5);
    ck_assert_int_eq(tg_seen_offset(&s, 1), 7);
}
END_TEST

START_TEST(test_seen_anew)
{
    static struct tg_seen s;

    s.next = 900000000;
    s.at_ms = DAY;
    ck_assert_msg(tg_seen_offset(&s, DAY + 1000) == 900000000, "the same day");
    ck_assert_msg(tg_seen_offset(&s, 9 * DAY) == 0, "after a week nothing is confirmed blindly");
    ck_assert_msg(tg_seen_look(&s, 4711, 9 * DAY) == TG_SEEN_NEW, "numbered anew");
    ck_assert_int_eq(tg_seen_offset(&s, 9 * DAY), 4711);
    tg_seen_safe(&s, 4711);
    ck_assert_int_eq(tg_seen_offset(&s, 9 * DAY), 4712);
    ck_assert_int_eq(tg_seen_look(&s, 4700, 9 * DAY), TG_SEEN_KNOWN);
}
END_TEST

START_TEST(test_seen_full)
{
    static struct tg_seen s;

    for (int i = 0; i < TG_SEEN_MAX; i++)
        ck_assert_int_eq(tg_seen_look(&s, 10 + i, 1), TG_SEEN_NEW);
    ck_assert_int_eq(tg_seen_look(&s, 10 + TG_SEEN_MAX, 1), TG_SEEN_FULL);
    tg_seen_safe(&s, 10);
    ck_assert_int_eq(tg_seen_look(&s, 10 + TG_SEEN_MAX, 1), TG_SEEN_NEW);
}
END_TEST

START_TEST(test_state)
{
    static struct tg_state a, b;
    struct buf text = BUF_INIT(16 << 10);

    tg_state_read(&a, VIEW_EMPTY, 99);
    a.seen.next = 17;
    a.seen.at_ms = 5;
    ck_assert(tg_state_moved(&a, -1, -100));
    ck_assert_msg(!tg_state_moved(&a, -1, -100), "known");
    ck_assert_msg(!tg_state_moved(&a, -100, -1) && !tg_state_moved(&a, -7, -7), "a circle");
    ck_assert(tg_state_moved(&a, -100, -200));
    tg_state_write(&a, &text);
    ck_assert_msg(text.n > 0 && text.n < CHANNEL_RESUME_BYTES, "%zu", text.n);
    tg_state_read(&b, buf_view(&text), 99);
    ck_assert(b.seen.next == 17 && b.seen.at_ms == 5 && b.moved_n == 2);
    ck_assert_int_eq(tg_state_to(&b, -1), -200);
    ck_assert_int_eq(tg_state_from(&b, -200), -1);
    ck_assert_int_eq(tg_state_to(&b, -9), -9);
    tg_state_read(&b, buf_view(&text), 98);
    ck_assert_msg(b.seen.next == 0 && b.moved_n == 0 && b.bot == 98, "another bot's numbers");
    tg_state_read(&b, V("{\"bot\":99,\"next\":-4,\"moved\":[[1],[0,0],7,{}]}"), 99);
    ck_assert(b.seen.next == 0 && b.moved_n == 0);
    buf_reset(&text, 0);
    for (int i = 1; i <= TG_MOVED_MAX + 5; i++) {
        ck_assert(tg_state_moved(&b, -i * 1000000000000LL, -i * 1000000000000LL - 7));
    }
    ck_assert_msg(b.moved_n == TG_MOVED_MAX &&
                      tg_state_to(&b, -1000000000000LL) == -1000000000000LL,
                  "the oldest is forgotten");
    tg_state_write(&b, &text);
    ck_assert_msg(!text.failed && text.n < CHANNEL_RESUME_BYTES, "%zu", text.n);
    buf_fini(&text);
}
END_TEST

/* ---- going out ---- */

static const struct {
    const char *text;
    bool ok;
    int64_t chat;
    const char *name;
    int64_t thread;
} targets[] = {
    {"42", true, 42, "", 0},
    {"-1001234567890", true, -1001234567890, "", 0},
    {" telegram:42 ", true, 42, "", 0},
    {"tg:group:-5", true, -5, "", 0},
    {"-5:topic:7", true, -5, "", 7},
    {"-5:7", true, -5, "", 7},
    {"@some_channel", true, 0, "@some_channel", 0},
    {"@some/../x", false, 0, "", 0},
    {"@", false, 0, "", 0},
    {"0", false, 0, "", 0},
    {"", false, 0, "", 0},
    {"telegram:", false, 0, "", 0},
    {"-5:topic:0", false, 0, "", 0},
    {"-5:topic:x", false, 0, "", 0},
    {"42abc", false, 0, "", 0},
    {"99999999999999999999", false, 0, "", 0},
};

START_TEST(test_target)
{
    struct tg_target t;
    bool ok = tg_target_read(view_str(targets[_i].text), &t);

    ck_assert_msg(ok == targets[_i].ok, "%s", targets[_i].text);
    if (ok)
        ck_assert_msg(t.chat == targets[_i].chat && same(t.name, targets[_i].name) &&
                          t.thread == targets[_i].thread,
                      "%s", targets[_i].text);
}
END_TEST

static const struct {
    const char *name, *extra, *want;
} buttons[] = {
    {"none", "{}", ""},
    {"one", "{'buttons':[[{'text':'A','value':'a'}]]}",
     "{\"inline_keyboard\":[[{\"text\":\"A\",\"callback_data\":\"a\"}]]}"},
    {"a command", "{'buttons':[[{'text':'A','command':'/status'}]]}",
     "{\"inline_keyboard\":[[{\"text\":\"A\",\"callback_data\":\"tgcmd:/status\"}]]}"},
    {"what only looks like one", "{'buttons':[[{'text':'A','callback':'/x'}]]}",
     "{\"inline_keyboard\":[[{\"text\":\"A\",\"callback_data\":\"tgcb1:0:/x\"}]]}"},
    {"style",
     "{'buttons':[[{'text':'A','callback':'x','style':'danger'},{'text':'B','value':'y','style':'"
     "odd'}]]}",
     "{\"inline_keyboard\":[[{\"text\":\"A\",\"callback_data\":\"x\",\"style\":\"danger\"},{"
     "\"text\":"
     "\"B\",\"callback_data\":\"y\"}]]}"},
    {"web app",
     "{'buttons':[[{'text':'A','webApp':'https://a'},{'text':'B','webApp':'http://b'}]]}",
     "{\"inline_keyboard\":[[{\"text\":\"A\",\"web_app\":{\"url\":\"https://a\"}}]]}"},
    {"rows",
     "{'buttons':[[{'text':'A','value':'a'},{'text':'B','url':'https://b'}],"
     "[{'text':'C','value':'c'}]]}",
     "{\"inline_keyboard\":[[{\"text\":\"A\",\"callback_data\":\"a\"},{\"text\":\"B\",\"url\":"
     "\"https://b\"}],[{\"text\":\"C\",\"callback_data\":\"c\"}]]}"},
    {"what Telegram refuses",
     "{'buttons':[[{'text':'','value':'a'},{'text':'B'},"
     "{'text':'C','url':'javascript:x'}],[7],'x']}",
     ""},
    {"an empty row is left out", "{'buttons':[[{'text':'B'}],[{'text':'A','value':'a'}]]}",
     "{\"inline_keyboard\":[[{\"text\":\"A\",\"callback_data\":\"a\"}]]}"},
    {"65 bytes",
     "{'buttons':[[{'text':'B','value':"
     "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}]]}",
     ""},
};

START_TEST(test_buttons)
{
    json_t *extra = doc_of(buttons[_i].extra);
    struct buf b = BUF_INIT(4096);
    struct jw w = JW_INIT(&b);
    bool any = tg_buttons_put(&w, extra, true);

    ck_assert_msg(same(buf_view(&b), buttons[_i].want) && any == (b.n > 0), "%s: %.*s",
                  buttons[_i].name, VIEW_FMT(buf_view(&b)));
    buf_fini(&b);
    json_decref(extra);
}
END_TEST

static const struct {
    const char *data, *want;
} pressed[] = {
    {"yes", "callback_data: yes"},
    {"tgcmd:/status now", "/status now"},
    {"tgcmd:status", "callback_data: tgcmd:status"},
    {"tgcb1:0:/x", "callback_data: /x"},
    {"tgcb1:9f3a:a:b", "callback_data: a:b"},
    {"tgcb1:", "callback_data: tgcb1:"},
    {"/help", "/help"},
    {"", "callback_data: "},
};

START_TEST(test_pressed)
{
    struct buf b = BUF_INIT(256);

    tg_buttons_pressed(view_str(pressed[_i].data), &b);
    ck_assert_msg(same(buf_view(&b), pressed[_i].want), "%s: %.*s", pressed[_i].data,
                  VIEW_FMT(buf_view(&b)));
    buf_fini(&b);
}
END_TEST

START_TEST(test_emoji)
{
    ck_assert_msg(same(tg_emoji(V("👍")), "👍"), "as it is");
    ck_assert_msg(same(tg_emoji(V("❤\xef\xb8\x8f")), "❤"), "with a selector");
    ck_assert_msg(same(tg_emoji(V("❤\xef\xb8\x8f‍🔥")), "❤‍🔥"), "two in one");
    ck_assert_msg(!tg_emoji(V("🦖")).n && !tg_emoji(V("x")).n && !tg_emoji(VIEW_EMPTY).n &&
                      !tg_emoji(V("\xef\xb8\x8f")).n && !tg_emoji(V("👍👍")).n,
                  "none of Telegram's");
}
END_TEST

#define LOOP(test, rows) tcase_add_loop_test(t, test, 0, (int)(sizeof(rows) / sizeof(*(rows))))

static void add_cases(TCase *t)
{
    LOOP(test_place, places);
    LOOP(test_said, said);
    LOOP(test_update, updates);
    LOOP(test_file, files);
    tcase_add_test(t, test_update_more);
    LOOP(test_reply, replies);
    tcase_add_test(t, test_seen);
    tcase_add_test(t, test_seen_forget);
    tcase_add_test(t, test_seen_anew);
    tcase_add_test(t, test_seen_full);
    tcase_add_test(t, test_state);
    LOOP(test_target, targets);
    LOOP(test_buttons, buttons);
    LOOP(test_pressed, pressed);
    tcase_add_test(t, test_emoji);
}

CK_MAIN("telegram")
