#include "fleet.h"

#include "buf.h"
#include "clock.h"
#include "fd.h"
#include "forkservers.h"
#include "log.h"
#include "logsink.h"
#include "notify.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

enum { SLICE_MAX = 4 * 1024 * 1024, LINE_BYTES = 1024 * 1024 };

const char *proc_name(const struct proc *p, char out[64])
{
    if (p->channel)
        (void)snprintf(out, 64, "channel-%.20s/%.30s", p->channel->id, p->channel->account);
    else
        (void)snprintf(out, 64, "%s#%u", role_name(p->role) + sizeof("openclaw-") - 1, p->instance);
    return out;
}

struct proc *fleet_up(struct fleet *f, enum role role)
{
    for (unsigned i = 0; i < f->count; i++)
        /* dead but not yet reaped is UP without a link */
        if (f->proc[i].role == role && f->proc[i].fsm.state == FSM_UP && f->proc[i].link)
            return &f->proc[i];
    return NULL;
}

bool fleet_all_up(const struct fleet *f)
{
    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].fsm.state != FSM_UP && f->proc[i].role != ROLE_CHANNEL &&
            f->proc[i].fsm.wanted)
            return false; /* a platform that is not there keeps nobody else waiting */
    return f->count > 0;
}

/* -- events of one process -- */
static void drop_link(struct proc *p)
{
    link_close(&p->link);
}

static void act(struct proc *p, enum fsm_action a);

void proc_event(struct proc *p, enum fsm_event ev)
{
    act(p, fsm_step(&p->fsm, ev, loop_now_ms(p->fleet->loop)));
}

static void on_link_close(void *ctx, struct link *l, const struct err *why)
{
    struct proc *p = ctx;
    char name[64];

    (void)l;
    drop_link(p);
    if (p->pid == 0 || p->fsm.state == FSM_STOPPING)
        return;
    if (why->code != ERR_CLOSED) { /* it broke a rule of the table */
        log_error("worker.broke_protocol", KV("worker", proc_name(p, name)), KV("why", why->text));
        proc_event(p, FSM_EV_HUNG);
    } /* else its end follows */
}

/* Its process, with the other end of *line as fd 3: a copy of its program's fork server where there
 * is one. */
static int give_birth(struct proc *p, const char *program, int *line, struct err *e)
{
    struct fleet *f = p->fleet;
    char title[64 + CHANNEL_ID_MAX + CHANNEL_ACCOUNT_MAX];
    bool copied = p->channel && forkserver_of(f, program) == FORKSERVER_READY;
    int s[2], cgroup, r;

    if (p->channel)
        (void)snprintf(title, sizeof(title), "%s %s", program, p->channel->account);
    else
        (void)snprintf(title, sizeof(title), "%s %u", program, p->instance);
    do { /* a second time with another line: a copy that comes late must not share it */
        struct spawn how = {.program = program, .title = title};

        if ((r = fd_pair(s, LINE_BYTES, e)) < 0)
            return r;
        cgroup = cgroup_make(&f->cgroups, (unsigned)(p - f->proc), recycle_soft(f, p->role),
                             recycle_hard(f, p->role));
        how.sock = s[1];
        how.cgroup = cgroup;
        r = copied ? forkserver_spawn(f, &how, &p->pid, e)
                   : spawn_worker(&f->conf.cage, f->conf.exe_dir, p->role, &how, &p->pid, e);
        fd_close(&cgroup);
        fd_close(&s[1]);
        if (r < 0)
            fd_close(&s[0]);
    } while (r < 0 && copied && !(copied = false));
    p->copied = copied;
    if (r == 0)
        *line = s[0];
    return r;
}

