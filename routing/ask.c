/* routing/ask.c - the functions of the reference by name. */
#include "ask.h"

#include "json.h"
#include "mem.h"

#include <stdio.h>

/* ---- a message ---- */

static void read_peer(struct route_peer *out, const json_t *v, char *room)
{
    if (!json_is_object(v))
        return;
    out->given = true;
    out->kind = json_view(v, "kind");
    out->id = jtext_id(json_object_get(v, "id"), room);
}

/* The reference throws a type error at these. */
static int check_types(const json_t *input, struct err *e)
{
    static const struct {
        const char *key;
        json_type type;
        const char *name;
        bool needed;
    } rows[] = {
        {"channel", JSON_STRING, "a string", true},
        {"accountId", JSON_STRING, "a string", false},
        {"defaultAgentId", JSON_STRING, "a string", false},
        {"peer", JSON_OBJECT, "an object", false},
        {"parentPeer", JSON_OBJECT, "an object", false},
        {"memberRoleIds", JSON_ARRAY, "an array", false},
        {"cfg", JSON_OBJECT, "an object", false},
    };

    if (!json_is_object(input))
        return err_set(e, ERR_INVALID, "not a JSON object");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const json_t *v = json_object_get(input, rows[i].key);

        if (v && !json_is_null(v) ? json_typeof(v) != rows[i].type : rows[i].needed)
            return err_set(e, ERR_INVALID, "%s: must be %s", rows[i].key, rows[i].name);
    }
    return 0;
}

int ask_read(struct ask_route *out, const json_t *input, struct err *e)
{
    const json_t *roles = json_object_get(input, "memberRoleIds"), *role;
    struct route_in *in = &out->in;
    size_t i;
    int r;

    if ((r = check_types(input, e)) < 0)
        return r;
    if (json_array_size(roles) > ROUTE_ROLES_MAX)
        return err_set(e, ERR_LIMIT, "memberRoleIds: %zu, limit %d", json_array_size(roles),
                       (int)ROUTE_ROLES_MAX);
    *in = (struct route_in){.channel = json_view(input, "channel"),
                            .account = json_view(input, "accountId"),
                            .roles = out->roles,
                            .default_agent = json_view(input, "defaultAgentId"),
                            .dm = skey_dm_scope(json_view(input, "dmScope")),
                            .group = skey_group_scope(json_view(input, "groupScope"))};
    in->peer.kind = in->peer.id = in->parent.kind = in->parent.id = VIEW_EMPTY;
    in->guild = jtext_id(json_object_get(input, "guildId"), out->rooms[0]);
    in->team = jtext_id(json_object_get(input, "teamId"), out->rooms[1]);
    read_peer(&in->peer, json_object_get(input, "peer"), out->rooms[2]);
    read_peer(&in->parent, json_object_get(input, "parentPeer"), out->rooms[3]);
    json_array_foreach(roles, i, role)
    {
        out->roles[in->roles_n] = jtext_id(role, out->role_rooms[in->roles_n]);
        in->roles_n++;
    }
    return 0;
}

/* ---- answers ---- */

static void put_route(struct jw *w, const struct route *r, struct view key)
{
    jw_obj(w);
    jw_kstr(w, "agentId", id_view(&r->agent));
    jw_kcstr(w, "channel", r->channel);
    jw_kstr(w, "accountId", id_view(&r->account));
    jw_kcstr(w, "dmScope", skey_dm_scope_name(r->dm));
    jw_kcstr(w, "groupScope", skey_group_scope_name(r->group));
    jw_kstr(w, "sessionKey", key);
    jw_kstr(w, "mainSessionKey", skey_view(&r->main_key));
    jw_kcstr(w, "lastRoutePolicy", route_is_main(r) ? "main" : "session");
    jw_kcstr(w, "matchedBy", index_matched_by_name(r->matched_by));
    jw_obj_end(w);
}

static void put_opt(struct jw *w, const char *key, struct view v)
{
    if (v.n)
        jw_kstr(w, key, v);
}

static int routed(const struct index *ix, const json_t *input, struct route *out, struct err *e)
{
    struct ask_route q;
    int r;

    if ((r = ask_read(&q, input, e)) < 0)
        return r;
    return route(ix, &q.in, out, e);
}

static int ask_agent_route(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct route out;
    int r;

    if ((r = routed(ix, input, &out, e)) < 0)
        return r;
    put_route(w, &out, skey_view(&out.key));
    return 0;
}

