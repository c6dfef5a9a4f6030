/*
 * supervisor/recycle.c - a worker that grows is replaced before it is a problem. At each heartbeat
 * the memory of its own (resident and not of a file: the hub's database does not count) is read
 * from /proc/PID/statm. Above the soft limit twice in a row: a front or an agent gets a successor
 * beside it, is handed nothing new and leaves when the successor is up and, for an agent, its jobs
 * are done; the hub, and a channel, of which there may not be two, stop and begin again from the
 * store. Above the hard one it is ended, which is a crash.
 */
#include "fd.h"
#include "fleet.h"
#include "log.h"
#include "num.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
    PATIENCE = 2,                 /* a large message comes and goes */
    EVERY_MS = 60 * 1000,         /* one of a class at a time: nobody is replaced in circles */
    TELL_BYTES = 4 * 1024 * 1024, /* the hub hears of a change of this size */
#ifdef OPENCLAW_SANITIZED
    TIMES = 16, /* freed memory is kept for a while, and there is a shadow of all of it */
#else
    TIMES = 1,
#endif
};

uint64_t recycle_soft(const struct fleet *f, enum role role)
{
    const struct cage *cage = cage_of(role);
    uint64_t own = f->conf.cage.memory[role];

    return TIMES * (own ? own : cage ? cage->memory : 0);
}

uint64_t recycle_hard(const struct fleet *f, enum role role)
{
    return 2 * recycle_soft(f, role);
}

/* "size resident shared ...", in pages; the shared ones are those of files. */
static bool own_memory(pid_t pid, uint64_t *out)
{
    char path[64], text[256];
    uint64_t number[3] = {0};
    struct err e = ERR_INIT;
    struct view v;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    fd_close(&fd);
    v = n > 0 ? view_of(text, (size_t)n) : VIEW_EMPTY;
    for (unsigned i = 0; i < COUNT_OF(number); i++) {
        size_t end = view_find(v, ' ');

        if (num_u64(view_of(v.p, end), 0, UINT64_MAX / 65536, &number[i], &e) < 0)
            return false;
        v = view_from(v, end + 1);
    }
    if (number[1] < number[2])
        return false;
    *out = (number[1] - number[2]) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

void recycle_look(struct proc *p)
{
    uint64_t bytes;

    if (!p->pid || !own_memory(p->pid, &bytes))
        return;
    p->memory = bytes;
    if (bytes > p->memory_told + TELL_BYTES || p->memory_told > bytes + TELL_BYTES) {
        p->memory_told = bytes;
        fleet_changed(p->fleet);
    }
}

/* -- one that goes -- */
static struct proc *spare(struct fleet *f, enum role role)
{
    struct proc *p = NULL;
    struct err e = ERR_INIT;
    unsigned n = 0;

    for (unsigned i = 0; i < f->count; i++) {
        struct proc *q = &f->proc[i];

        if (q->role != role)
            continue;
        n++;
        if (q->fsm.state == FSM_DOWN && !q->fsm.wanted && !q->pid)
            return q;
    }
    return fleet_add(f, role, n, &p, &e) == 0 ? p : NULL;
}

static void again(struct proc *p)
{
    p->brief = p->role == ROLE_HUB; /* a channel finishes what it is sending */
    proc_event(p, FSM_EV_STOP);
    proc_event(p, FSM_EV_START);
}

static void replace(struct proc *p)
{
    struct fleet *f = p->fleet;
    struct proc *next = p->role == ROLE_FRONT || p->role == ROLE_AGENT ? spare(f, p->role) : NULL;

    if (!next) {
        again(p);
        return;
    }
    p->retiring = true;
    p->fsm.wanted = false; /* whatever ends it: the other one is there instead */
    p->successor = next;
    proc_event(next, FSM_EV_START);
}

/* Its successor serves: what it still has to do is all that keeps it. */
void recycle_go_on(struct fleet *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        struct proc *p = &f->proc[i];

        if (!p->retiring || p->fsm.state != FSM_UP || p->successor->fsm.state != FSM_UP)
            continue;
        if (p->role == ROLE_AGENT && lanes_running_on(f->lanes, p->instance))
            continue;
        proc_event(p, FSM_EV_STOP);
    }
}

void recycle_check(struct proc *p)
{
    struct fleet *f = p->fleet;
    uint64_t soft = recycle_soft(f, p->role), now = loop_now_ms(f->loop);
    char name[64];

    recycle_look(p);
    if (p->memory > recycle_hard(f, p->role)) {
        log_error("worker.over_memory", KV("worker", proc_name(p, name)), KV("child", p->pid),
                  KV("kib", p->memory / KIB), KV("limit_kib", recycle_hard(f, p->role) / KIB));
        proc_event(p, FSM_EV_HUNG);
        return;
    }
    if (p->memory <= soft || p->retiring) {
        p->over = 0;
        return;
    }
    if (++p->over < PATIENCE || f->stopping)
        return;
    if (f->recycled_ms[p->role] && now - f->recycled_ms[p->role] < EVERY_MS)
        return;
    f->recycled_ms[p->role] = now;
    p->over = 0;
    log_warn("worker.recycled", KV("worker", proc_name(p, name)), KV("child", p->pid),
             KV("kib", p->memory / KIB), KV("limit_kib", soft / KIB));
    replace(p);
}

/* Its process is gone. */
void recycle_ended(struct proc *p)
{
    struct fleet *f = p->fleet;
    unsigned slot = (unsigned)(p - f->proc);
    char name[64];

    if (cgroup_kills(&f->cgroups, slot))
        log_error("worker.over_memory", KV("worker", proc_name(p, name)),
                  KV("limit_kib", recycle_hard(f, p->role) / KIB), KV("by", "cgroup"));
    cgroup_remove(&f->cgroups, slot);
    p->retiring = p->brief = false;
    p->successor = NULL;
    p->over = 0;
    p->memory = p->memory_told = 0;
}