static int start_proc(struct proc *p, struct err *e)
{
    struct fleet *f = p->fleet;
    struct link_conf conf = {.me = ROLE_SUPERVISOR,
                             .peer = p->role,
                             .instance = p->instance,
                             .generation = ++f->next_generation,
                             .on = &fleet_inbox,
                             .ctx = p,
                             .on_close = on_link_close};
    const char *program = p->channel ? p->channel->program : role_name(p->role);
    struct buf slice;
    int line = -1, r;

    p->awaits = p->channel && forkserver_of(f, program) == FORKSERVER_LATER;
    if (p->awaits)
        return 0;
    p->generation = conf.generation;
    p->spawned_ns = clock_mono_ns();
    p->unanswered = 0;
    p->linked = false;
    p->suspect = 0;
    p->conns = 0;
    if ((r = give_birth(p, program, &line, e)) < 0 ||
        (r = link_open(&p->link, f->loop, line, &conf, e)) < 0)
        return r;
    if (p->role == ROLE_FRONT && f->conf.keys && (r = f->conf.keys(f->conf.ctx, p->link, e)) < 0)
        return r;
    if (p->role == ROLE_FILES && f->conf.folders &&
        (r = f->conf.folders(f->conf.ctx, p->link, e)) < 0)
        return r;
    buf_init(&slice, SLICE_MAX);
    slice.secret = true;
    r = p->channel ? channels_slice(p, &slice, e) : f->conf.slice(f->conf.ctx, p->role, &slice, e);
    if (r == 0)
        r = msg_send_config(p->link, &(struct ipc_config){.slice = buf_view(&slice)}, e);
    if (r == 0)
        r = msg_send_log_level(p->link, &(struct ipc_log_level){.level = (uint32_t)log_level()}, e);
    buf_fini(&slice);
    return r;
}

static void on_timer(void *ctx)
{
    struct proc *p = ctx;
    char name[64];

    switch (p->fsm.state) {
    case FSM_STARTING:
        log_error("worker.start_timeout", KV("worker", proc_name(p, name)),
                  KV("limit_ms", p->fleet->conf.start_ms));
        proc_event(p, FSM_EV_HUNG);
        break;
    case FSM_STOPPING:
        log_warn("worker.stop_timeout", KV("worker", proc_name(p, name)));
        proc_event(p, FSM_EV_HUNG);
        break;
    case FSM_BACKOFF:
    case FSM_FAILED:
        proc_event(p, FSM_EV_TIMER);
        break;
    case FSM_DOWN:
    case FSM_UP:
    case FSM_STATE_COUNT:
        break;
    }
}

static void check_all_gone(struct fleet *f)
{
    if (!f->stopping)
        return;
    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].pid || f->proc[i].fsm.state != FSM_DOWN)
            return;
    loop_timer_clear(&f->kill_all);
    f->conf.on_stopped(f->conf.ctx);
}

static void spawn(struct proc *p)
{
    struct err e = ERR_INIT;
    char name[64];

    if (start_proc(p, &e) == 0) {
        log_debug("worker.started", KV("worker", proc_name(p, name)), KV("child", p->pid));
        return;
    }
    log_error("worker.spawn_failed", KV("worker", proc_name(p, name)), KV("why", e.text));
    drop_link(p);
    if (p->pid) { /* forked, but we cannot talk to it */
        (void)kill(p->pid, SIGKILL);
        return;
    }
    p->fsm.crowd = FSM_BURST; /* nothing forked: no use to try again at once */
    proc_event(p, FSM_EV_EXIT);
}

/* It waited for its fork server and is not wanted any more. */
static void not_born(struct proc *p)
{
    p->awaits = false;
    loop_timer_clear(&p->timer);
    proc_event(p, FSM_EV_EXIT);
    channels_ended(p);
}

void fleet_go_on(struct fleet *f, const char *program)
{
    for (unsigned i = 0; i < f->count; i++) {
        struct proc *p = &f->proc[i];

        if (p->awaits && p->channel && strcmp(p->channel->program, program) == 0)
            spawn(p);
    }
}

