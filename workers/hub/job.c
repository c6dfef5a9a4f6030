/* workers/hub/job.c - the prompt as a sealed file, its way to the supervisor, and the supervisor's
 * word about it. */
#include "job.h"

#include "chat.h"
#include "clock.h"
#include "compact.h"
#include "fd.h"
#include "json.h"
#include "log.h"
#include "prompt.h"
#include "settings.h"
#include "skey.h"
#include "told.h"
#include "tool_turn.h"

enum { AGAIN_FIRST_MS = 200, AGAIN_MAX_MS = 5000 };

int job_put_model(struct hub *h, const struct session *s, const struct model_pick *pick,
                  struct jw *w, struct err *e)
{
    const struct agent_conf *a = settings_agent(h->settings, view_str(s->agent));

    jw_key(w, "model");
    w->after_key = false;
    buf_put_char(w->b, '"');
    jw_escape(w->b, view_str(pick->provider));
    buf_put_char(w->b, '/');
    jw_escape(w->b, view_str(pick->model));
    buf_put_char(w->b, '"');
    jw_key(w, "fallbacks");
    w->after_key = false;
    if (a && a->fallbacks && json_array_size(a->fallbacks) > 0)
        return json_dump(a->fallbacks, w->b, e);
    buf_put_view(w->b, V("[]"));
    return 0;
}

int job_prompt(struct hub *h, const struct session *s, struct prompt **out, struct err *e)
{
    struct rec_session_put row;
    int rc = store_session_by_sid(h->store, s->sid, &row, e);

    return rc < 0 ? rc : prompt_of(h, s->sid, compact_first(&row), out, e);
}

/* Options behind the model that a run may bring. */
static const char *options_of(const struct run *r, struct view *pick)
{
    const char *p = r->options, *end;

    *pick = VIEW_EMPTY;
    if (strncmp(p, RUN_PICK, sizeof(RUN_PICK) - 1) != 0)
        return p;
    p += sizeof(RUN_PICK) - 1;
    if (!(end = strchr(p, '"')))
        return r->options;
    *pick = view_of(p, (size_t)(end - p));
    return end[1] == ',' ? end + 2 : end + 1;
}

void run_model(const struct run *r, struct model_pick *out)
{
    struct view own;

    session_model(r->hub, &r->live->s, out);
    (void)options_of(r, &own);
    if (own.n)
        model_split(r->hub, own, out);
}

static bool begins(const char *options, const char *with)
{
    return strncmp(options, with, strlen(with)) == 0;
}

bool run_given(const struct run *r)
{
    struct view pick;
    const char *options = options_of(r, &pick);

    return begins(options, RUN_MESSAGES) || begins(options, RUN_APPEND);
}

/* The payload as a sealed file: what is before the messages, they as they lie in the prompt, and
 * the end. A long conversation is copied once, into the file. */
static int payload(struct run *r, int *out, struct err *e)
{
    struct hub *h = r->hub;
    struct buf head = BUF_INIT(2 * MIB), files = BUF_INIT(32 * MIB), offer = BUF_INIT(MIB);
    struct jw w = JW_INIT(&head);
    struct prompt_limit fits;
    struct model_pick pick;
    struct view *part = NULL;
    struct prompt *p;
    struct view own;
    const char *options = options_of(r, &own), *append = NULL;
    unsigned n;
    char trace[TRACE_LEN + 1];
    bool tools, ours;
    int rc;

    run_model(r, &pick);
    prompt_limit(&h->runs->prompt, pick.context_tokens, &fits);
    jw_obj(&w);
    run_trace(r, trace);
    jw_kcstr(&w, "runId", r->run_id);
    jw_kcstr(&w, "trace", trace);
    jw_kcstr(&w, "sessionKey", r->live->s.key);
    jw_kcstr(&w, "agentId", r->live->s.agent);
    rc = job_put_model(h, &r->live->s, &pick, &w, e);
    jw_ku64(&w, "timeoutMs", run_left_ms(r));
    if (begins(options, RUN_MESSAGES)) {
        struct view whole[] = {VIEW_EMPTY, V(","), view_str(options), V("}")};

        whole[0] = buf_view(&head);
        if (rc == 0 && (rc = buf_check(&head, e)) == 0)
            rc = fd_sealed_parts("job", whole, COUNT_OF(whole), out, e);
        buf_fini(&head);
        return rc;
    }
    if (begins(options, RUN_APPEND)) {
        append = options + sizeof(RUN_APPEND) - 1;
    } else if (options[0]) {
        buf_put_char(&head, ',');
        buf_put_str(&head, options);
    }
    ours = tool_turn_offer(r, &offer);
    if (ours && r->rounds >= TOOL_ROUNDS_MAX)
        buf_put_str(&head, ",\"toolChoice\":\"none\"");
    tools = ours || strstr(options, "\"tools\":[");
    buf_put_view(&head, V(",\"messages\":["));
    if (rc == 0 && (rc = buf_check(&head, e)) == 0 &&
        (rc = job_prompt(h, &r->live->s, &p, e)) == 0 &&
        (rc = mem_new(&part, (2 * (size_t)p->count + 7) * sizeof(*part), e)) == 0) {
        part[0] = buf_view(&head);
        n = 1 + prompt_parts(p, &h->runs->prompt, fits.room, tools, part + 1);
        if (append && n > 1)
            part[n++] = V(",");
        if (append) /* it closes the list itself */
            part[n++] = view_str(append);
        if (!append)
            part[n++] = V("]");
        if ((rc = told_files(h, p, prompt_fit(p, fits.room), &files, e)) == 0) {
            part[n++] = buf_view(&files);
            part[n++] = V("}");
            if (ours && (rc = buf_check(&offer, e)) == 0)
                part[n++] = buf_view(&offer);
        }
        if (rc == 0) {
            rc = fd_sealed_parts("job", part, n, out, e);
        }
    }
    mem_free(part);
    buf_fini(&head);
    buf_fini(&files);
    buf_fini(&offer);
    return rc;
}

