/* workers/hub/agent_rpc.c - `agent`, answered twice (accepted, ended), and `agent.wait`
 * (protocol 5.7). */
#include "chat.h"
#include "clock.h"
#include "jscan.h"
#include "json.h"
#include "lastroute.h"
#include "log.h"

#include <stdio.h>

enum { WAIT_DEFAULT_MS = 30000, WAIT_MAX_MS = TIMEOUT_MAX_MS };

struct waiter {
    struct waiter *next;
    struct hub *hub;
    struct call_ref ref;
    char *run_id; /* owned */
    bool agent;   /* of `agent`: the whole result; else of agent.wait */
    struct loop_timer timer;
};

/* ---- how a run ended ---- */

static const char *status_name(enum run_end end)
{
    static const char *const names[] = {"ok", "error", "aborted", "timeout"};

    return names[end];
}

void run_summary(const struct run *r, struct buf *out)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "status", status_name(r->result.end));
    jw_kcstr(&w, "stopReason", r->result.stop_reason);
    jw_ki64(&w, "startedAt", r->started_ms ? r->started_ms : r->accepted_ms);
    jw_ki64(&w, "endedAt", r->ended_ms);
    if (r->answer_id[0])
        jw_kcstr(&w, "message", r->answer_id);
    if (r->result.error)
        jw_kcstr(&w, "error", r->result.error);
    jw_obj_end(&w);
}

static void text(char *out, size_t max, const json_t *doc, const char *key)
{
    struct view v = json_view(doc, key);

    (void)snprintf(out, max, "%.*s", (int)chat_whole(view_of(v.p, v.n < max ? v.n : max - 1)), v.p);
}

void run_summary_read(struct view summary, struct run_summary *out)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    memset(out, 0, sizeof(*out));
    if (json_parse(summary, &doc, &e) < 0) {
        (void)snprintf(out->status, sizeof(out->status), "error");
        return;
    }
    text(out->status, sizeof(out->status), doc, "status");
    text(out->stop_reason, sizeof(out->stop_reason), doc, "stopReason");
    text(out->message_id, sizeof(out->message_id), doc, "message");
    text(out->error, sizeof(out->error), doc, "error");
    out->started_ms = json_i64(doc, "startedAt", 0);
    out->ended_ms = json_i64(doc, "endedAt", 0);
    json_decref(doc);
    if (strcmp(out->status, "error") == 0 && !out->error[0])
        (void)snprintf(out->error, sizeof(out->error), "The run failed.");
}

/* ---- bodies ---- */

/* A message's token counts as a run's result names them: total, not totalTokens (trace agent-run).
 */
static void usage(struct jw *w, struct view counts)
{
    static const char *const keys[] = {"input", "output", "cacheRead", "cacheWrite", "cost"};
    const struct jscan_member *p;
    struct err e = ERR_INIT;
    struct jscan js;

    if (jscan(counts, &js, &e) < 0)
        return;
    jw_key(w, "usage");
    jw_obj(w);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if ((p = jscan_get(&js, view_str(keys[i]))))
            jw_kraw(w, keys[i], p->value);
    if ((p = jscan_get(&js, V("totalTokens"))))
        jw_kraw(w, "total", p->value);
    jw_obj_end(w);
}

static struct view url_of(const json_t *block)
{
    struct view url = json_view(block, "url");

    return url.n ? url : json_view(json_object_get(block, "attachment"), "url");
}

/* What the answer says and the addresses of the files behind it. */
static void payload_of(struct jw *w, struct view content)
{
    struct view said = chat_msg_first(content), first = VIEW_EMPTY;
    struct err ignored = ERR_INIT;
    json_t *blocks = NULL, *b;
    size_t i;

    if (content.n && content.p[0] == '[' && json_parse(content, &blocks, &ignored) < 0)
        blocks = NULL;
    json_array_foreach(blocks, i, b)
    {
        if (!first.n)
            first = url_of(b);
    }
    if (said.n > 2 || first.n) {
        jw_obj(w);
        jw_kraw(w, "text", said.n ? said : V("\"\""));
        jw_key(w, "mediaUrl");
        if (!first.n) {
            jw_null(w);
        } else {
            jw_str(w, first);
            jw_key(w, "mediaUrls");
            jw_arr(w);
            json_array_foreach(blocks, i, b)
            {
                if (url_of(b).n)
                    jw_str(w, url_of(b));
            }
            jw_arr_end(w);
        }
        jw_obj_end(w);
    }
    json_decref(blocks);
}

