/* supervisor/inbox.c - what workers say to the supervisor. ctx of every handler is the worker's
 * struct proc. */
#include "fleet.h"
#include "log.h"
#include "logsink.h"
#include "workspaces.h"

#include <inttypes.h>

/* -- what workers say -- */
static int on_hello(void *ctx, struct link *from, struct ipc_hello *m, struct err *e)
{
    struct proc *p = ctx;

    (void)from;
    if (m->schema != msg_schema())
        return err_set(e, ERR_INVALID, "another build: schema %" PRIx64 ", ours %" PRIx64,
                       m->schema, msg_schema());
    if (!view_eq(m->role, view_str(role_name(p->role))))
        return err_set(e, ERR_INVALID, "says it is another role");
    return 0;
}

/* What the kernel says of it, now that it claims to be in its sandbox. */
static bool caged(struct proc *p, uint32_t said)
{
    struct fleet *f = p->fleet;
    struct confine_view *v = &p->cage;
    char name[64], have[256], lack[256];
    uint32_t missing;

    confine_look(v, &f->conf.cage, p->role, p->pid, said, p->copied);
    p->by_cgroup =
        cgroup_holds(&f->cgroups, (unsigned)(p - f->proc), p->pid, recycle_hard(f, p->role));
    missing = v->wanted & ~v->in_force;
    log_info("worker.sandbox", KV("worker", proc_name(p, name)), KV("child", p->pid),
             KV("uid", v->uid), KV("layers", confine_names(v->wanted & v->in_force, have)),
             KV("landlock", v->landlock_abi), KV("missing", confine_names(missing, lack)),
             KV("memory_kib", recycle_soft(f, p->role) / KIB),
             KV("memory_by", p->by_cgroup ? "cgroup" : "watch"));
    if (!missing || !f->conf.cage.required)
        return true;
    log_error("sandbox.incomplete", KV("worker", name), KV("missing", lack),
              KV("why",
                 "sandbox.mode is \"required\", and this machine does not give these layers; "
                 "start as root, change the kernel or container, or set it to \"best-effort\""));
    f->conf.on_uncaged(f->conf.ctx);
    return false;
}

static int on_ready(void *ctx, struct link *from, struct ipc_ready *m, struct err *e)
{
    struct proc *p = ctx;

    (void)e;
    link_set_running(from);
    if (!caged(p, m->sandbox))
        return 0; /* the fleet is about to be stopped */
    proc_event(p, FSM_EV_READY);
    return 0;
}

static int on_pong(void *ctx, struct link *from, struct ipc_pong *m, struct err *e)
{
    struct proc *p = ctx;

    (void)from;
    (void)e;
    if (m->seq == p->generation)
        p->unanswered = 0;
    return 0;
}

static int on_log(void *ctx, struct link *from, struct ipc_log *m, struct err *e)
{
    struct proc *p = ctx;
    char name[64];

    (void)from;
    (void)e;
    logsink_write(m->level < LOG_LEVEL_COUNT ? (enum log_level)m->level : LOG_ERROR, m->event,
                  proc_name(p, name), (int)p->pid, m->fields);
    return 0;
}

/* Both ends tell; when both processes are still the ones that were connected, one of them broke a
 * rule. The hub is what everybody needs, so the other one goes; a ping interval later at least, in
 * case one of them is just dying. */
static int on_link_lost(void *ctx, struct link *from, struct ipc_link_lost *m, struct err *e)
{
    struct proc *p = ctx;
    struct fleet *f = p->fleet;

    (void)from;
    (void)e;
    for (unsigned i = 0; i < f->count; i++) {
        struct proc *q = &f->proc[i];

        if (q->generation != m->generation || q->instance != m->instance ||
            !view_eq(m->role, view_str(role_name(q->role))) || q->fsm.state != FSM_UP)
            continue;
        if (p->role == ROLE_HUB)
            q->suspect = FLEET_SUSPECT_PINGS;
        else
            p->suspect = FLEET_SUSPECT_PINGS;
    }
    return 0;
}

static int on_conn_state(void *ctx, struct link *from, struct ipc_conn_state *m, struct err *e)
{
    struct proc *p = ctx;

    (void)from;
    return conns_on_state(p->fleet, p, m, e);
}

static int on_channel_run(void *ctx, struct link *from, struct ipc_channel_run *m, struct err *e)
{
    (void)from;
    (void)e;
    channels_run(((struct proc *)ctx)->fleet, m->channel, m->account, m->run);
    return 0;
}

static int on_worker_want(void *ctx, struct link *from, struct ipc_worker_want *m, struct err *e)
{
    /* the others are not the hub's to say */
    static const enum role may[] = {ROLE_FETCH, ROLE_FILES, ROLE_SCRIPT};

    (void)from;
    for (size_t i = 0; i < COUNT_OF(may); i++)
        if (view_eq(m->role, view_str(role_name(may[i]))))
            return fleet_want(((struct proc *)ctx)->fleet, may[i], m->wanted, e);
    return err_set(e, ERR_INVALID, "worker_want: role");
}

static int on_job_submit(void *ctx, struct link *from, struct ipc_job_submit *m, struct err *e)
{
    return jobs_on_submit(((struct proc *)ctx)->fleet, from, m, e);
}

static int on_job_cancel(void *ctx, struct link *from, struct ipc_job_cancel *m, struct err *e)
{
    return jobs_on_cancel(((struct proc *)ctx)->fleet, from, m, e);
}

static int on_job_done(void *ctx, struct link *from, struct ipc_job_done *m, struct err *e)
{
    return jobs_on_done(((struct proc *)ctx)->fleet, from, m, e);
}

static int on_config_write(void *ctx, struct link *from, struct ipc_config_write *m, struct err *e)
{
    struct fleet *f = ((struct proc *)ctx)->fleet;

    return f->conf.on_config_write(f->conf.ctx, from, m, e);
}

static int on_agent_files(void *ctx, struct link *from, struct ipc_agent_files *m, struct err *e)
{
    struct fleet *f = ((struct proc *)ctx)->fleet;

    return workspaces_on_ask(f->conf.workspaces, from, m, e);
}

static int on_usage_ask(void *ctx, struct link *from, struct ipc_usage_ask *m, struct err *e)
{
    return usage_on_ask(((struct proc *)ctx)->fleet, from, m, e);
}

static int on_drained(void *ctx, struct link *from, struct ipc_drained *m, struct err *e)
{
    struct proc *p = ctx;

    (void)from;
    (void)e;
    log_info("gateway.drained", KV("runs_left", m->runs_left));
    fleet_hub_done(p->fleet);
    return 0;
}

const struct ipc_handlers fleet_inbox = {
    .hello = on_hello,
    .ready = on_ready,
    .pong = on_pong,
    .log = on_log,
    .link_lost = on_link_lost,
    .conn_state = on_conn_state,
    .channel_run = on_channel_run,
    .worker_want = on_worker_want,
    .config_write = on_config_write,
    .agent_files = on_agent_files,
    .usage_ask = on_usage_ask,
    .job_submit = on_job_submit,
    .job_cancel = on_job_cancel,
    .job_done = on_job_done,
    .drained = on_drained,
};
