/* workers/hub/chat_abort.c - turns stopped by people (protocol 5.5). */
#include "chat.h"
#include "json.h"

/* Every turn of the session that the caller may stop. */
static int stop_all(struct call *c, struct view key, const char *reason)
{
    struct live *l = live_find(c->hub, key);
    struct buf ids = BUF_INIT(64 * KIB);
    struct jw iw = JW_INIT(&ids), *w;
    unsigned n = 0;
    int rc;

    if (l && l->active && !run_owned(l->active, c->conn))
        return call_error(c, RPC_INVALID_REQUEST, "unauthorized");
    jw_arr(&iw);
    if (l)
        n = live_abort(c->hub, l, reason, &iw);
    jw_arr_end(&iw);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_kbool(w, "aborted", n > 0);
    jw_kraw(w, "runIds", buf_view(&ids));
    jw_obj_end(w);
    rc = call_end(c);
    buf_fini(&ids);
    return rc;
}

int chat_stop(struct call *c, const struct session_key *key)
{
    return stop_all(c, session_key_view(key), "stop");
}

int rpc_chat_abort(struct call *c)
{
    struct view id = json_view(c->params, "runId");
    struct session_key key;
    struct err e = ERR_INIT;
    struct run *r;
    struct jw *w;

    if (session_key(c->hub, json_view(c->params, "sessionKey"), json_view(c->params, "agentId"),
                    &key, &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (id.n == 0)
        return stop_all(c, session_key_view(&key), "rpc");
    r = run_find(c->hub, id);
    if (r && (!view_eq(view_str(r->live->s.key), session_key_view(&key)) || r->phase == RUN_ENDING))
        r = NULL;
    if (r && !run_owned(r, c->conn))
        return call_error(c, RPC_INVALID_REQUEST, "unauthorized");
    if (r)
        run_abort(r, "rpc");
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_kbool(w, "aborted", r != NULL);
    jw_key(w, "runIds");
    jw_arr(w);
    if (r)
        jw_str(w, id);
    jw_arr_end(w);
    jw_obj_end(w);
    return call_end(c);
}

int rpc_sessions_abort(struct call *c)
{
    struct view id = json_view(c->params, "runId"), asked = json_view(c->params, "key");
    struct run *r = id.n ? run_find(c->hub, id) : NULL;
    struct session_key key;
    struct err e = ERR_INIT;
    struct live *l = NULL;
    char gone[257] = "";
    struct jw *w;

    if (asked.n == 0 && id.n == 0)
        return call_error(c, RPC_INVALID_REQUEST, "key or runId required");
    if (asked.n &&
        session_key(c->hub, asked, json_view(c->params, "agentId"), &key, &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (asked.n && id.n == 0) {
        l = live_find(c->hub, session_key_view(&key));
        r = l ? l->active : NULL;
    }
    if (r && r->phase == RUN_ENDING)
        r = NULL;
    if (r && !run_owned(r, c->conn))
        return call_error(c, RPC_INVALID_REQUEST, "unauthorized");
    if (r) {
        size_t n = strlen(r->run_id);

        memcpy(gone, r->run_id, n < sizeof(gone) ? n : sizeof(gone) - 1);
        if (l && json_flag(c->params, "clearQueued", false))
            (void)live_abort(c->hub, l, "rpc", NULL);
        else
            run_abort(r, "rpc");
    }
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_key(w, "abortedRunId");
    if (gone[0])
        jw_cstr(w, gone);
    else
        jw_null(w);
    jw_kcstr(w, "status", gone[0] ? "aborted" : "no-active-run");
    jw_obj_end(w);
    return call_end(c);
}
