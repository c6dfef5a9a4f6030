/*
 * workers/hub/chat_command.c - messages that are for the gateway, not for the model: stop words and
 * slash commands. They are kept in the transcript, outside of prompts.
 */
#include "chat.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "rand.h"
#include "settings.h"
#include "version.h"

#include <stdio.h>

enum { COMMAND_WORD_MAX = 32 };

/* The message without marks at its end, lower case, if it is one short word. */
static struct view word(struct view message, char out[COMMAND_WORD_MAX])
{
    struct view v = view_trim(message);

    while (v.n > 1 && strchr(".!?,;:", v.p[v.n - 1]))
        v.n--;
    if (v.n >= COMMAND_WORD_MAX)
        return VIEW_EMPTY;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] <= ' ')
            return VIEW_EMPTY;
        out[i] = v.p[i] >= 'A' && v.p[i] <= 'Z' ? (char)(v.p[i] + ('a' - 'A')) : v.p[i];
    }
    return view_of(out, v.n);
}

bool chat_is_stop(struct view message)
{
    static const char *const words[] = {"/stop", "/abort", "/esc", "stop",     "esc",
                                        "abort", "wait",   "exit", "interrupt"};
    char text[COMMAND_WORD_MAX];
    struct view w = word(message, text);

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (view_eq(w, view_str(words[i])))
            return true;
    return false;
}

static void help_text(struct buf *out)
{
    buf_put_str(out, "Commands\n"
                     "/status - what this session uses and does\n"
                     "/stop - stop the running answer and drop what waits\n"
                     "/new, /reset - start this session afresh\n"
                     "/help - this list");
}

static void status_text(struct hub *h, struct live *l, struct buf *out)
{
    struct model_pick pick;
    char now[CLOCK_ISO_MAX];

    session_model(h, &l->s, &pick);
    clock_iso(clock_wall_ms(), now);
    buf_printf(out,
               "OpenClaw %s\nTime: %s\nSession: %s\nModel: %s/%s\nTokens: %llu in, %llu out\nRun: "
               "%s, %u waiting",
               OPENCLAW_WIRE_VERSION, now, l->s.key, pick.provider, pick.model,
               (unsigned long long)l->s.input_tokens, (unsigned long long)l->s.output_tokens,
               l->active ? "answering" : "idle", l->waiting_count);
}

/* The gateway's own answer: chat final, model gateway-injected, counted from its own 1 (trace
 * chat-stop-command). */
static void tell(struct run *r, struct view msg, uint64_t run_seq)
{
    struct hub *h = r->hub;
    struct jw *w;

    if (!event_run_wanted(h, view_str(r->live->s.key), r->owner))
        return;
    w = event_begin(h, "chat");
    jw_obj(w);
    jw_kcstr(w, "runId", r->run_id);
    jw_kcstr(w, "sessionKey", r->live->s.key);
    jw_ku64(w, "seq", run_seq);
    jw_kcstr(w, "state", "final");
    jw_kraw(w, "message", msg);
    jw_obj_end(w);
    event_end_run(h, view_str(r->live->s.key), r->owner, AUD_RUNS, EVENT_SEQ);
}

static int save(struct run *r, struct view asked, struct view answer, struct err *e)
{
    struct buf b = BUF_INIT(32 * MIB), summary = BUF_INIT(60000);
    struct live *l = r->live;
    uint64_t seq;
    int rc;

    rand_uuid(r->answer_id);
    (void)snprintf(r->provider, sizeof(r->provider), "openclaw");
    (void)snprintf(r->model, sizeof(r->model), "gateway-injected");
    (void)snprintf(r->result.stop_reason, sizeof(r->result.stop_reason), "stop");
    r->ended_ms = clock_wall_ms();
    run_summary(r, &summary);
    l->s.updated_at = r->ended_ms;
    if ((rc = session_save(r->hub, &l->s, e)) < 0)
        goto out;
    chat_msg_user(&b, r, asked, r->accepted_ms);
    if ((rc = buf_check(&b, e)) < 0 ||
        (rc = chat_msg_add(r->hub, l, r->message_id, MESSAGE_OTHER, view_str(r->run_id),
                           buf_view(&b), r->accepted_ms, &seq, e)) < 0)
        goto out;
    chat_message(r->hub, l, r->message_id, seq, buf_view(&b));
    buf_reset(&b, 4 * KIB);
    chat_msg_assistant(&b, r, r->answer_id, answer, r->ended_ms);
    if ((rc = buf_check(&b, e)) < 0 ||
        (rc = chat_msg_add(r->hub, l, r->answer_id, MESSAGE_OTHER, view_str(r->run_id),
                           buf_view(&b), r->ended_ms, &seq, e)) < 0 ||
        (rc = run_save(r, RUN_DONE, buf_view(&summary), e)) < 0)
        goto out;
    chat_message(r->hub, l, r->answer_id, seq, buf_view(&b));
    tell(r, buf_view(&b), 1);
out:
    buf_fini(&b);
    buf_fini(&summary);
    return rc;
}

