/*
 * channels/irc/irc_login.h - from the open connection to a name on the network: capabilities, SASL,
 * the password, nick and user, another nick when ours is taken. Pure: lines in, lines out.
 * Source: RFC 2812 section 3.1; IRCv3 capability negotiation and SASL 3.1; numerics as servers use
 * them (432 433 436 437 464 465, 900 to 908).
 */
#ifndef IRC_LOGIN_H
#define IRC_LOGIN_H

#include "irc_text.h"

enum irc_sasl { IRC_SASL_NONE, IRC_SASL_PLAIN, IRC_SASL_EXTERNAL };

/* Borrowed from the account; "" where nothing is configured. */
struct irc_login_conf {
    struct view nick, username, realname, password;
    enum irc_sasl sasl;
    struct view sasl_user, sasl_password;
    bool sasl_required; /* rather not there than under nobody's name */
};

enum irc_caps {
    IRC_CAP_SASL = 1,
    IRC_CAP_TIME = 2,    /* server-time */
    IRC_CAP_ACCOUNT = 4, /* account-tag */
    IRC_CAP_TAGS = 8,    /* message-tags: msgid */
};

enum irc_login_state {
    IRC_LOGIN_ASKED, /* CAP LS is out; servers that know nothing of it go on to 001 */
    IRC_LOGIN_WANTS, /* CAP REQ is out */
    IRC_LOGIN_SASL,  /* AUTHENTICATE is out */
    IRC_LOGIN_NAMED, /* nothing but 001 is missing */
    IRC_LOGIN_DONE,
};

enum irc_login_said {
    IRC_LOGIN_MORE,  /* go on reading */
    IRC_LOGIN_READY, /* 001: nick is ours */
    IRC_LOGIN_LATER, /* not now: services are away, a throttle */
    IRC_LOGIN_NEVER, /* not with this configuration */
};

struct irc_login {
    struct irc_login_conf conf;
    enum irc_login_state state;
    unsigned offered, granted; /* enum irc_caps */
    bool plain_offered, external_offered, mechanisms_known;
    bool account; /* SASL worked */
    unsigned renames;
    char nick[IRC_NICK_MAX + 1]; /* the one that was asked for last, then ours */
};

/* Appends what is said first. */
void irc_login_begin(struct irc_login *l, const struct irc_login_conf *conf, struct buf *out);
/* A line before IRC_LOGIN_READY. Appends answers to out; why: a sentence when it is LATER or NEVER
 * (without secrets; it may quote the server). */
enum irc_login_said irc_login_line(struct irc_login *l, const struct irc_line *line,
                                   struct buf *out, struct buf *why);

#endif
