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

/* One that takes nothing is none with something behind it. */
static enum command known(struct view word, bool more)
{
    const struct command_row *rows, *r;
    size_t count;

    if (word.n < 2 || word.p[0] != '/')
        return COMMAND_NONE;
    rows = commands(&count);
    for (size_t i = 0; i < count; i++) {
        if (!view_ieq(view_from(word, 1), rows[i].word))
            continue;
        r = &rows[i];
        for (size_t k = 0; r->of.n && k < count; k++)
            if (view_eq(rows[k].word, rows[i].of))
                r = &rows[k];
        return more && !r->usage.n ? COMMAND_NONE : r->means;
    }
    return COMMAND_NONE;
}

enum command command_of(const json_t *conf, struct view message, struct view *args)
{
    struct view v = view_trim(message), word = v;
    enum command means;

    word.n = 0;
    while (word.n < v.n && (unsigned char)v.p[word.n] > ' ')
        word.n++;
    *args = view_trim(view_from(v, word.n));
    if (word.n == 0 || word.n > WORD_MAX)
        return COMMAND_NONE;
    while (args->n == 0 && word.n > 1 && strchr(".!?,;:", word.p[word.n - 1]))
        word.n--;
    means = known(word, args->n > 0);
    if (means != COMMAND_NONE)
        return means;
    return is_trigger(conf, word) || is_trigger(conf, v) ? COMMAND_NEW : COMMAND_NONE;
}

/* ---- what they do ---- */

static void help_text(struct buf *out)
{
    size_t count;
    const struct command_row *rows = commands(&count);

    buf_put_str(out, "Commands");
    for (size_t i = 0; i < count; i++) {
        const struct command_row *r = &rows[i];

        if (r->of.n)
            continue;
        buf_printf(out, "\n/%.*s", VIEW_FMT(r->word));
        for (size_t k = 0; k < count; k++)
            if (view_eq(rows[k].of, r->word))
                buf_printf(out, ", /%.*s", VIEW_FMT(rows[k].word));
        buf_printf(out, "%s%.*s - %.*s", r->usage.n ? " " : "", VIEW_FMT(r->usage),
                   VIEW_FMT(r->help));
    }
}

void command_entries(struct jw *w)
{
    size_t count;
    const struct command_row *rows = commands(&count);
    char word[64];

    jw_arr(w);
    for (size_t i = 0; i < count; i++) {
        const struct command_row *r = &rows[i];

        if (r->of.n)
            continue;
        jw_obj(w);
        jw_kstr(w, "name", r->word);
        jw_kstr(w, "nativeName", r->word);
        jw_key(w, "textAliases");
        jw_arr(w);
        for (size_t k = 0; k < count; k++) {
            if (k != i && !view_eq(rows[k].of, r->word))
                continue;
            (void)snprintf(word, sizeof(word), "/%.*s", VIEW_FMT(rows[k].word));
            jw_cstr(w, word);
        }
        jw_arr_end(w);
        jw_kstr(w, "description", r->help);
        jw_kstr(w, "category", r->category);
        jw_kcstr(w, "source", "native");
        jw_kcstr(w, "scope", "both");
        jw_kbool(w, "acceptsArgs", r->usage.n > 0);
        jw_obj_end(w);
    }
    jw_arr_end(w);
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
