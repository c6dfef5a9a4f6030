/* channels/irc/irc_out.c - lines on their way to the server, no faster than servers bear it: each
 * line costs every_ms of a credit that fills with time up to burst lines (RFC 1459, 8.10, counts
 * alike). */
#include "irc_int.h"

#include "num.h"

#include <inttypes.h>
#include <stdio.h>

bool irc_say(struct irc *x, struct buf *where, const char *command, const struct view *params,
             unsigned n)
{
    bool ok = irc_put(where, command, params, n);

    irc_flow(x);
    return ok;
}

static struct irc_send *nth(struct irc *x, unsigned i)
{
    return &x->sends[(x->send_at + i) % IRC_OPS_MAX];
}

/* ---- flood control ---- */

static bool may_send(struct irc *x)
{
    uint64_t now = loop_now_ms(channel_loop(x->c)),
             most = (uint64_t)x->conf.burst * x->conf.every_ms;

    x->credit_ms += now - x->credit_at_ms;
    x->credit_at_ms = now;
    if (x->credit_ms > most)
        x->credit_ms = most;
    return x->credit_ms >= x->conf.every_ms;
}

/* Writes the first line of b. */
static bool write_line(struct irc *x, struct buf *b, bool counts)
{
    struct view all = buf_view(b), line = view_of(all.p, view_find(all, '\n') + 1);
    struct err e = ERR_INIT;

    if (!x->s || chan_stream_write(x->s, line, &e) < 0)
        return false;
    buf_eat(b, line.n);
    if (counts)
        x->credit_ms -= x->conf.every_ms;
    return true;
}

/* Its mark goes right behind its last line and costs nothing. */
static bool write_mark(struct irc *x, struct irc_send *s)
{
    struct buf b = BUF_INIT(64);
    bool ok;

    buf_printf(&b, "PING :m%" PRIu64 "\r\n", s->mark);
    ok = write_line(x, &b, false);
    s->marked = ok;
    buf_fini(&b);
    return ok;
}

static bool flow_sends(struct irc *x)
{
    for (unsigned i = 0; i < x->send_n; i++) {
        struct irc_send *s = nth(x, i);

        while (s->lines.n) {
            if (!may_send(x))
                return true;
            if (!write_line(x, &s->lines, true))
                return false;
            s->begun = true;
        }
        if (!s->marked && !write_mark(x, s))
            return false;
    }
    return true;
}

void irc_flow(struct irc *x)
{
    bool more;

    while (x->urgent.n && write_line(x, &x->urgent, false))
        ;
    if (x->life != IRC_UP)
        return;
    while (x->control.n && may_send(x) && write_line(x, &x->control, true))
        ;
    if (!x->control.n && !flow_sends(x))
        return; /* the stream is over, and says so itself */
    more = x->control.n > 0;
    for (unsigned i = 0; i < x->send_n && !more; i++)
        more = nth(x, i)->lines.n > 0;
    if (more)
        loop_timer_set(&x->flow, x->conf.every_ms - x->credit_ms % x->conf.every_ms);
}

void irc_on_flow(void *ctx)
{
    irc_flow(ctx);
}

/* ---- messages ---- */

static void done(struct irc *x, struct channel_op *op, enum channel_outcome o, const char *why,
                 uint32_t after_ms)
{
    channel_done(
        x->c, op,
        &(struct channel_result){.outcome = o, .error = view_str(why), .retry_after_ms = after_ms});
}

static bool write_lines(struct irc *x, const struct channel_op *op, struct buf *lines)
{
    size_t max = irc_room(strlen(x->login.nick), x->user_n, x->host_n, op->target.n);
    struct buf clean = BUF_INIT(IRC_OP_BYTES);
    struct view rest, piece;
    bool ok = true;

    irc_clean(op->text, &clean);
    rest = buf_view(&clean);
    while (ok && irc_piece(&rest, max, &piece))
        ok = irc_put(lines, "PRIVMSG", (const struct view[]){op->target, piece}, 2);
    ok = ok && !clean.failed && !lines->failed;
    buf_fini(&clean);
    return ok;
}

void irc_send(struct channel *c, struct channel_op *op)
{
    struct irc *x = channel_user(c);
    struct irc_room *room = irc_room_find(x, op->target);
    struct irc_send *s;

    if (!irc_is_target(op->target)) {
        done(x, op, CHANNEL_PERMANENT, "this is no nick and no channel of IRC", 0);
        return;
    }
    if (x->life != IRC_UP || x->send_n == IRC_OPS_MAX) {
        done(x, op, CHANNEL_LATER, "not connected", 0);
        return;
    }
    if (room && !room->joined) {
        done(x, op, CHANNEL_TRANSIENT, "we are not in this channel now", 5000);
        return;
    }
    s = nth(x, x->send_n);
    *s = (struct irc_send){
        .op = op, .mark = ++x->last_mark, .lines = BUF_INIT(IRC_OP_BYTES), .outcome = CHANNEL_SENT};
    if (!write_lines(x, op, &s->lines)) {
        buf_fini(&s->lines);
        done(x, op, CHANNEL_PERMANENT, "the text is too long, or cannot be said on IRC", 0);
        return;
    }
    x->send_n++;
    irc_flow(x);
}

static void end_first(struct irc *x, enum channel_outcome o)
{
    struct irc_send *s = nth(x, 0);
    struct channel_op *op = s->op;
    char error[sizeof(s->error)];

    memcpy(error, s->error, sizeof(error));
    buf_fini(&s->lines);
    s->op = NULL;
    x->send_at = (x->send_at + 1) % IRC_OPS_MAX;
    x->send_n--;
    done(x, op, o, o == CHANNEL_SENT ? "" : error, 0);
}

void irc_sent(struct irc *x, struct view mark)
{
    struct err e = ERR_INIT;
    uint64_t n;

    if (!view_starts(mark, V("m")) || num_u64(view_from(mark, 1), 1, UINT64_MAX, &n, &e) < 0)
        return;
    while (x->send_n && nth(x, 0)->marked && nth(x, 0)->mark <= n)
        end_first(x, nth(x, 0)->outcome);
}

void irc_refused(struct irc *x, struct view target, bool for_ever, struct view words)
{
    for (unsigned i = 0; i < x->send_n; i++) {
        struct irc_send *s = nth(x, i);

        if (!s->begun || s->outcome != CHANNEL_SENT || !irc_same(&x->server, s->op->target, target))
            continue;
        s->outcome = for_ever ? CHANNEL_PERMANENT : CHANNEL_TRANSIENT;
        snprintf(s->error, sizeof(s->error), "the server says: %.*s",
                 (int)(words.n < 120 ? words.n : 120), words.p);
        return;
    }
}

void irc_drop_sends(struct irc *x)
{
    while (x->send_n) {
        struct irc_send *s = nth(x, 0);
        enum channel_outcome o = s->outcome != CHANNEL_SENT ? s->outcome
                                 : s->begun                 ? CHANNEL_UNKNOWN
                                                            : CHANNEL_LATER;

        if (s->outcome == CHANNEL_SENT)
            snprintf(s->error, sizeof(s->error), "%s",
                     s->begun ? "the connection ended before the server said that it has it"
                              : "not connected");
        end_first(x, o);
    }
}