static int ask_route_thread(const struct index *ix, const json_t *input, struct jw *w,
                            struct err *e)
{
    char room[JTEXT_NUMBER_MAX];
    struct route out;
    struct skey key;
    int r;

    if ((r = routed(ix, json_object_get(input, "route"), &out, e)) < 0 ||
        (r = skey_thread(skey_view(&out.key), jtext_id(json_object_get(input, "threadId"), room),
                         &key, e)) < 0)
        return r;
    put_route(w, &out, skey_view(&key));
    return 0;
}

static int ask_thread(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    char room[JTEXT_NUMBER_MAX];
    struct view thread = jtext_id(json_object_get(input, "threadId"), room);
    bool suffix = !json_is_false(json_object_get(input, "useSuffix"));
    struct skey key;
    int r;

    (void)ix;
    if ((r = skey_thread(json_view(input, "baseSessionKey"), suffix ? thread : VIEW_EMPTY, &key,
                         e)) < 0)
        return r;
    jw_obj(w);
    jw_kstr(w, "sessionKey", skey_view(&key));
    if (thread.n)
        put_opt(w, "parentSessionKey", json_view(input, "parentSessionKey"));
    jw_obj_end(w);
    return 0;
}

/* ---- Telegram's own step before the router ---- */

/* The account of a bot that was never named: channels.telegram.defaultAccount, "default", or the
 * first by name. */
static void telegram_account(const json_t *cfg, struct id *out)
{
    const json_t *telegram = json_at(cfg, "channels.telegram");
    json_t *accounts = json_object_get(telegram, "accounts"), *v;
    struct view wish = fold_trim(json_view(telegram, "defaultAccount"));
    const char *name;
    struct id id;
    bool any = false;

    ids_account(wish, out);
    if (wish.n || json_object_size(accounts) == 0)
        return;
    json_object_foreach(accounts, name, v)
    {
        ids_account(view_str(name), &id);
        if (view_eq(id_view(&id), V("default"))) {
            *out = id;
            return;
        }
        if (!any || strcmp(id.s, out->s) < 0)
            *out = id;
        any = true;
    }
}

struct telegram {
    char chat_room[JTEXT_NUMBER_MAX], sender_room[JTEXT_NUMBER_MAX], thread_room[JTEXT_NUMBER_MAX];
    char peer[512];
    struct view chat, sender, thread;
    bool group, forum;
    struct route_in in;
};

static int telegram_read(struct telegram *t, const json_t *input, struct err *e)
{
    const json_t *spec = json_object_get(input, "threadSpec");
    int n;

    t->chat = jtext_id(json_object_get(input, "chatId"), t->chat_room);
    t->sender = jtext_id(json_object_get(input, "senderId"), t->sender_room);
    t->thread = jtext_id(json_object_get(spec, "id"), t->thread_room);
    t->group = json_flag(input, "isGroup", false);
    t->forum = t->group && view_eq(json_view(spec, "scope"), V("forum"));
    t->in = (struct route_in){.channel = V("telegram"), .account = json_view(input, "accountId")};
    t->in.guild = t->in.team = t->in.default_agent = VIEW_EMPTY;
    t->in.parent = (struct route_peer){.kind = VIEW_EMPTY, .id = VIEW_EMPTY};
    t->in.peer = (struct route_peer){.given = true,
                                     .kind = t->group ? V("group") : V("direct"),
                                     .id = !t->group && t->sender.n ? t->sender : t->chat};
    if (!t->forum)
        return 0;
    if (t->thread.n == 0)
        t->thread = V("1"); /* the General topic */
    n = snprintf(t->peer, sizeof(t->peer), "%.*s:topic:%.*s", VIEW_FMT(t->chat),
                 VIEW_FMT(t->thread));
    if (n < 0 || (size_t)n >= sizeof(t->peer))
        return err_set(e, ERR_LIMIT, "chatId and threadSpec.id: longer than %zu bytes",
                       sizeof(t->peer));
    t->in.peer.id = view_of(t->peer, (size_t)n);
    t->in.parent = (struct route_peer){.given = true, .kind = V("group"), .id = t->chat};
    return 0;
}

/* A message to a bot account of its own that no binding claims must not land in the session that
 * all share. */
