/* workers/hub/job.c - the prompt as a sealed file, its way to the supervisor, and the supervisor's
 * word about it. */
#include "job.h"

#include "chat.h"
#include "clock.h"
#include "fd.h"
#include "json.h"
#include "log.h"
#include "settings.h"

enum {
    PROMPT_MESSAGES_MAX = 400,  /* entries of the transcript in one prompt */
    PROMPT_BYTES_MAX = 1 << 20, /* and their text; a model with a small window gets less */
    BYTES_PER_TOKEN = 3,        /* a cautious mean: better too little context than an overflow */
    AGAIN_FIRST_MS = 200,
    AGAIN_MAX_MS = 5000,
};

struct prompt {
    struct {
        struct view role, content;
    } msg[PROMPT_MESSAGES_MAX];
    unsigned count;
    size_t bytes, max;
};

static int on_message(void *ctx, const struct rec_message_add *m)
{
    struct prompt *p = ctx;
    struct view role, content;

    if (m->role != MESSAGE_USER && m->role != MESSAGE_ASSISTANT)
        return 0; /* the gateway's own words and failures are not for the model */
    if (!chat_msg_split(m->text, &role, &content))
        return 0;
    if (p->count > 0 && (p->count == PROMPT_MESSAGES_MAX || content.n > p->max - p->bytes))
        return 1;
    p->msg[p->count].role = role;
    p->msg[p->count].content = content;
    p->count++;
    p->bytes += content.n < p->max - p->bytes ? content.n : p->max - p->bytes;
    return 0;
}

static int payload(struct run *r, struct prompt *p, struct buf *out, struct err *e)
{
    struct hub *h = r->hub;
    const struct agent_conf *a = settings_agent(h->settings, view_str(r->live->s.agent));
    struct model_pick pick;
    struct jw w = JW_INIT(out);
    int rc;

    session_model(h, &r->live->s, &pick);
    p->count = 0;
    p->bytes = 0;
    p->max = pick.context_tokens < PROMPT_BYTES_MAX / BYTES_PER_TOKEN
                 ? pick.context_tokens * BYTES_PER_TOKEN
                 : PROMPT_BYTES_MAX;
    if ((rc = store_history_page(h->store, r->live->s.sid, 0, SIZE_MAX, on_message, p, e)) < 0)
        return rc;
    jw_obj(&w);
    jw_kcstr(&w, "runId", r->run_id);
    jw_kcstr(&w, "sessionKey", r->live->s.key);
    jw_kcstr(&w, "agentId", r->live->s.agent);
    jw_key(&w, "model");
    w.after_key = false;
    buf_put_char(out, '"');
    jw_escape(out, view_str(pick.provider));
    buf_put_char(out, '/');
    jw_escape(out, view_str(pick.model));
    buf_put_char(out, '"');
    jw_key(&w, "fallbacks");
    w.after_key = false;
    if (!a || !a->fallbacks || json_array_size(a->fallbacks) == 0)
        buf_put_view(out, V("[]"));
    else if ((rc = json_dump(a->fallbacks, out, e)) < 0)
        return rc;
    jw_ku64(&w, "timeoutMs", r->timeout_ms);
    if (r->options[0]) {
        buf_put_char(out, ',');
        buf_put_str(out, r->options);
    }
    jw_key(&w, "messages");
    jw_arr(&w);
    while (p->count > 1 && p->msg[p->count - 1].role.p[0] != 'u')
        p->count--; /* a conversation begins with the user */
    for (unsigned i = p->count; i > 0; i--) {
        jw_obj(&w);
        jw_kstr(&w, "role", p->msg[i - 1].role);
        jw_kraw(&w, "content", p->msg[i - 1].content);
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    jw_obj_end(&w);
    return buf_check(out, e);
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

void job_submit(struct run *r)
{
    struct ipc_job_submit m = {.job_id = r->job_id,
                               .attempt = r->attempt,
                               .lane = V("main"),
                               .session = view_str(r->live->s.key),
                               .timeout_ms = r->timeout_ms,
                               .payload = -1};
    struct buf b = BUF_INIT(32 * MIB);
    struct err e = ERR_INIT;
    struct prompt *p = NULL;
    int rc;

    if ((rc = mem_new(&p, sizeof(*p), &e)) < 0 || (rc = payload(r, p, &b, &e)) < 0 ||
        (rc = fd_sealed("job", buf_view(&b), &m.payload, &e)) < 0 ||
        (rc = msg_send_job_submit(r->hub->w.sup, &m, &e)) < 0) {
        log_warn("job.submit", KV("job", r->job_id), KV("why", e.text));
        fd_close(&m.payload);
        again(r);
    }
    mem_free(p);
    buf_fini(&b);
}

void job_cancel(struct run *r)
{
    struct err e = ERR_INIT;

    if (r->phase == RUN_WAITS || r->phase == RUN_ENDING)
        return;
    if (msg_send_job_cancel(r->hub->w.sup, &(struct ipc_job_cancel){.job_id = r->job_id}, &e) < 0)
        log_warn("job.cancel", KV("job", r->job_id), KV("why", e.text));
}

static void lost(struct run *r)
{
    struct err e = ERR_INIT;

    if (r->attempt >= RUN_ATTEMPTS_MAX) {
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
