/* workers/hub/compact.c - a summary from its job to the record in the transcript. */
#include "compact.h"

#include "chat.h"
#include "clock.h"
#include "fd.h"
#include "json.h"
#include "log.h"
#include "prompt.h"
#include "rand.h"
#include "settings.h"
#include "tokens.h"

#include <stdio.h>

enum {
    JOB_MARK = 63,            /* job ids with this bit are ours: none of a run's row ever has it */
    TEXT_MAX = 16000,         /* bytes of one message in what is summarised, */
    TOOL_TEXT_MAX = 2000,     /* of a tool's result, */
    SUMMARY_MAX = 256 * 1024, /* and of the summary */
    GRACE_MS = 5000,          /* the agent ends it by itself; later than that we do */
};

enum why { WHY_THRESHOLD, WHY_OVERFLOW, WHY_MANUAL };

struct compact {
    struct compact *next;
    struct hub *hub;
    struct live *live;
    struct run *run; /* waits for it, or NULL */
    enum why why;
    uint64_t job_id, kept, tokens_before, tokens_kept;
    uint32_t attempt;
    char id[37], run_id[37];
    char *error;         /* owned: what an overflow's turn fails with */
    struct call_ref ref; /* of sessions.compact */
    bool answer;
    struct loop_timer limit;
};

static const char instructions[] =
    "Below is the older part of a conversation between a user and an assistant. It is about to be "
    "removed from the assistant's view; what you write takes its place. Write a summary from which "
    "the assistant can go on without a gap. Use these headings and leave out empty ones: Goal, "
    "Facts and decisions, Done, Open, Wishes and rules of the user, Exact identifiers (names, "
    "paths, "
    "numbers, links, copied letter by letter). Do not answer or continue the conversation. If an "
    "earlier summary is given, keep everything in it that still matters.";

/* ---- the job ---- */

static const char *speaker(enum piece_kind kind)
{
    return kind == PIECE_USER        ? "User: "
           : kind == PIECE_ASSISTANT ? "Assistant: "
           : kind == PIECE_TOOL      ? "Tool result: "
                                     : "Earlier summary: ";
}

/* What is to be summarised, as text; returns the first piece that is not in it: at most *cut, less
 * when no more than room tokens fit. */
static unsigned put_text(const struct prompt *p, unsigned cut, uint64_t room, struct buf *out)
{
    bool summary = p->piece[0].kind == PIECE_SUMMARY;
    unsigned from = summary ? 1 : 0, last = 0;
    struct buf one = BUF_INIT(SUMMARY_MAX + 64);
    size_t end = 0;
    uint64_t tokens = 0;

    buf_put_str(out, instructions);
    buf_put_view(out, V("\n\n<conversation>\n"));
    for (unsigned i = 0; i < cut; i++) {
        enum piece_kind kind = (enum piece_kind)p->piece[i].kind;

        if (i > from && kind != PIECE_TOOL) { /* it may end before this one */
            last = i;
            end = out->n;
        }
        buf_reset(&one, SUMMARY_MAX);
        buf_put_str(&one, speaker(kind));
        chat_msg_text(prompt_text(p, i),
                      kind == PIECE_SUMMARY ? (size_t)SUMMARY_MAX
                      : kind == PIECE_TOOL  ? (size_t)TOOL_TEXT_MAX
                                            : (size_t)TEXT_MAX,
                      false, &one);
        buf_put_view(&one, V("\n\n"));
        tokens += tokens_text(buf_view(&one));
        if (tokens > room && last > from) {
            buf_cut(out, end);
            cut = last;
            break;
        }
        buf_put_view(out, buf_view(&one));
    }
    buf_put_view(out, V("</conversation>"));
    buf_fini(&one);
    return cut;
}

static void pick_model(const struct compact *c, struct model_pick *out)
{
    const struct prompt_conf *conf = &c->hub->runs->prompt;

    if (conf->model[0])
        model_split(c->hub, view_str(conf->model), out);
    else
        session_model(c->hub, &c->live->s, out);
}