static void result(struct hub *h, struct jw *w, const struct run_summary *s)
{
    struct rec_message_add m;
    struct view role, content = V("\"\"");
    const struct jscan_member *p;
    struct jscan js = {.count = 0};
    struct err e = ERR_INIT;
    struct rec_session_put row;
    bool have = s->message_id[0] &&
                store_message_by_id(h->store, view_str(s->message_id), &m, &e) == 0 &&
                chat_msg_split(m.text, &role, &content);

    jw_key(w, "result");
    jw_obj(w);
    jw_key(w, "payloads");
    jw_arr(w);
    if (have)
        payload_of(w, content);
    jw_arr_end(w);
    jw_key(w, "meta");
    jw_obj(w);
    jw_ki64(w, "durationMs", s->ended_ms > s->started_ms ? s->ended_ms - s->started_ms : 0);
    jw_key(w, "agentMeta");
    jw_obj(w);
    if (have && store_session_by_sid(h->store, m.sid, &row, &e) == 0)
        jw_kstr(w, "sessionId", row.session_id);
    if (have && jscan(m.text, &js, &e) == 0) {
        static const char *const keys[] = {"provider", "model"};

        for (size_t i = 0; i < COUNT_OF(keys); i++)
            if ((p = jscan_get(&js, view_str(keys[i]))))
                jw_kraw(w, keys[i], p->value);
        if ((p = jscan_get(&js, V("usage"))))
            usage(w, p->value);
    }
    jw_obj_end(w);
    jw_kcstr(w, "stopReason", s->stop_reason);
    jw_obj_end(w);
    jw_obj_end(w);
}

static void agent_body(struct hub *h, struct view run_id, const struct run_summary *s,
                       struct buf *body)
{
    bool ok = strcmp(s->status, "ok") == 0, timeout = strcmp(s->status, "timeout") == 0;
    struct buf payload = BUF_INIT(32 * MIB);
    struct jw w = JW_INIT(&payload);

    jw_obj(&w);
    jw_kstr(&w, "runId", run_id);
    jw_kcstr(&w, "status", ok ? "ok" : timeout ? "timeout" : "error");
    jw_kcstr(&w, "summary", ok ? "completed" : s->error[0] ? s->error : s->status);
    if (!ok)
        jw_kcstr(&w, "stopReason", s->stop_reason);
    if (ok || timeout)
        result(h, &w, s);
    jw_obj_end(&w);
    if (ok || timeout)
        call_body_ok(body, buf_view(&payload));
    else
        call_body_error(body, RPC_UNAVAILABLE, view_str(s->error[0] ? s->error : s->status),
                        VIEW_EMPTY, -1, 0, buf_view(&payload));
    buf_fini(&payload);
}

static void wait_body(struct hub *h, struct view run_id, const struct run_summary *s,
                      struct buf *body)
{
    struct buf payload = BUF_INIT(32 * MIB);
    struct jw w = JW_INIT(&payload);
    struct rec_message_add m;
    struct view role, content;
    struct err e = ERR_INIT;
    bool ok = s && strcmp(s->status, "ok") == 0;

    jw_obj(&w);
    jw_kstr(&w, "runId", run_id);
    jw_kcstr(&w, "status",
             !s                                  ? "timeout"
             : ok                                ? "ok"
             : strcmp(s->status, "timeout") == 0 ? "timeout"
                                                 : "error");
    if (s) {
        jw_ki64(&w, "startedAt", s->started_ms);
        jw_ki64(&w, "endedAt", s->ended_ms);
        if (!ok)
            jw_kcstr(&w, "error", s->error[0] ? s->error : s->status);
        if (s->stop_reason[0])
            jw_kcstr(&w, "stopReason", s->stop_reason);
        if (ok && s->message_id[0] &&
            store_message_by_id(h->store, view_str(s->message_id), &m, &e) == 0 &&
            chat_msg_split(m.text, &role, &content) && (content = chat_msg_first(content)).n) {
            jw_key(&w, "terminalReply");
            jw_obj(&w);
            jw_kcstr(&w, "disposition", "visible");
            jw_kraw(&w, "text", content);
            jw_obj_end(&w);
        }
    }
    jw_obj_end(&w);
    call_body_ok(body, buf_view(&payload));
    buf_fini(&payload);
}

/* ---- waiters ---- */

static void waiter_free(struct waiter *x)
{
    struct runs *rs = x->hub->runs;
    struct waiter **at = &rs->waiters;

    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    rs->waiter_count--;
    loop_timer_fini(&x->timer);
    mem_free(x->run_id);
    mem_free(x);
}

