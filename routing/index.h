/*
 * routing/index.h - what a configuration says about routing, put in order once: agents, bindings,
 * session.*. Invariants: it never changes after index_new and keeps nothing of the document; rows
 * stand in the order of the configuration. Not here: choosing among them (route.h).
 */
#ifndef INDEX_H
#define INDEX_H

#include "skey.h"
#include "tab.h"

#include <jansson.h>

/* Ten thousand bindings are what the reference promises to carry. Roles: three for each. */
enum {
    INDEX_BINDINGS_MAX = 10000,
    INDEX_ROLES_MAX = 30000,
    INDEX_AGENTS_MAX = 4096,
    INDEX_LINKS_MAX = 10000,
    INDEX_TEXT_MAX = 16 << 20,
    INDEX_MAIN_KEY_MAX = 128,
};

struct index;

/* Read a configuration (the whole document; NULL is an empty one).
 * Errors: ERR_LIMIT more than the above, naming the key; ERR_NOMEM. What is no binding at all is
 * passed over, and index_check tells. */
int index_new(struct index **out, const json_t *config, struct err *e) MUST_USE;
void index_free(struct index **ix);
/* Whether every message will find its agent: for the start, with the key's path in the sentence.
 * Errors: ERR_INVALID. */
int index_check(const struct index *ix, struct err *e) MUST_USE;

/* -- for the router and its explanation -- */

/* In the order they are tried; BY_PARENT looks among the rows of BY_PEER. */
enum matched_by {
    BY_PEER,
    BY_PARENT,
    BY_WILDCARD,
    BY_ROLES,
    BY_GUILD,
    BY_TEAM,
    BY_ACCOUNT,
    BY_CHANNEL,
    BY_DEFAULT,
    BY_COUNT
};
const char *index_matched_by_name(enum matched_by m); /* "binding.peer" */

/* What else a row asks for than channel and peer. */
enum { HAS_ANY_ACCOUNT = 1, HAS_GUILD = 2, HAS_TEAM = 4, HAS_ROLES = 8, HAS_COUNT = 16 };
/* Why a row cannot match at all. */
enum unfit { FIT, UNFIT_SHAPE, UNFIT_CHANNEL, UNFIT_PEER, UNFIT_ACP, UNFIT_COUNT };

struct binding {
    struct view channel, peer, guild, team; /* empty: not asked for */
    struct id account;                      /* without HAS_ANY_ACCOUNT */
    struct id agent;
    const struct view *roles; /* any of them */
    uint32_t roles_n;
    uint8_t has;       /* HAS_* */
    uint8_t tier;      /* enum matched_by */
    uint8_t unfit;     /* enum unfit */
    bool shared;       /* the peer's kind: group or channel, else direct */
    bool agent_known;  /* or "main", which always is */
    uint8_t dm, group; /* scopes of its own */
};

uint32_t index_count(const struct index *ix);
const struct binding *index_at(const struct index *ix, uint32_t i);
/* Bits 1 << has of the rows of a tier: which questions are worth asking. */
unsigned index_has(const struct index *ix, enum matched_by tier);
/* The hash a row is filed under, but for its role (index_role_hash). 0 stands for a part it does
 * not ask for. */
static inline uint64_t index_hash(enum matched_by tier, uint64_t channel, uint64_t account,
                                  uint64_t peer, uint64_t guild, uint64_t team)
{
    uint64_t h = tab_mix(channel, (uint64_t)tier + 1);

    h = tab_mix(tab_mix(h, account), peer);
    return tab_mix(tab_mix(h, guild), team);
}
static inline uint64_t index_role_hash(uint64_t h, uint64_t role)
{
    return tab_mix(h, role);
}
static inline uint64_t index_peer_hash(bool shared, struct view id)
{
    return tab_mix(tab_hash(id), shared ? 2 : 1);
}
/* The rows filed under it: slots of row (a) and which of its roles (b). Of rows that ask for the
 * same only the first is filed. */
const struct tab *index_rows(const struct index *ix);

bool index_knows(const struct index *ix, const struct id *agent);
/* The agent of what no binding claims; NULL when the configuration leaves it open. */
const struct id *index_default_agent(const struct index *ix);
struct view index_main_key(const struct index *ix);
enum dm_scope index_dm(const struct index *ix);       /* never UNSET */
enum group_scope index_group(const struct index *ix); /* never UNSET */
/* Who a direct peer is under session.identityLinks; VIEW_EMPTY when nobody. */
struct view index_linked(const struct index *ix, struct view channel, struct view peer);

#endif
