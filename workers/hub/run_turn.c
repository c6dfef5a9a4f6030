/*
 * workers/hub/run_turn.c - what comes after a turn: messages that waited for its end, and turns
 * that a dead hub left.
 *
 * A steered message is part of the run that was under way. Without tools a run calls its model
 * once, so the next call is the moment after the answer: the run goes on with the message
 * (protocol 5.2, trace chat-busy-steer). Injection between two tool calls of one answer comes with
 * tools.
 */
#include "blocks.h"
#include "chat.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "rand.h"
#include "run_sends.h"

#include <stdio.h>

enum { TURN_RETRY_MS = 500 }; /* the store has no room */

static struct view text_of(const struct run *r)
{
    return r->text ? view_str(r->text) : VIEW_EMPTY;
}

/* A message that waited becomes part of another run's turn. */
static int merge(struct run *in, struct run *into, struct err *e)
{
    struct buf summary = BUF_INIT(60000);
    int rc;

    in->ended_ms = clock_wall_ms();
    in->result.end = END_OK;
    (void)snprintf(in->result.stop_reason, sizeof(in->result.stop_reason), "merged");
    run_summary(in, &summary);
    if ((rc = run_consume(in, text_of(in), e)) == 0)
        rc = run_save(in, RUN_DONE, buf_view(&summary), e);
    buf_fini(&summary);
    if (rc == 0 && in->trust < into->trust)
        into->trust = in->trust; /* whoever is trusted least decides what the turn may do */
    if (rc == 0 && in->hops > into->hops)
        into->hops = in->hops;
    return rc;
}

static void merged(struct run *in)
{
    if (!in->ids)
        chat_ids(in);
    run_show_message(in);
    if (!in->announced_end)
        chat_final_empty(in);
    live_remove(in->live, in);
    waiters_ended(in);
    run_free(in);
}

/* A further row for the same run. The first one stays open, so that a restart knows the run by its
 * name; one between it and the new one is over. */
static int next_row(struct run *r, struct err *e)
{
    char id[37];
    char *row;
    int rc;

    if (strcmp(r->row_id, r->run_id) != 0 && (rc = run_row_over(r, e)) < 0)
        return rc;
    rand_uuid(id);
    if (!(row = mem_dup(id, strlen(id))))
        return err_set(e, ERR_NOMEM, "run: out of memory");
    mem_free(r->row_id);
    r->row_id = row;
    r->attempt = 1;
    return run_save(r, RUN_QUEUED, VIEW_EMPTY, e);
}

/* The part of the answer that was said becomes history: an assistant message and a new beginning
 * below a blank line. */
static void next_segment(struct run *r)
{
    chat_text_now(r, true, true);
    buf_cut(&r->said, r->shown_raw);
    if (r->shown.n) {
        buf_put_view(&r->said, V("\n\n"));
        buf_put_view(&r->shown, V("\\n\\n"));
    }
    r->said_seg = r->shown_raw = r->said.n;
    chat_text_again(r);
    run_sends_free(r);
    r->shown_seg = r->shown_agent = r->shown.n;
    r->segment++;
    r->answer_id[0] = '\0';
    mem_free(r->result.error);
    mem_free(r->result.usage);
    mem_free(r->result.calls);
    memset(&r->result, 0, sizeof(r->result));
    r->provider[0] = '\0'; /* the next part says which model it uses */
}

int live_merge(struct live *l, struct run *into, struct err *e)
{
    int rc = 0;

    while (l->waiting && rc == 0)
        if ((rc = merge(l->waiting, into, e)) == 0)
            merged(l->waiting);
    return rc;
}

/* A client's message becomes part of the turn. One from a platform would come between an answer and
 * its place there: until it can be told between two tool calls it waits for a turn of its own, as
 * the reference does with turns that cannot be steered. */
static bool steers(const struct run *r, const struct run *in)
{
    return in->q.mode == QUEUE_STEER && !in->route[0] && !r->route[0];
}

