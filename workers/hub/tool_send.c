/*
 * workers/hub/tool_send.c - tools that speak: sessions_send (into another session, maybe waiting
 * for its answer) and message (to a chat platform). What they make carries the call's id: a call
 * that is done again finds it done.
 */
#include "chat.h"
#include "deliveries.h"
#include "json.h"
#include "lastroute.h"
#include "skey.h"
#include "take_up.h"
#include "tools.h"

#include <openssl/sha.h>
#include <stdio.h>

enum {
    WAIT_DEFAULT_S = 30,
    HOPS_MAX = 5, /* agents that set each other to work without a person in between */
};

/* ---- sessions_send ---- */

struct wait {
    struct run_watch watch;
    struct tool_call *call;
    struct loop_timer timer;
    char run_id[TOOL_ID_MAX + 8];
    struct session_key key;
};

static void wait_free(struct wait *w)
{
    run_unwatch(&w->watch);
    loop_timer_fini(&w->timer);
    mem_free(w);
}

static void stop(struct tool_call *c)
{
    wait_free(TAKE(c->work)); /* the turn goes on: it was accepted */
}

static void answer(struct tool_call *c, const char *run_id, const struct session_key *key,
                   const char *status, struct view reply, struct view error)
{
    struct buf b = BUF_INIT(16 * MIB), text = BUF_INIT(TOOL_RESULT_MAX);
    struct jw w = JW_INIT(&b);
    size_t most = TOOL_RESULT_MAX - 4 * KIB;

    jw_obj(&w);
    jw_kcstr(&w, "runId", run_id);
    jw_kcstr(&w, "status", status);
    jw_kcstr(&w, "sessionKey", key->s);
    if (reply.n > most) {
        reply.n = chat_whole(view_of(reply.p, most));
        jw_kbool(&w, "truncated", true);
    }
    if (reply.n)
        jw_kstr(&w, "reply", reply);
    if (error.n)
        jw_kstr(&w, "error", error);
    jw_obj_end(&w);
    tool_end(c, TOOL_DONE, buf_view(&b));
    buf_fini(&text);
    buf_fini(&b);
}

static void on_end(struct run_watch *watch, struct run *r)
{
    struct wait *w = (struct wait *)((char *)watch - offsetof(struct wait, watch));
    struct tool_call *c = w->call;
    const struct run_result *res = &r->result;
    bool ok = res->end == END_OK;
    struct view why = res->error ? view_str(res->error) : V("The turn was stopped.");
    struct view said = view_from(buf_view(&r->said), r->said_tools);
    struct session_key key = w->key;
    char id[sizeof(w->run_id)];

    memcpy(id, w->run_id, sizeof(id));
    c->work = NULL;
    wait_free(w);
    answer(c, id, &key,
           ok                        ? "ok"
           : res->end == END_TIMEOUT ? "timeout"
                                     : "error",
           ok ? said : VIEW_EMPTY, ok ? VIEW_EMPTY : why);
}

static void on_time(void *ctx)
{
    struct wait *w = ctx;
    struct tool_call *c = w->call;
    struct session_key key = w->key;
    char id[sizeof(w->run_id)];

    memcpy(id, w->run_id, sizeof(id));
    c->work = NULL;
    wait_free(w);
    answer(c, id, &key, "timeout", VIEW_EMPTY,
           V("No answer yet. The turn goes on; sessions_history will show its answer."));
}

static const struct run_watch_ops watching = {.on_end = on_end};

static void wait_for(struct tool_call *c, struct run *r, const struct session_key *key, int64_t s)
{
    struct wait *w;
    struct err e = ERR_INIT;

    if (s == 0 || mem_new(&w, sizeof(*w), &e) < 0) {
        answer(c, r->run_id, key, "accepted", VIEW_EMPTY, VIEW_EMPTY);
        return;
    }
    w->call = c;
    w->watch.ops = &watching;
    w->key = *key;
    (void)snprintf(w->run_id, sizeof(w->run_id), "%s", r->run_id);
    loop_timer_init(&w->timer, c->hub->w.loop, on_time, w);
    loop_timer_set(&w->timer, (uint64_t)s * 1000);
    c->work = w;
    c->stop = stop;
    run_watch(r, &w->watch);
}

