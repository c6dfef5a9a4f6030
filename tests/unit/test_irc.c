/* What channels/irc reads and writes, without a server: lines, names, pieces of text, the login as
 * a conversation. */
#include "b64.h"
#include "ck.h"
#include "irc_login.h"

#include <stdio.h>
#include <string.h>

#define VS(s) view_str(s)

static void same(const char *name, struct view got, const char *want)
{
    ck_assert_msg(view_eq(got, VS(want)), "%s: '%.*s', want '%s'", name, VIEW_FMT(got), want);
}

static const struct {
    const char *name, *line, *nick, *user, *host, *command;
    unsigned n;
    const char *last;
} lines[] = {
    {"whole", "@time=x;a :ada!u@h.example PRIVMSG #c :hello  you ", "ada", "u", "h.example",
     "PRIVMSG", 2, "hello  you "},
    {"server", ":irc.example 001 me :Welcome", "irc.example", "", "", "001", 2, "Welcome"},
    {"bare", "PING x", "", "", "", "PING", 1, "x"},
    {"no params", "QUIT", "", "", "", "QUIT", 0, ""},
    {"empty last", "PRIVMSG #c :", "", "", "", "PRIVMSG", 2, ""},
    {"colon inside", "MODE a:b c", "", "", "", "MODE", 2, "c"},
    {"spaces", ":n   CMD   a   b  ", "n", "", "", "CMD", 2, "b"},
    {"host without user", ":n@h CMD", "n", "", "h", "CMD", 0, ""},
    {"bang behind at", ":n@h!u CMD", "n", "", "h!u", "CMD", 0, ""},
    {"fifteen", "C 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "", "", "", "C", 15, "15 16"},
};

START_TEST(line_read)
{
    struct irc_line l;

    ck_assert_msg(irc_parse(VS(lines[_i].line), &l), "%s", lines[_i].name);
    same(lines[_i].name, l.nick, lines[_i].nick);
    same(lines[_i].name, l.user, lines[_i].user);
    same(lines[_i].name, l.host, lines[_i].host);
    same(lines[_i].name, l.command, lines[_i].command);
    ck_assert_msg(l.n == lines[_i].n, "%s: %u parameters", lines[_i].name, l.n);
    same(lines[_i].name, irc_param(&l, l.n ? l.n - 1 : 0), lines[_i].last);
}
END_TEST

static const struct {
    const char *name;
    struct view line;
} no_lines[] = {{"empty", {"", 0}},          {"spaces", {"  ", 2}},     {"tags only", {"@a=b", 4}},
                {"prefix only", {":n ", 3}}, {"NUL", {"PING a\0b", 8}}, {"colon", {":n :x", 5}}};

START_TEST(line_refused)
{
    struct irc_line l;

    ck_assert_msg(!irc_parse(no_lines[_i].line, &l), "%s", no_lines[_i].name);
}
END_TEST

static const struct {
    const char *name, *tags, *key, *want; /* want NULL: not there */
} tag_rows[] = {
    {"first", "@msgid=1;b=2", "msgid", "1"},
    {"last", "@a=1;b=2", "b", "2"},
    {"no value", "@a;b", "a", ""},
    {"escapes", "@a=\\:\\s\\\\\\r\\n\\x", "a", "; \\\r\nx"},
    {"lone", "@a=b\\", "a", "b"},
    {"prefix of a name", "@ab=1", "a", NULL},
    {"vendor", "@+x/y=1", "+x/y", "1"},
    {"absent", "@a=1", "b", NULL},
    {"empty between", "@;;b=2", "b", "2"},
};

START_TEST(tags)
{
    struct buf b = BUF_INIT(64);
    char text[80];
    struct irc_line l;
    bool there;

    snprintf(text, sizeof(text), "%s PING", tag_rows[_i].tags);
    ck_assert(irc_parse(VS(text), &l));
    there = irc_tag(&l, VS(tag_rows[_i].key), &b);
    ck_assert_msg(there == (tag_rows[_i].want != NULL), "%s", tag_rows[_i].name);
    if (there)
        same(tag_rows[_i].name, buf_view(&b), tag_rows[_i].want);
    buf_fini(&b);
}
END_TEST

static const struct {
    const char *name;
    struct view a, b;
    const char *want; /* NULL: refused */
} puts_[] = {
    {"plain", {"#c", 2}, {"hi you", 6}, "PRIVMSG #c :hi you\r\n"},
    {"colon", {"#c", 2}, {":)", 2}, "PRIVMSG #c ::)\r\n"},
    {"empty text", {"#c", 2}, {"", 0}, "PRIVMSG #c :\r\n"},
    {"line break", {"#c", 2}, {"a\r\nQUIT", 7}, NULL},
    {"LF", {"#c", 2}, {"a\nQ", 3}, NULL},
    {"NUL", {"#c", 2}, {"a\0b", 3}, NULL},
    {"two targets", {"#c #d", 5}, {"x", 1}, NULL},
    {"empty target", {"", 0}, {"x", 1}, NULL},
    {"colon target", {":c", 2}, {"x", 1}, NULL},
};

START_TEST(line_written)
{
    struct buf b = BUF_INIT(256);
    bool ok = irc_put(&b, "PRIVMSG", (const struct view[]){puts_[_i].a, puts_[_i].b}, 2);

    ck_assert_msg(ok == (puts_[_i].want != NULL), "%s", puts_[_i].name);
    same(puts_[_i].name, buf_view(&b), puts_[_i].want ? puts_[_i].want : "");
    buf_fini(&b);
}
END_TEST

START_TEST(server_says)
{
    struct irc_server s;
    struct irc_line l;

    irc_server_init(&s);
    ck_assert(irc_same(&s, V("A[]\\~"), V("a{}|^")));
    ck_assert(irc_parse(
        V(":s 005 me CASEMAPPING=ascii CHANTYPES=#! STATUSMSG=@ NICKLEN=9 X :are supported"), &l));
    irc_server_learn(&s, &l);
    ck_assert(!irc_same(&s, V("[a"), V("{a")) && irc_same(&s, V("ABC"), V("abc")));
    ck_assert(irc_is_channel(&s, V("!x")) && !irc_is_channel(&s, V("&x")) &&
              !irc_is_channel(&s, V("#")));
    same("status", irc_without_status(&s, V("@#c")), "#c");
    same("other status", irc_without_status(&s, V("+#c")), "+#c");
    ck_assert_uint_eq(s.nick_max, 9);
    ck_assert(irc_parse(V(":s 005 me CASEMAPPING=strict-rfc1459 NICKLEN=9999 NICKLEN=0 :are"), &l));
    irc_server_learn(&s, &l);
    ck_assert(!irc_same(&s, V("~"), V("^")) && irc_same(&s, V("["), V("{")));
    ck_assert_uint_eq(s.nick_max, 9);
    ck_assert(irc_is_target(V("#c")) && !irc_is_target(V("a b")) && !irc_is_target(V("a,b")) &&
              !irc_is_target(V("")));
}
END_TEST

static const struct {
    const char *name, *text;
    size_t max;
    const char *pieces; /* joined by / */
} cuts[] = {
    {"fits", "hello", 5, "hello"},
    {"at a space", "hello you", 8, "hello/you"},
    {"space at the limit", "hello you", 5, "hello/you"},
    {"no space", "abcdefgh", 3, "abc/def/gh"},
    {"character kept", "aéé", 2, "a/é/é"},
    {"lines", "a\n\nb\r\nc\n", 9, "a/b/c"},
    {"only breaks", "\r\n\n", 9, ""},
    {"two spaces", "a  b", 2, "a /b"},
};

START_TEST(pieces)
{
    struct buf b = BUF_INIT(256);
    struct view rest = VS(cuts[_i].text), piece;

    while (irc_piece(&rest, cuts[_i].max, &piece)) {
        if (b.n)
            buf_put_char(&b, '/');
        buf_put_view(&b, piece);
        ck_assert_msg(piece.n <= cuts[_i].max, "%s", cuts[_i].name);
    }
    same(cuts[_i].name, buf_view(&b), cuts[_i].pieces);
    buf_fini(&b);
}
END_TEST

START_TEST(room)
{
    char line[IRC_LINE_MAX * 2];
    size_t n = irc_room(4, 5, 6, 7);

    snprintf(line, sizeof(line), ":nick!user5@host.6 PRIVMSG #target :%0*d\r\n", (int)n, 0);
    ck_assert_uint_eq(strlen(line), IRC_LINE_MAX);
    ck_assert(irc_room(4, 0, 0, 7) < n && irc_room(400, 100, 100, 100) == 64);
}
END_TEST

START_TEST(clean)
{
    struct buf b = BUF_INIT(256);

    irc_clean(view_of("a\x02"
                      "b\x01"
                      "c\td\r\n\x80\xc3\xa9\x7f\xc3",
                      15),
              &b);
    same("clean", buf_view(&b),
         "a\x02"
         "bc d\n\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
    buf_fini(&b);
}
END_TEST

static const struct {
    const char *text;
    bool named;
} names[] = {{"bot: hi", true}, {"hi BOT!", true}, {"hi bot", true},     {"robot", false},
             {"bots", false},   {"bot_", false},   {"bot-x", false},     {"@bot", true},
             {"", false},       {"éboté", false},  {"my bot, yes", true}};

START_TEST(named)
{
    struct irc_server s;

    irc_server_init(&s);
    ck_assert_msg(irc_names(&s, VS(names[_i].text), V("bot")) == names[_i].named, "%s",
                  names[_i].text);
    ck_assert(!irc_names(&s, VS(names[_i].text), VIEW_EMPTY));
}
END_TEST

START_TEST(ctcp)
{
    struct view t = V("\001ACTION waves\001");

    ck_assert(irc_action(&t));
    same("action", t, "waves");
    t = V("\001VERSION\001");
    ck_assert(!irc_action(&t));
    t = V("plain");
    ck_assert(irc_action(&t));
    same("plain", t, "plain");
}
END_TEST

/* A conversation: lines of the server after ">", what we say to it after "<", the end after "=". */
static const struct {
    const char *name;
    enum irc_sasl sasl;
    bool required;
    const char *talk;
    enum irc_login_said said;
} logins[] = {
    {"old server", IRC_SASL_NONE, false, ">:s 421 * CAP :Unknown command|>:s 001 bot :hi",
     IRC_LOGIN_READY},
    {"nothing of use", IRC_SASL_NONE, false, ">:s CAP * LS :multi-prefix|<CAP :END|>:s 001 bot :hi",
     IRC_LOGIN_READY},
    {"several lines of caps", IRC_SASL_NONE, false,
     ">CAP * LS * :a server-time|>CAP * LS :message-tags b|<CAP REQ :server-time message-tags|>CAP "
     "* ACK :server-time message-tags|<CAP :END|>001 bot",
     IRC_LOGIN_READY},
    {"refused caps", IRC_SASL_NONE, false,
     ">CAP * LS :server-time|<CAP REQ :server-time|>CAP * NAK :server-time|<CAP :END|>001 bot",
     IRC_LOGIN_READY},
    {"sasl", IRC_SASL_PLAIN, true,
     ">CAP * LS :sasl=PLAIN,EXTERNAL|<CAP REQ :sasl|>CAP * ACK :sasl |<AUTHENTICATE "
     ":PLAIN|>AUTHENTICATE :+|<AUTHENTICATE :YWNjAGFjYwBwdw==|>:s 900 bot x acc :in|>:s 903 bot "
     ":ok|<CAP :END|>001 bot :hi",
     IRC_LOGIN_READY},
    {"external", IRC_SASL_EXTERNAL, true,
     ">CAP * LS :sasl|<CAP REQ :sasl|>CAP * ACK :sasl|<AUTHENTICATE :EXTERNAL|>AUTHENTICATE "
     "+|<AUTHENTICATE :+|>903 bot :ok|<CAP :END|>001 bot :hi",
     IRC_LOGIN_READY},
    {"wrong password, required", IRC_SASL_PLAIN, true,
     ">CAP * LS :sasl|<CAP REQ :sasl|>CAP * ACK :sasl|<AUTHENTICATE :PLAIN|>AUTHENTICATE "
     "+|<AUTHENTICATE :YWNjAGFjYwBwdw==|>904 bot :failed",
     IRC_LOGIN_NEVER},
    {"wrong password, not required", IRC_SASL_PLAIN, false,
     ">CAP * LS :sasl|<CAP REQ :sasl|>CAP * ACK :sasl|<AUTHENTICATE :PLAIN|>AUTHENTICATE "
     "+|<AUTHENTICATE :YWNjAGFjYwBwdw==|>904 bot :failed|<CAP :END|>001 bot",
     IRC_LOGIN_READY},
    {"services are away", IRC_SASL_PLAIN, true, ">CAP * LS :server-time", IRC_LOGIN_LATER},
    {"mechanism is not offered", IRC_SASL_EXTERNAL, true, ">CAP * LS :sasl=PLAIN", IRC_LOGIN_LATER},
    {"no CAP at all, required", IRC_SASL_PLAIN, true, ">001 bot :hi", IRC_LOGIN_LATER},
    {"nick taken", IRC_SASL_NONE, false,
     ">433 * bot :in use|<NICK :bot_|>436 * bot_ :x|<NICK :bot__|>001 bot__", IRC_LOGIN_READY},
    {"bad nick", IRC_SASL_NONE, false, ">432 * bot :Erroneous", IRC_LOGIN_NEVER},
    {"server password", IRC_SASL_NONE, false, ">464 * :Password incorrect", IRC_LOGIN_NEVER},
    {"banned", IRC_SASL_NONE, false, ">465 * :You are banned", IRC_LOGIN_NEVER},
    {"throttled", IRC_SASL_NONE, false, ">ERROR :Trying to reconnect too fast.", IRC_LOGIN_LATER},
    {"ping", IRC_SASL_NONE, false, ">PING :a b|<PONG :a b|>001 bot", IRC_LOGIN_READY},
    {"the server's name for us", IRC_SASL_NONE, false, ">:s 001 Bot2 :hi", IRC_LOGIN_READY},
    {"stray answers", IRC_SASL_PLAIN, false,
     ">AUTHENTICATE +|>903 bot :ok|>CAP * ACK :sasl|>001 bot", IRC_LOGIN_READY},
};

START_TEST(login)
{
    struct irc_login_conf conf = {.nick = V("bot"),
                                  .sasl = logins[_i].sasl,
                                  .sasl_user = V("acc"),
                                  .sasl_password = V("pw"),
                                  .sasl_required = logins[_i].required};
    struct buf out = BUF_INIT(4096), why = BUF_INIT(1024);
    enum irc_login_said said = IRC_LOGIN_MORE;
    char talk[1024], *save, *t;
    struct irc_login l;
    struct irc_line line;

    irc_login_begin(&l, &conf, &out);
    same(logins[_i].name, buf_view(&out), "CAP LS :302\r\nNICK :bot\r\nUSER bot 0 * :bot\r\n");
    buf_reset(&out, 4096);
    snprintf(talk, sizeof(talk), "%s", logins[_i].talk);
    for (t = strtok_r(talk, "|", &save); t; t = strtok_r(NULL, "|", &save)) {
        if (*t == '>') {
            ck_assert_msg(out.n == 0, "%s: before %s we said %.*s", logins[_i].name, t,
                          VIEW_FMT(buf_view(&out)));
            ck_assert(irc_parse(VS(t + 1), &line));
            ck_assert_msg(said == IRC_LOGIN_MORE, "%s: over before %s", logins[_i].name, t);
            said = irc_login_line(&l, &line, &out, &why);
        } else {
            size_t n = strlen(t + 1);

            ck_assert_msg(out.n >= n + 2 && !memcmp(out.p + out.off, t + 1, n),
                          "%s: '%.*s', want %s", logins[_i].name, VIEW_FMT(buf_view(&out)), t + 1);
            buf_eat(&out, n + 2);
        }
    }
    ck_assert_msg(said == logins[_i].said, "%s: %d, %.*s", logins[_i].name, (int)said,
                  VIEW_FMT(buf_view(&why)));
    ck_assert_msg(out.n == 0, "%s: left: %.*s", logins[_i].name, VIEW_FMT(buf_view(&out)));
    ck_assert_msg((why.n > 0) == (said == IRC_LOGIN_LATER || said == IRC_LOGIN_NEVER), "%s",
                  logins[_i].name);
    buf_fini(&out);
    buf_fini(&why);
}
END_TEST

/* Longer than one piece, and exactly one piece: then an empty one follows. */
START_TEST(sasl_pieces)
{
    static const struct {
        size_t password;
        unsigned lines;
    } rows[] = {{10, 1}, {289, 1}, {290, 2}, {292, 2}, {293, 2}, {592, 3}};
    char password[700];
    struct irc_login_conf conf = {.nick = V("bot"), .sasl = IRC_SASL_PLAIN, .sasl_user = V("acc")};
    struct buf out = BUF_INIT(8192), why = BUF_INIT(64);
    struct irc_login l;
    struct irc_line line;
    unsigned n = 0;

    memset(password, 'p', sizeof(password));
    conf.sasl_password = view_of(password, rows[_i].password);
    irc_login_begin(&l, &conf, &out);
    l.state = IRC_LOGIN_SASL;
    buf_reset(&out, 8192);
    ck_assert(irc_parse(V("AUTHENTICATE +"), &line));
    ck_assert_int_eq(irc_login_line(&l, &line, &out, &why), IRC_LOGIN_MORE);
    for (size_t i = 0; i < out.n; i++)
        n += out.p[out.off + i] == '\n';
    ck_assert_msg(n == rows[_i].lines, "%zu bytes: %u lines", rows[_i].password, n);
    buf_fini(&out);
    buf_fini(&why);
}
END_TEST

START_TEST(base64)
{
    static const struct {
        const char *in, *out;
    } rows[] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
                {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe", "//4="}};
    struct buf b = BUF_INIT(64);

    b64_put(&b, VS(rows[_i].in));
    same(rows[_i].in, buf_view(&b), rows[_i].out);
    buf_fini(&b);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, line_read, 0, sizeof(lines) / sizeof(lines[0]));
    tcase_add_loop_test(tc, line_refused, 0, sizeof(no_lines) / sizeof(no_lines[0]));
    tcase_add_loop_test(tc, tags, 0, sizeof(tag_rows) / sizeof(tag_rows[0]));
    tcase_add_loop_test(tc, line_written, 0, sizeof(puts_) / sizeof(puts_[0]));
    tcase_add_test(tc, server_says);
    tcase_add_loop_test(tc, pieces, 0, sizeof(cuts) / sizeof(cuts[0]));
    tcase_add_test(tc, room);
    tcase_add_test(tc, clean);
    tcase_add_loop_test(tc, named, 0, sizeof(names) / sizeof(names[0]));
    tcase_add_test(tc, ctcp);
    tcase_add_loop_test(tc, login, 0, sizeof(logins) / sizeof(logins[0]));
    tcase_add_loop_test(tc, sasl_pieces, 0, 6);
    tcase_add_loop_test(tc, base64, 0, 6);
}

CK_MAIN("irc")
