/* workers/hub/chat_command.c - stop words, commands of clients, and what they put into a transcript
 * themselves. */
#include "chat.h"
#include "clock.h"
#include "command.h"
#include "json.h"
#include "log.h"
#include "rand.h"

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

static int answer(struct call *c, const struct run *r)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kcstr(w, "runId", r->run_id);
    jw_kcstr(w, "status", "started");
    jw_obj_end(w);
    return call_end(c);
}

/* Commands that change what others see need what sessions.patch of the same setting needs. */
static bool may(const struct call *c, const struct chat_input *in, enum command cmd)
{
    if (c->conn->who.scopes & SCOPE_ADMIN)
        return true;
    return cmd != COMMAND_SEND && !(cmd == COMMAND_NEW && in->form == FORM_AGENT);
}

bool chat_command(struct call *c, struct chat_input *in, int *rc)
{
    struct view args;
    enum command cmd = command_of(c->hub->w.conf, in->message, &args);
    struct buf say = BUF_INIT(16 * KIB);
    struct hub *h = c->hub;
    struct live *l = NULL;
    struct run *r = NULL;
    struct rec_run_put row;
    struct err e = ERR_INIT;

    if (cmd == COMMAND_NONE)
        return false;
    if (!may(c, in, cmd)) {
        *rc = call_error(c, RPC_INVALID_REQUEST, "missing scope: operator.admin");
        return true;
    }
    if (cmd == COMMAND_NEW && (*rc = session_reset(h, in->key, &e)) < 0)
        goto out;
    if (command_goes_on(cmd, args)) {
        in->message = args;
        return false;
    }
    if ((*rc = live_get(h, in->key, true, &l, &e)) < 0 ||
        (*rc = run_new(h, l, in->run_id, &r, &e)) < 0)
        goto out;
    chat_digest(in, r->digest);
    r->accepted_ms = clock_wall_ms();
    run_own(r, c->conn);
    command_do(h, cmd, l, args, &say);
    *rc = in->form == FORM_AGENT ? 0 : answer(c, r);
    if (command_save(r, in->message, buf_view(&say), &e) < 0)
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
    command_tell(r, buf_view(&msg), 0);
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
