/*
 * workers/hub/chat_send.c - a message comes in (protocol 5.2): known already, a command, for now or
 * for later. What the answer says is on disk before the answer leaves (hub.h).
 */
#include "attach_later.h"
#include "chat.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "rand.h"
#include "sendpolicy.h"

#include <openssl/sha.h>
#include <stdio.h>

enum { RETRY_AFTER_MS = 1000 };

/* Same key, other request: what the answer depends on, hashed. */
void chat_digest(const struct chat_input *in, char out[65])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char md[SHA256_DIGEST_LENGTH];
    struct buf b = BUF_INIT(64 * MIB);

    buf_put_view(&b, session_key_view(in->key));
    buf_put_char(&b, '\0');
    buf_put_view(&b, in->message);
    if (in->files && in->files->count) {
        buf_put_char(&b, '\0');
        attach_digest(in->files, &b);
    }
    (void)SHA256((const unsigned char *)buf_view(&b).p, b.n, md);
    for (size_t i = 0; i < 16;
         i++) { /* 128 bits are plenty against chance, and the caller is the only one to gain */
        out[2 * i] = hex[md[i] >> 4];
        out[2 * i + 1] = hex[md[i] & 15];
    }
    out[32] = '\0';
    buf_fini(&b);
}

static int conflict(struct call *c)
{
    return call_error_full(
        c, RPC_INVALID_REQUEST,
        "idempotencyKey: it belongs to another message; chat.history shows what became of that "
        "one, a new key sends this one",
        V("{\"reason\":\"chat-request-conflict\"}"), -1, 0);
}

static int answer_status(struct call *c, struct view run_id, const char *status)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kstr(w, "runId", run_id);
    jw_kcstr(w, "status", status);
    jw_obj_end(w);
    return call_end(c);
}

static int answer_started(struct call *c, const struct chat_input *in, const struct run *r,
                          bool interrupted)
{
    struct jw *w;

    if (in->form == FORM_AGENT) {
        struct buf payload = BUF_INIT(8 * KIB), body = BUF_INIT(16 * KIB);
        struct jw aw = JW_INIT(&payload);
        int rc;

        jw_obj(&aw);
        jw_kcstr(&aw, "runId", r->run_id);
        jw_kcstr(&aw, "sessionKey", in->key->s);
        jw_kcstr(&aw, "agentId", in->key->agent);
        jw_kcstr(&aw, "status", "accepted");
        jw_ki64(&aw, "acceptedAt", r->accepted_ms);
        jw_obj_end(&aw);
        call_body_ok(&body, buf_view(&payload));
        rc = call_send(c->hub, &c->ref, true, buf_view(&body));
        buf_fini(&payload);
        buf_fini(&body);
        return rc;
    }
    if (in->form == FORM_CREATE)
        return session_created(c, &r->live->s, r->run_id);
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "runId", r->run_id);
    jw_kcstr(w, "status", "started");
    if (interrupted)
        jw_kbool(w, "interruptedActiveRun", true);
    jw_obj_end(w);
    return call_end(c);
}

static int answer_finished(struct call *c, const struct chat_input *in,
                           const struct rec_run_put *row)
{
    struct run_summary s;

    run_summary_read(row->summary, &s);
    if (in->form == FORM_AGENT)
        return agent_answer(c, row);
    if (strcmp(s.status, "error") == 0) {
        struct buf payload = BUF_INIT(16 * KIB), body = BUF_INIT(32 * KIB);
        struct jw w = JW_INIT(&payload);
        int rc;

        jw_obj(&w);
        jw_kstr(&w, "runId", in->run_id);
        jw_kcstr(&w, "status", "error");
        jw_kcstr(&w, "summary", s.error);
        jw_obj_end(&w);
        call_body_error(&body, RPC_UNAVAILABLE, view_str(s.error), VIEW_EMPTY, -1, 0,
                        buf_view(&payload));
        rc = call_send(c->hub, &c->ref, false, buf_view(&body));
        buf_fini(&payload);
        buf_fini(&body);
        return rc;
    }
    return answer_status(c, in->run_id, s.status);
}

/* Was this run id used before? Then the call is answered. */
static bool known(struct call *c, const struct chat_input *in, const char *want, int *rc)
{
    struct run *r = run_find(c->hub, in->run_id);
    struct rec_run_put row;
    struct err e = ERR_INIT;

    if (r) {
        if (strcmp(r->digest, want) != 0)
            *rc = conflict(c);
        else if (in->form != FORM_AGENT)
            *rc = answer_status(c, in->run_id, "in_flight");
        else if (waiter_agent(c, r, &e) < 0)
            *rc = call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, RETRY_AFTER_MS);
        else
            *rc = answer_started(c, in, r, false);
        return true;
    }
    *rc = store_run_get(c->hub->store, in->run_id, &row, &e);
    if (*rc == ERR_NOT_FOUND)
        return false;
    if (*rc == 0)
        *rc = view_eq(row.digest, view_str(want)) ? answer_finished(c, in, &row) : conflict(c);
    return true;
}

