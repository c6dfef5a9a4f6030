#include "lane.h"

#include "fd.h"
#include "mem.h"

#include <stdio.h>

struct job {
    uint64_t id;
    uint32_t attempt, timeout_ms;
    struct lane *lane;
    char *session; /* owned */
    size_t session_len;
    int payload; /* -1 while running */
    bool running;
    unsigned agent;
    struct job *next; /* in its lane's queue, or in the list of running ones */
};

struct lane {
    char name[LANE_NAME_MAX + 1];
    unsigned concurrency, running, waiting;
    struct job *first, **last;
};

struct lanes {
    struct lane lane[LANE_MAX];
    unsigned count, held;
    unsigned turn; /* lane that is asked first: round robin, so that no lane starves another */
    struct job *running;
};

int lanes_new(struct lanes **out, struct err *e)
{
    return mem_new(out, sizeof(**out), e);
}

static void job_free(struct job *j)
{
    fd_close(&j->payload);
    mem_free(j->session);
    mem_free(j);
}

void lanes_free(struct lanes **lp)
{
    struct lanes *l = *lp;
    struct job *j;

    if (!l)
        return;
    for (unsigned i = 0; i < l->count; i++)
        while ((j = l->lane[i].first)) {
            l->lane[i].first = j->next;
            job_free(j);
        }
    while ((j = l->running)) {
        l->running = j->next;
        job_free(j);
    }
    mem_free(l);
    *lp = NULL;
}

static struct lane *find_lane(struct lanes *l, struct view name)
{
    for (unsigned i = 0; i < l->count; i++)
        if (view_eq(view_str(l->lane[i].name), name))
            return &l->lane[i];
    return NULL;
}

int lanes_set(struct lanes *l, struct view name, unsigned concurrency, struct err *e)
{
    struct lane *ln = find_lane(l, name);

    if (!ln) {
        if (l->count >= LANE_MAX || name.n > LANE_NAME_MAX)
            return err_set(e, ERR_LIMIT, "lane %.*s: %u lanes, limit %d", VIEW_FMT(name), l->count,
                           LANE_MAX);
        ln = &l->lane[l->count++];
        (void)snprintf(ln->name, sizeof(ln->name), "%.*s", VIEW_FMT(name));
        ln->last = &ln->first;
    }
    ln->concurrency = concurrency;
    return 0;
}

/* Where the pointer to the job stands: a lane's queue or the running list. A few hundred at most: a
 * scan is cheap. */
static struct job **find(struct lanes *l, uint64_t id)
{
    struct job **at;

    for (at = &l->running; *at; at = &(*at)->next)
        if ((*at)->id == id)
            return at;
    for (unsigned i = 0; i < l->count; i++)
        for (at = &l->lane[i].first; *at; at = &(*at)->next)
            if ((*at)->id == id)
                return at;
    return NULL;
}

static struct job *unlink_job(struct lanes *l, struct job **at)
{
    struct job *j = *at;

    *at = j->next;
    if (j->running) {
        j->lane->running--;
    } else {
        j->lane->waiting--;
        if (j->lane->last == &j->next)
            j->lane->last = at;
    }
    j->next = NULL;
    l->held--;
    return j;
}

int lanes_push(struct lanes *l, const struct lane_job *job, enum lane_known *known, struct err *e)
{
    struct lane *ln = find_lane(l, job->lane);
    struct job **at = find(l, job->id), *j = NULL;
    int r;

    if (at) {
        *known = (*at)->running ? LANE_RUNNING : LANE_WAITING;
        return 0;
    }
    if (!ln)
        return err_set(e, ERR_INVALID, "no lane %.*s", VIEW_FMT(job->lane));
    if (l->held >= LANE_JOBS_MAX)
        return err_set(e, ERR_LIMIT, "%u jobs wait or run, limit %d", l->held, LANE_JOBS_MAX);
    if (ln->waiting + ln->running >= LANE_JOBS_MAX - LANE_SHARE * (l->count - 1))
        return err_set(e, ERR_LIMIT, "lane %s: %u jobs wait or run, limit %u", ln->name,
                       ln->waiting + ln->running, LANE_JOBS_MAX - LANE_SHARE * (l->count - 1));
    if ((r = mem_new(&j, sizeof(*j), e)) < 0)
        return r;
    j->session = mem_dup(job->session.p, job->session.n);
    if (!j->session) {
        mem_free(j);
        return err_set(e, ERR_NOMEM, "out of memory for a job");
    }
    j->id = job->id;
    j->attempt = job->attempt;
    j->timeout_ms = job->timeout_ms;
    j->session_len = job->session.n;
    j->payload = job->payload;
    j->lane = ln;
    *ln->last = j;
    ln->last = &j->next;
    ln->waiting++;
    l->held++;
    *known = LANE_NEW;
    return 0;
}