/* It was sent by a hub before us, and has ended since. */
static bool ended_before(struct tool_call *c, const char *run_id, const struct session_key *key)
{
    struct rec_run_put row;
    struct rec_message_add m;
    struct run_summary s;
    struct view role, content;
    struct buf text = BUF_INIT(TOOL_RESULT_MAX);
    struct err e = ERR_INIT;
    bool ok;

    if (store_run_get(c->hub->store, view_str(run_id), &row, &e) < 0)
        return false;
    run_summary_read(row.summary, &s);
    ok = strcmp(s.status, "ok") == 0;
    if (ok && s.message_id[0] &&
        store_message_by_id(c->hub->store, view_str(s.message_id), &m, &e) == 0 &&
        chat_msg_split(m.text, &role, &content))
        chat_msg_text(content, TOOL_RESULT_MAX - 4 * KIB, false, &text);
    answer(c, run_id, key, s.status, buf_view(&text), ok ? VIEW_EMPTY : view_str(s.error));
    buf_fini(&text);
    return true;
}

/* The session that sessionKey, label or agentId names; false: the call has ended. */
static bool target_of(struct tool_call *c, struct session_key *out)
{
    struct view key = view_trim(json_view(c->args, "sessionKey")),
                label = view_trim(json_view(c->args, "label")),
                agent = view_trim(json_view(c->args, "agentId"));
    struct err e = ERR_INIT;

    if (key.n)
        return tool_session(c, key, out);
    if (label.n && !session_labelled(c->hub, label, out)) {
        tool_endf(c, TOOL_BAD_INPUT, "There is no session with the label \"%.*s\".",
                  (int)(label.n < 100 ? label.n : 100), label.p);
        return false;
    }
    if (!label.n && !agent.n) {
        tool_endf(c, TOOL_BAD_INPUT, "sessionKey, label or agentId is needed");
        return false;
    }
    if (!label.n && session_key(c->hub, V("main"), agent, out, &e) < 0) {
        tool_endf(c, TOOL_BAD_INPUT, "agentId: %s", e.text);
        return false;
    }
    if (tool_sees(c, session_key_view(out)))
        return true;
    tool_endf(c, TOOL_FORBIDDEN, "Session %s cannot be reached from here.", out->s);
    return false;
}

static void send_it(struct tool_call *c, const struct session_key *key, const char *run_id,
                    int64_t wait_s)
{
    struct buf text = BUF_INIT(256 * KIB);
    struct take_up up = {
        .key = key,
        .run_id = view_str(run_id),
        .quiet = QUIET_NOT,
        .trust = !c->inside ? TRUST_NONE
                 : c->owner ? TRUST_OWNER
                            : TRUST_INSIDE,
        .hops = c->hops + 1,
    };
    struct run *r;
    struct err e = ERR_INIT;

    buf_printf(&text, "[Message from session %s]\n", c->session.s);
    buf_put_view(&text, json_view(c->args, "message"));
    up.message = buf_view(&text);
    if (take_up(c->hub, &up, &r, &e) < 0) {
        tool_endf(c, TOOL_FAILED, "The message was not taken: %s", e.text);
    } else {
        wait_for(c, r, key, wait_s);
        take_up_go(r);
    }
    buf_fini(&text);
}

void tool_sessions_send(struct tool_call *c)
{
    int64_t wait_s = json_i64(c->args, "timeoutSeconds", WAIT_DEFAULT_S);
    char run_id[TOOL_ID_MAX + 8];
    struct session_key key;
    struct run *r;

    if (!target_of(c, &key))
        return;
    if (strcmp(key.s, c->session.s) == 0) {
        tool_endf(c, TOOL_BAD_INPUT, "That is this session itself.");
        return;
    }
    if (c->hops >= HOPS_MAX) {
        tool_endf(c, TOOL_FORBIDDEN,
                  "%d sessions have set each other to work without a person in between: this one "
                  "sends no further.",
                  (int)HOPS_MAX);
        return;
    }
    (void)snprintf(run_id, sizeof(run_id), "tool:%s", c->id);
    if ((r = run_find(c->hub, view_str(run_id))))
        wait_for(c, r, &key, wait_s);
    else if (!ended_before(c, run_id, &key))
        send_it(c, &key, run_id, wait_s);
}

