/*
 * workers/hub/source.h - what a channel says of a message beside its text: who wrote it, in which
 * conversation, where the answer goes. Read once, checked once; views point into the document. A
 * channel is trusted to say what its platform said, and no more: every id has a limit, and what
 * follows from them is decided elsewhere (route.h, group.h, queue.h).
 *
 * Members of ipc inbound.peer, all optional but id or to:
 *   kind direct|group|channel, id     the conversation; for direct ones the other person
 *   to, threadId, replyTo             where the answer goes; to is id when absent
 *   keyThread                         thread whose messages have a session of their own
 *   parentKind, parentId              the conversation a thread belongs to
 *   guildId, teamId, roles[]          server, workspace, roles of the sender
 *   senderId, senderName              who wrote it; senderId is id when absent and direct
 *   mentioned, repliesToUs, mentionsOthers      as the platform itself marks it
 *   requireMention                    of the group's settings; true when absent
 *   mentionPatterns                   false: patterns are not looked at in this conversation
 *   historyLimit                      of the channel's settings
 *   commands                          the sender may give commands; when absent: in direct ones
 *   ownerId                           the only one who may write directly, when there is just one
 *   media                             there is more than text
 *   event                             no message: something that happened there (heard.h)
 *   held                              "files": they are fetched when the hub wants the message;
 *                                     "turn": others of the conversation go before it, so that
 *                                     only a word that stops what runs counts now (inbound_want)
 */
#ifndef SOURCE_H
#define SOURCE_H

#include "buf.h"
#include "ids.h"
#include "view.h"

#include <jansson.h>

enum {
    SOURCE_TO_MAX = 512, /* records.def: delivery_add */
    SOURCE_THREAD_MAX = 256,
    SOURCE_SENDER_MAX = 256,
    SOURCE_ROLES_MAX = 512, /* as the router takes */
    SOURCE_NAME = 33,       /* text of source_names */
};

enum source_held { HELD_NOTHING, HELD_FILES, HELD_TURN };

struct source {
    const char *channel, *account; /* by the line, never by what it says */
    enum peer_kind kind;
    struct view kind_word, id, to, thread, reply_to, key_thread, parent_kind, parent_id, guild,
        team, sender, sender_name, owner;
    struct view roles[SOURCE_ROLES_MAX];
    size_t roles_n;
    bool event, mentioned, replies, mentions_others, require_mention, patterns, commands, media;
    enum source_held held;
    int history_limit; /* -1: not said */
};

/* false: nobody could be answered, or an id is longer than we take. */
bool source_read(struct source *out, const char *channel, const char *account, const json_t *peer);
static inline bool source_shared(const struct source *s)
{
    return s->kind == PEER_GROUP || s->kind == PEER_CHANNEL;
}
/* The members for a job's options: "origin":{...}, what deliver_answer.c reads. */
void source_origin(const struct source *s, struct buf *out);
/* Out of a run's options: which messages are answered at the same place, and which come from the
 * same person there. Equal texts are equal; both "" when it did not come from a channel. */
void source_names(const char *options, char route[SOURCE_NAME], char who[SOURCE_NAME]);

#endif
