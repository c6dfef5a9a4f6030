/*
 * workers/hub/run_back.c - a hub that comes back: runs out of the store go on, and what agents have
 * to say about them waits until the clients are there to hear it.
 *
 * The supervisor links a new hub to the fronts first, then to the agents. An agent tells its result
 * at once, while a front may still be busy naming its connections: heard in that order, the end of
 * a turn would reach nobody (seen in the kill matrix under load).
 */
#include "chat.h"
#include "clock.h"
#include "log.h"

#include <stdio.h>

enum {
    RESUME_MS = 20,   /* agents that live on speak first: what they have is not run again */
    FRONTS_MS = 5000, /* a front that hangs was replaced by then (gateway.workers.hangMs) */
};

bool runs_awaiting(const struct hub *h)
{
    return h->runs && h->runs->back.count > 0;
}

static void agents_may_speak(struct hub *h, bool may)
{
    for (unsigned i = 0; i < h->w.peer_count; i++)
        if (link_peer(h->w.peers[i]) == ROLE_AGENT)
            ipc_pause(link_ipc(h->w.peers[i]), !may);
}

static void go_on(struct hub *h)
{
    agents_may_speak(h, true);
    loop_timer_set(&h->runs->back.resume, RESUME_MS);
}

static void unawait(struct hub *h, const struct link *front)
{
    struct runs *rs = h->runs;

    for (unsigned i = 0; i < rs->back.count; i++)
        if (rs->back.awaited[i] == front) {
            rs->back.awaited[i] = rs->back.awaited[--rs->back.count];
            if (rs->back.count == 0)
                go_on(h);
            return;
        }
}

void runs_on_front_back(struct hub *h, struct link *front)
{
    if (h->runs)
        unawait(h, front);
}

void runs_on_peer(struct hub *h, struct link *l, bool up)
{
    struct runs *rs = h->runs;

    if (link_peer(l) == ROLE_FRONT && up && !rs->back.settled)
        rs->back.awaited[rs->back.count++] = l; /* as many as there are peers, at most */
    else if (link_peer(l) == ROLE_FRONT && !up)
        unawait(h, l);
    else if (link_peer(l) == ROLE_AGENT && up && rs->back.count > 0)
        ipc_pause(link_ipc(l), true);
}

static void on_patience(void *ctx)
{
    struct hub *h = ctx;
    struct runs *rs = h->runs;

    rs->back.settled = true;
    if (rs->back.count == 0)
        return;
    log_warn("fronts.late", KV("count", rs->back.count));
    rs->back.count = 0;
    go_on(h);
}

/* ---- runs out of the store ---- */

static void take_up(struct hub *h)
{
    struct runs *rs = h->runs;
    unsigned sessions = 0, runs = 0;

    for (size_t i = 0; i < RUNS_MAX; i++)
        for (struct live *l = rs->lives[i], *next; l; l = next) {
            next = l->next;
            if (!l->restored)
                continue; /* made since then: under way */
            l->restored = false;
            sessions++;
            runs += l->waiting_count + (l->active ? 1 : 0);
            if (l->active)
                run_resume(l->active);
            else
                live_next(h, l);
        }
    if (runs)
        log_info("runs.resumed", KV("sessions", sessions), KV("runs", runs));
}

/* What the supervisor said meanwhile. */
static void hear_late(struct hub *h)
{
    struct runs *rs = h->runs;
    struct err e = ERR_INIT;

    for (size_t i = 0; i < RUNS_MAX; i++)
        for (struct live *l = rs->lives[i], *next; l; l = next) {
            struct run *r = l->active;

            next = l->next;
            if (r && r->late.state) {
                struct ipc_job_state m = {
                    .job_id = r->late.job_id, .attempt = r->late.attempt, .state = r->late.state};

                r->late.state = 0;
                r->restored = false; /* what follows decides */
                if (job_on_state(h, &m, &e) < 0)
                    log_warn("job.late", KV("job", m.job_id), KV("why", e.text));
            }
        }
}

static void on_resume(void *ctx)
{
    struct hub *h = ctx;
    struct runs *rs = h->runs;

    if (rs->back.count > 0)
        return; /* again when they are here */
    hear_late(h);
    if (rs->back.resumed)
        return;
    rs->back.resumed = true;
    take_up(h);
}

void runs_back_open(struct hub *h)
{
    struct runs *rs = h->runs;

    loop_timer_init(&rs->back.resume, h->w.loop, on_resume, h);
    loop_timer_init(&rs->back.patience, h->w.loop, on_patience, h);
    loop_timer_set(&rs->back.resume, RESUME_MS);
    loop_timer_set(&rs->back.patience, FRONTS_MS);
}

void runs_back_close(struct hub *h)
{
    struct runs *rs = h->runs;

    if (rs->back.resume.loop)
        loop_timer_fini(&rs->back.resume);
    if (rs->back.patience.loop)
        loop_timer_fini(&rs->back.patience);
}

/* ---- ends that nobody heard ---- */

/* The id that clients know: a run that went on with a further row keeps its own. */
static struct view known_as(struct hub *h, const struct rec_run_put *row,
                            const struct run_summary *s)
{
    struct rec_message_add m;
    struct err e = ERR_INIT;

    if (s->message_id[0] && store_message_by_id(h->store, view_str(s->message_id), &m, &e) == 0 &&
        m.run_id.n)
        return m.run_id;
    return row->run_id;
}

static int announce(struct hub *h, const struct rec_run_put *row, const struct ipc_run_done *m,
                    struct err *e)
{
    struct session_key key;
    struct run_summary s;
    struct live *l = NULL;
    struct run *r = NULL;
    int rc;

    run_summary_read(row->summary, &s);
    if (run_find(h, known_as(h, row, &s)))
        return 0; /* it went on */
    if ((rc = session_key(h, row->session_key, VIEW_EMPTY, &key, e)) == ERR_INVALID ||
        (rc = live_get(h, &key, true, &l, e)) < 0)
        return rc;
    if ((rc = run_new(h, l, known_as(h, row, &s), &r, e)) < 0)
        goto out;
    r->phase = RUN_ENDING;
    r->attempt = row->attempt;
    r->accepted_ms = row->created_at;
    r->started_ms = s.started_ms;
    r->ended_ms = s.ended_ms;
    r->began = r->replace = true;
    r->seq = run_seq_after(r);
    (void)snprintf(r->provider, sizeof(r->provider), "%.*s", VIEW_FMT(m->provider));
    (void)snprintf(r->model, sizeof(r->model), "%.*s", VIEW_FMT(m->model));
    run_take_result(r, m);
    chat_ids(r);
    log_info("run.announced", KV("run", r->run_id), KV("job", m->job_id));
    chat_end(r);
    run_free(r);
out:
    live_put(h, l);
    return rc;
}

/* An agent forgets its result when the hub acknowledged it, which happens right behind the news to
 * the clients. Between the commit and both lies only death. */
void run_unheard(struct hub *h, const struct ipc_run_done *m)
{
    struct rec_run_put row;
    struct err e = ERR_INIT;

    if (store_run_by_job(h->store, m->job_id, &row, &e) < 0 || row.attempt != m->attempt ||
        row.updated_at > h->started_ms ||
        !((row.state == RUN_DONE && m->outcome == RUN_OK) ||
          (row.state == RUN_FAILED && m->outcome == RUN_ERROR)))
        return;
    if (announce(h, &row, m, &e) < 0)
        log_warn("run.unheard", KV("job", m->job_id), KV("why", e.text));
}
