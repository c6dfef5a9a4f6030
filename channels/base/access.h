/*
 * channels/base/access.h - who may speak to the agent through this account, from the account's
 * configuration (dmPolicy, allowFrom, groupPolicy, groupAllowFrom, groups) and the people a person
 * let in. Pure; tested as a table. Fails closed: an unknown word is the strictest one, an empty
 * sender is nobody, names never count unless dangerouslyAllowNameMatching says so.
 */
#ifndef ACCESS_H
#define ACCESS_H

#include "channel.h"

enum access_verdict {
    ACCESS_BLOCK,
    ACCESS_ASK, /* a stranger may ask to be let in */
    ACCESS_ALLOW,
};

struct access {
    enum access_verdict verdict;
    bool may_command; /* an authoriser knows the sender: control commands run */
    const char *why;  /* for the log: which rule decided */
};

/* conf: the account's section; paired: ids that were let in, an array or NULL; group: the section
 * of this group, or NULL: groups.<peer>, then groups.<parent>, then groups."*" are looked up. */
void access_judge(const struct channel_ops *ops, const json_t *conf, const json_t *paired,
                  const struct channel_event *ev, const json_t *group, struct access *out);
/* The section of the group that the event is of: ops's, groups.<peer>, groups.<parent>,
 * groups."*"; NULL when there is none. *listed: a map of groups names it, or there is none. */
const json_t *access_group(const json_t *conf, const struct channel_event *ev, bool *listed);
/* Whether a message of the group must name the agent: the group's word, that of "*", else yes.
 * group: as access_judge looks it up, or NULL. */
bool access_mention_needed(const json_t *conf, const json_t *group);
/* The only person who may write directly, when allowFrom names just one and no "*": the sender's
 * own id when it is that one, else the configured text; "" otherwise. room holds numbers. */
struct view access_owner(const struct channel_ops *ops, const json_t *conf,
                         const struct channel_person *who, char room[24]);
/* Whether a list of configured ids names the person. */
bool access_listed(const struct channel_ops *ops, const json_t *list,
                   const struct channel_person *who, bool by_name);

#endif
