#include "command.h"

#include "clock.h"
#include "json.h"
#include "log.h"
#include "rand.h"
#include "settings.h"
#include "version.h"

#include <stdio.h>

enum { WORD_MAX = 64 };

/* ---- which one ---- */

static bool is_trigger(const json_t *conf, struct view word)
{
    const json_t *t;
    size_t i;

    json_array_foreach(json_at(conf, "session.resetTriggers"), i, t)
    {
        if (view_ieq(word, json_view_of(t)))
            return true;
    }
    return false;
}

enum command command_of(const json_t *conf, struct view message, struct view *args)
{
    static const struct {
        const char *word;
        enum command means;
        bool alone; /* nothing may stand behind it */
    } known[] = {
        {"/new", COMMAND_NEW, false},
        {"/reset", COMMAND_NEW, false},
        {"/status", COMMAND_STATUS, true},
        {"/help", COMMAND_HELP, true},
        {"/commands", COMMAND_HELP, true},
        {"/queue", COMMAND_QUEUE, false},
        {"/activation", COMMAND_ACTIVATION, false},
        {"/send", COMMAND_SEND, false},
    };
    struct view v = view_trim(message), word = v;

    word.n = 0;
    while (word.n < v.n && (unsigned char)v.p[word.n] > ' ')
        word.n++;
    *args = view_trim(view_from(v, word.n));
    if (word.n == 0 || word.n > WORD_MAX)
        return COMMAND_NONE;
    while (args->n == 0 && word.n > 1 && strchr(".!?,;:", word.p[word.n - 1]))
        word.n--;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (view_ieq(word, view_str(known[i].word)) && (args->n == 0 || !known[i].alone))
            return known[i].means;
    return is_trigger(conf, word) || is_trigger(conf, v) ? COMMAND_NEW : COMMAND_NONE;
}

/* ---- what they do ---- */

static void help_text(struct buf *out)
{
    buf_put_str(
        out,
        "Commands\n"
        "/status - what this session uses and does\n"
        "/stop - stop the running answer and drop what waits\n"
        "/new, /reset - start this session afresh; what stands behind it is its first message\n"
        "/queue - what messages do while an answer is under way: steer, followup, collect, "
        "interrupt; debounce:, cap:, drop:; default\n"
        "/activation mention|always - when this group's messages are for the agent\n"
        "/send on|off|inherit - whether this session is answered\n"
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

static void set_word(struct session *s, const char *key, const char *value, struct buf *say,
                     const char *done)
{
    struct err e = ERR_INIT;
    int rc = value ? session_rest_set_str(s, key, view_str(value), &e)
                   : session_rest_set(s, key, VIEW_EMPTY, &e);

    if (rc < 0)
        buf_printf(say, "Nothing was changed: %s", e.text);
    else
        buf_put_str(say, done);
}

static void activation(struct session *s, struct view args, struct buf *say)
{
    if (view_ieq(args, V("always")))
        set_word(s, "groupActivation", "always", say, "Every message of this group is for me now.");
    else if (view_ieq(args, V("mention")))
        set_word(s, "groupActivation", "mention", say,
                 "Messages of this group are for me when they name me or reply to me.");
    else
        buf_put_str(say, "Use: /activation mention|always");
}

static void send_policy(struct session *s, struct view args, struct buf *say)
{
    if (view_ieq(args, V("on")) || view_ieq(args, V("allow")))
        set_word(s, "sendPolicy", "allow", say, "This session is answered.");
    else if (view_ieq(args, V("off")) || view_ieq(args, V("deny")))
        set_word(s, "sendPolicy", "deny", say, "This session is not answered any more.");
    else if (view_ieq(args, V("inherit")) || view_ieq(args, V("default")))
        set_word(s, "sendPolicy", NULL, say, "session.sendPolicy decides about this session.");
    else
        buf_put_str(say, "Use: /send on|off|inherit");
}

void command_do(struct hub *h, enum command c, struct live *l, struct view args, struct buf *say)
{
    switch (c) {
    case COMMAND_NEW:
        buf_put_str(say, "New session started.");
        break;
    case COMMAND_STATUS:
        status_text(h, l, say);
        break;
    case COMMAND_HELP:
        help_text(say);
        break;
    case COMMAND_QUEUE:
        (void)queue_command(h->w.conf, &l->s, args, say);
        break;
    case COMMAND_ACTIVATION:
        activation(&l->s, args, say);
        break;
    case COMMAND_SEND:
        send_policy(&l->s, args, say);
        break;
    case COMMAND_NONE:
        break;
    }
}

/* ---- in the transcript ---- */

/* The gateway's own answer: chat final, model gateway-injected, counted from its own 1 (trace
 * chat-stop-command). */
void command_tell(struct run *r, struct view msg, uint64_t run_seq)
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

int command_save(struct run *r, struct view asked, struct view answer, struct err *e)
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
    command_tell(r, buf_view(&b), 1);
out:
    buf_fini(&b);
    buf_fini(&summary);
    return rc;
}