static int answer(struct call *c, const struct run *r)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kcstr(w, "runId", r->run_id);
    jw_kcstr(w, "status", "started");
    jw_obj_end(w);
    return call_end(c);
}

bool chat_command(struct call *c, const struct chat_input *in, int *rc)
{
    char text[COMMAND_WORD_MAX];
    struct view cmd = word(in->message, text);
    bool fresh = view_eq(cmd, V("/new")) || view_eq(cmd, V("/reset"));
    struct buf say = BUF_INIT(16 * KIB);
    struct hub *h = c->hub;
    struct live *l = NULL;
    struct run *r = NULL;
    struct rec_run_put row;
    struct err e = ERR_INIT;

    if (!fresh && !view_eq(cmd, V("/status")) && !view_eq(cmd, V("/help")) &&
        !view_eq(cmd, V("/commands")))
        return false;
    if (fresh && in->form == FORM_AGENT && !(c->conn->who.scopes & SCOPE_ADMIN)) {
        *rc = call_error(c, RPC_INVALID_REQUEST, "missing scope: operator.admin");
        return true;
    }
    if (fresh && (*rc = session_reset(h, in->key, &e)) < 0)
        goto out;
    if ((*rc = live_get(h, in->key, true, &l, &e)) < 0 ||
        (*rc = run_new(h, l, in->run_id, &r, &e)) < 0)
        goto out;
    chat_digest(in, r->digest);
    r->accepted_ms = clock_wall_ms();
    run_own(r, c->conn);
    if (fresh)
        buf_put_str(&say, "New session started.");
    else if (view_eq(cmd, V("/status")))
        status_text(h, l, &say);
    else
        help_text(&say);
    *rc = in->form == FORM_AGENT ? 0 : answer(c, r);
    if (save(r, in->message, buf_view(&say), &e) < 0)
        log_error("chat.command", KV("why", e.text));
    if (in->form == FORM_AGENT && (*rc = store_run_get(h->store, in->run_id, &row, &e)) == 0)
        *rc = agent_answer(c, &row);
out:
    if (*rc < 0)
        *rc = call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    if (r)
        run_free(r);
    if (l)
        live_put(h, l);
    buf_fini(&say);
    return true;
}

/* ---- chat.inject: an assistant message without a run ---- */

int rpc_chat_inject(struct call *c)
{
    struct view text = view_trim(json_view(c->params, "message"));
    struct hub *h = c->hub;
    struct session_key key;
    struct live *l = NULL;
    struct run *r = NULL;
    struct buf msg = BUF_INIT(32 * MIB);
    struct err e = ERR_INIT;
    char id[UUID_MAX], run_id[UUID_MAX + 8];
    uint64_t seq;
    struct jw *w;
    int rc;

    if (session_key(h, json_view(c->params, "sessionKey"), json_view(c->params, "agentId"), &key,
                    &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (text.n == 0)
        return call_error(c, RPC_INVALID_REQUEST, "message required");
    rc = live_get(h, &key, false, &l, &e);
    if (rc == ERR_NOT_FOUND)
        return call_error(c, RPC_INVALID_REQUEST, "session not found");
    rand_uuid(id);
    (void)snprintf(run_id, sizeof(run_id), "inject-%s", id);
    if (rc < 0 || (rc = run_new(h, l, view_str(run_id), &r, &e)) < 0)
        goto out;
    (void)snprintf(r->answer_id, sizeof(r->answer_id), "%s", id);
    (void)snprintf(r->provider, sizeof(r->provider), "openclaw");
    (void)snprintf(r->model, sizeof(r->model), "gateway-injected");
    l->s.updated_at = clock_wall_ms();
    chat_msg_assistant(&msg, r, r->answer_id, text, l->s.updated_at);
    if ((rc = buf_check(&msg, &e)) < 0 || (rc = session_save(h, &l->s, &e)) < 0 ||
        (rc = chat_msg_add(h, l, r->answer_id, MESSAGE_ASSISTANT, VIEW_EMPTY, buf_view(&msg),
                           l->s.updated_at, &seq, &e)) < 0)
        goto out;
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", true);
    jw_kcstr(w, "messageId", r->answer_id);
    jw_obj_end(w);
    rc = call_end(c);
    chat_message(h, l, r->answer_id, seq, buf_view(&msg));
    tell(r, buf_view(&msg), 0);
out:
    if (rc < 0 && e.code)
        rc = call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    if (r)
        run_free(r);
    if (l)
        live_put(h, l);
    buf_fini(&msg);
    return rc;
}
