/* routing/skey.c - session keys put together. */
#include "skey.h"

#include "mem.h"

/* ---- words ---- */

static const char *const dm_names[DM_COUNT] = {
    [DM_UNSET] = "",
    [DM_MAIN] = "main",
    [DM_PEER] = "per-peer",
    [DM_CHANNEL_PEER] = "per-channel-peer",
    [DM_ACCOUNT_CHANNEL_PEER] = "per-account-channel-peer",
};
static const char *const group_names[GROUP_COUNT] = {
    [GROUP_UNSET] = "", [GROUP_PER_GROUP] = "per-group", [GROUP_MAIN] = "main"};

enum dm_scope skey_dm_scope(struct view v)
{
    for (int i = DM_MAIN; i < DM_COUNT; i++)
        if (view_eq(v, view_str(dm_names[i])))
            return (enum dm_scope)i;
    return DM_UNSET;
}

enum group_scope skey_group_scope(struct view v)
{
    for (int i = GROUP_PER_GROUP; i < GROUP_COUNT; i++)
        if (view_eq(v, view_str(group_names[i])))
            return (enum group_scope)i;
    return GROUP_UNSET;
}

const char *skey_dm_scope_name(enum dm_scope s)
{
    return dm_names[s];
}

const char *skey_group_scope_name(enum group_scope s)
{
    return group_names[s];
}

/* ---- writing ---- */

static struct fold begin(struct skey *out)
{
    return (struct fold){.p = out->s, .max = SKEY_MAX};
}

static int end(struct fold *t, struct skey *out, struct err *e)
{
    if (t->over)
        return err_set(e, ERR_LIMIT, "session key: longer than %d bytes", (int)SKEY_MAX);
    out->s[t->n] = 0;
    out->n = t->n;
    return 0;
}

static void put_agent(struct fold *t, const struct id *agent)
{
    fold_put(t, V("agent:"));
    fold_put(t, id_view(agent));
    fold_put(t, V(":"));
}

/* Trimmed, lower case; the fallback when blank. */
static void put_word(struct fold *t, struct view v, struct view fallback)
{
    v = fold_trim(v);
    if (v.n)
        fold_lower(t, v);
    else
        fold_put(t, fallback);
}

int skey_main(const struct id *agent, struct view main_key, struct skey *out, struct err *e)
{
    struct fold t = begin(out);

    put_agent(&t, agent);
    put_word(&t, main_key, V("main"));
    return end(&t, out, e);
}

/* ---- the ids that keep their case ---- */

static bool starts_folded(struct view v, struct view lower)
{
    return v.n >= lower.n && fold_eq(view_of(v.p, lower.n), lower);
}

/* Length of "matrix:channel:" or "matrix:group:" before a room's id, also behind "agent:<id>:". */
static size_t matrix_head(struct view key)
{
    size_t at = 0;

    if (starts_folded(key, V("agent:"))) {
        size_t colon = view_find(view_from(key, 6), ':');

        if (colon > 0 && 6 + colon < key.n)
            at = 6 + colon + 1;
    }
    if (starts_folded(view_from(key, at), V("matrix:channel:")))
        return at + 15;
    return starts_folded(view_from(key, at), V("matrix:group:")) ? at + 13 : 0;
}

/* Lower case but for the segment behind every "signal:group:". */
static void put_signal(struct fold *t, struct view v)
{
    static const struct view mark = {"signal:group:", 13};
    size_t from = 0, i = 0;

    while (i + mark.n < v.n) {
        struct view rest = view_from(v, i);
        size_t id_n;

        if ((i > 0 && v.p[i - 1] != ':') || !starts_folded(rest, mark) ||
            (id_n = view_find(view_from(rest, mark.n), ':')) == 0) {
            i++;
            continue;
        }
        fold_lower(t, view_of(v.p + from, i + mark.n - from));
        fold_put(t, fold_trim(view_of(v.p + i + mark.n, id_n)));
        from = i = i + mark.n + id_n;
    }
    fold_lower(t, view_from(v, from));
}

/* The end of the last ":thread:" in v, 0 when there is none. */
static size_t thread_end(struct view v)
{
    for (size_t i = v.n; i >= 8; i--)
        if (v.p[i - 1] == ':' && fold_eq(view_of(v.p + i - 8, 8), V(":thread:")))
            return i;
    return 0;
}

