/* workers/hub/session_change.c - sessions made, emptied and removed (protocol 9.3). */
#include "chat.h"
#include "clock.h"
#include "fresh.h"
#include "json.h"
#include "log.h"
#include "rand.h"
#include "session_int.h"
#include "settings.h"
#include "skey.h"

#include <stdio.h>

/* ---- entry: the row as patch, reset and create show it ---- */

static void put_entry(struct hub *h, struct jw *w, const struct session *s)
{
    struct model_pick pick;

    session_model(h, s, &pick);
    jw_obj(w);
    jw_kcstr(w, "sessionId", s->id);
    jw_ki64(w, "updatedAt", s->updated_at);
    jw_ki64(w, "createdAt", s->created_at);
    jw_kcstr(w, "createdVia", "operator");
    if (s->label)
        jw_kcstr(w, "label", s->label);
    jw_ku64(w, "inputTokens", s->input_tokens);
    jw_ku64(w, "outputTokens", s->output_tokens);
    jw_ku64(w, "totalTokens", s->total_tokens);
    jw_kbool(w, "systemSent", s->flags & SESSION_SYSTEM_SENT);
    jw_kbool(w, "abortedLastRun", s->flags & SESSION_ABORTED_LAST_RUN);
    if (session_rest(s, "lifecycleRevision").n == 0)
        jw_kcstr(w, "lifecycleRevision", s->id); /* until its first reset */
    jw_kcstr(w, "modelOverrideSource", pick.own ? "user" : "default");
    if (pick.own) {
        jw_kcstr(w, "providerOverride", pick.provider);
        jw_kcstr(w, "modelOverride", pick.model);
    }
    if (s->rest[0]) {
        buf_put_char(w->b, ',');
        buf_put_str(w->b, s->rest);
    }
    jw_obj_end(w);
}

static void put_resolved(struct hub *h, struct jw *w, const struct session *s)
{
    struct model_pick pick;

    session_model(h, s, &pick);
    jw_key(w, "resolved");
    jw_obj(w);
    jw_kcstr(w, "modelProvider", pick.provider);
    jw_kcstr(w, "model", pick.model);
    jw_kraw(w, "agentRuntime", V("{\"id\":\"openclaw\",\"source\":\"implicit\"}"));
    jw_kbool(w, "runtimeSelectionLocked", false);
    jw_obj_end(w);
}

int session_answer_entry(struct call *c, const struct session *s, bool path)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kbool(w, "ok", true);
    if (path)
        jw_kcstr(w, "path", c->hub->settings->state_dir ? c->hub->settings->state_dir : "");
    jw_kcstr(w, "key", s->key);
    jw_key(w, "entry");
    put_entry(c->hub, w, s);
    put_resolved(c->hub, w, s);
    jw_obj_end(w);
    return call_end(c);
}

static int unavailable(struct call *c, const struct err *e)
{
    return call_error_full(c, RPC_UNAVAILABLE, e->text, VIEW_EMPTY, 1, 1000);
}

/* ---- sessions.reset, sessions.delete ---- */

/* Stop every turn; l stays. */
static void stop_turns(struct hub *h, struct live *l)
{
    l->hold = true;
    (void)live_abort(h, l, "aborted", NULL);
    l->hold = false;
}