/* ---- message ---- */

/* Where the session was last spoken to from. */
static void here(struct tool_call *c, struct lastroute *out)
{
    struct session s;
    struct err e = ERR_INIT;

    *out = (struct lastroute){.channel = ""};
    if (session_load(c->hub, session_key_view(&c->session), &s, &e) < 0)
        return;
    (void)lastroute_of(&s, out);
    session_fini(&s);
}

static void sent(struct tool_call *c, const struct deliver_order *o, uint64_t id)
{
    struct buf b = BUF_INIT(8 * KIB);
    struct jw w = JW_INIT(&b);

    jw_obj(&w);
    jw_kbool(&w, "ok", true);
    jw_kcstr(&w, "status", "accepted"); /* on disk; sent as soon as the platform takes it */
    jw_kstr(&w, "channel", o->channel);
    jw_kstr(&w, "accountId", o->account);
    jw_kstr(&w, "to", o->target);
    if (id)
        jw_ku64(&w, "deliveryId", id);
    jw_obj_end(&w);
    tool_end(c, TOOL_DONE, buf_view(&b));
    buf_fini(&b);
}

void tool_message(struct tool_call *c)
{
    struct view to = view_trim(json_view(c->args, "to")),
                account = view_trim(json_view(c->args, "accountId"));
    struct lastroute last;
    struct deliver_account acc;
    struct err e = ERR_INIT;
    char key[TOOL_ID_MAX + 8];
    uint64_t id = 0;
    struct deliver_order o = {.kind = DELIVERY_TEXT,
                              .channel = view_trim(json_view(c->args, "channel")),
                              .thread = json_view(c->args, "threadId"),
                              .reply_to = json_view(c->args, "replyTo"),
                              .session_key = session_key_view(&c->session),
                              .text = view_trim(json_view(c->args, "message")),
                              .digest = "",
                              .options = json_flag(c->args, "silent", false) ? DELIVER_SILENT : 0};
    bool elsewhere;

    here(c, &last);
    if (!to.n)
        to = view_trim(json_view(c->args, "target"));
    elsewhere = (o.channel.n && !view_eq(o.channel, view_str(last.channel))) ||
                (to.n && !view_eq(to, view_str(last.to))) ||
                (account.n && !view_eq(account, view_str(last.account)));
    if (elsewhere && !c->inside) {
        tool_endf(c, TOOL_FORBIDDEN, "From here messages go only where this session is spoken to.");
        return;
    }
    if (!o.channel.n && !to.n && last.channel[0]) {
        o.channel = view_str(last.channel);
        to = view_str(last.to);
        account = view_str(last.account);
        if (!o.thread.n)
            o.thread = view_str(last.thread);
    }
    o.target = to;
    if (!o.channel.n || !to.n || !o.text.n) {
        tool_endf(c, TOOL_BAD_INPUT,
                  "channel, to and a message are needed: this session was not "
                  "spoken to from a chat platform");
        return;
    }
    if (!deliver_account_for(c->hub, o.channel, account, &acc)) {
        tool_endf(c, TOOL_BAD_INPUT, "There is no account %.*s of channel %.*s here.",
                  VIEW_FMT(account), VIEW_FMT(o.channel));
        return;
    }
    o.account = view_str(acc.account);
    (void)snprintf(key, sizeof(key), "t:%s", c->id);
    o.key = view_str(key);
    if (deliveries_add(c->hub, &o, &id, &e) < 0 && e.code != ERR_CONFLICT)
        tool_endf(c, e.code == ERR_INVALID ? TOOL_BAD_INPUT : TOOL_FAILED, "%s", e.text);
    else
        sent(c, &o, id);
}