static int telegram_key(const struct index *ix, const struct telegram *t, const json_t *input,
                        const struct route *r, struct skey *out, struct err *e)
{
    struct route alone = *r;
    struct id usual;
    char thread[256];
    int rc, n;

    telegram_account(json_object_get(input, "cfg"), &usual);
    if (!t->group && r->matched_by == BY_DEFAULT &&
        !view_eq(id_view(&usual), id_view(&r->account)) &&
        (rc = route_under(ix, &t->in, VIEW_EMPTY, DM_ACCOUNT_CHANNEL_PEER, &alone, e)) < 0)
        return rc;
    *out = alone.key;
    if (t->group || t->thread.n == 0 || !json_flag(input, "botHasTopicsEnabled", false) ||
        !view_eq(json_view(json_object_get(input, "threadSpec"), "scope"), V("dm")))
        return 0;
    n = snprintf(thread, sizeof(thread), "%.*s:%.*s", VIEW_FMT(t->chat), VIEW_FMT(t->thread));
    if (n < 0 || (size_t)n >= sizeof(thread))
        return err_set(e, ERR_LIMIT, "chatId and threadSpec.id: longer than %zu bytes",
                       sizeof(thread));
    return skey_thread(skey_view(&alone.key), view_of(thread, (size_t)n), out, e);
}

static int ask_telegram(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct telegram t = {.chat = VIEW_EMPTY};
    struct view topic_agent = fold_trim(json_view(input, "topicAgentId"));
    struct route out;
    struct skey key;
    int r;

    if ((r = telegram_read(&t, input, e)) < 0 || (r = route(ix, &t.in, &out, e)) < 0)
        return r;
    if (topic_agent.n && (r = route_under(ix, &t.in, topic_agent, DM_UNSET, &out, e)) < 0)
        return r;
    if ((r = telegram_key(ix, &t, input, &out, &key, e)) < 0)
        return r;
    jw_obj(w);
    jw_kstr(w, "agentId", id_view(&out.agent));
    jw_kcstr(w, "matchedBy", index_matched_by_name(out.matched_by));
    jw_kstr(w, "routeSessionKey", skey_view(&out.key));
    jw_kstr(w, "sessionKey", skey_view(&key));
    jw_obj_end(w);
    return 0;
}

/* ---- keys and ids ---- */

static int ask_store_key(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct view main_key = fold_trim(json_view(input, "mainKey"));
    struct skey key;
    struct id agent;
    int r;

    ids_agent(json_view(input, "agentId"), &agent);
    if ((r = skey_store(&agent, json_view(input, "requestKey"),
                        main_key.n ? main_key : index_main_key(ix), &key, e)) < 0)
        return r;
    jw_str(w, skey_view(&key));
    return 0;
}

static int ask_shape(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    (void)ix;
    (void)e;
    jw_cstr(w, skey_shape_name(skey_shape(json_view(input, "sessionKey"))));
    return 0;
}

static int ask_parse(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct view agent, rest;
    struct skey key;
    int r;

    (void)ix;
    if ((r = skey_normal(json_view(input, "sessionKey"), &key, e)) < 0)
        return r;
    if (!skey_parse(skey_view(&key), &agent, &rest)) {
        jw_null(w);
        return 0;
    }
    jw_obj(w);
    jw_kstr(w, "agentId", agent);
    jw_kstr(w, "rest", rest);
    jw_obj_end(w);
    return 0;
}

static int ask_target(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct skey_target t;
    struct skey key;
    int r;

    (void)ix;
    if ((r = skey_normal(json_view(input, "sessionKey"), &key, e)) < 0)
        return r;
    if (!skey_target(skey_view(&key), &t)) {
        jw_null(w);
        return 0;
    }
    jw_obj(w);
    put_opt(w, "accountId", t.account);
    jw_kstr(w, "channel", t.channel);
    jw_kstr(w, "peerId", t.peer);
    jw_kstr(w, "peerKind", t.kind);
    put_opt(w, "threadId", t.thread);
    jw_obj_end(w);
    return 0;
}

static int ask_split(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct view base, thread;

    (void)ix;
    (void)e;
    skey_thread_split(json_view(input, "sessionKey"), &base, &thread);
    jw_obj(w);
    put_opt(w, "baseSessionKey", base);
    put_opt(w, "threadId", thread);
    jw_obj_end(w);
    return 0;
}

