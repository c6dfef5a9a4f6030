/* supervisor/jobs.c - lanes between the hub, which knows what must run, and the agents, which run
 * it. */
#include "config.h"
#include "fd.h"
#include "fleet.h"
#include "log.h"
#include "workspaces.h"

#include <inttypes.h>

enum { LANES_TELL_MS = 250 };
enum { JOBS_MAIN, JOBS_CRON, JOBS_SUBAGENT, JOBS_NESTED, JOBS_LANES };

static const struct {
    struct view name;
    unsigned concurrency; /* until the configuration says otherwise */
} lanes[JOBS_LANES] = {
    [JOBS_MAIN] = {{"main", 4}, 4},
    [JOBS_CRON] = {{"cron", 4}, 8},
    [JOBS_SUBAGENT] = {{"subagent", 8}, 8},
    [JOBS_NESTED] = {{"nested", 6}, 4},
};

int jobs_init(struct fleet *f, struct err *e)
{
    int r = lanes_new(&f->lanes, e);

    for (size_t i = 0; i < COUNT_OF(lanes) && r == 0; i++)
        r = lanes_set(f->lanes, lanes[i].name, lanes[i].concurrency, e);
    return r;
}

void jobs_configure(struct fleet *f, const struct conf *conf)
{
    const unsigned at_once[JOBS_LANES] = {
        [JOBS_MAIN] = conf->agents_max_concurrent,
        [JOBS_CRON] = conf->cron_max_concurrent,
        [JOBS_SUBAGENT] = conf->subagents_max_concurrent,
        [JOBS_NESTED] = conf->workers_nested_turns,
    };
    struct err e = ERR_INIT;

    for (size_t i = 0; i < COUNT_OF(lanes); i++)
        if (lanes_set(f->lanes, lanes[i].name, at_once[i], &e) < 0)
            log_error("lanes.not_set", KV("why", e.text));
    loop_defer(f->loop, &f->dispatch, LOOP_COMMIT);
}

/* What lanes hold is seen from outside (diagnostics.lanes); told now and then, not for each job. */
static void changed(struct fleet *f)
{
    if (!loop_timer_pending(&f->tell))
        loop_timer_set(&f->tell, LANES_TELL_MS);
}

static void tell_hub(struct fleet *f, uint64_t id, uint32_t attempt, uint8_t state)
{
    struct proc *hub = fleet_up(f, ROLE_HUB);
    struct err e = ERR_INIT;

    if (!hub) /* it submits again when it is back */
        return;
    if (msg_send_job_state(
            hub->link, &(struct ipc_job_state){.job_id = id, .attempt = attempt, .state = state},
            &e) < 0)
        log_error("job.untold", KV("job", id), KV("why", e.text));
}

/* The agent with the most room, or NULL; *room: of all of them. */
static struct proc *pick_agent(struct fleet *f, unsigned *room)
{
    struct proc *best = NULL;
    unsigned least = f->conf.jobs_per_agent;

    *room = 0;

    for (unsigned i = 0; i < f->count; i++) {
        struct proc *p = &f->proc[i];
        unsigned n;

        if (p->role != ROLE_AGENT || p->fsm.state != FSM_UP || !p->link)
            continue;
        n = lanes_running_on(f->lanes, p->instance);
        if (p->retiring && p->successor->fsm.state == FSM_UP)
            continue;
        if (n < f->conf.jobs_per_agent)
            *room += f->conf.jobs_per_agent - n;
        if (n < least) {
            least = n;
            best = p;
        }
    }
    return best;
}

void jobs_dispatch(void *fleet)
{
    struct fleet *f = fleet;
    struct lane_job j;
    struct proc *agent;
    unsigned room;

    while (!f->stopping && (agent = pick_agent(f, &room)) &&
           lanes_next(f->lanes, agent->instance, room, &j)) {
        struct err e = ERR_INIT;
        struct ipc_job m = {.job_id = j.id,
                            .attempt = j.attempt,
                            .lane = j.lane,
                            .session = j.session,
                            .timeout_ms = j.timeout_ms,
                            .payload = j.payload};

        if ((f->conf.workspaces && workspaces_tell(f->conf.workspaces, agent->link, agent->instance,
                                                   agent->generation, j.session, &e) < 0) ||
            msg_send_job(agent->link, &m, &e) < 0) {
            log_error("job.not_handed_over", KV("job", j.id), KV("why", e.text));
            lanes_unstart(f->lanes, j.id, j.payload);
            return; /* the link is going down: its end dispatches again */
        }
        log_debug("job.started", KV("job", j.id), KV("lane", j.lane), KV("agent", agent->instance));
        tell_hub(f, j.id, j.attempt, JOB_STARTED);
        changed(f);
    }
}

static void lost(void *ctx, uint64_t id, uint32_t attempt)
{
    struct fleet *f = ctx;

    log_warn("job.lost", KV("job", id), KV("attempt", attempt));
    tell_hub(f, id, attempt, JOB_LOST);
}

void jobs_agent_gone(struct fleet *f, struct proc *agent)
{
    lanes_lost(f->lanes, agent->instance, lost, f);
    loop_defer(f->loop, &f->dispatch, LOOP_COMMIT);
}

int jobs_on_submit(struct fleet *f, struct link *from, struct ipc_job_submit *m, struct err *e)
{
    struct lane_job j = {.id = m->job_id,
                         .attempt = m->attempt,
                         .timeout_ms = m->timeout_ms,
                         .lane = m->lane,
                         .session = m->session,
                         .payload = m->payload};
    enum lane_known known = LANE_NEW;
    struct err why = ERR_INIT;

    (void)from;
    (void)e;
    if (lanes_push(f->lanes, &j, &known, &why) < 0) {
        log_warn("job.refused", KV("job", j.id), KV("why", why.text));
        tell_hub(f, j.id, j.attempt, JOB_REFUSED);
        return 0;
    }
    if (known == LANE_NEW) {
        (void)fd_take(&m->payload);
        changed(f);
        loop_defer(f->loop, &f->dispatch, LOOP_COMMIT);
    } else if (known == LANE_RUNNING) {
        tell_hub(f, j.id, j.attempt, JOB_STARTED);
    }
    return 0;
}

int jobs_on_cancel(struct fleet *f, struct link *from, struct ipc_job_cancel *m, struct err *e)
{
    unsigned agent = 0;
    struct err why = ERR_INIT;

    (void)from;
    (void)e;
    switch (lanes_cancel(f->lanes, m->job_id, &agent)) {
    case LANE_RUNNING:
        for (unsigned i = 0; i < f->count; i++)
            if (f->proc[i].role == ROLE_AGENT && f->proc[i].instance == agent && f->proc[i].link &&
                msg_send_job_abort(f->proc[i].link, &(struct ipc_job_abort){.job_id = m->job_id},
                                   &why) < 0)
                log_warn("job.not_aborted", KV("job", m->job_id), KV("why", why.text));
        break;
    case LANE_WAITING:
        tell_hub(f, m->job_id, 0, JOB_CANCELLED);
        changed(f);
        break;
    case LANE_NEW:
        break;
    }
    return 0;
}

int jobs_on_done(struct fleet *f, struct link *from, struct ipc_job_done *m, struct err *e)
{
    (void)from;
    (void)e;
    if (lanes_done(f->lanes, m->job_id, m->attempt)) {
        if (m->refused)
            tell_hub(f, m->job_id, m->attempt, JOB_REFUSED);
        recycle_go_on(f);
        changed(f);
        loop_defer(f->loop, &f->dispatch, LOOP_COMMIT);
    }
    return 0;
}
