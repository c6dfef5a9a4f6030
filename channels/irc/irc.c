/*
 * channels/irc/irc.c - one account on one IRC network: a single connection, kept by pings, taken up
 * again after a loss, with our nick claimed back when somebody had it. IRC has no message ids and
 * no receipts: that a message was taken is known by the answer to a PING behind it (irc_out.c);
 * what was written while we were away is lost to us. Trusts: nothing the network says. Holds: the
 * account's passwords.
 */
#include "irc_int.h"

#include "log.h"
#include "mem.h"
#include "rand.h"

#include <stdio.h>

enum {
    LOGIN_MS = 30 * 1000,
    PING_AFTER_MS = 60 * 1000, /* of silence */
    STALE_MS = 150 * 1000,     /* one ping missed */
    NICK_EVERY_MS = 60 * 1000,
    HOUSE_MS = 5 * 1000,
    HOUSE_IDLE_MS = 60 * 1000,
};

static void close_all(struct irc *x)
{
    x->life = IRC_DOWN;
    chan_stream_close(&x->s);
    loop_timer_clear(&x->flow);
    loop_timer_clear(&x->house);
    buf_reset(&x->urgent, 4096);
    buf_reset(&x->control, 4096);
    for (unsigned i = 0; i < x->room_n; i++)
        x->rooms[i].joined = false;
    irc_drop_sends(x);
}

void irc_lost(struct irc *x, const char *why)
{
    char kept[256];

    snprintf(kept, sizeof(kept), "%s", why); /* it may be the stream's, which goes now */
    close_all(x);
    channel_down(x->c, 0, "%s", kept);
}

void irc_never(struct irc *x, const char *why)
{
    close_all(x);
    channel_fatal(x->c, "%s", why);
}

/* ---- our nick ---- */

static void to_nickserv(struct irc *x, const char *verb, struct view a, struct view b)
{
    struct buf words = BUF_INIT(1024);
    struct view params[2] = {x->conf.nickserv, VIEW_EMPTY};

    words.secret = true;
    buf_put_str(&words, verb);
    buf_put_char(&words, ' ');
    buf_put_view(&words, a);
    if (b.n) {
        buf_put_char(&words, ' ');
        buf_put_view(&words, b);
    }
    params[1] = buf_view(&words);
    if (!irc_say(x, &x->control, "PRIVMSG", params, 2))
        log_warn("irc.nickserv_unsaid", KV("verb", verb));
    buf_fini(&words);
}

static bool has_nick(const struct irc *x)
{
    return irc_same(&x->server, view_str(x->login.nick), x->conf.login.nick);
}

static void claim_nick(struct irc *x, uint64_t now)
{
    if (x->nick_ms > now)
        return;
    x->nick_ms = now + NICK_EVERY_MS;
    if (x->conf.nickserv_password.n)
        to_nickserv(x, "GHOST", x->conf.login.nick, x->conf.nickserv_password);
    (void)irc_say(x, &x->control, "NICK", &x->conf.login.nick, 1);
}

static void identify(struct irc *x)
{
    if (x->login.account || !x->conf.nickserv_password.n)
        return;
    if (x->conf.nickserv_register && x->conf.nickserv_email.n)
        to_nickserv(x, "REGISTER", x->conf.nickserv_password, x->conf.nickserv_email);
    to_nickserv(x, "IDENTIFY", x->conf.nickserv_password, VIEW_EMPTY);
}

void irc_nick_free(struct irc *x)
{
    x->nick_ms = 0;
    loop_timer_set(&x->house, 1);
}

/* ---- once in a while ---- */

static void on_house(void *ctx)
{
    struct irc *x = ctx;
    uint64_t now = loop_now_ms(channel_loop(x->c));
    bool busy = !has_nick(x);

    if (x->life == IRC_LOGGING_IN) { /* nothing else is set then */
        irc_lost(x, "the server did not let us in in time");
        return;
    }
    for (unsigned i = 0; i < x->room_n; i++)
        busy |= !x->rooms[i].joined;
    if (!has_nick(x))
        claim_nick(x, now);
    irc_join_due(x, now);
    if (!x->pinged_ms && now - x->heard_ms >= PING_AFTER_MS) {
        x->pinged_ms = now;
        (void)irc_say(x, &x->urgent, "PING", (const struct view[]){V("alive")}, 1);
    }
    loop_timer_set(&x->house, busy ? HOUSE_MS : HOUSE_IDLE_MS);
}