static void on_again(void *ctx)
{
    job_submit(ctx);
}

static void again(struct run *r)
{
    r->again_ms = r->again_ms == 0                 ? AGAIN_FIRST_MS
                  : r->again_ms < AGAIN_MAX_MS / 2 ? r->again_ms * 2
                                                   : AGAIN_MAX_MS;
    if (!r->again.loop)
        loop_timer_init(&r->again, r->hub->w.loop, on_again, r);
    loop_timer_set(&r->again, r->again_ms); /* the run's own limit ends this */
}

bool job_lane_known(struct view name)
{
    return view_eq(name, V("main")) || view_eq(name, V("cron")) || view_eq(name, V("subagent")) ||
           view_eq(name, V("nested"));
}

/* The one asked for, else that of the session's kind: what runs in the background takes no place
 * from people. */
static struct view lane_of(const struct run *r)
{
    struct view agent, rest;

    if (r->lane[0])
        return view_str(r->lane);
    if (!skey_parse(view_str(r->live->s.key), &agent, &rest))
        return V("main");
    return view_starts(rest, V("subagent:")) ? V("subagent")
           : view_starts(rest, V("cron:"))   ? V("cron")
                                             : V("main");
}

void job_submit(struct run *r)
{
    struct ipc_job_submit m = {.job_id = r->job_id,
                               .attempt = r->attempt,
                               .lane = lane_of(r),
                               .session = view_str(r->live->s.key),
                               .timeout_ms = run_left_ms(r),
                               .payload = -1};
    struct err e = ERR_INIT;
    int rc;

    if (!run_given(r) && compact_before(r))
        return;
    if ((rc = payload(r, &m.payload, &e)) < 0 ||
        (rc = msg_send_job_submit(r->hub->w.sup, &m, &e)) < 0) {
        log_warn("job.submit", KV("job", r->job_id), KV("why", e.text));
        fd_close(&m.payload);
        again(r);
    }
}

void job_cancel(struct run *r)
{
    struct err e = ERR_INIT;

    if (r->phase == RUN_WAITS || r->phase == RUN_TOOLS || r->phase == RUN_ENDING)
        return;
    compact_leave(r);
    if (msg_send_job_cancel(r->hub->w.sup, &(struct ipc_job_cancel){.job_id = r->job_id}, &e) < 0)
        log_warn("job.cancel", KV("job", r->job_id), KV("why", e.text));
}

static void lost(struct run *r)
{
    struct err e = ERR_INIT;

    if (r->attempt >= RUN_ATTEMPTS_MAX + r->overflows) {
        run_fail(r, "unknown", "The agent process died while it worked on this message, twice.");
        return;
    }
    r->attempt++;
    run_text_reset(r);
    r->phase = RUN_SENT;
    /* the number is on disk before anybody can see the attempt */
    if (run_save(r, RUN_QUEUED, VIEW_EMPTY, &e) < 0) {
        log_error("job.retry", KV("job", r->job_id), KV("why", e.text));
        run_fail(r, "unknown", "The agent process died while it worked on this message.");
        return;
    }
    chat_retrying(r, "agent process died", r->attempt, 0);
    job_submit(r);
}

int job_on_state(struct hub *h, struct ipc_job_state *m, struct err *e)
{
    struct run *r = run_find_job(h, m->job_id);

    (void)e;
    if (!r && compact_on_state(h, m))
        return 0;
    if (!r || r->attempt != m->attempt || (r->phase != RUN_SENT && r->phase != RUN_STARTED))
        return 0;
    if (runs_awaiting(h) &&
        m->state != JOB_STARTED) { /* clients that must hear it are not here yet */
        r->late.job_id = m->job_id;
        r->late.attempt = m->attempt;
        r->late.state = m->state;
        return 0;
    }
    switch (m->state) {
    case JOB_STARTED:
        if (r->phase == RUN_SENT)
            run_started(r);
        break;
    case JOB_LOST:
        log_warn("job.lost", KV("job", r->job_id), KV("run", r->run_id), KV("attempt", r->attempt));
        lost(r);
        break;
    case JOB_REFUSED:
        log_warn("job.refused", KV("job", r->job_id), KV("run", r->run_id));
        again(r);
        break;
    case JOB_CANCELLED:
        run_abort(r, "aborted"); /* not by us: we forget what we cancel */
        break;
    default:
        break;
    }
    return 0;
}