static int payload(struct compact *c, const struct prompt *p, unsigned cut, struct buf *out,
                   struct err *e)
{
    const struct prompt_conf *conf = &c->hub->runs->prompt;
    struct buf text = BUF_INIT(16 * MIB);
    struct prompt_limit fits;
    struct model_pick pick;
    struct jw w = JW_INIT(out);
    unsigned kept;
    int rc;

    pick_model(c, &pick);
    prompt_limit(conf, pick.context_tokens, &fits);
    kept = put_text(p, cut, fits.room, &text);
    c->kept = p->piece[kept].seq;
    c->tokens_kept = PROMPT_BASE_TOKENS;
    for (unsigned i = kept; i < p->count; i++)
        c->tokens_kept += p->piece[i].tokens;
    jw_obj(&w);
    jw_kcstr(&w, "runId", c->run_id);
    jw_kcstr(&w, "sessionKey", c->live->s.key);
    jw_kcstr(&w, "agentId", c->live->s.agent);
    rc = job_put_model(c->hub, &c->live->s, &pick, &w, e);
    jw_ku64(&w, "timeoutMs", conf->timeout_ms);
    jw_key(&w, "messages");
    jw_arr(&w);
    jw_obj(&w);
    jw_kcstr(&w, "role", "user");
    jw_kstr(&w, "content", buf_view(&text));
    jw_obj_end(&w);
    jw_arr_end(&w);
    jw_obj_end(&w);
    if (rc == 0 && (rc = buf_check(&text, e)) == 0)
        rc = buf_check(out, e);
    buf_fini(&text);
    return rc;
}

static int submit(struct compact *c, const struct prompt *p, unsigned cut, struct err *e)
{
    char session[64];
    struct buf b = BUF_INIT(32 * MIB);
    struct ipc_job_submit m = {.job_id = c->job_id,
                               .attempt = c->attempt,
                               .lane = V("nested"),
                               .timeout_ms = c->hub->runs->prompt.timeout_ms,
                               .payload = -1};
    int rc;

    /* a session of its own: an orphan of a hub before us must not block this one */
    m.session = view_of(session, (size_t)snprintf(session, sizeof(session), "nested:%s", c->id));
    if ((rc = payload(c, p, cut, &b, e)) == 0 &&
        (rc = fd_sealed("job", buf_view(&b), &m.payload, e)) == 0 &&
        (rc = msg_send_job_submit(c->hub->w.sup, &m, e)) < 0)
        fd_close(&m.payload);
    buf_fini(&b);
    return rc;
}

/* ---- one of them ---- */

static struct compact *find(const struct hub *h, uint64_t job_id)
{
    struct compact *c = h->runs->compacts;

    while (c && c->job_id != job_id)
        c = c->next;
    return c;
}

static void drop(struct compact *c)
{
    struct compact **at = &c->hub->runs->compacts;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->hub->runs->compact_count--;
    c->live->compact = NULL;
    if (c->limit.loop)
        loop_timer_fini(&c->limit);
    mem_free(c->error);
    mem_free(c);
}

static void cancel_job(struct compact *c)
{
    struct err e = ERR_INIT;

    if (msg_send_job_cancel(c->hub->w.sup, &(struct ipc_job_cancel){.job_id = c->job_id}, &e) < 0)
        log_warn("compact.cancel", KV("job", c->job_id), KV("why", e.text));
}

static void answer(struct compact *c, bool done, const char *reason)
{
    struct buf payload = BUF_INIT(8 * KIB), body = BUF_INIT(16 * KIB);
    struct jw w = JW_INIT(&payload);

    if (!c->answer)
        return;
    c->answer = false;
    jw_obj(&w);
    jw_kbool(&w, "ok", true);
    jw_kcstr(&w, "key", c->live->s.key);
    jw_kbool(&w, "compacted", done);
    if (reason)
        jw_kcstr(&w, "reason", reason);
    if (done) {
        jw_key(&w, "result");
        jw_obj(&w);
        jw_ku64(&w, "tokensBefore", c->tokens_before);
        jw_ku64(&w, "tokensAfter", c->tokens_kept);
        jw_obj_end(&w);
    }
    jw_obj_end(&w);
    call_body_ok(&body, buf_view(&payload));
    if (call_send(c->hub, &c->ref, false, buf_view(&body)) < 0)
        log_warn("compact.answer", KV("session", c->live->s.key));
    buf_fini(&payload);
    buf_fini(&body);
}