int session_reset(struct hub *h, const struct session_key *key, struct err *e)
{
    struct store_rec del = {.type = REC_session_del};
    struct session *s;
    struct live *l;
    char revision[37];
    int rc;

    if ((rc = live_get(h, key, true, &l, e)) < 0)
        return rc;
    stop_turns(h, l);
    s = &l->s;
    if (l->active) {
        rc = err_set(e, ERR_AGAIN, "a turn of this session is just ending");
        goto out;
    }
    if (s->sid) {
        /* a transcript is never cut: the old one goes as a whole, the row comes back with a new one
         */
        del.session_del.key = session_key_view(key);
        if ((rc = hub_put(h, &del, e)) < 0)
            goto out;
        media_look(h);
        s->sid = 0;
    }
    rand_uuid(revision);
    s->input_tokens = s->output_tokens = s->total_tokens = 0;
    s->status = SESSION_IDLE;
    s->flags &= ~(uint32_t)(SESSION_SYSTEM_SENT | SESSION_ABORTED_LAST_RUN);
    s->started_at = s->ended_at = s->interaction_at = 0;
    s->updated_at = s->began_at = clock_wall_ms();
    if ((rc = session_rest_set(s, "displayName", VIEW_EMPTY, e)) == 0 &&
        (rc = session_rest_set_str(s, "lifecycleRevision", view_str(revision), e)) == 0)
        rc = session_save(h, s, e);
    if (rc == 0)
        session_changed_reason(h, session_key_view(key), "reset");
out:
    live_put(h, l);
    return rc;
}

int session_refresh(struct hub *h, const struct session_key *key, struct view channel,
                    struct err *e)
{
    struct view type = view_str(skey_chat_type(session_key_view(key))), base, thread;
    struct fresh_policy p;
    struct session s;
    int rc;

