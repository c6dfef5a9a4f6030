/* routing/explain.c - walks the bindings one by one, as the router needs not. */
#include "explain.h"

#include <inttypes.h>

struct asked {
    struct view channel, guild, team, peer, parent;
    enum peer_kind kind, parent_kind;
    struct id account;
    const struct route_in *in;
};

/* Outside text for a terminal: in quotes, control characters as ?, cut. */
static void put_quoted(struct buf *b, struct view v)
{
    buf_put_char(b, '"');
    for (size_t i = 0; i < v.n && i < 120; i++)
        buf_put_char(b, (unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f ? '?' : v.p[i]);
    buf_put_str(b, v.n > 120 ? "...\"" : "\"");
}

static bool kind_fits(const struct binding *b, enum peer_kind kind)
{
    return b->shared ? kind == PEER_GROUP || kind == PEER_CHANNEL : kind == PEER_DIRECT;
}

/* ---- what a binding asks for ---- */

static void put_binding(struct buf *out, uint32_t i, const struct binding *b)
{
    buf_printf(out, "bindings[%" PRIu32 "] (agent %s:", i, b->agent.s);
    buf_put_str(out, " channel ");
    put_quoted(out, b->channel);
    if (b->has & HAS_ANY_ACCOUNT)
        buf_put_str(out, ", any account");
    else
        buf_printf(out, ", account %s", b->account.s);
    if (b->peer.n) {
        buf_put_str(out, b->shared ? ", group or channel " : ", direct ");
        put_quoted(out, b->peer);
    }
    if (b->has & HAS_GUILD) {
        buf_put_str(out, ", guild ");
        put_quoted(out, b->guild);
    }
    if (b->has & HAS_TEAM) {
        buf_put_str(out, ", team ");
        put_quoted(out, b->team);
    }
    if (b->has & HAS_ROLES) {
        buf_put_str(out, ", one of the roles");
        for (uint32_t k = 0; k < b->roles_n && k < 8; k++) {
            buf_put_char(out, ' ');
            put_quoted(out, b->roles[k]);
        }
        if (b->roles_n > 8)
            buf_printf(out, " and %" PRIu32 " more", b->roles_n - 8);
    }
    buf_put_char(out, ')');
}

/* ---- why not ---- */

static void put_other(struct buf *out, const char *what, struct view have)
{
    buf_put_str(out, what);
    if (have.n)
        put_quoted(out, have);
    else
        buf_put_str(out, "none");
}

static bool has_role(const struct binding *b, const struct route_in *in)
{
    for (uint32_t k = 0; k < b->roles_n; k++)
        for (size_t i = 0; i < in->roles_n; i++)
            if (b->roles[k].n && view_eq(b->roles[k], fold_trim(in->roles[i])))
                return true;
    return false;
}

/* Under which name it would match the peer, or BY_COUNT with the reason in out. */
static enum matched_by peer_fits(const struct binding *b, const struct asked *a, struct buf *out)
{
    if (b->peer.n == 0)
        return (enum matched_by)b->tier;
    if (b->tier == BY_WILDCARD) {
        if (a->in->peer.given && kind_fits(b, a->kind))
            return BY_WILDCARD;
        buf_put_str(out, a->in->peer.given ? "the conversation is of another kind"
                                           : "the message names no conversation");
        return BY_COUNT;
    }
    if (a->peer.n && view_eq(b->peer, a->peer) && kind_fits(b, a->kind))
        return BY_PEER;
    if (a->parent.n && view_eq(b->peer, a->parent) && kind_fits(b, a->parent_kind))
        return BY_PARENT;
    if (a->peer.n && view_eq(b->peer, a->peer))
        buf_put_str(out, "the conversation is of another kind");
    else
        put_other(out, "the conversation is ", a->peer);
    if (a->parent.n)
        put_other(out, ", its parent ", a->parent);
    return BY_COUNT;
}

/* The tier it would match in; BY_COUNT with the reason in out when it does not. */
static enum matched_by fits(const struct binding *b, const struct asked *a, struct buf *out)
{
    static const char *const why[UNFIT_COUNT] = {
        [UNFIT_SHAPE] = "it has no match",
        [UNFIT_CHANNEL] = "its match names no channel",
        [UNFIT_PEER] = "its peer is not valid: a kind (direct, group or channel) and an id",
        [UNFIT_ACP] = "it is of type acp, which does not route",
    };
    enum matched_by by;

    if (b->unfit) {
        buf_put_str(out, why[b->unfit]);
        return BY_COUNT;
    }
    if (!(b->has & HAS_ANY_ACCOUNT) && !view_eq(id_view(&b->account), id_view(&a->account))) {
        buf_printf(out, "the account is %s", a->account.s);
        return BY_COUNT;
    }
    if ((by = peer_fits(b, a, out)) == BY_COUNT)
        return BY_COUNT;
    if (b->has & HAS_GUILD && !view_eq(b->guild, a->guild)) {
        put_other(out, "the guild is ", a->guild);
        return BY_COUNT;
    }
    if (b->has & HAS_TEAM && !view_eq(b->team, a->team)) {
        put_other(out, "the team is ", a->team);
        return BY_COUNT;
    }
    if (b->has & HAS_ROLES && !has_role(b, a->in)) {
        buf_put_str(out, a->in->roles_n ? "the sender has none of the roles"
                                        : "the sender has no roles");
        return BY_COUNT;
    }
    return by;
}

static void put_passed(struct buf *out, const struct index *ix, const struct asked *a, uint32_t i,
                       const struct route *won)
{
    const struct binding *b = index_at(ix, i);
    enum matched_by by;

    buf_put_str(out, "passed over: ");
    put_binding(out, i, b);
    buf_put_str(out, ": ");
    by = fits(b, a, out);
    if (by != BY_COUNT && by > won->matched_by)
        buf_printf(out, "it matches too, but %s is tried before %s",
                   index_matched_by_name(won->matched_by), index_matched_by_name(by));
    else if (by != BY_COUNT)
        buf_put_str(out, "it matches too, but stands later in the configuration");
    buf_put_char(out, '\n');
}

/* ---- what was decided ---- */

static const char *scope_source(bool asked, bool own)
{
    return asked ? "asked for" : own ? "of the binding" : "of session.*";
}

static void put_result(struct buf *out, const struct index *ix, const struct route_in *in,
                       const struct route *r)
{
    const struct binding *b = r->binding == TAB_NONE ? NULL : index_at(ix, r->binding);

    buf_printf(out, "agent %s answers; matched by %s\n", r->agent.s,
               index_matched_by_name(r->matched_by));
    if (b) {
        buf_put_str(out, "won: ");
        put_binding(out, r->binding, b);
        buf_put_str(out, r->matched_by == BY_PARENT ? ", by the conversation's parent\n" : "\n");
    } else {
        buf_put_str(out, "no binding matches: the default agent\n");
    }
    buf_printf(out, "session %s%s\n", r->key.s, route_is_main(r) ? " (the main session)" : "");
    buf_printf(out, "dmScope %s (%s), groupScope %s (%s)\n", skey_dm_scope_name(r->dm),
               scope_source(in->dm != DM_UNSET, b && b->dm), skey_group_scope_name(r->group),
               scope_source(in->group != GROUP_UNSET, b && b->group));
    if (r->dm > DM_MAIN && in->peer.given && ids_peer_kind(in->peer.kind) == PEER_DIRECT) {
        struct view name = index_linked(ix, view_str(r->channel), in->peer.id);

        if (name.n) {
            buf_put_str(out, "session.identityLinks: the sender is ");
            put_quoted(out, name);
            buf_put_char(out, '\n');
        }
    }
}

static void put_failure(struct buf *out, const struct index *ix, const struct route *r,
                        const struct err *why)
{
    buf_printf(out, "no route: %s: %s\n", route_error_name(why->code), why->text);
    if (r->binding == TAB_NONE)
        return;
    buf_put_str(out, "chosen: ");
    put_binding(out, r->binding, index_at(ix, r->binding));
    buf_printf(out, ", by %s\n", index_matched_by_name(r->matched_by));
}

int explain(const struct index *ix, const struct route_in *in, struct buf *out, struct err *e)
{
    struct route r = {.binding = TAB_NONE, .matched_by = BY_DEFAULT};
    struct err why = ERR_INIT;
    struct asked a = {.in = in};
    uint32_t other = 0, told = 0, more = 0;

    if (route(ix, in, &r, &why) == 0)
        put_result(out, ix, in, &r);
    else
        put_failure(out, ix, &r, &why);
    a.channel = view_str(r.channel);
    a.account = r.account;
    a.guild = fold_trim(in->guild);
    a.team = fold_trim(in->team);
    a.peer = in->peer.given ? fold_trim(in->peer.id) : VIEW_EMPTY;
    a.kind = ids_peer_kind(in->peer.kind);
    a.parent = in->parent.given ? fold_trim(in->parent.id) : VIEW_EMPTY;
    a.parent_kind = ids_peer_kind(in->parent.kind);
    for (uint32_t i = 0; i < index_count(ix) && why.code != ERR_LIMIT; i++) {
        const struct binding *b = index_at(ix, i);

        if (i == r.binding)
            continue;
        if ((b->unfit == FIT || b->unfit == UNFIT_ACP) && !view_eq(b->channel, a.channel))
            other++;
        else if (told == EXPLAIN_ROWS_MAX)
            more++;
        else {
            told++;
            put_passed(out, ix, &a, i, &r);
        }
    }
    if (more)
        buf_printf(out, "and %" PRIu32 " more of this channel\n", more);
    if (other)
        buf_printf(out, "%" PRIu32 " binding%s of other channels\n", other, other == 1 ? "" : "s");
    return buf_check(out, e);
}