int run_next_part(struct run *r, struct err *e)
{
    struct live *l = r->live;
    int rc = 0;

    for (struct run *in = l->waiting; in && steers(r, in) && rc == 0; in = in->next)
        rc = merge(in, r, e);
    if (rc < 0)
        return rc;
    r->phase = RUN_SENT;
    if ((rc = next_row(r, e)) < 0) {
        r->phase = RUN_TOOLS;
        return rc;
    }
    r->answer_id[0] = '\0'; /* the row that is over named it */
    while (l->waiting && steers(r, l->waiting))
        merged(l->waiting);
    return 0;
}

void run_tools_segment(struct run *r)
{
    chat_text_now(r, true, true);
    if (r->said.n > r->said_seg)
        buf_put_view(&r->said, V("\n\n"));
    r->said_seg = r->said_tools = r->shown_raw = r->said.n;
    chat_text_again(r);
    r->replace = r->replace || r->shown.n > 0;
    buf_reset(&r->shown, r->shown.max);
    r->shown_seg = r->shown_agent = r->shown_chat = 0;
    r->segment++;
    mem_free(r->result.error);
    mem_free(r->result.usage);
    mem_free(r->result.calls);
    memset(&r->result, 0, sizeof(r->result));
    r->provider[0] = '\0'; /* the next part says which model it uses */
}

bool run_continue(struct run *r)
{
    struct live *l = r->live;
    struct err e = ERR_INIT;
    int rc;

    if (!l->waiting || !steers(r, l->waiting) || r->hub->stopping || r->hub->runs->on_idle)
        return false;
    if ((rc = run_part(r, &e)) < 0)
        goto out;
    for (struct run *in = l->waiting; in && steers(r, in) && rc == 0; in = in->next)
        rc = merge(in, r, &e);
    if (rc < 0 || (rc = blocks_over(r, &e)) < 0)
        goto out;
    run_acked(r);
    next_segment(r);
    r->phase = RUN_SENT;
    if ((rc = next_row(r, &e)) < 0) {
        run_fail(r, "unknown", "The message could not be taken up.");
        return true;
    }
    while (l->waiting && steers(r, l->waiting))
        merged(l->waiting);
    run_start(r);
    return true;
out:
    /* the usual end follows; whatever was written is not written twice */
    log_warn("run.continue", KV("run", r->run_id), KV("why", e.text));
    return false;
}

/* ---- a turn of its own ---- */

static void on_again(void *ctx)
{
    struct run *r = ctx;

    live_next(r->hub, r->live);
}

static void again(struct run *r, const struct err *e)
{
    log_error("run.next", KV("run", r->run_id), KV("why", e->text));
    if (!r->again.loop)
        loop_timer_init(&r->again, r->hub->w.loop, on_again, r);
    loop_timer_set(&r->again, TURN_RETRY_MS);
}

/* A steered message whose run did not end well: answered under its own name, with those behind it.
 */
static int promote(struct live *l, struct run *r, struct err *e)
{
    char *text = TAKE(r->text);
    int rc;

    rc = run_accept(r, view_str(text), e);
    if (rc < 0) {
        r->text = text;
        return rc;
    }
    mem_free(text);
    live_remove(l, r);
    return 0;
}

/* followup, collect: the message's run is over for clients; a run of our own answers (trace
 * chat-queue-followup). */
static int own_turn(struct hub *h, struct live *l, struct run **out, struct err *e)
{
    struct run *first = l->waiting, *r;
    char id[37];
    int rc;

    rand_uuid(id);
    if ((rc = run_new(h, l, view_str(id), &r, e)) < 0)
        return rc;
    r->accepted_ms = clock_wall_ms();
    r->timeout_ms = first->timeout_ms;
    r->q = first->q;
    memcpy(r->route, first->route, sizeof(r->route));
    r->quiet = QUIET_CHAT;
    memcpy(r->trace, first->trace, sizeof(r->trace));
    r->trust = first->trust;
    r->hops = first->hops;
    (void)snprintf(r->device, sizeof(r->device), "%s", first->device);
    (void)snprintf(r->owner, sizeof(r->owner), "%s", first->owner);
    (void)snprintf(r->digest, sizeof(r->digest), "%s", first->digest);
    mem_free(r->options);
    if (!(r->options = mem_dup(first->options, strlen(first->options)))) {
        rc = err_set(e, ERR_NOMEM, "run: out of memory");
        goto out;
    }
    live_title(l, text_of(first));
    if ((rc = run_consume(first, text_of(first), e)) < 0 || (rc = run_accept(r, VIEW_EMPTY, e)) < 0)
        goto out;
    *out = r;
    return 0;
out:
    run_free(r);
    return rc;
}