static void put_normal(struct fold *t, struct view v)
{
    size_t head = matrix_head(v), behind;

    if (head == 0 || head == v.n) {
        put_signal(t, v);
        return;
    }
    fold_lower(t, view_of(v.p, head));
    v = view_from(v, head);
    if ((behind = thread_end(v)) > 0) {
        fold_put(t, view_of(v.p, behind - 8));
        fold_put(t, V(":thread:"));
        v = view_from(v, behind);
    }
    fold_put(t, v);
}

int skey_normal(struct view key, struct skey *out, struct err *e)
{
    struct fold t = begin(out);

    put_normal(&t, fold_trim(key));
    return end(&t, out, e);
}

/* ---- conversations ---- */

static void put_peer_id(struct fold *t, const struct skey_peer *p, const char *kind, struct view id)
{
    char channel[16];
    struct fold c = {.p = channel, .max = sizeof(channel)};
    size_t colon = view_find(id, ':');

    fold_lower(&c, fold_trim(p->channel));
    if (view_eq(fold_view(&c), V("matrix")) && (p->kind == PEER_GROUP || p->kind == PEER_CHANNEL)) {
        fold_put(t, id);
    } else if (view_eq(fold_view(&c), V("signal")) && strcmp(kind, "group") == 0 && colon > 0) {
        /* one segment of it, as the key is read back */
        fold_put(t, fold_trim(view_of(id.p, colon)));
        fold_lower(t, view_from(id, colon));
    } else {
        fold_lower(t, id);
    }
}

int skey_peer(const struct skey_peer *p, struct skey *out, struct err *e)
{
    bool direct = p->kind == PEER_DIRECT || (p->kind == PEER_OTHER && p->kind_word.n == 0);
    struct view id = fold_trim(p->id);
    struct fold t = begin(out);

    if (!p->given || (direct && p->dm <= DM_MAIN) ||
        (!direct && p->kind != PEER_OTHER && p->group == GROUP_MAIN))
        return skey_main(p->agent, p->main_key, out, e);
    if (id.n == 0)
        id = V("unknown");
    put_agent(&t, p->agent);
    if (!direct || p->dm >= DM_CHANNEL_PEER) {
        put_word(&t, p->channel, V("unknown"));
        fold_put(&t, V(":"));
    }
    if (direct && p->dm == DM_ACCOUNT_CHANNEL_PEER) {
        fold_put(&t, id_view(p->account));
        fold_put(&t, V(":"));
    }
    if (!direct && p->kind == PEER_OTHER)
        fold_lower(&t, p->kind_word);
    else
        fold_put(&t, view_str(direct ? "direct" : ids_peer_kind_name(p->kind)));
    fold_put(&t, V(":"));
    put_peer_id(&t, p, direct ? "direct" : ids_peer_kind_name(p->kind), id);
    return end(&t, out, e);
}

int skey_thread(struct view base, struct view thread, struct skey *out, struct err *e)
{
    struct fold t = begin(out);

    thread = fold_trim(thread);
    fold_put(&t, base);
    if (thread.n) {
        fold_put(&t, V(":thread:"));
        fold_lower(&t, thread);
    }
    return end(&t, out, e);
}

int skey_store(const struct id *agent, struct view asked, struct view main_key, struct skey *out,
               struct err *e)
{
    char full[SKEY_MAX];
    struct fold t = {.p = full, .max = sizeof(full)};

    asked = fold_trim(asked);
    if (asked.n == 0 || fold_eq(asked, V("main")))
        return skey_main(agent, main_key, out, e);
    if (starts_folded(asked, V("agent:")))
        return skey_normal(asked, out, e);
    put_agent(&t, agent);
    fold_put(&t, asked);
    if (t.over)
        return err_set(e, ERR_LIMIT, "session key: longer than %d bytes", (int)SKEY_MAX);
    return skey_normal(fold_view(&t), out, e);
}

int skey_history(struct view channel, struct view account, struct view kind, struct view peer,
                 struct skey *out, struct err *e)
{
    struct fold t = begin(out);
    struct id id;

    ids_account(account, &id);
    put_word(&t, channel, V("unknown"));
    fold_put(&t, V(":"));
    fold_put(&t, id_view(&id));
    fold_put(&t, V(":"));
    fold_lower(&t, kind);
    fold_put(&t, V(":"));
    put_word(&t, peer, V("unknown"));
    return end(&t, out, e);
}