static bool same_session(const struct job *a, const struct job *b)
{
    return a->session_len == b->session_len && memcmp(a->session, b->session, a->session_len) == 0;
}

/* A session's jobs keep their order: not while one runs, and not past an older one in the queue. */
static bool may_start(const struct lanes *l, const struct lane *ln, const struct job *j)
{
    for (const struct job *r = l->running; r; r = r->next)
        if (same_session(r, j))
            return false;
    for (const struct job *q = ln->first; q != j; q = q->next)
        if (same_session(q, j))
            return false;
    return true;
}

/* A session that had its turn lets all others go first: what else it has waits at the end. */
static void step_back(struct lane *ln, const struct job *started)
{
    struct job *back = NULL, **end = &back;

    for (struct job **at = &ln->first; *at;) {
        struct job *q = *at;

        if (!same_session(q, started)) {
            at = &q->next;
            continue;
        }
        *at = q->next;
        if (ln->last == &q->next)
            ln->last = at;
        q->next = NULL;
        *end = q;
        end = &q->next;
    }
    if (back) {
        *ln->last = back;
        ln->last = end;
    }
}

/* Of the places that are left one is kept for each lane that has none. */
static bool leaves_room(const struct lanes *l, const struct lane *ln, unsigned room)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < l->count; i++)
        kept += &l->lane[i] != ln && l->lane[i].running == 0;
    return ln->running == 0 || room > kept;
}

bool lanes_next(struct lanes *l, unsigned agent, unsigned room, struct lane_job *out)
{
    for (unsigned k = 0; k < l->count; k++) {
        struct lane *ln = &l->lane[(l->turn + k) % l->count];

        if (ln->running >= ln->concurrency || !leaves_room(l, ln, room))
            continue;
        for (struct job **at = &ln->first; *at; at = &(*at)->next) {
            struct job *j = *at;

            if (!may_start(l, ln, j))
                continue;
            *at = j->next;
            if (ln->last == &j->next)
                ln->last = at;
            step_back(ln, j);
            ln->waiting--;
            ln->running++;
            j->running = true;
            j->agent = agent;
            j->next = l->running;
            l->running = j;
            l->turn = (l->turn + k + 1) % l->count;
            *out = (struct lane_job){.id = j->id,
                                     .attempt = j->attempt,
                                     .timeout_ms = j->timeout_ms,
                                     .lane = view_str(ln->name),
                                     .session = view_of(j->session, j->session_len),
                                     .payload = fd_take(&j->payload)};
            return true;
        }
    }
    return false;
}

void lanes_unstart(struct lanes *l, uint64_t id, int payload)
{
    struct job **at = find(l, id);
    struct job *j;

    if (!at || !(*at)->running) {
        fd_close(&payload);
        return;
    }
    j = unlink_job(l, at);
    l->held++;
    j->running = false;
    j->payload = payload;
    j->next = j->lane->first;
    j->lane->first = j;
    if (!j->next)
        j->lane->last = &j->next;
    j->lane->waiting++;
}

bool lanes_done(struct lanes *l, uint64_t id, uint32_t attempt)
{
    struct job **at = find(l, id);

    if (!at || (*at)->attempt != attempt || !(*at)->running)
        return false;
    job_free(unlink_job(l, at));
    return true;
}

enum lane_known lanes_cancel(struct lanes *l, uint64_t id, unsigned *agent)
{
    struct job **at = find(l, id);

    if (!at)
        return LANE_NEW;
    if ((*at)->running) {
        *agent = (*at)->agent;
        return LANE_RUNNING;
    }
    job_free(unlink_job(l, at));
    return LANE_WAITING;
}

void lanes_lost(struct lanes *l, unsigned agent,
                void (*on_job)(void *ctx, uint64_t id, uint32_t attempt), void *ctx)
{
    struct job **at = &l->running;

    while (*at) {
        struct job *j = *at;

        if (j->agent != agent) {
            at = &j->next;
            continue;
        }
        (void)unlink_job(l, at);
        on_job(ctx, j->id, j->attempt);
        job_free(j);
    }
}

unsigned lanes_running_on(const struct lanes *l, unsigned agent)
{
    unsigned n = 0;

    for (const struct job *j = l->running; j; j = j->next)
        n += j->agent == agent;
    return n;
}

bool lanes_stat(const struct lanes *l, unsigned i, struct lane_stat *out)
{
    if (i >= l->count)
        return false;
    *out = (struct lane_stat){.name = l->lane[i].name,
                              .waiting = l->lane[i].waiting,
                              .running = l->lane[i].running,
                              .concurrency = l->lane[i].concurrency};
    return true;
}

bool lanes_idle(const struct lanes *l)
{
    return l->held == 0;
}