/* The run's event, as the reference has it. */
static void tell(struct compact *c, bool end, bool completed, const char *outcome)
{
    struct buf b = BUF_INIT(512);
    struct jw w = JW_INIT(&b);

    if (!c->run)
        return;
    jw_obj(&w);
    jw_kcstr(&w, "phase", end ? "end" : "start");
    jw_kcstr(&w, "itemId", c->id);
    if (end) {
        jw_kbool(&w, "completed", completed);
        jw_kbool(&w, "willRetry", completed);
        jw_kcstr(&w, "outcome", outcome);
    }
    jw_obj_end(&w);
    chat_agent_event(c->run, "compaction", buf_view(&b));
    buf_fini(&b);
}

/* Nothing has changed: what now? c is gone afterwards. */
static void failed(struct compact *c, const char *outcome, const char *reason)
{
    struct hub *h = c->hub;
    struct live *l = c->live;
    struct run *r = c->run;
    enum why why = c->why;
    char *error = TAKE(c->error);

    log_warn("compact.failed", KV("session", l->s.key), KV("why", reason));
    tell(c, true, false, outcome);
    answer(c, false, reason);
    drop(c);
    if (!r) {
        live_put(h, l);
    } else if (why == WHY_OVERFLOW) {
        run_fail(r, "context_length",
                 error ? error : "The conversation is too long for the model.");
    } else {
        r->pruned = true;
        job_submit(r);
    }
    mem_free(error);
}

static void on_limit(void *ctx)
{
    struct compact *c = ctx;

    cancel_job(c);
    failed(c, "failed", "The summary did not come in time.");
}

/* What of a session a summary would cover: the index of the first piece that stays, or 0. */
static unsigned cut_of(struct hub *h, struct live *l, enum why why, struct prompt *p)
{
    struct prompt_limit fits;
    struct model_pick pick;
    uint64_t keep;

    session_model(h, &l->s, &pick);
    prompt_limit(&h->runs->prompt, pick.context_tokens, &fits);
    keep = fits.keep;
    if (why != WHY_THRESHOLD && p->tokens / 2 < keep)
        keep = p->tokens / 2; /* somebody says that it is too much: it has to become less */
    return prompt_cut(p, keep);
}

/* Errors: ERR_NOT_FOUND there is nothing to summarise, ERR_LIMIT too many, ... */
static int begin(struct hub *h, struct live *l, struct run *r, enum why why, struct compact **out,
                 struct err *e)
{
    struct compact *c = NULL;
    struct prompt *p;
    unsigned cut;
    int rc;

    if (h->runs->compact_count >= COMPACTS_MAX)
        return err_set(e, ERR_LIMIT, "%d summaries are being made already", (int)COMPACTS_MAX);
    if ((rc = job_prompt(h, &l->s, &p, e)) < 0)
        return rc;
    if ((cut = cut_of(h, l, why, p)) == 0)
        return err_set(e, ERR_NOT_FOUND, "Nothing to compact (session too small)");
    if ((rc = mem_new(&c, sizeof(*c), e)) < 0)
        return rc;
    c->hub = h;
    c->live = l;
    c->run = r;
    c->why = why;
    c->attempt = 1;
    c->tokens_before = PROMPT_BASE_TOKENS + p->tokens; /* as after: our own count */
    rand_bytes(&c->job_id, sizeof(c->job_id));
    c->job_id |= 1ull << JOB_MARK;
    rand_uuid(c->id);
    rand_uuid(c->run_id);
    if ((rc = submit(c, p, cut, e)) < 0) {
        mem_free(c);
        return rc;
    }
    c->next = h->runs->compacts;
    h->runs->compacts = c;
    h->runs->compact_count++;
    l->compact = c;
    loop_timer_init(&c->limit, h->w.loop, on_limit, c);
    loop_timer_set(&c->limit, (uint64_t)h->runs->prompt.timeout_ms + GRACE_MS);
    if (r) {
        r->compactions++;
        chat_status(r, "memory_flushing");
    }
    tell(c, false, false, NULL);
    log_info("compact.begin", KV("session", l->s.key), KV("tokens", c->tokens_before));
    *out = c;
    return 0;
}

