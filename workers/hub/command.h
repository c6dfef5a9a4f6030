/*
 * workers/hub/command.h - messages that are for the gateway, not for the model: /new, /reset and
 * session.resetTriggers, /status, /help, /queue, /activation, /send. Asked and answered under the
 * message's own run id, kept in the transcript outside of prompts. Not here: stop words
 * (chat_is_stop), who may give commands (chat_command.c for clients, inbound.c for channels).
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "chat.h"
#include "commands.h"

/* *args: what stands behind it, trimmed. */
enum command command_of(const json_t *conf, struct view message, struct view *args);
/* Whether what stands behind it is a message of its own (/new hello): the command is done by
 * command_reset then, and args goes on as the message. */
static inline bool command_goes_on(enum command c, struct view args)
{
    return c == COMMAND_NEW && args.n > 0;
}
/* Do it and say what was done: changes l's session, not the store. COMMAND_NEW: session_reset was
 * called before. */
void command_do(struct hub *h, enum command c, struct live *l, struct view args, struct buf *say);
/* Array of CommandEntry (protocol): what may be said. */
void command_entries(struct jw *w);
/* The chat event of what the gateway says by itself. */
void command_tell(struct run *r, struct view msg, uint64_t run_seq);
/* The question and the answer into the transcript, the run's row, an event for who listens. */
int command_save(struct run *r, struct view asked, struct view answer, struct err *e) MUST_USE;

#endif
