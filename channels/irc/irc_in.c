/* channels/irc/irc_in.c - what the server says once we are there. */
#include "irc_int.h"

#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { TEXT_BYTES = 16 << 10, TAG_BYTES = 8 << 10 };

static struct view own(const struct irc *x)
{
    return view_str(x->login.nick);
}

static bool is_own(const struct irc *x, struct view nick)
{
    return irc_same(&x->server, nick, own(x));
}

/* server-time: 2026-01-02T03:04:05.678Z; 0 when it is not that */
static int64_t time_of(const struct irc_line *l)
{
    struct buf b = BUF_INIT(64);
    struct tm tm = {0};
    int64_t ms = 0;
    char text[32];

    if (irc_tag(l, V("time"), &b) && b.n < sizeof(text)) {
        const char *end;

        memcpy(text, b.p + b.off, b.n);
        text[b.n] = '\0';
        end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        if (end && (*end == '.' || *end == 'Z'))
            ms = (int64_t)timegm(&tm) * 1000;
    }
    buf_fini(&b);
    return ms > 0 ? ms : 0;
}

/* ---- messages ---- */

static void tell(struct irc *x, const struct irc_line *l, struct view words, struct view to)
{
    struct buf text = BUF_INIT(TEXT_BYTES), id = BUF_INIT(TAG_BYTES), account = BUF_INIT(TAG_BYTES);
    bool room = irc_is_channel(&x->server, to);
    struct channel_event ev = {.from = {.id = l->prefix, .name = l->nick, .username = l->nick},
                               .kind = room ? PEER_GROUP : PEER_DIRECT,
                               .peer = room ? to : l->nick,
                               .peer_name = room ? to : l->nick,
                               .sent_ms = time_of(l)};
    struct err e = ERR_INIT;

    irc_clean(words, &text);
    if (irc_tag(l, V("msgid"), &id) && id.n && id.n < CHANNEL_ID_BYTES && !id.failed)
        ev.message_id = buf_view(&id);
    else
        buf_reset(&id, TAG_BYTES), buf_printf(&id, "%s-%" PRIu64, x->boot, ++x->seen);
    ev.update_id = buf_view(&id);
    if (irc_tag(l, V("account"), &account) && account.n && account.n < 200)
        ev.from.alias = buf_view(&account);
    ev.text = buf_view(&text);
    if (room && irc_names(&x->server, ev.text, own(x)))
        ev.mention = MENTION_SELF;
    if (!ev.text.n || text.failed)
        log_debug("irc.nothing_said", KV("bytes", words.n));
    else if (channel_inbound(x->c, &ev, NULL, NULL, 0, &e) < 0)
        log_warn("irc.not_taken", KV("why", e.text));
    buf_fini(&text);
    buf_fini(&id);
    buf_fini(&account);
}

static void on_privmsg(struct irc *x, const struct irc_line *l)
{
    struct view to = irc_without_status(&x->server, irc_param(l, 0)), words = irc_param(l, 1);

    if (is_own(x, l->nick) || !l->user.n || !l->host.n) /* our echo; the server itself is nobody */
        return;
    if (!irc_is_channel(&x->server, to) && !is_own(x, to))
        return;
    if (irc_action(&words)) /* other requests of a client to a client are not answered */
        tell(x, l, words, to);
}

/* ---- who is where ---- */

static void on_nick(struct irc *x, const struct irc_line *l)
{
    struct view to = irc_param(l, 0);

    if (is_own(x, l->nick)) {
        if (to.n && to.n <= IRC_NICK_MAX) {
            memcpy(x->login.nick, to.p, to.n);
            x->login.nick[to.n] = '\0';
            channel_note(x->c, "nick", to);
        }
    } else if (irc_same(&x->server, l->nick, x->conf.login.nick)) {
        irc_nick_free(x);
    }
}

static void on_join(struct irc *x, const struct irc_line *l)
{
    if (!is_own(x, l->nick))
        return;
    x->user_n = l->user.n;
    x->host_n = l->host.n;
    irc_joined(x, irc_param(l, 0));
}

static void on_part(struct irc *x, const struct irc_line *l)
{
    if (is_own(x, l->nick))
        irc_left(x, irc_param(l, 0), false);
}

static void on_kick(struct irc *x, const struct irc_line *l)
{
    if (is_own(x, irc_param(l, 1)))
        irc_left(x, irc_param(l, 0), true);
}

