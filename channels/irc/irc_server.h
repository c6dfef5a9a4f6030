/*
 * channels/irc/irc_server.h - what the server said of itself (005): how names are compared, what a
 * channel's name begins with, how long things may be. Pure. Source: modern IRC, RPL_ISUPPORT.
 */
#ifndef IRC_SERVER_H
#define IRC_SERVER_H

#include "irc_line.h"

enum irc_casemap { IRC_CASE_RFC1459, IRC_CASE_STRICT, IRC_CASE_ASCII };

enum { IRC_NICK_MAX = 30, IRC_KINDS_MAX = 16 };

struct irc_server {
    enum irc_casemap casemap;
    unsigned nick_max;
    char channel_kinds[IRC_KINDS_MAX]; /* "#&" */
    char status_kinds[IRC_KINDS_MAX];  /* "@+": a message to @#channel is one to its operators */
};

void irc_server_init(struct irc_server *s); /* what holds before 005 */
void irc_server_learn(struct irc_server *s, const struct irc_line *l);
/* Whether two names are the same to the server. */
bool irc_same(const struct irc_server *s, struct view a, struct view b);
bool irc_is_channel(const struct irc_server *s, struct view name);
/* The channel in "@#channel", or the name itself. */
struct view irc_without_status(const struct irc_server *s, struct view target);
/* A name that may be given to the server as a target: one word, no control byte, no list. */
bool irc_is_target(struct view name);

#endif