void irc_up(struct irc *x)
{
    x->life = IRC_UP;
    x->heard_ms = loop_now_ms(channel_loop(x->c));
    x->pinged_ms = x->nick_ms = 0;
    x->credit_at_ms = x->heard_ms;
    x->credit_ms = (uint64_t)x->conf.burst * x->conf.every_ms;
    channel_note(x->c, "nick", view_str(x->login.nick));
    channel_up(x->c);
    identify(x);
    if (!has_nick(x))
        claim_nick(x, x->heard_ms);
    irc_join_all(x);
    irc_flow(x);
    loop_timer_set(&x->house, HOUSE_MS);
}

/* ---- the connection ---- */

static void on_open(void *ctx)
{
    struct irc *x = ctx;

    irc_login_begin(&x->login, &x->conf.login, &x->urgent);
    loop_timer_set(&x->house, LOGIN_MS);
    irc_flow(x);
}

static void on_close(void *ctx, const char *why)
{
    irc_lost(ctx, why);
}

static const struct chan_stream_on stream_on = {
    .on_open = on_open, .on_line = irc_on_line, .on_close = on_close};

static void irc_connect(struct channel *c)
{
    struct irc *x = channel_user(c);
    struct chan_stream_conf conf = {.host = x->conf.host,
                                    .port = x->conf.port,
                                    .tls = x->conf.tls,
                                    .cert = buf_view(&x->conf.cert),
                                    .key = buf_view(&x->conf.key),
                                    .ca = buf_view(&x->conf.ca),
                                    .line_max = IRC_LINE_IN_MAX};
    struct err e = ERR_INIT;

    irc_server_init(&x->server);
    x->user_n = x->host_n = 0;
    x->life = IRC_LOGGING_IN;
    if (chan_stream_open(c, &conf, &stream_on, x, &x->s, &e) < 0)
        irc_lost(x, e.text);
}

static void irc_disconnect(struct channel *c)
{
    struct irc *x = channel_user(c);

    if (x->s && x->life == IRC_UP) {
        (void)irc_put(&x->urgent, "QUIT", (const struct view[]){V("leaving")}, 1);
        irc_flow(x);
    }
    close_all(x);
}

/* ---- life ---- */

static void irc_close(struct channel *c)
{
    struct irc *x = channel_user(c);

    if (!x)
        return;
    irc_disconnect(c);
    loop_timer_fini(&x->flow);
    loop_timer_fini(&x->house);
    buf_fini(&x->urgent);
    buf_fini(&x->control);
    irc_conf_fini(x);
    mem_free(x);
    channel_set_user(c, NULL);
}

static int irc_prepare(struct channel *c, struct err *e)
{
    struct irc *x = NULL;
    int r;

    if ((r = mem_new(&x, sizeof(*x), e)) < 0)
        return r;
    x->c = c;
    channel_set_user(c, x);
    buf_init(&x->urgent, IRC_QUEUE_BYTES);
    buf_init(&x->control, IRC_QUEUE_BYTES);
    x->urgent.secret = x->control.secret = true; /* passwords pass through */
    loop_timer_init(&x->flow, channel_loop(c), irc_on_flow, x);
    loop_timer_init(&x->house, channel_loop(c), on_house, x);
    rand_hex(x->boot, 8);
    irc_server_init(&x->server);
    if ((r = irc_conf_read(x, e)) < 0)
        irc_close(c);
    return r;
}

/* An id is a whole mask, and nobody's case: "Nick!user@host". */
static void irc_normal_id(struct view id, struct buf *out)
{
    id = view_trim(id);
    for (size_t i = 0; i < id.n; i++)
        buf_put_char(out, id.p[i] >= 'A' && id.p[i] <= 'Z' ? (char)(id.p[i] + 32) : id.p[i]);
}

static const char *const prefixes[] = {"irc:", "user:", NULL};

const struct channel_ops channel_platform = {
    .id = "irc",
    .label = "IRC",
    .needs = CHANNEL_NEEDS_TLS,
    .caps = CHANNEL_CAN_GROUP,
    .dialect = DIALECT_IRC,
    .unit = UNIT_BYTES,
    .text_limit = 350,
    .stale_ms = STALE_MS,
    .groups_own_list = true,
    .id_prefixes = prefixes,
    .prepare = irc_prepare,
    .connect = irc_connect,
    .disconnect = irc_disconnect,
    .close = irc_close,
    .send = irc_send,
    .normal_id = irc_normal_id,
};
