/* channels/irc/irc_int.h - what the files of this folder share about the one connection. */
#ifndef IRC_INT_H
#define IRC_INT_H

#include "chan_stream.h"
#include "channel.h"
#include "irc_login.h"

enum {
    IRC_ROOMS_MAX = 128,
    IRC_OPS_MAX = 64, /* what channels/base has at once */
    IRC_NAME_MAX = 200,
    IRC_QUEUE_BYTES = 64 << 10,
    IRC_OP_BYTES = 1 << 20, /* lines of one message */
};

enum irc_life { IRC_DOWN, IRC_LOGGING_IN, IRC_UP };

/* A channel that the configuration wants us in. */
struct irc_room {
    char name[IRC_NAME_MAX + 1];
    bool joined;
    unsigned tries;
    uint64_t again_ms; /* when to try next; 0: not waiting */
};

/* A message on its way. Lines leave as flood control lets them; behind the last one goes a PING
 * with our mark: a server works through lines in order, so its PONG says that it has taken them
 * all. */
struct irc_send {
    struct channel_op *op; /* NULL: free */
    struct buf lines;
    uint64_t mark;
    bool begun;  /* a line has left */
    bool marked; /* the PING has left */
    enum channel_outcome outcome;
    char error[160];
};

struct irc_conf {
    const char *host;
    uint16_t port;
    bool tls;
    struct irc_login_conf login;
    struct view nickserv, nickserv_password, nickserv_email;
    bool nickserv_register;
    unsigned burst;
    uint32_t every_ms;                  /* one line after the burst */
    struct buf cert, key, ca, password; /* files that were read */
};

struct irc {
    struct channel *c;
    struct irc_conf conf;
    struct chan_stream *s;
    enum irc_life life;
    struct irc_login login;
    struct irc_server server;
    struct irc_room rooms[IRC_ROOMS_MAX];
    unsigned room_n;
    size_t user_n, host_n; /* of our own mask, as the server shows it; 0: not known */
    bool identified;

    /* out */
    struct buf urgent;                  /* not slowed down: PONG, QUIT, the login */
    struct buf control;                 /* JOIN, NICK, NickServ */
    struct irc_send sends[IRC_OPS_MAX]; /* ring in order of arrival */
    unsigned send_at, send_n;
    uint64_t last_mark;
    uint64_t credit_ms, credit_at_ms; /* flood control: time that may be spent on lines */
    struct loop_timer flow,
        house; /* house: once in a while: ping, nick, rooms, the login's limit */
    uint64_t began_ms, heard_ms, nick_ms, pinged_ms;

    /* in */
    char boot[24]; /* names messages of this process that have no id */
    uint64_t seen;
};

/* ---- irc_conf.c ---- */
int irc_conf_read(struct irc *x, struct err *e) MUST_USE;
void irc_conf_fini(struct irc *x);

/* ---- irc_out.c ---- */
/* Appends to urgent or control and sees to it that it leaves. false: a parameter cannot be said. */
bool irc_say(struct irc *x, struct buf *where, const char *command, const struct view *params,
             unsigned n);
void irc_flow(struct irc *x);
void irc_on_flow(void *ctx);
void irc_send(struct channel *c, struct channel_op *op);
/* PONG with one of our marks. */
void irc_sent(struct irc *x, struct view mark);
/* The server refused a line for this target. */
void irc_refused(struct irc *x, struct view target, bool for_ever, struct view words);
/* The connection is gone: every message is ended with what is known of it. */
void irc_drop_sends(struct irc *x);

/* ---- irc_room.c ---- */
struct irc_room *irc_room_find(struct irc *x, struct view name);
void irc_join_all(struct irc *x);
void irc_join_due(struct irc *x, uint64_t now_ms);
/* The server has let us in, or sent us away, or did not let us in. */
void irc_joined(struct irc *x, struct view room);
void irc_left(struct irc *x, struct view room, bool kicked);
void irc_kept_out(struct irc *x, struct view room, struct view words);

/* ---- irc_in.c ---- */
void irc_on_line(void *ctx, struct view line);

/* ---- irc.c ---- */
void irc_up(struct irc *x);
void irc_nick_free(struct irc *x); /* whoever had ours has it no more */
void irc_lost(struct irc *x, const char *why);
void irc_never(struct irc *x, const char *why); /* not before the configuration changes */

#endif