/* ---- for a turn ---- */

bool compact_before(struct run *r)
{
    struct hub *h = r->hub;
    struct live *l = r->live;
    struct prompt_limit fits;
    struct model_pick pick;
    struct err e = ERR_INIT;
    struct compact *c;
    struct prompt *p;

    if (l->compact) { /* somebody asked for one */
        l->compact->run = r;
        return true;
    }
    if (r->pruned || !h->runs->prompt.compact || r->compactions >= COMPACT_ROUNDS)
        return false;
    session_model(h, &l->s, &pick);
    if (strcmp(pick.provider, SETTINGS_DEMO_PROVIDER) == 0)
        return false; /* it cannot summarise */
    prompt_limit(&h->runs->prompt, pick.context_tokens, &fits);
    if (job_prompt(h, &l->s, &p, &e) < 0 || prompt_tokens(p) <= fits.room)
        return false;
    if (begin(h, l, r, WHY_THRESHOLD, &c, &e) == 0)
        return true;
    if (e.code != ERR_NOT_FOUND)
        log_warn("compact.begin", KV("session", l->s.key), KV("why", e.text));
    return false;
}

bool compact_overflow(struct run *r, const struct ipc_run_done *m)
{
    struct err e = ERR_INIT;
    struct compact *c = NULL;

    if (m->outcome != RUN_ERROR || !view_eq(m->error_kind, V("context_length")) || run_given(r) ||
        r->said.n > r->said_seg || r->live->compact || r->compactions >= COMPACT_ROUNDS ||
        r->overflows >= COMPACT_OVERFLOWS)
        return false;
    r->overflows++;
    r->attempt++;
    /* the number is on disk before anybody can see the attempt */
    if (run_save(r, RUN_QUEUED, VIEW_EMPTY, &e) < 0 ||
        begin(r->hub, r->live, r, WHY_OVERFLOW, &c, &e) < 0) {
        r->attempt--;
        log_warn("compact.overflow", KV("run", r->run_id), KV("why", e.text));
        return false;
    }
    c->error = m->error.n ? mem_dup(m->error.p, m->error.n) : NULL;
    r->phase = RUN_SENT;
    return true;
}

void compact_leave(struct run *r)
{
    struct compact *c = r->live ? r->live->compact : NULL;

    if (!c || c->run != r)
        return;
    c->run = NULL;
    if (c->why != WHY_MANUAL) {
        cancel_job(c);
        drop(c);
    }
}

void compact_stop(struct hub *h, struct live *l)
{
    struct compact *c = l->compact;

    (void)h;
    if (!c)
        return;
    cancel_job(c);
    answer(c, false, "aborted");
    drop(c);
}

int compact_now(struct hub *h, struct live *l, const struct call_ref *ref, struct err *e)
{
    struct compact *c = NULL;
    int rc = begin(h, l, NULL, WHY_MANUAL, &c, e);

    if (rc == 0) {
        c->ref = *ref;
        c->answer = true;
    }
    return rc;
}

/* ---- the end ---- */

