/*
 * channels/irc/irc_line.h - one line of IRC, read and written. Pure; what it reads is a stranger's.
 * Source: RFC 1459 and 2812, section 2.3; message tags: IRCv3.
 */
#ifndef IRC_LINE_H
#define IRC_LINE_H

#include "buf.h"
#include "view.h"

#include <stdbool.h>

enum {
    IRC_PARAMS_MAX = 15,
    IRC_LINE_MAX = 512,           /* with CR LF, without tags */
    IRC_LINE_IN_MAX = 8191 + 512, /* with tags */
};

/* Views into the line. */
struct irc_line {
    struct view tags;
    struct view prefix, nick, user, host; /* nick!user@host, or a server's name in nick */
    struct view command;
    struct view param[IRC_PARAMS_MAX];
    unsigned n;
};

/* line: without CR LF. false: it has no command, or holds a NUL; then nobody may look at *out. */
bool irc_parse(struct view line, struct irc_line *out);
/* Parameter i, or "". */
struct view irc_param(const struct irc_line *l, unsigned i);
/* The value of a tag, unescaped and appended; false: the line has no such tag. */
bool irc_tag(const struct irc_line *l, struct view key, struct buf *out);
/* The three digits of a numeric, or -1. */
int irc_numeric(const struct irc_line *l);

/* Appends "command a b :last\r\n". Whatever could end a line or begin another parameter is refused:
 * false, and nothing is appended. params: up to IRC_PARAMS_MAX; only the last one may be empty,
 * hold spaces or begin with a colon. */
bool irc_put(struct buf *out, const char *command, const struct view *params, unsigned n);

#endif
