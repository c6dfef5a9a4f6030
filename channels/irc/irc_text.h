/*
 * channels/irc/irc_text.h - text on its way to and from a line. Pure.
 */
#ifndef IRC_TEXT_H
#define IRC_TEXT_H

#include "irc_server.h"

/* Bytes of text that fit into one PRIVMSG: the server puts ":nick!user@host " before it for the
 * others, and cuts what is over 512. host 0: not known yet, as long as it may be. */
size_t irc_room(size_t nick, size_t user, size_t host, size_t target);
/* Takes the next piece of at most max bytes from *rest: to the end of its line, else to the last
 * space, else to the end of a character. Empty lines are skipped. false: nothing is left. */
bool irc_piece(struct view *rest, size_t max, struct view *piece);
/* Appends what may be shown: marks of bold, colour and the like stay, everything else below a space
 * goes, a tab becomes one; invalid UTF-8 becomes U+FFFD. */
void irc_clean(struct view text, struct buf *out);
/* Whether the text names nick as a word of its own. */
bool irc_names(const struct irc_server *s, struct view text, struct view nick);
/* "\1ACTION waves\1" -> "waves". false: it is another request of a client to a client (CTCP). */
bool irc_action(struct view *text);

#endif