/* Of messages that are answered together the last one says which of them the answer quotes. */
static bool answer_like(struct run *r, struct run *in)
{
    if (!in->route[0])
        return false;
    mem_free(r->options);
    r->options = TAKE(in->options);
    return true;
}

static void on_due(void *ctx)
{
    struct live *l = ctx;

    live_next(l->hub, l);
}

void live_next(struct hub *h, struct live *l)
{
    struct run *first = l->waiting, *r = NULL;
    struct run like; /* the fields that queue_together looks at: first may be gone by then */
    struct err e = ERR_INIT;
    bool again_saved = false;
    uint8_t was;
    int64_t now, due;
    int rc;

    if (l->active || l->hold || !first || h->stopping || h->runs->on_idle) {
        live_put(h, l);
        return;
    }
    now = clock_wall_ms();
    if ((due = queue_due(l, now)) > 0) {
        if (!l->due.loop)
            loop_timer_init(&l->due, h->w.loop, on_due, l);
        loop_timer_set(&l->due, (uint64_t)(due - now));
        return;
    }
    if (l->due.loop)
        loop_timer_clear(&l->due);
    like = *first;
    if (first->announced_end) {
        if ((rc = own_turn(h, l, &r, &e)) == 0 && (rc = merge(first, r, &e)) == 0)
            merged(first);
    } else if ((rc = promote(l, first, &e)) == 0) {
        r = first;
    }
    if (rc < 0) {
        if (!r) {
            again(first, &e);
            return;
        }
        log_error("run.next", KV("why", e.text)); /* its row comes back at the next start */
        merged(first);
    }
    was = r->trust;
    /* those of the same kind right behind it are answered together */
    while (l->waiting && queue_together(&like, l->waiting)) {
        if (merge(l->waiting, r, &e) < 0)
            break;
        again_saved = answer_like(r, l->waiting);
        merged(l->waiting);
    }
    if ((again_saved || was != r->trust) && run_save(r, RUN_QUEUED, VIEW_EMPTY, &e) < 0)
        log_warn("run.next", KV("run", r->run_id), KV("why", e.text)); /* it quotes another one */
    run_start(r);
}

/* ---- after a start of the hub ---- */

static void cut(char *out, size_t max, struct view v)
{
    (void)snprintf(out, max, "%.*s", (int)(v.n < max ? v.n : max - 1), v.p);
}

/* Above every number that a hub before us can have used: two events per delta and a few more. */
uint32_t run_seq_after(const struct run *r)
{
    int64_t ago = clock_wall_ms() - r->accepted_ms;

    if (ago < 0) /* the clock was set back: rather too high a number */
        ago = -ago;
    return 64 + (uint32_t)((uint64_t)ago / (DELTA_MS / 3));
}

/* Where the row says that tools were under way, or were not any more. */
static int restore_tools(struct run *r, const json_t *p, struct err *e)
{
    struct view calls = json_view(p, "calls");

    mem_free(r->calls);
    r->calls = NULL;
    r->rounds = (unsigned)json_i64(p, "rounds", 0);
    if (r->phase == RUN_WAITS)
        return 0;
    if (calls.n && !(r->calls = mem_dup(calls.p, calls.n)))
        return err_set(e, ERR_NOMEM, "run: out of memory");
    r->phase = r->calls ? RUN_TOOLS : RUN_SENT;
    return 0;
}