static int ask_chat_type(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct skey key;
    int r;

    (void)ix;
    if ((r = skey_normal(json_view(input, "sessionKey"), &key, e)) < 0)
        return r;
    jw_cstr(w, skey_chat_type(skey_view(&key)));
    return 0;
}

static int ask_parent(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct view parent = skey_thread_parent(json_view(input, "sessionKey"));

    (void)ix;
    (void)e;
    if (parent.n)
        jw_str(w, parent);
    else
        jw_null(w);
    return 0;
}

static int ask_agent_id(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct id id;

    (void)ix;
    (void)e;
    ids_agent(json_view(input, "value"), &id);
    jw_str(w, id_view(&id));
    return 0;
}

static int ask_account_id(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    struct id id;

    (void)ix;
    (void)e;
    ids_account(json_view(input, "value"), &id);
    jw_str(w, id_view(&id));
    return 0;
}

static int ask_history(const struct index *ix, const json_t *input, struct jw *w, struct err *e)
{
    char room[JTEXT_NUMBER_MAX];
    struct skey key;
    int r;

    (void)ix;
    if ((r = skey_history(json_view(input, "channel"), json_view(input, "accountId"),
                          json_view(input, "peerKind"),
                          jtext_id(json_object_get(input, "peerId"), room), &key, e)) < 0)
        return r;
    jw_str(w, skey_view(&key));
    return 0;
}

/* ---- by name ---- */

static const struct function {
    const char *name;
    const char *sign; /* a member by which an input without a name is known */
    int (*run)(const struct index *ix, const json_t *input, struct jw *w, struct err *e);
} functions[] = {
    {"routeThenThread", "route", ask_route_thread},
    {"telegramInbound", "chatId", ask_telegram},
    {"resolveThreadSessionKeys", "baseSessionKey", ask_thread},
    {"toAgentStoreSessionKey", "requestKey", ask_store_key},
    {"buildGroupHistoryKey", "peerKind", ask_history},
    {"resolveAgentRoute", "channel", ask_agent_route},
    {"classifySessionKeyShape", NULL, ask_shape},
    {"parseAgentSessionKey", NULL, ask_parse},
    {"parseSessionDeliveryRoute", NULL, ask_target},
    {"parseThreadSessionSuffix", NULL, ask_split},
    {"deriveSessionChatType", NULL, ask_chat_type},
    {"resolveThreadParentSessionKey", NULL, ask_parent},
    {"normalizeAgentId", NULL, ask_agent_id},
    {"normalizeAccountId", NULL, ask_account_id},
};

static const struct function *find_function(struct view fn, const json_t *input)
{
    for (size_t i = 0; i < COUNT_OF(functions); i++)
        if (fn.n ? view_eq(fn, view_str(functions[i].name))
                 : functions[i].sign && json_object_get(input, functions[i].sign))
            return &functions[i];
    return NULL;
}

int ask(const struct index *ix, struct view fn, const json_t *input, struct jw *w, struct err *e)
{
    const struct function *f;
    const json_t *cfg;
    struct index *own = NULL;
    int r;

    if (fn.n == 0 && json_view(input, "fn").n) {
        fn = json_view(input, "fn");
        input = json_object_get(input, "input");
    }
    if (!json_is_object(input))
        return err_set(e, ERR_INVALID, "not a JSON object");
    if (!(f = find_function(fn, input)))
        return err_set(e, ERR_INVALID,
                       fn.n ? "fn: no such function"
                            : "what is asked? a route has at least \"channel\"");
    if (!(cfg = json_object_get(input, "cfg")))
        cfg = json_object_get(json_object_get(input, "route"), "cfg");
    if (cfg && !json_is_object(cfg) && !json_is_null(cfg))
        return err_set(e, ERR_INVALID, "cfg: must be an object");
    if ((cfg || !ix) && (r = index_new(&own, cfg, e)) < 0)
        return r;
    r = f->run(own ? own : ix, input, w, e);
    index_free(&own);
    return r;
}

void ask_error(struct jw *w, const struct err *e)
{
    jw_obj(w);
    jw_kcstr(w, "error", route_error_name(e->code));
    if (e->code != ERR_NOT_FOUND)
        jw_kcstr(w, "message", e->text);
    jw_obj_end(w);
}

void ask_or_error(const struct index *ix, struct view fn, const json_t *input, struct jw *w)
{
    struct err e = ERR_INIT;

    if (ask(ix, fn, input, w, &e) < 0)
        ask_error(w, &e);
}