static void on_time(void *ctx)
{
    struct waiter *x = ctx;
    struct buf body = BUF_INIT(64 * KIB);

    wait_body(x->hub, view_str(x->run_id), NULL, &body);
    (void)call_send(x->hub, &x->ref, false, buf_view(&body));
    buf_fini(&body);
    waiter_free(x);
}

static int waiter_new(struct call *c, struct view run_id, bool agent, uint64_t in_ms, struct err *e)
{
    struct runs *rs = c->hub->runs;
    struct waiter *x;
    int rc;

    if (rs->waiter_count >= WAITERS_MAX)
        return err_set(e, ERR_LIMIT, "%d calls wait for a run already", (int)WAITERS_MAX);
    if ((rc = mem_new(&x, sizeof(*x), e)) < 0)
        return rc;
    if (!(x->run_id = mem_dup(run_id.p, run_id.n))) {
        mem_free(x);
        return err_set(e, ERR_NOMEM, "waiter: out of memory");
    }
    x->hub = c->hub;
    x->ref = c->ref;
    x->agent = agent;
    loop_timer_init(&x->timer, c->hub->w.loop, on_time, x);
    if (!agent) /* a run ends by itself */
        loop_timer_set(&x->timer, in_ms);
    x->next = rs->waiters;
    rs->waiters = x;
    rs->waiter_count++;
    return 0;
}

int waiter_agent(struct call *c, struct run *r, struct err *e)
{
    return waiter_new(c, view_str(r->run_id), true, 0, e);
}

void waiters_drop(struct run *r)
{
    struct waiter *x = r->hub->runs->waiters, *next;

    for (; x; x = next) {
        next = x->next;
        if (x->agent && strcmp(x->run_id, r->run_id) == 0)
            waiter_free(x);
    }
}

void waiters_ended(struct run *r)
{
    struct hub *h = r->hub;
    struct waiter *x = h->runs->waiters, *next;
    struct run_summary s;
    struct buf text_ = BUF_INIT(60000), body = BUF_INIT(32 * MIB);

    run_watch_end(r);
    if (!x)
        return;
    run_summary(r, &text_);
    run_summary_read(buf_view(&text_), &s);
    for (; x; x = next) {
        next = x->next;
        if (strcmp(x->run_id, r->run_id) != 0)
            continue;
        buf_reset(&body, 64 * KIB);
        if (x->agent)
            agent_body(h, view_str(r->run_id), &s, &body);
        else
            wait_body(h, view_str(r->run_id), &s, &body);
        if (body.failed)
            log_error("agent.answer", KV("run", r->run_id));
        else
            (void)call_send(h, &x->ref, false, buf_view(&body));
        waiter_free(x);
    }
    buf_fini(&text_);
    buf_fini(&body);
}

void waiters_free(struct runs *rs)
{
    while (rs->waiters)
        waiter_free(rs->waiters);
}

int agent_answer(struct call *c, const struct rec_run_put *row)
{
    struct buf body = BUF_INIT(32 * MIB);
    struct run_summary s;
    int rc;

    run_summary_read(row->summary, &s);
    agent_body(c->hub, row->run_id, &s, &body);
    rc = call_send(c->hub, &c->ref, false, buf_view(&body));
    buf_fini(&body);
    return rc;
}

/* ---- methods ---- */

