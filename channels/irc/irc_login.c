#include "irc_login.h"

#include "b64.h"

enum {
    SASL_PIECE = 400,
    SASL_TEXT_MAX = 1024,
    RENAMES_MAX = 8,
    QUOTE_MAX = 200,
};

static const struct {
    struct view name;
    unsigned cap;
} wanted[] = {{{"sasl", 4}, IRC_CAP_SASL},
              {{"server-time", 11}, IRC_CAP_TIME},
              {{"account-tag", 11}, IRC_CAP_ACCOUNT},
              {{"message-tags", 12}, IRC_CAP_TAGS}};

enum { WANTED = sizeof(wanted) / sizeof(wanted[0]) };

/* A value of the configuration that no line can hold is not sent; the server's answer then decides.
 */
static void put1(struct buf *out, const char *command, struct view a)
{
    (void)irc_put(out, command, &a, 1);
}

static void put_nick(struct irc_login *l, struct view nick, struct buf *out)
{
    size_t n = nick.n < IRC_NICK_MAX ? nick.n : IRC_NICK_MAX;

    memmove(l->nick, nick.p, n);
    l->nick[n] = '\0';
    put1(out, "NICK", view_str(l->nick));
}

void irc_login_begin(struct irc_login *l, const struct irc_login_conf *conf, struct buf *out)
{
    const struct view user[4] = {conf->username.n ? conf->username : conf->nick, V("0"), V("*"),
                                 conf->realname.n ? conf->realname : conf->nick};

    *l = (struct irc_login){.conf = *conf, .state = IRC_LOGIN_ASKED};
    (void)irc_put(out, "CAP", (const struct view[]){V("LS"), V("302")}, 2);
    if (conf->password.n)
        put1(out, "PASS", conf->password);
    put_nick(l, conf->nick, out);
    (void)irc_put(out, "USER", user, 4);
}

static enum irc_login_said stop(enum irc_login_said said, struct buf *why, const char *words,
                                struct view quote)
{
    buf_put_str(why, words);
    if (quote.n) {
        buf_put_str(why, ": ");
        irc_clean(view_of(quote.p, quote.n < QUOTE_MAX ? quote.n : QUOTE_MAX), why);
    }
    return said;
}

static enum irc_login_said end_caps(struct irc_login *l, struct buf *out)
{
    l->state = IRC_LOGIN_NAMED;
    put1(out, "CAP", V("END"));
    return IRC_LOGIN_MORE;
}

/* SASL did not happen. Refused credentials will be refused again; services may come back. */
static enum irc_login_said no_account(struct irc_login *l, bool refused, struct view quote,
                                      struct buf *out, struct buf *why)
{
    if (!l->conf.sasl_required)
        return end_caps(l, out);
    if (refused)
        return stop(IRC_LOGIN_NEVER, why, "the server refused the account's login", quote);
    return stop(IRC_LOGIN_LATER, why, "the server offers no login (SASL) now", quote);
}

/* ---- CAP ---- */

static void offer(struct irc_login *l, struct view list)
{
    while (list.n) {
        size_t end = view_find(list, ' ');
        struct view one = view_of(list.p, end);
        size_t eq = view_find(one, '=');

        for (size_t i = 0; i < WANTED; i++)
            if (view_eq(view_of(one.p, eq), wanted[i].name))
                l->offered |= wanted[i].cap;
        if (eq < one.n && view_eq(view_of(one.p, eq), V("sasl"))) {
            struct view m = view_from(one, eq + 1);

            l->mechanisms_known = true;
            while (m.n) {
                size_t comma = view_find(m, ',');

                l->plain_offered |= view_eq(view_of(m.p, comma), V("PLAIN"));
                l->external_offered |= view_eq(view_of(m.p, comma), V("EXTERNAL"));
                m = view_from(m, comma + 1);
            }
        }
        list = view_from(list, end + 1);
    }
}

static bool offers_ours(const struct irc_login *l)
{
    if (!(l->offered & IRC_CAP_SASL))
        return false;
    return !l->mechanisms_known ||
           (l->conf.sasl == IRC_SASL_PLAIN ? l->plain_offered : l->external_offered);
}

static enum irc_login_said ask(struct irc_login *l, struct buf *out, struct buf *why)
{
    unsigned want = l->offered;
    char list[128];
    size_t n = 0;

    if (l->conf.sasl == IRC_SASL_NONE || !offers_ours(l))
        want &= ~(unsigned)IRC_CAP_SASL;
    if (l->conf.sasl != IRC_SASL_NONE && !(want & IRC_CAP_SASL) && l->conf.sasl_required)
        return no_account(l, false, VIEW_EMPTY, out, why);
    if (!want)
        return end_caps(l, out);
    for (size_t i = 0; i < WANTED; i++)
        if (want & wanted[i].cap) { /* only what was listed: one unknown name refuses them all */
            if (n)
                list[n++] = ' ';
            memcpy(list + n, wanted[i].name.p, wanted[i].name.n);
            n += wanted[i].name.n;
        }
    (void)irc_put(out, "CAP", (const struct view[]){V("REQ"), view_of(list, n)}, 2);
    l->state = IRC_LOGIN_WANTS;
    return IRC_LOGIN_MORE;
}

static enum irc_login_said on_cap(struct irc_login *l, const struct irc_line *line, struct buf *out,
                                  struct buf *why)
{
    struct view verb = irc_param(line, 1), list = irc_param(line, line->n - 1);