static void act(struct proc *p, enum fsm_action a)
{
    struct fleet *f = p->fleet;
    struct err e = ERR_INIT;
    char name[64];

    switch (a) {
    case FSM_SPAWN:
        loop_timer_set(&p->timer, f->conf.start_ms);
        spawn(p);
        break;
    case FSM_ANNOUNCE:
        loop_timer_clear(&p->timer);
        recycle_look(p);
        wires_announce(p);
        recycle_go_on(f);
        break;
    case FSM_KILL:
        if (p->pid)
            (void)kill(p->pid, SIGKILL);
        else if (p->awaits) {
            forkserver_drop(f, p->channel->program);
            not_born(p);
        }
        break;
    case FSM_TELL: {
        uint32_t grace = p->brief ? 0 : p->role == ROLE_HUB ? f->conf.drain_ms : FLEET_KILL_MS;

        if (p->awaits) {
            not_born(p);
            break;
        }
        loop_timer_set(&p->timer, grace + FLEET_KILL_MS);
        if (!p->link || msg_send_stop(p->link, &(struct ipc_stop){.grace_ms = grace}, &e) < 0)
            (void)kill(p->pid, SIGKILL);
        break;
    }
    case FSM_WAIT:
        log_warn(p->fsm.state == FSM_FAILED ? "worker.given_up" : "worker.backoff",
                 KV("worker", proc_name(p, name)), KV("wait_ms", p->fsm.wait_ms));
        loop_timer_set(&p->timer, p->fsm.wait_ms);
        break;
    case FSM_REST:
        loop_timer_clear(&p->timer);
        break;
    case FSM_BUG:
        log_error("worker.unexpected_event", KV("worker", proc_name(p, name)),
                  KV("state", fsm_state_name(p->fsm.state)));
        break;
    case FSM_NOTHING:
        break;
    }
    fleet_changed(f);
    check_all_gone(f);
}

/* -- the end of processes -- */
static void stop_role(struct fleet *f, enum role role)
{
    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].role == role)
            proc_event(&f->proc[i], FSM_EV_STOP);
}

void fleet_hub_done(struct fleet *f)
{
    if (!f->stopping || f->hub_done)
        return;
    f->hub_done = true;
    stop_role(f, ROLE_FRONT);
    stop_role(f, ROLE_AGENT);
    stop_role(f, ROLE_CHANNEL);
    stop_role(f, ROLE_WHOIS);
    stop_role(f, ROLE_FETCH);
    stop_role(f, ROLE_FILES);
    stop_role(f, ROLE_SCRIPT);
}

static const char *why_ended(int status)
{
    static const char *const words[] = {
        [EXIT_ASKED] = "by itself",
        [EXIT_FAILED] = "as it says above",
        [EXIT_NEVER] = "its configuration",
        [EXIT_STORAGE] = ("its storage failed: nothing unanswered is kept, it is opened again and "
                          "checked; look at the disk and its log"),
    };

    if (WIFSIGNALED(status))
        return "killed";
    return WEXITSTATUS(status) < (int)COUNT_OF(words) ? words[WEXITSTATUS(status)] : "not started";
}

static void exited(struct proc *p, int status)
{
    struct fleet *f = p->fleet;
    bool asked = p->fsm.state == FSM_STOPPING;
    bool refused = WIFEXITED(status) && WEXITSTATUS(status) == 2;
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    char name[64];

    if (asked && !sig && WEXITSTATUS(status) == 0)
        log_info("worker.stopped", KV("worker", proc_name(p, name)), KV("child", p->pid));
    else
        log_warn("worker.died", KV("worker", proc_name(p, name)), KV("child", p->pid),
                 KV("signal", sig), KV("exit", sig ? 0 : WEXITSTATUS(status)),
                 KV("state", fsm_state_name(p->fsm.state)), KV("why", why_ended(status)));
    p->pid = 0;
    recycle_ended(p);
    p->restarts++;
    loop_timer_clear(&p->timer);
    drop_link(p);
    if (p->role == ROLE_FRONT)
        conns_front_gone(f, p);
    if (p->role == ROLE_AGENT)
        jobs_agent_gone(f, p);
    /* lines end before the kernel tells of a death: then it was the hub's, and nobody broke a rule
     */
    for (unsigned i = 0; i < f->count && p->role == ROLE_HUB; i++)
        f->proc[i].suspect = 0;
    /* an account whose program or platform is not there is not tried every few seconds for hours */
    p->fsm.gave_up = p->role == ROLE_CHANNEL && !sig && WEXITSTATUS(status) == EXIT_FAILED;
    proc_event(p, refused ? FSM_EV_REFUSED : FSM_EV_EXIT);
    if (p->role == ROLE_FRONT)
        conns_fronts_changed(f);
    channels_ended(p);
    if (p->role == ROLE_HUB)
        fleet_hub_done(f);
    check_all_gone(f);
}