int rpc_agent_wait(struct call *c)
{
    struct view run_id = json_view(c->params, "runId");
    int64_t ms = json_i64(c->params, "timeoutMs", WAIT_DEFAULT_MS);
    struct buf body = BUF_INIT(32 * MIB);
    struct rec_run_put row;
    struct run_summary s;
    struct err e = ERR_INIT;
    int rc;

    if (!run_find(c->hub, run_id) && store_run_get(c->hub->store, run_id, &row, &e) == 0 &&
        row.summary.n) {
        run_summary_read(row.summary, &s);
        wait_body(c->hub, run_id, &s, &body);
        rc = call_send(c->hub, &c->ref, false, buf_view(&body));
        buf_fini(&body);
        return rc;
    }
    if (waiter_new(c, run_id, false,
                   ms < 0             ? 0
                   : ms > WAIT_MAX_MS ? WAIT_MAX_MS
                                      : (uint64_t)ms,
                   &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    return 0;
}

static struct view first_of(const json_t *params, const char *a, const char *b)
{
    struct view v = view_trim(json_view(params, a));

    return v.n ? v : view_trim(json_view(params, b));
}

/* deliver: where the answer goes, as asked for, else where the session was last spoken to from.
 * true: it is known nowhere, and the call is answered. */
static bool put_target(struct call *c, const struct session_key *key, struct buf *options, int *rc)
{
    const json_t *p = c->params;
    struct view channel = first_of(p, "replyChannel", "channel");
    struct source to = {.to = first_of(p, "replyTo", "to"), .thread = json_view(p, "threadId")};
    struct lastroute last = {.channel = ""};
    char name[ID_MAX + 1], account[ID_MAX + 1];
    struct session s;
    struct err e = ERR_INIT;

    if (session_load(c->hub, session_key_view(key), &s, &e) == 0) {
        (void)lastroute_of(&s, &last);
        session_fini(&s);
    }
    if (channel.n == 0 || view_ieq(channel, V("last"))) {
        channel = view_str(last.channel);
        if (to.to.n == 0) {
            to.to = view_str(last.to);
            to.thread = to.thread.n ? to.thread : view_str(last.thread);
        }
    }
    if (channel.n == 0 || to.to.n == 0 || channel.n > ID_MAX || to.to.n > SOURCE_TO_MAX ||
        to.thread.n > SOURCE_THREAD_MAX) {
        if (json_flag(p, "bestEffortDeliver", false))
            return false;
        *rc = call_error(c, RPC_INVALID_REQUEST,
                         "invalid agent params: deliver: the session was never spoken to from a "
                         "channel; name channel and to");
        return true;
    }
    (void)snprintf(name, sizeof(name), "%.*s", VIEW_FMT(channel));
    channel = first_of(p, "replyAccountId", "accountId");
    (void)snprintf(account, sizeof(account), "%.*s",
                   channel.n && channel.n <= ID_MAX ? (int)channel.n : 0,
                   channel.n ? channel.p : "");
    to.channel = name;
    to.account = account[0]                                           ? account
                 : strcmp(name, last.channel) == 0 && last.account[0] ? last.account
                                                                      : "default";
    if (options->n > 1)
        buf_put_char(options, ',');
    source_origin(&to, options);
    return false;
}

int rpc_agent(struct call *c)
{
    struct view asked = json_view(c->params, "sessionKey"), agent = json_view(c->params, "agentId"),
                extra;
    int64_t seconds = json_i64(c->params, "timeout", -1);
    struct session_key key;
    struct chat_input in = {
        .form = FORM_AGENT,
        .key = &key,
        .message = view_trim(json_view(c->params, "message")),
        .run_id = json_view(c->params, "idempotencyKey"),
        .lane = json_view(c->params, "lane"),
        .timeout_ms = seconds == 0 ? TIMEOUT_MAX_MS /* none asked for: the longest */
                      : seconds > 0 && seconds <= TIMEOUT_MAX_MS / 1000 ? (uint32_t)seconds * 1000u
                                                                        : 0,
    };
    struct buf options = BUF_INIT(1 * MIB);
    struct jw w = JW_INIT(&options);
    struct err e = ERR_INIT;
    int rc;

    rc = session_key(c->hub, asked.n ? asked : V("main"), agent, &key, &e);
    if (rc == ERR_NOT_FOUND)
        return call_error(c, RPC_INVALID_REQUEST, "invalid agent params: unknown agent id \"%s\"",
                          key.agent);
    if (rc < 0)
        return call_error(c, RPC_INVALID_REQUEST, "invalid agent params: %s", e.text);
    if ((json_view(c->params, "model").n || json_view(c->params, "provider").n))
        return call_error(
            c, RPC_INVALID_REQUEST,
            "invalid agent params: model overrides are not supported by this gateway yet");
    if (in.lane.n && !job_lane_known(in.lane))
        in.lane = VIEW_EMPTY; /* lanes of the reference that stand for a session */
    jw_obj(&w);
    extra = json_view(c->params, "thinking");
    if (extra.n)
        jw_kstr(&w, "thinking", extra);
    extra = json_view(c->params, "extraSystemPrompt");
    if (extra.n)
        jw_kstr(&w, "system", extra);
    if (json_flag(c->params, "deliver", false) && put_target(c, &key, &options, &rc)) {
        buf_fini(&options);
        return rc;
    }
    if (options.failed) {
        buf_fini(&options);
        return call_error(c, RPC_INVALID_REQUEST,
                          "invalid agent params: extraSystemPrompt is too long");
    }
    if (options.n > 1)
        in.options = view_from(buf_view(&options), 1);
    rc = chat_take_with(c, &in);
    buf_fini(&options);
    return rc;
}