static int restore(struct hub *h, const struct rec_run_put *row, json_t *p, struct err *e)
{
    struct view of = json_view(p, "of"), text = json_view(p, "text"),
                options = json_view(p, "options");
    struct session_key key;
    struct run *r;
    struct live *l;
    int64_t timeout = json_i64(p, "timeoutMs", 0);
    int rc;

    if (of.n && (r = run_find(h, of))) { /* the run went on with this row */
        char *id = mem_dup(row->run_id.p, row->run_id.n);

        if (!id)
            return err_set(e, ERR_NOMEM, "run: out of memory");
        mem_free(r->row_id);
        r->row_id = id;
        r->attempt = row->attempt;
        r->segment = 1;
        /* whoever's words came into it since */
        r->trust = (uint8_t)json_i64(p, "trust", TRUST_NONE);
        r->hops = (uint8_t)json_i64(p, "hops", 0);
        run_set_job(r, row->job_id);
        return restore_tools(r, p, e);
    }
    if (session_key(h, row->session_key, VIEW_EMPTY, &key, e) == ERR_INVALID)
        return ERR_INVALID;
    if ((rc = live_get(h, &key, true, &l, e)) < 0)
        return rc;
    if ((rc = run_new(h, l, of.n ? of : row->run_id, &r, e)) < 0) {
        live_put(h, l);
        return rc;
    }
    if (of.n) {
        mem_free(r->row_id);
        if (!(r->row_id = mem_dup(row->run_id.p, row->run_id.n)))
            r->row_id = mem_dup("", 0);
    }
    run_set_job(r, row->job_id);
    r->restored = l->restored = true;
    r->attempt = row->attempt;
    r->accepted_ms = row->created_at;
    r->timeout_ms =
        timeout > 0 && timeout <= TIMEOUT_MAX_MS ? (uint32_t)timeout : chat_conf(h)->timeout_ms;
    (void)queue_mode_read(json_view(p, "mode"), &r->q.mode);
    r->q.cap = QUEUE_CAP;
    r->pause_ms = (uint32_t)json_i64(p, "pause", 0);
    r->gather = json_flag(p, "gather", false);
    r->rank = (uint8_t)json_i64(p, "rank", RANK_PLAIN);
    if (json_view(p, "carry").n &&
        (r->carry = mem_dup(json_view(p, "carry").p, json_view(p, "carry").n)))
        r->carried = (unsigned)json_i64(p, "carried", 1);
    r->announced_end = json_flag(p, "final", false);
    r->quiet = (uint8_t)json_i64(p, "quiet", QUIET_NOT);
    run_traced(r, json_view(p, "trace"));
    r->trust = (uint8_t)json_i64(p, "trust", TRUST_NONE);
    r->hops = (uint8_t)json_i64(p, "hops", 0);
    cut(r->digest, sizeof(r->digest), row->digest);
    cut(r->message_id, sizeof(r->message_id), json_view(p, "msg"));
    cut(r->lane, sizeof(r->lane), json_view(p, "lane"));
    cut(r->device, sizeof(r->device), json_view(p, "device"));
    cut(r->owner, sizeof(r->owner), json_view(p, "owner"));
    if (options.n) {
        mem_free(r->options);
        if (!(r->options = mem_dup(options.p, options.n)))
            r->options = mem_dup("", 0);
        if (json_flag(p, "inbound", false))
            source_names(r->options, r->route, r->who);
    }
    if (json_view(p, "files").n &&
        !(r->files = mem_dup(json_view(p, "files").p, json_view(p, "files").n)))
        return err_set(e, ERR_NOMEM, "run: out of memory");
    if (json_view(p, "context").n)
        r->context = mem_dup(json_view(p, "context").p, json_view(p, "context").n);
    if (json_flag(p, "waits", false) || l->active) {
        r->phase = RUN_WAITS;
        r->text = mem_dup(text.p, text.n);
        live_push(l, r);
    } else {
        r->phase = RUN_SENT;
        r->replace = true;
        r->replace_until_ms = loop_now_ms(h->w.loop) + REPLACE_MS;
        r->seq = run_seq_after(r);
        chat_ids(r);
        l->active = r;
        h->runs->active++;
    }
    return restore_tools(r, p, e);
}

int run_restore(struct hub *h, const struct rec_run_put *row)
{
    struct err e = ERR_INIT;
    json_t *p = NULL;
    int rc;

    if ((rc = json_parse(row->params, &p, &e)) == 0)
        rc = restore(h, row, p, &e);
    if (rc < 0)
        log_error("run.restore", KV("run", row->run_id), KV("job", row->job_id), KV("why", e.text));
    json_decref(p);
    return 0; /* one row that cannot be read does not stop the rest */
}
