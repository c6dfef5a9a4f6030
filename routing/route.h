/*
 * routing/route.h - which agent answers a message and under which session key it is kept.
 * A function of the index and the input alone: no state, no clock, no allocation; its cost does not
 * grow with the number of bindings. Source order decides between bindings of one tier.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "index.h"

enum {
    ROUTE_ROLES_MAX = 512,   /* Discord allows 250 a guild */
    ROUTE_CHANNEL_MAX = 128, /* a channel's id */
};

struct route_peer {
    bool given;
    struct view kind, id;
};
/* What is known of a message; empty views are not known. Trimmed here. */
struct route_in {
    struct view channel, account, guild, team;
    struct route_peer peer, parent;
    const struct view *roles;
    size_t roles_n;
    /* the caller's own wishes */
    struct view default_agent;
    enum dm_scope dm;
    enum group_scope group;
};

struct route {
    struct id agent, account;
    char channel[ROUTE_CHANNEL_MAX + 1];
    struct skey key, main_key;
    enum dm_scope dm;
    enum group_scope group;
    enum matched_by matched_by;
    uint32_t binding; /* TAB_NONE: none */
};

/* Errors: ERR_NOT_FOUND no agent can be named (the sentence says which setting is wrong), ERR_LIMIT
 * an id or the list of roles is longer than we take. */
int route(const struct index *ix, const struct route_in *in, struct route *out,
          struct err *e) MUST_USE;
/* The same conversation under another agent and scope. Errors: as route. */
int route_under(const struct index *ix, const struct route_in *in, struct view agent,
                enum dm_scope dm, struct route *io, struct err *e) MUST_USE;
/* The code clients know the failure by. */
const char *route_error_name(int code);
static inline bool route_is_main(const struct route *r)
{
    return view_eq(skey_view(&r->key), skey_view(&r->main_key));
}

#endif
