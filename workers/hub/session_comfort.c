/* workers/hub/session_comfort.c - what clients ask of sessions that is not, or hardly, a thing
 * here: who looks at one, foreign catalogs, the side chat, files of a workspace, other ends of a
 * transcript. Each answers as a gateway where that is empty or off (protocol 9.11, shapes). */
#include "chat.h"
#include "json.h"

static bool key_of(struct call *c, const char *member, struct session_key *out)
{
    struct err e = ERR_INIT;

    return session_key(c->hub, json_view(c->params, member), json_view(c->params, "agentId"), out,
                       &e) != ERR_INVALID;
}

static int bad_key(struct call *c, const char *member)
{
    return call_error(c, RPC_INVALID_REQUEST, "%s: not usable as a session key", member);
}

int rpc_sessions_observer_visibility(struct call *c)
{
    return call_ok_raw(c, V("{\"ok\":true}"));
}

/* Nobody is told who looks at what: the keys come back as they are understood. */
int rpc_sessions_viewers_set(struct call *c)
{
    const json_t *v, *keys = json_object_get(c->params, "sessionKeys");
    struct session_key key;
    struct err e = ERR_INIT;
    struct jw *w;
    size_t i;

    w = call_ok(c);
    jw_obj(w);
    jw_key(w, "sessionKeys");
    jw_arr(w);
    json_array_foreach(keys, i, v)
    {
        if (session_key(c->hub, json_view_of(v), json_view(c->params, "agentId"), &key, &e) !=
            ERR_INVALID)
            jw_str(w, session_key_view(&key));
    }
    jw_arr_end(w);
    jw_obj_end(w);
    return call_end(c);
}

int rpc_sessions_catalog_list(struct call *c)
{
    return call_ok_raw(c, V("{\"catalogs\":[]}"));
}

int rpc_sessions_companion_state(struct call *c)
{
    return call_error(c, RPC_UNAVAILABLE, "Side chat is unavailable.");
}

int rpc_session_discussion_info(struct call *c)
{
    return call_ok_raw(c, V("{\"state\":\"none\"}"));
}

/* A title that a model makes of the first words: null = none, the session is shown by them. */
int rpc_sessions_title_prepare(struct call *c)
{
    return call_ok_raw(c, V("{\"title\":null}"));
}

int rpc_sessions_activitySummary_ensure(struct call *c)
{
    const json_t *one, *list = json_object_get(c->params, "sessions");
    struct session_key key;
    struct err e = ERR_INIT;
    struct jw *w;
    size_t i;

    w = call_ok(c);
    jw_obj(w);
    jw_key(w, "sessions");
    jw_arr(w);
    json_array_foreach(list, i, one)
    {
        if (session_key(c->hub, json_view(one, "key"), json_view(one, "agentId"), &key, &e) ==
            ERR_INVALID)
            continue;
        jw_obj(w);
        jw_kcstr(w, "key", key.s);
        jw_kcstr(w, "agentId", key.agent);
        jw_kraw(w, "activitySummary", V("{\"state\":\"unavailable\"}"));
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_obj_end(w);
    return call_end(c);
}

/* Turns have no tools that touch files: none was read, none was changed. */
int rpc_sessions_files_list(struct call *c)
{
    struct session_key key;
    struct jw *w;

    if (!key_of(c, "sessionKey", &key))
        return bad_key(c, "sessionKey");
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "sessionKey", key.s);
    jw_kraw(w, "files", V("[]"));
    jw_obj_end(w);
    return call_end(c);
}

int rpc_sessions_diff(struct call *c)
{
    struct rec_session_put row;
    struct session_key key;
    struct err e = ERR_INIT;
    bool known;
    struct jw *w;

    if (!key_of(c, "sessionKey", &key))
        return bad_key(c, "sessionKey");
    known = store_session_get(c->hub->store, session_key_view(&key), &row, &e) == 0;
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "sessionKey", key.s);
    jw_kraw(w, "files", V("[]"));
    jw_ku64(w, "additions", 0);
    jw_ku64(w, "deletions", 0);
    jw_kcstr(w, "unavailableReason", known ? "not_git" : "unknown_session");
    jw_obj_end(w);
    return call_end(c);
}

/* A transcript has one end here: there one is already, and nowhere else to go. */
int rpc_sessions_branches_switch(struct call *c)
{
    struct rec_session_put row;
    struct rec_message_add m;
    struct session_key key;
    struct err e = ERR_INIT;
    uint64_t last = 0;

    if (!key_of(c, "sessionKey", &key))
        return bad_key(c, "sessionKey");
    if (store_session_get(c->hub->store, session_key_view(&key), &row, &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "session not found");
    if (store_history_count(c->hub->store, row.sid, &last, &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    if (store_message_by_id(c->hub->store, json_view(c->params, "leafEntryId"), &m, &e) < 0 ||
        m.sid != row.sid || m.seq != last)
        return call_error(c, RPC_INVALID_REQUEST,
                          "leafEntryId: no branch of this session ends there");
    return call_ok_raw(c, V("{}"));
}
