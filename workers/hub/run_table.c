/* workers/hub/run_table.c - turns and their sessions in memory: found by run id, job id and session
 * key. */
#include "blocks.h"
#include "chat.h"
#include "compact.h"
#include "draft.h"
#include "rand.h"
#include "run_sends.h"
#include "tool_turn.h"

enum { BUCKETS = 4096 }; /* as many as runs at most */

static uint32_t bucket(const struct hub *h, struct view v)
{
    return jstr_hash(&h->runs->hash, 0, v) % BUCKETS;
}

struct run *run_find(const struct hub *h, struct view run_id)
{
    struct run *r = h->runs->by_id[bucket(h, run_id)];

    while (r && !view_eq(view_str(r->run_id), run_id))
        r = r->id_next;
    return r;
}

struct run *run_find_job(const struct hub *h, uint64_t job_id)
{
    struct run *r = h->runs->by_job[job_id % BUCKETS];

    while (r && r->job_id != job_id)
        r = r->job_next;
    return r;
}

struct live *live_find(const struct hub *h, struct view key)
{
    struct live *l = h->runs->lives[bucket(h, key)];

    while (l && !view_eq(view_str(l->s.key), key))
        l = l->next;
    return l;
}

int live_get(struct hub *h, const struct session_key *key, bool create, struct live **out,
             struct err *e)
{
    struct live *l = live_find(h, session_key_view(key)), **head;
    int rc;

    if (l) {
        *out = l;
        return 0;
    }
    if ((rc = mem_new(&l, sizeof(*l), e)) < 0)
        return rc;
    rc = session_load(h, session_key_view(key), &l->s, e);
    if (rc == ERR_NOT_FOUND && create)
        rc = session_init(&l->s, key, e);
    if (rc < 0) {
        mem_free(l);
        return rc;
    }
    l->hub = h;
    head = &h->runs->lives[bucket(h, session_key_view(key))];
    l->next = *head;
    *head = l;
    *out = l;
    return 0;
}

void live_put(struct hub *h, struct live *l)
{
    struct live **at;

    if (l->active || l->waiting || l->hold || l->compact)
        return;
    if (l->due.loop)
        loop_timer_fini(&l->due);
    at = &h->runs->lives[bucket(h, view_str(l->s.key))];
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    session_fini(&l->s);
    mem_free(l);
}

void live_push(struct live *l, struct run *r)
{
    struct run *before = queue_place(l, r), **at = before ? &before->next : &l->waiting;

    r->next = *at;
    *at = r;
    if (!r->next)
        l->last = r;
    l->waiting_count++;
}

void live_remove(struct live *l, struct run *r)
{
    struct run *before = NULL;

    for (struct run *i = l->waiting; i; before = i, i = i->next) {
        if (i != r)
            continue;
        if (before)
            before->next = r->next;
        else
            l->waiting = r->next;
        if (l->last == r)
            l->last = before;
        l->waiting_count--;
        r->next = NULL;
        return;
    }
}

int run_new(struct hub *h, struct live *l, struct view run_id, struct run **out, struct err *e)
{
    struct runs *rs = h->runs;
    struct run *r, **head;
    int rc;

    if (rs->count >= RUNS_MAX)
        return err_set(e, ERR_LIMIT, "%d turns run or wait already", (int)RUNS_MAX);
    if ((rc = mem_new(&r, sizeof(*r), e)) < 0)
        return rc;
    r->hub = h;
    r->live = l;
    r->run_id = mem_dup(run_id.p, run_id.n);
    r->row_id = mem_dup(run_id.p, run_id.n);
    r->options = mem_dup("", 0);
    if (!r->run_id || !r->row_id || !r->options) {
        mem_free(r->run_id);
        mem_free(r->row_id);
        mem_free(r->options);
        mem_free(r);
        return err_set(e, ERR_NOMEM, "run: out of memory");
    }
    rand_uuid(r->message_id);
    rand_uuid(r->item);
    r->attempt = 1;
    buf_init(&r->said, RUN_TEXT_MAX);
    buf_init(&r->hold, RUN_TEXT_MAX);
    buf_init(&r->shown, RUN_SHOWN_MAX);
    head = &rs->by_id[bucket(h, run_id)];
    r->id_next = *head;
    *head = r;
    rs->count++;
    *out = r;
    return 0;
}

static void job_unlink(struct run *r)
{
    struct run **at = &r->hub->runs->by_job[r->job_id % BUCKETS];

    if (!r->job_id)
        return;
    while (*at && *at != r)
        at = &(*at)->job_next;
    if (*at)
        *at = r->job_next;
    r->job_id = 0;
}

void run_set_job(struct run *r, uint64_t job_id)
{
    struct run **head = &r->hub->runs->by_job[job_id % BUCKETS];

    job_unlink(r);
    r->job_id = job_id;
    r->job_next = *head;
    *head = r;
}

void run_free(struct run *r)
{
    struct runs *rs = r->hub->runs;
    struct run **at = &rs->by_id[bucket(r->hub, view_str(r->run_id))];

    tool_turn_drop(r);
    run_sends_free(r);
    draft_end(r, false);
    blocks_free(r);
    run_watch_end(r); /* the last chance to hear of it; usually nobody is left */
    compact_leave(r);
    while (*at != r)
        at = &(*at)->id_next;
    *at = r->id_next;
    job_unlink(r);
    rs->count--;
    if (r->limit.loop)
        loop_timer_fini(&r->limit);
    if (r->flush.loop)
        loop_timer_fini(&r->flush);
    if (r->again.loop)
        loop_timer_fini(&r->again);
    mem_free(r->run_id);
    mem_free(r->row_id);
    mem_free(r->text);
    mem_free(r->options);
    mem_free(r->carry);
    mem_free(r->context);
    mem_free(r->calls);
    mem_free(r->files);
    mem_free(r->ids);
    mem_free(r->result.error);
    mem_free(r->result.usage);
    mem_free(r->result.calls);
    buf_fini(&r->said);
    buf_fini(&r->shown);
    buf_fini(&r->hold);
    mem_free(r);
    if (rs->active == 0 && rs->on_idle)
        loop_defer(rs->hub->w.loop, &rs->idle_task, LOOP_COMMIT);
}

int run_table_init(struct runs *rs, struct err *e)
{
    int rc;

    if ((rc = mem_new(&rs->by_id, BUCKETS * sizeof(struct run *), e)) < 0 ||
        (rc = mem_new(&rs->by_job, BUCKETS * sizeof(struct run *), e)) < 0)
        return rc;
    return mem_new(&rs->lives, BUCKETS * sizeof(struct live *), e);
}

void run_table_fini(struct runs *rs)
{
    for (size_t i = 0; i < BUCKETS && rs->lives; i++)
        while (rs->lives[i]) {
            struct live *l = rs->lives[i];

            if (l->active)
                run_free(TAKE(l->active));
            while (l->waiting) {
                struct run *r = l->waiting;

                live_remove(l, r);
                run_free(r);
            }
            live_put(rs->hub, l);
        }
    mem_free(rs->by_id);
    mem_free(rs->by_job);
    mem_free(rs->lives);
}