static void put_record(const struct compact *c, struct view summary, uint64_t after, int64_t now,
                       struct buf *out)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "role", "system");
    jw_kraw(&w, "content", V("[{\"type\":\"text\",\"text\":\"Compaction\"}]"));
    jw_ki64(&w, "timestamp", now);
    jw_kstr(&w, "summary", summary);
    jw_key(&w, "__openclaw");
    jw_obj(&w);
    jw_kcstr(&w, "kind", "compaction");
    jw_kcstr(&w, "id", c->id);
    jw_kcstr(&w, "runId", c->run ? c->run->run_id : c->run_id);
    jw_kcstr(&w, "itemId", c->id);
    jw_ku64(&w, "firstKeptSeq", c->kept);
    jw_ku64(&w, "tokensBefore", c->tokens_before);
    jw_ku64(&w, "tokensAfter", after);
    jw_ki64(&w, "recordTimestampMs", now);
    jw_obj_end(&w);
    jw_obj_end(&w);
}

static int count_up(struct session *s, struct err *e)
{
    struct view have = session_rest(s, "compactionCount");
    unsigned long long n = 0;
    char text[24];

    for (size_t i = 0; i < have.n && have.p[i] >= '0' && have.p[i] <= '9' && n < 1000000; i++)
        n = n * 10 + (unsigned)(have.p[i] - '0');
    return session_rest_set(s, "compactionCount",
                            view_of(text, (size_t)snprintf(text, sizeof(text), "%llu", n + 1)), e);
}

static int keep(struct compact *c, struct view summary, struct err *e)
{
    struct session *s = &c->live->s;
    struct buf b = BUF_INIT(1 * MIB);
    int64_t now = clock_wall_ms();
    uint64_t after = c->tokens_kept + tokens_text(summary), seq;
    int rc;

    put_record(c, summary, after, now, &b);
    if ((rc = buf_check(&b, e)) == 0 &&
        (rc = chat_msg_add(c->hub, c->live, c->id, MESSAGE_SYSTEM, view_str(c->run_id),
                           buf_view(&b), now, &seq, e)) == 0) {
        s->total_tokens = after;
        s->updated_at = now;
        if (count_up(s, e) < 0 || session_save(c->hub, s, e) < 0)
            log_warn("compact.count", KV("why", e->text)); /* the record is what counts */
        chat_message(c->hub, c->live, c->id, seq, buf_view(&b));
    }
    c->tokens_kept = after;
    buf_fini(&b);
    return rc;
}

bool compact_on_done(struct hub *h, const struct ipc_run_done *m)
{
    struct compact *c = find(h, m->job_id);
    struct view summary = view_trim(m->text);
    struct live *l;
    struct run *r;
    struct err e = ERR_INIT;
    char why[256];

    if (!c)
        return (m->job_id >> JOB_MARK) != 0;
    if (c->attempt != m->attempt)
        return true;
    if (m->outcome != RUN_OK || summary.n == 0 || summary.n > SUMMARY_MAX) {
        (void)snprintf(why, sizeof(why), "%.*s",
                       VIEW_FMT(m->error.n
                                    ? view_of(m->error.p, m->error.n < 200 ? m->error.n : 200)
                                : summary.n ? V("The summary is too long.")
                                            : V("The model gave no summary.")));
        failed(c, "failed", why);
        return true;
    }
    if (keep(c, summary, &e) < 0) {
        failed(c, "failed", e.text);
        return true;
    }
    l = c->live;
    r = c->run;
    log_info("compact.done", KV("session", l->s.key), KV("before", c->tokens_before),
             KV("after", c->tokens_kept));
    tell(c, true, true, "completed");
    answer(c, true, NULL);
    session_changed_reason(h, view_str(l->s.key), "compact");
    drop(c);
    if (r)
        job_submit(r);
    else
        live_put(h, l);
    return true;
}

bool compact_on_state(struct hub *h, const struct ipc_job_state *m)
{
    struct compact *c = find(h, m->job_id);

    if (!c)
        return false;
    if (c->attempt != m->attempt || m->state == JOB_STARTED)
        return true;
    failed(c, "failed",
           m->state == JOB_LOST ? "The agent process died while it worked on the summary."
                                : "The summary could not be run.");
    return true;
}

void compacts_close(struct hub *h)
{
    while (h->runs->compacts)
        drop(h->runs->compacts);
}
