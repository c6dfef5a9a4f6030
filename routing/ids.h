/*
 * routing/ids.h - what the ids of agents, accounts and channels are called here, however somebody
 * wrote them. Invariant: a struct id holds [a-z0-9_-] only, at least one of them, at most ID_MAX.
 */
#ifndef IDS_H
#define IDS_H

#include "fold.h"

enum { ID_MAX = 64 };

struct id {
    char s[ID_MAX + 1];
    size_t n;
};
static inline struct view id_view(const struct id *id)
{
    return view_of(id->s, id->n);
}

/* Blank or nothing usable: "main". */
void ids_agent(struct view v, struct id *out);
/* Blank, nothing usable, or a name every JavaScript object has: "default". */
void ids_account(struct view v, struct id *out);

/* What a conversation is. OTHER: a word we do not know, which matches nothing. */
enum peer_kind { PEER_OTHER, PEER_DIRECT, PEER_GROUP, PEER_CHANNEL, PEER_KIND_COUNT };
enum peer_kind ids_peer_kind(struct view v);
const char *ids_peer_kind_name(enum peer_kind kind);

#endif