void fleet_reap(struct fleet *f)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return;
        for (unsigned i = 0; i < f->count; i++)
            if (f->proc[i].pid == pid) {
                struct proc *p = &f->proc[i];

                if (p->link) /* its last lines, before the cause is logged */
                    link_drain(p->link);
                exited(p, status);
                break;
            }
        forkserver_reaped(f, pid, status);
    }
}

static void on_ping_time(void *ctx)
{
    struct fleet *f = ctx;
    struct err e = ERR_INIT;
    char name[64];

    notify_send(V("WATCHDOG=1")); /* the service manager's question is ours to the workers */
    for (unsigned i = 0; i < f->count; i++) {
        struct proc *p = &f->proc[i];

        if (p->fsm.state != FSM_UP || !p->link)
            continue;
        if (p->unanswered * (uint64_t)f->conf.heartbeat_ms >= f->conf.hang_ms) {
            log_error("worker.hung", KV("worker", proc_name(p, name)), KV("child", p->pid));
            proc_event(p, FSM_EV_HUNG);
            continue;
        }
        if (p->suspect && --p->suspect == 0) {
            log_warn("worker.cut_off", KV("worker", proc_name(p, name)));
            proc_event(p, FSM_EV_HUNG);
            continue;
        }
        p->unanswered++;
        if (msg_send_ping(p->link, &(struct ipc_ping){.seq = p->generation}, &e) < 0)
            log_warn("worker.unpingable", KV("worker", proc_name(p, name)), KV("why", e.text));
        recycle_check(p);
    }
    loop_timer_set(&f->ping, f->conf.heartbeat_ms);
}

/* -- the fleet -- */
static void on_kill_all(void *ctx)
{
    struct fleet *f = ctx;

    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].pid)
            (void)kill(f->proc[i].pid, SIGKILL);
}