static int refuse(struct call *c, const struct err *e)
{
    bool later = e->code == ERR_LIMIT || e->code == ERR_AGAIN || e->code == ERR_NOMEM;

    log_warn("chat.refused", KV("code", err_name(e->code)), KV("why", e->text));
    return call_error_full(c, RPC_UNAVAILABLE, e->text, VIEW_EMPTY, later,
                           later ? RETRY_AFTER_MS : 0);
}

/* Behind the turn under way. */
static int taken_waiting(struct call *c, const struct chat_input *in, struct run *r)
{
    struct hub *h = c->hub;
    struct live *l = r->live;
    int rc = answer_started(c, in, r, false);

    chat_ids(r);
    if (r->announced_end)
        chat_final_empty(r);
    live_next(h, l); /* nothing may be under way: those before it wait for a pause */
    return rc;
}

int chat_take(struct call *c, struct chat_input *in)
{
    struct hub *h = c->hub;
    struct live *l = NULL;
    struct run *r = NULL;
    struct err e = ERR_INIT;
    char want[65];
    bool interrupted = false;
    enum taken taken = TAKEN_NOW;
    int rc;

    chat_digest(in, want);
    if (known(c, in, want, &rc))
        return rc;
    if (h->stopping)
        return call_error_full(c, RPC_UNAVAILABLE, "gateway is stopping", VIEW_EMPTY, 1,
                               RETRY_AFTER_MS);
    if (!in->plain && chat_command(c, in, &rc))
        return rc;
    if ((rc = session_refresh(h, in->key, VIEW_EMPTY, &e)) < 0 ||
        (rc = live_get(h, in->key, true, &l, &e)) < 0)
        goto out;
    if (!sendpolicy_allows(h->w.conf, &l->s, VIEW_EMPTY, VIEW_EMPTY)) {
        live_put(h, l);
        return call_error(c, RPC_INVALID_REQUEST, "send blocked by session policy");
    }
    if ((rc = run_new(h, l, in->run_id, &r, &e)) < 0)
        goto out;
    (void)snprintf(r->digest, sizeof(r->digest), "%s", want);
    r->accepted_ms = clock_wall_ms();
    r->timeout_ms = in->timeout_ms ? in->timeout_ms : chat_conf(h)->timeout_ms;
    queue_settings(h->w.conf, &l->s, VIEW_EMPTY, &r->q);
    (void)queue_mode_read(in->mode, &r->q.mode);
    (void)snprintf(r->lane, sizeof(r->lane), "%.*s", VIEW_FMT(in->lane));
    r->announced_end = in->form != FORM_AGENT && (l->active || l->waiting) &&
                       (r->q.mode == QUEUE_FOLLOWUP || r->q.mode == QUEUE_COLLECT);
    r->quiet = in->form == FORM_AGENT ? QUIET_ALL : QUIET_NOT;
    run_own(r, c->conn);
    run_traced(r, c->trace);
    log_debug("run.asked", KV("run", r->run_id), KV("conn", c->ref.conn_id), KV("req", c->ref.req));
    if (in->options.n) {
        mem_free(r->options);
        if (!(r->options = mem_dup(in->options.p, in->options.n))) {
            r->options = mem_dup("", 0);
            rc = err_set(&e, ERR_NOMEM, "run: out of memory");
            goto out;
        }
    }
    if (in->form == FORM_AGENT && (rc = waiter_agent(c, r, &e)) < 0)
        goto out;
    if (in->files && in->files->count &&
        ((l->s.sid == 0 && (rc = session_save(h, &l->s, &e)) < 0) ||
         (rc = attach_keep(h, in->files, l->s.sid, &r->files, &e)) < 0))
        goto out;
    if ((rc = live_take(l, r, in->message, &taken, &interrupted, &e)) < 0)
        goto out;
    if (taken == TAKEN_WAITING)
        return taken_waiting(c, in, r);
    rc = answer_started(c, in, r, interrupted); /* nothing of a client's is dropped */
    run_start(r);
    return rc;
out:
    if (rc < 0) {
        if (r && r->files)
            attach_undo(h, in->files, l->s.sid);
        if (r) {
            waiters_drop(r);
            run_free(r);
        }
        if (l)
            live_next(h, l);
        return refuse(c, &e);
    }
    return rc;
}

