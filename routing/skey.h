/*
 * routing/skey.h - session keys: built from where a message came from, and read back.
 * Invariants: a key is trimmed and lower case but for the ids whose case means something on their
 * platform (Signal groups, Matrix rooms); normalising it again changes nothing. Colons may be part
 * of a peer's id: nobody may count segments.
 * Not here: which agent answers (route.h), which sessions exist (hub).
 */
#ifndef SKEY_H
#define SKEY_H

#include "err.h"
#include "ids.h"

enum { SKEY_MAX = 2048 }; /* far above any platform's ids; what keeps keys has its own limit */

struct skey {
    char s[SKEY_MAX + 1]; /* ends with a NUL too */
    size_t n;
};
static inline struct view skey_view(const struct skey *k)
{
    return view_of(k->s, k->n);
}

/* How far direct conversations (dm) and shared ones (group) share a session. 0: not said. */
enum dm_scope { DM_UNSET, DM_MAIN, DM_PEER, DM_CHANNEL_PEER, DM_ACCOUNT_CHANNEL_PEER, DM_COUNT };
enum group_scope { GROUP_UNSET, GROUP_PER_GROUP, GROUP_MAIN, GROUP_COUNT };
/* "per-peer" and so on; an unknown word is UNSET. */
enum dm_scope skey_dm_scope(struct view v);
enum group_scope skey_group_scope(struct view v);
const char *skey_dm_scope_name(enum dm_scope s);
const char *skey_group_scope_name(enum group_scope s);

/* -- build; all of them: ERR_LIMIT longer than SKEY_MAX -- */

/* agent:<agent>:<main_key>, "main" when main_key is blank. */
int skey_main(const struct id *agent, struct view main_key, struct skey *out,
              struct err *e) MUST_USE;
/* Where a conversation is kept. */
struct skey_peer {
    const struct id *agent, *account;
    struct view main_key;
    struct view channel;   /* blank: "unknown" */
    bool given;            /* there is a peer at all: without one it is the main session */
    enum peer_kind kind;   /* of it; OTHER with the word in kind_word */
    struct view kind_word; /* empty: taken for direct */
    struct view id;        /* blank: "unknown" */
    enum dm_scope dm;
    enum group_scope group;
};
int skey_peer(const struct skey_peer *p, struct skey *out, struct err *e) MUST_USE;
/* base with ":thread:<thread>" behind it; base alone when thread is blank. */
int skey_thread(struct view base, struct view thread, struct skey *out, struct err *e) MUST_USE;
/* What a client asks for ("", "main", "foo", a full key) as the key of agent it means. */
int skey_store(const struct id *agent, struct view asked, struct view main_key, struct skey *out,
               struct err *e) MUST_USE;
/* Any key in its one spelling. */
int skey_normal(struct view key, struct skey *out, struct err *e) MUST_USE;
/* <channel>:<account>:<kind>:<peer>, all lower case: the group's history in memory. */
int skey_history(struct view channel, struct view account, struct view kind, struct view peer,
                 struct skey *out, struct err *e) MUST_USE;

/* -- read; the views point into what was given -- */

enum skey_shape { SKEY_MISSING, SKEY_AGENT, SKEY_MALFORMED, SKEY_ALIAS, SKEY_SHAPE_COUNT };
enum skey_shape skey_shape(struct view key);
const char *skey_shape_name(enum skey_shape s);
/* agent:<agent>:<rest> of a normalised key; false when it is none. */
bool skey_parse(struct view key, struct view *agent, struct view *rest);
/* Apart at the last ":thread:"; *thread is empty when there is none. */
void skey_thread_split(struct view key, struct view *base, struct view *thread);
/* The conversation a thread or topic belongs to; VIEW_EMPTY when the key names neither. */
struct view skey_thread_parent(struct view key);
/* Where an answer goes, of a normalised key; false when the key does not say (main sessions). */
struct skey_target {
    struct view channel, account, kind, peer, thread; /* account and thread may be empty */
};
bool skey_target(struct view key, struct skey_target *out);
/* "group", "channel", "direct" or "unknown", guessed from a key. */
const char *skey_chat_type(struct view key);

#endif