int fleet_add(struct fleet *f, enum role role, unsigned instance, struct proc **out, struct err *e)
{
    struct proc *p = &f->proc[f->count];

    if (f->count >= FLEET_PROCS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d processes", FLEET_PROCS_MAX);
    *p = (struct proc){.fleet = f, .role = role, .instance = instance};
    loop_timer_init(&p->timer, f->loop, on_timer, p);
    f->count++;
    if (out)
        *out = p;
    return 0;
}

int fleet_new(struct fleet **out, struct loop *l, const struct fleet_conf *conf, struct err *e)
{
    struct fleet *f = NULL;
    const char *why;
    int r;

    if ((r = mem_new(&f, sizeof(*f), e)) < 0)
        return r;
    f->loop = l;
    f->conf = *conf;
    cgroups_init(&f->cgroups, &why);
    log_info("memory.limits", KV("by", f->cgroups.on ? "cgroup" : "watch"),
             KV("why", f->cgroups.on ? "" : why));
    f->next_generation = (uint64_t)clock_wall_ms()
                         << 16; /* never the same twice, also across our own restarts */
    f->dispatch.run = jobs_dispatch;
    f->dispatch.ctx = f;
    loop_timer_init(&f->ping, l, on_ping_time, f);
    loop_timer_init(&f->tell, l, wires_tell_hub, f);
    loop_timer_init(&f->kill_all, l, on_kill_all, f);
    logsink_follow(l, wires_send_logs, f);
    if ((r = jobs_init(f, e)) < 0 || (r = conns_new(&f->conns, f, e)) < 0 ||
        (r = fleet_add(f, ROLE_HUB, 0, NULL, e)) < 0)
        goto out;
    for (unsigned i = 0; i < conf->fronts && r == 0; i++)
        r = fleet_add(f, ROLE_FRONT, i, NULL, e);
    for (unsigned i = 0; i < conf->agents && r == 0; i++)
        r = fleet_add(f, ROLE_AGENT, i, NULL, e);
out:
    if (r < 0)
        fleet_free(&f);
    else
        *out = f;
    return r;
}

int fleet_start(struct fleet *f, struct err *e)
{
    (void)e;
    f->started = true;
    for (unsigned i = 0; i < f->count; i++)
        proc_event(&f->proc[i], FSM_EV_START);
    loop_timer_set(&f->ping, f->conf.heartbeat_ms);
    return 0;
}

void fleet_stop(struct fleet *f)
{
    if (f->stopping) { /* asked twice by a person, not by a script that signals the group and the
                          process: no more patience */
        if (loop_now_ms(f->loop) - f->stopping_ms > FLEET_PATIENCE_MS)
            on_kill_all(f);
        return;
    }
    f->stopping = true;
    f->stopping_ms = loop_now_ms(f->loop);
    conns_stop(f->conns);
    loop_timer_set(&f->kill_all, f->conf.drain_ms + 3 * (uint64_t)FLEET_KILL_MS);
    if (fleet_up(f, ROLE_HUB)) {
        stop_role(f, ROLE_HUB);
    } else {
        stop_role(f, ROLE_HUB);
        fleet_hub_done(f);
    }
    check_all_gone(f);
}

void fleet_reconfigure(struct fleet *f, enum role role, bool restart)
{
    struct err e = ERR_INIT;
    struct buf slice;

    for (unsigned i = 0; i < f->count; i++) {
        struct proc *p = &f->proc[i];

        if (p->role != role)
            continue;
        if (p->fsm.state == FSM_FAILED || p->fsm.state == FSM_BACKOFF) {
            proc_event(p, FSM_EV_START);
            continue;
        }
        if (!p->link || (restart && p->retiring))
            continue;
        if (restart) { /* STOP, then wanted again: its exit starts it with the new slice */
            proc_event(p, FSM_EV_STOP);
            proc_event(p, FSM_EV_START);
            continue;
        }
        buf_init(&slice, SLICE_MAX);
        slice.secret = true;
        if (f->conf.slice(f->conf.ctx, role, &slice, &e) < 0 ||
            msg_send_config(p->link, &(struct ipc_config){.slice = buf_view(&slice)}, &e) < 0)
            log_error("config.not_sent", KV("role", role_name(role)), KV("why", e.text));
        buf_fini(&slice);
    }
}

int fleet_want(struct fleet *f, enum role role, bool wanted, struct err *e)
{
    struct proc *p = NULL;
    int r;

    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].role == role)
            p = &f->proc[i];
    if (!p && !wanted)
        return 0;
    if (!p && (r = fleet_add(f, role, 0, &p, e)) < 0)
        return r;
    if (f->started && !f->stopping)
        proc_event(p, wanted ? FSM_EV_START : FSM_EV_STOP);
    return 0;
}

void fleet_send_keys(struct fleet *f)
{
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].role == ROLE_FRONT && f->proc[i].link && f->conf.keys &&
            f->conf.keys(f->conf.ctx, f->proc[i].link, &e) < 0)
            log_error("tls.not_sent", KV("why", e.text));
}

void fleet_log_level(struct fleet *f, uint32_t level)
{
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].link &&
            msg_send_log_level(f->proc[i].link, &(struct ipc_log_level){.level = level}, &e) < 0)
            log_warn("log_level.not_sent", KV("why", e.text));
}

void fleet_free(struct fleet **fp)
{
    struct fleet *f = *fp;

    if (!f)
        return;
    for (unsigned i = 0; i < f->count; i++) {
        loop_timer_fini(&f->proc[i].timer);
        link_close(&f->proc[i].link);
        if (f->proc[i].pid)
            (void)kill(f->proc[i].pid, SIGKILL);
    }
    loop_timer_fini(&f->ping);
    loop_timer_fini(&f->tell);
    loop_timer_fini(&f->kill_all);
    loop_undefer(f->loop, &f->dispatch);
    logsink_unfollow();
    cgroups_fini(&f->cgroups);
    forkserver_free(f);
    channels_free(f);
    lanes_free(&f->lanes);
    conns_free(&f->conns);
    mem_free(f);
    *fp = NULL;
}