static void on_quit(struct irc *x, const struct irc_line *l)
{
    if (irc_same(&x->server, l->nick, x->conf.login.nick))
        irc_nick_free(x);
}

static void on_ping(struct irc *x, const struct irc_line *l)
{
    struct view what = irc_param(l, 0);

    (void)irc_say(x, &x->urgent, "PONG", &what, 1);
}

static void on_pong(struct irc *x, const struct irc_line *l)
{
    x->pinged_ms = 0;
    irc_sent(x, irc_param(l, l->n ? l->n - 1 : 0));
}

static void on_end(struct irc *x, const struct irc_line *l)
{
    char why[256];
    struct view words = irc_param(l, l->n ? l->n - 1 : 0);

    snprintf(why, sizeof(why), "the server ended it: %.*s", (int)(words.n < 200 ? words.n : 200),
             words.p);
    irc_lost(x, why);
}

static void on_kill(struct irc *x, const struct irc_line *l)
{
    if (is_own(x, irc_param(l, 0)))
        on_end(x, l);
}

static void on_notice(struct irc *x, const struct irc_line *l)
{
    (void)x;
    (void)l; /* RFC 2812, 3.3.2: nothing may answer one by itself */
}

static const struct {
    struct view command;
    void (*on)(struct irc *x, const struct irc_line *l);
} commands[] = {
    {{"PRIVMSG", 7}, on_privmsg}, {{"PING", 4}, on_ping},     {{"PONG", 4}, on_pong},
    {{"NICK", 4}, on_nick},       {{"JOIN", 4}, on_join},     {{"PART", 4}, on_part},
    {{"KICK", 4}, on_kick},       {{"QUIT", 4}, on_quit},     {{"KILL", 4}, on_kill},
    {{"ERROR", 5}, on_end},       {{"NOTICE", 6}, on_notice},
};

static void on_numeric(struct irc *x, int n, const struct irc_line *l)
{
    struct view about = irc_param(l, 1), words = irc_param(l, l->n ? l->n - 1 : 0);

    switch (n) {
    case 5:
        irc_server_learn(&x->server, l);
        break;
    case 366: /* the end of the names: we are in, also where JOIN is not echoed to us */
        irc_joined(x, about);
        break;
    case 405:
    case 437:
    case 471:
    case 473:
    case 474:
    case 475:
    case 476:
    case 477:
    case 489:
        irc_kept_out(x, about, words);
        irc_refused(x, about, true, words);
        break;
    case 403:
        irc_kept_out(x, about, words);
        irc_refused(x, about, true, words);
        break;
    case 401:
    case 407:
    case 415:
    case 486:
    case 531:
    case 716:
        irc_refused(x, about, true, words);
        break;
    case 404: /* in a channel of ours a ban or a missing voice may pass */
        irc_refused(x, about, !irc_room_find(x, about), words);
        break;
    case 439: /* "target change too fast" and its kin */
    case 707:
        irc_refused(x, about, false, words);
        break;
    case 900:
        x->identified = true;
        break;
    default:
        break;
    }
}

static void on_login(struct irc *x, const struct irc_line *l)
{
    struct buf why = BUF_INIT(512);
    enum irc_login_said said = irc_login_line(&x->login, l, &x->urgent, &why);
    char text[400];

    snprintf(text, sizeof(text), "%.*s", VIEW_FMT(buf_view(&why)));
    buf_fini(&why);
    switch (said) {
    case IRC_LOGIN_MORE:
        irc_flow(x);
        break;
    case IRC_LOGIN_READY:
        irc_up(x);
        break;
    case IRC_LOGIN_LATER:
        irc_lost(x, text);
        break;
    case IRC_LOGIN_NEVER:
        irc_never(x, text);
        break;
    }
}

void irc_on_line(void *ctx, struct view line)
{
    struct irc *x = ctx;
    struct irc_line l;
    int n;

    x->heard_ms = loop_now_ms(channel_loop(x->c));
    channel_alive(x->c);
    if (!irc_parse(line, &l))
        return;
    if (x->life == IRC_LOGGING_IN) {
        on_login(x, &l);
        return;
    }
    if ((n = irc_numeric(&l)) >= 0) {
        on_numeric(x, n, &l);
        return;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (view_ieq(l.command, commands[i].command)) {
            commands[i].on(x, &l);
            return;
        }
}