    if (l->state == IRC_LOGIN_ASKED && view_ieq(verb, V("LS"))) {
        offer(l, list);
        return line->n > 3 && view_eq(irc_param(line, 2), V("*")) ? IRC_LOGIN_MORE
                                                                  : ask(l, out, why);
    }
    if (l->state != IRC_LOGIN_WANTS)
        return IRC_LOGIN_MORE;
    if (view_ieq(verb, V("ACK"))) {
        l->offered = 0;
        offer(l, list);
        l->granted = l->offered;
        if (!(l->granted & IRC_CAP_SASL))
            return end_caps(l, out);
        l->state = IRC_LOGIN_SASL;
        put1(out, "AUTHENTICATE", l->conf.sasl == IRC_SASL_PLAIN ? V("PLAIN") : V("EXTERNAL"));
        return IRC_LOGIN_MORE;
    }
    if (view_ieq(verb, V("NAK")))
        return l->conf.sasl == IRC_SASL_NONE ? end_caps(l, out)
                                             : no_account(l, false, VIEW_EMPTY, out, why);
    return IRC_LOGIN_MORE;
}

/* ---- SASL ---- */

static void say_pieces(struct view text, struct buf *out)
{
    struct view piece;

    do { /* a full last piece is followed by an empty one */
        piece = view_of(text.p, text.n < SASL_PIECE ? text.n : SASL_PIECE);
        text = view_from(text, piece.n);
        put1(out, "AUTHENTICATE", piece.n ? piece : V("+"));
    } while (piece.n == SASL_PIECE);
}

static void on_authenticate(struct irc_login *l, const struct irc_line *line, struct buf *out)
{
    struct buf plain = BUF_INIT(SASL_TEXT_MAX), text = BUF_INIT(SASL_TEXT_MAX * 2);

    plain.secret = text.secret = true;
    if (l->state == IRC_LOGIN_SASL && view_eq(irc_param(line, 0), V("+"))) {
        if (l->conf.sasl == IRC_SASL_PLAIN) {
            buf_put_view(&plain, l->conf.sasl_user);
            buf_put_char(&plain, '\0');
            buf_put_view(&plain, l->conf.sasl_user);
            buf_put_char(&plain, '\0');
            buf_put_view(&plain, l->conf.sasl_password);
            b64_put(&text, buf_view(&plain));
        }
        if (plain.failed || text.failed)
            put1(out, "AUTHENTICATE", V("*")); /* longer than any server takes: answered with 906 */
        else
            say_pieces(buf_view(&text), out);
    }
    buf_fini(&plain);
    buf_fini(&text);
}

/* ---- numerics ---- */

/* Another nick: ours with a line under it, as long as there is room, then other last letters. */
static enum irc_login_said rename_self(struct irc_login *l, struct buf *out, struct buf *why)
{
    size_t n = strlen(l->nick);

    if (l->renames == RENAMES_MAX)
        return stop(IRC_LOGIN_LATER, why, "every nick that we tried is taken", VIEW_EMPTY);
    l->renames++;
    if (n < l->conf.nick.n + 3 && n < IRC_NICK_MAX) {
        l->nick[n++] = '_';
        l->nick[n] = '\0';
    } else {
        l->nick[n - 1] = (char)('0' + l->renames);
    }
    put1(out, "NICK", view_str(l->nick));
    return IRC_LOGIN_MORE;
}

static enum irc_login_said on_numeric(struct irc_login *l, int n, const struct irc_line *line,
                                      struct buf *out, struct buf *why)
{
    struct view words = irc_param(line, line->n ? line->n - 1 : 0);

    switch (n) {
    case 1: /* the name that the server calls us by */
        if (l->conf.sasl != IRC_SASL_NONE && l->conf.sasl_required && !l->account)
            return no_account(l, false, VIEW_EMPTY, out, why);
        if (irc_param(line, 0).n && irc_param(line, 0).n <= IRC_NICK_MAX) {
            memcpy(l->nick, irc_param(line, 0).p, irc_param(line, 0).n);
            l->nick[irc_param(line, 0).n] = '\0';
        }
        l->state = IRC_LOGIN_DONE;
        return IRC_LOGIN_READY;
    case 432:
        return stop(IRC_LOGIN_NEVER, why, "the server does not take this nick", words);
    case 433:
    case 436:
    case 437:
        return rename_self(l, out, why);
    case 464:
        return stop(IRC_LOGIN_NEVER, why, "the server refused the password", words);
    case 465:
        return stop(IRC_LOGIN_NEVER, why, "we are banned from this server", words);
    case 900:
    case 903:
        l->account = true;
        return n == 903 && l->state == IRC_LOGIN_SASL ? end_caps(l, out) : IRC_LOGIN_MORE;
    case 902:
    case 904:
    case 905:
    case 906:
        return l->state == IRC_LOGIN_SASL ? no_account(l, true, words, out, why) : IRC_LOGIN_MORE;
    case 907: /* we are somebody already */
        l->account = true;
        return l->state == IRC_LOGIN_SASL ? end_caps(l, out) : IRC_LOGIN_MORE;
    default:
        return IRC_LOGIN_MORE;
    }
}

enum irc_login_said irc_login_line(struct irc_login *l, const struct irc_line *line,
                                   struct buf *out, struct buf *why)
{
    int n = irc_numeric(line);

    if (n >= 0)
        return on_numeric(l, n, line, out, why);
    if (view_ieq(line->command, V("PING")))
        put1(out, "PONG", irc_param(line, 0));
    else if (view_ieq(line->command, V("CAP")) && line->n > 1)
        return on_cap(l, line, out, why);
    else if (view_ieq(line->command, V("AUTHENTICATE")))
        on_authenticate(l, line, out);
    else if (view_ieq(line->command, V("ERROR")))
        return stop(IRC_LOGIN_LATER, why, "the server ended it", irc_param(line, 0));
    return IRC_LOGIN_MORE;
}