    skey_thread_split(session_key_view(key), &base, &thread);
    fresh_policy(h->w.conf,
                 thread.n                                                   ? FRESH_THREAD
                 : view_eq(type, V("group")) || view_eq(type, V("channel")) ? FRESH_GROUP
                                                                            : FRESH_DIRECT,
                 channel, &p);
    if (p.mode == FRESH_ALWAYS || live_find(h, session_key_view(key)))
        return 0;
    if ((rc = session_load(h, session_key_view(key), &s, e)) < 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (!fresh_is(&p, s.began_at ? s.began_at : s.created_at, s.interaction_at, clock_wall_ms())) {
        log_info("session.reset", KV("session", key->s),
                 KV("why", p.mode == FRESH_DAILY ? "daily" : "idle"));
        rc = session_reset(h, key, e);
    }
    session_fini(&s);
    return rc;
}

static bool other_session(struct call *c, const struct session_key *key)
{
    struct view expected = json_view(c->params, "expectedSessionId");
    struct rec_session_put row;
    struct err e = ERR_INIT;

    return expected.n && store_session_get(c->hub->store, session_key_view(key), &row, &e) == 0 &&
           !view_eq(row.session_id, expected);
}

int rpc_sessions_reset(struct call *c)
{
    struct session_key key;
    struct session s;
    struct err e = ERR_INIT;
    int rc;

    if (session_key(c->hub, json_view(c->params, "key"), json_view(c->params, "agentId"), &key,
                    &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (other_session(c, &key))
        return call_error(c, RPC_INVALID_REQUEST, "session changed; reload and retry");
    if (session_reset(c->hub, &key, &e) < 0 ||
        session_load(c->hub, session_key_view(&key), &s, &e) < 0)
        return unavailable(c, &e);
    rc = session_answer_entry(c, &s, false);
    session_fini(&s);
    return rc;
}

int rpc_sessions_delete(struct call *c)
{
    struct store_rec del = {.type = REC_session_del};
    struct rec_session_put row;
    struct session_key key;
    struct err e = ERR_INIT;
    struct live *l;
    bool found, archived_only = json_flag(c->params, "archivedOnly", false);
    struct jw *w;

    if (session_key(c->hub, json_view(c->params, "key"), json_view(c->params, "agentId"), &key,
                    &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (!archived_only && !(c->conn->who.scopes & SCOPE_ADMIN))
        return call_error(c, RPC_INVALID_REQUEST, "missing scope: operator.admin");
    if (session_key_is_main(c->hub, session_key_view(&key)))
        return call_error(c, RPC_INVALID_REQUEST, "Cannot delete the main session (%s).", key.s);
    if (other_session(c, &key))
        return call_error(c, RPC_INVALID_REQUEST, "session changed; reload and retry");
    found = store_session_get(c->hub->store, session_key_view(&key), &row, &e) == 0;
    if (found && archived_only && !(row.flags & SESSION_ARCHIVED))
        return call_error(c, RPC_INVALID_REQUEST, "session is not archived");
    if (found && (l = live_find(c->hub, session_key_view(&key)))) {
        stop_turns(c->hub, l);
        if (l->active)
            return call_error_full(c, RPC_UNAVAILABLE, "a turn of this session is just ending",
                                   VIEW_EMPTY, 1, 1000);
        live_put(c->hub, l);
    }
    del.session_del.key = session_key_view(&key);
    if (found && hub_put(c->hub, &del, &e) < 0)
        return unavailable(c, &e);
    media_look(c->hub);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_kcstr(w, "key", key.s);
    jw_kbool(w, "deleted", found);
    jw_kraw(w, "archived", V("[]"));
    jw_obj_end(w);
    if (call_end(c) < 0)
        return -1;
    if (found)
        session_changed_reason(c->hub, session_key_view(&key), "delete");
    return 0;
}

/* ---- sessions.create ---- */

int session_created(struct call *c, const struct session *s, const char *run_id)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_kcstr(w, "key", s->key);
    jw_kcstr(w, "sessionId", s->id);
    jw_key(w, "entry");
    put_entry(c->hub, w, s);
    jw_kbool(w, "runStarted", run_id != NULL);
    if (run_id)
        jw_kcstr(w, "runId", run_id);
    put_resolved(c->hub, w, s);
    jw_obj_end(w);
    return call_end(c);
}

static int create(struct call *c, const struct session_key *key, struct err *e)
{
    struct view name = view_trim(json_view(c->params, "displayName"));
    struct live *l;
    int rc;

    if ((rc = live_get(c->hub, key, true, &l, e)) < 0)
        return rc;
    if ((rc = session_set_label(&l->s, c->params, "label", e)) == 0 &&
        (rc = session_set_model(c->hub, &l->s, c->params, e)) == 0 &&
        (rc = name.n ? session_rest_set_str(&l->s, "displayName", name, e) : 0) == 0)
        rc = session_save(c->hub, &l->s, e);
    live_put(c->hub, l);
    if (rc == 0)
        session_changed_reason(c->hub, session_key_view(key), "create");
    return rc;
}

int rpc_sessions_create(struct call *c)
{
    struct view asked = json_view(c->params, "key"),
                label = view_trim(json_view(c->params, "label")),
                message = view_trim(json_view(c->params, "message"));
    char made[64], id[37];
    struct session_key key, owner;
    struct session s;
    struct err e = ERR_INIT;
    int rc;

    if (asked.n == 0) {
        rand_uuid(id);
        asked = view_of(made, (size_t)snprintf(made, sizeof(made), "dashboard:%s", id));
    }
    if (session_key(c->hub, asked, json_view(c->params, "agentId"), &key, &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (label.n && session_labelled(c->hub, label, &owner) &&
        !view_eq(session_key_view(&owner), session_key_view(&key)))
        return call_error(c, RPC_INVALID_REQUEST, "label: another session has it already: %.*s",
                          VIEW_FMT(label));
    if (chat_later(c, &rc))
        return rc;
    if ((rc = create(c, &key, &e)) < 0)
        return rc == ERR_INVALID ? call_error(c, RPC_INVALID_REQUEST, "%s", e.text)
                                 : unavailable(c, &e);
    if (message.n == 0)
        message = view_trim(json_view(c->params, "task"));
    if (message.n || json_array_size(json_object_get(c->params, "attachments")) > 0) {
        struct view run_id = json_view(c->params, "idempotencyKey");
        struct chat_input in = {
            .form = FORM_CREATE, .key = &key, .message = message, .plain = true};

        rand_uuid(id);
        in.run_id = run_id.n ? run_id : view_str(id);
        return chat_take_with(c, &in);
    }
    if (session_load(c->hub, session_key_view(&key), &s, &e) < 0)
        return unavailable(c, &e);
    rc = session_created(c, &s, NULL);
    session_fini(&s);
    return rc;
}
