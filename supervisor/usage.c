/* supervisor/usage.c - what processes use, read from /proc when the hub asks for it (/metrics). */
#include "fd.h"
#include "fleet.h"
#include "jw.h"
#include "log.h"
#include "num.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static bool read_proc(pid_t pid, const char *name, char *out, size_t room)
{
    char path[64];
    int fd;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    n = read(fd, out, room - 1);
    fd_close(&fd);
    if (n <= 0)
        return false;
    out[n] = 0;
    return true;
}

/* The i-th word from 0. */
static struct view word(struct view v, unsigned i)
{
    while (i--) {
        size_t at = view_find(v, ' ');

        v = view_from(v, at + 1);
    }
    return view_of(v.p, view_find(v, ' '));
}

static void put_cpu(struct jw *w, pid_t pid)
{
    char text[1024];
    struct view v;
    uint64_t user, sys;
    struct err e = ERR_INIT;
    long ticks = sysconf(_SC_CLK_TCK);
    const char *end;

    if (!read_proc(pid, "stat", text, sizeof(text)) || !(end = strrchr(text, ')')) || ticks <= 0)
        return;
    v = view_from(view_str(end), 2); /* from the state on: field 3 of proc(5) */
    if (num_u64(word(v, 11), 0, UINT64_MAX, &user, &e) == 0 &&
        num_u64(word(v, 12), 0, UINT64_MAX, &sys, &e) == 0)
        jw_ku64(w, "cpuMs", (user + sys) * 1000 / (uint64_t)ticks);
}

/* "Pss:      123 kB" */
static void put_memory(struct jw *w, pid_t pid)
{
    static const struct {
        const char *line, *key;
    } rows[] = {{"\nPss:", "pssKib"}, {"\nRss:", "rssKib"}};
    char text[2048];
    uint64_t n;
    struct err e = ERR_INIT;

    if (!read_proc(pid, "smaps_rollup", text, sizeof(text)))
        return;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *at = strstr(text, rows[i].line);
        struct view v;

        if (!at)
            continue;
        v = view_trim(view_str(at + 5));
        if (num_u64(view_of(v.p, view_find(v, ' ')), 0, UINT64_MAX, &n, &e) == 0)
            jw_ku64(w, rows[i].key, n);
    }
}

static void put_process(struct jw *w, const char *role, unsigned instance, pid_t pid,
                        unsigned restarts, bool up)
{
    struct view name = view_str(role), before = V("openclaw-");

    jw_obj(w);
    jw_kstr(w, "role", view_starts(name, before) ? view_from(name, before.n) : name);
    jw_ku64(w, "instance", instance);
    jw_ku64(w, "restarts", restarts);
    jw_ku64(w, "up", up);
    if (pid > 0) {
        put_cpu(w, pid);
        put_memory(w, pid);
    }
    jw_obj_end(w);
}

int usage_on_ask(struct fleet *f, struct link *from, const struct ipc_usage_ask *m, struct err *e)
{
    struct buf b = BUF_INIT(256 * KIB);
    struct jw w = JW_INIT(&b);
    int r;

    jw_obj(&w);
    jw_key(&w, "processes");
    jw_arr(&w);
    put_process(&w, "supervisor", 0, getpid(), 0, true);
    for (unsigned i = 0; i < f->count; i++) {
        const struct proc *p = &f->proc[i];

        if (p->role != ROLE_CHANNEL || p->channel)
            put_process(&w, role_name(p->role), p->instance, p->pid, p->restarts,
                        p->fsm.state == FSM_UP);
    }
    jw_arr_end(&w);
    jw_obj_end(&w);
    if ((r = buf_check(&b, e)) == 0)
        r = msg_send_usage(from, &(struct ipc_usage){.seq = m->seq, .doc = buf_view(&b)}, e);
    buf_fini(&b);
    return r;
}