int chat_take_with(struct call *c, struct chat_input *in)
{
    struct attachments files = {0};
    struct err e = ERR_INIT;
    int rc;

    if (c->files) { /* on the disk by now */
        in->files = c->files;
        return chat_take(c, in);
    }
    rc = attach_read(&files, json_object_get(c->params, "attachments"), &e);
    if (rc == ERR_NOMEM)
        return refuse(c, &e);
    if (rc < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (in->message.n == 0 && files.count == 0)
        return call_error(c, RPC_INVALID_REQUEST, "message or attachment required");
    if (attach_is_large(&files)) {
        if ((rc = attach_later(c, &files, &e)) < 0)
            rc = refuse(c, &e);
    } else {
        in->files = &files;
        rc = chat_take(c, in);
        in->files = NULL;
    }
    attach_fini(&files);
    return rc;
}

bool chat_later(struct call *c, int *rc)
{
    struct attachments files = {0};
    struct err e = ERR_INIT;
    bool later = !c->files &&
                 attach_read(&files, json_object_get(c->params, "attachments"), &e) == 0 &&
                 attach_is_large(&files);

    if (later)
        *rc = attach_later(c, &files, &e) < 0 ? refuse(c, &e) : 0;
    attach_fini(&files);
    return later;
}

/* ---- chat.send ---- */

static void option(struct jw *w, const json_t *params, const char *from, const char *to)
{
    struct view v = json_view(params, from);

    if (v.n)
        jw_kstr(w, to, v);
}

static bool admin_only(const json_t *params)
{
    static const char *const keys[] = {"originatingChannel",           "originatingTo",
                                       "originatingAccountId",         "originatingThreadId",
                                       "systemInputProvenance",        "systemProvenanceReceipt",
                                       "suppressCommandInterpretation"};

    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (json_object_get(params, keys[i]))
            return true;
    return false;
}

int rpc_chat_send(struct call *c)
{
    int64_t timeout = json_i64(c->params, "timeoutMs", 0);
    struct session_key key;
    struct chat_input in = {
        .form = FORM_CHAT,
        .key = &key,
        .message = view_trim(json_view(c->params, "message")),
        .run_id = json_view(c->params, "idempotencyKey"),
        .mode = json_view(c->params, "queueMode"),
        .timeout_ms = timeout > 0 && timeout <= TIMEOUT_MAX_MS ? (uint32_t)timeout : 0,
        .plain = json_flag(c->params, "suppressCommandInterpretation", false),
    };
    struct buf options = BUF_INIT(64 * KIB);
    struct jw w = JW_INIT(&options);
    struct err e = ERR_INIT;
    int rc;

    if (session_key(c->hub, json_view(c->params, "sessionKey"), json_view(c->params, "agentId"),
                    &key, &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (admin_only(c->params) && !(c->conn->who.scopes & SCOPE_ADMIN))
        return call_error(c, RPC_INVALID_REQUEST,
                          "originating and system fields require admin scope");
    if (!in.plain && chat_is_stop(in.message))
        return chat_stop(c, &key);
    jw_obj(&w);
    option(&w, c->params, "thinking", "thinking");
    if (options.n > 1)
        in.options = view_from(buf_view(&options), 1);
    rc = chat_take_with(c, &in);
    buf_fini(&options);
    return rc;
}

static int session_send(struct call *c, struct view mode)
{
    int64_t timeout = json_i64(c->params, "timeoutMs", 0);
    struct session_key key;
    char made[37];
    struct chat_input in = {
        .form = FORM_SESSIONS,
        .key = &key,
        .message = view_trim(json_view(c->params, "message")),
        .run_id = json_view(c->params, "idempotencyKey"),
        .mode = mode,
        .timeout_ms = timeout > 0 && timeout <= TIMEOUT_MAX_MS ? (uint32_t)timeout : 0,
    };
    struct err e = ERR_INIT;

    if (session_key(c->hub, json_view(c->params, "key"), json_view(c->params, "agentId"), &key,
                    &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (in.run_id.n == 0) {
        rand_uuid(made);
        in.run_id = view_str(made);
    }
    return chat_is_stop(in.message) ? chat_stop(c, &key) : chat_take_with(c, &in);
}

int rpc_sessions_send(struct call *c)
{
    return session_send(c, VIEW_EMPTY);
}

/* What is under way makes room for this message. */
int rpc_sessions_steer(struct call *c)
{
    return session_send(c, V("interrupt"));
}
