/* supervisor/wires.c - direct lines between workers, and what the hub is told about the fleet. */
#include "clock.h"
#include "fd.h"
#include "fleet.h"
#include "jw.h"
#include "log.h"
#include "logsink.h"

/* Who talks to whom directly. */
static const struct {
    enum role a, b;
} wires[] = {{ROLE_FRONT, ROLE_HUB}, {ROLE_AGENT, ROLE_HUB}, {ROLE_CHANNEL, ROLE_HUB},
             {ROLE_WHOIS, ROLE_HUB}, {ROLE_FETCH, ROLE_HUB}, {ROLE_FILES, ROLE_HUB},
             {ROLE_SCRIPT, ROLE_HUB}};

/* -- telling the hub how things are -- */
void wires_tell_hub(void *ctx)
{
    struct fleet *f = ctx;
    struct proc *hub = fleet_up(f, ROLE_HUB);
    struct buf b;
    struct jw w = JW_INIT(&b);
    struct lane_stat s;
    struct err e = ERR_INIT;

    if (!hub)
        return;
    buf_init(&b, 256 * KIB);
    jw_obj(&w);
    jw_key(&w, "processes");
    jw_arr(&w);
    for (unsigned i = 0; i < f->count; i++) {
        const struct proc *p = &f->proc[i];

        if ((p->role == ROLE_CHANNEL && !p->channel) ||
            (p->fsm.state == FSM_DOWN && !p->fsm.wanted && !(p->channel && p->channel->stopped)))
            continue;
        jw_obj(&w);
        jw_kcstr(&w, "role", role_name(p->role));
        if (p->channel) {
            jw_kcstr(&w, "channel", p->channel->id);
            jw_kcstr(&w, "account", p->channel->account);
            if (p->channel->stopped)
                jw_kbool(&w, "manual", true);
        }
        jw_ku64(&w, "instance", p->instance);
        jw_kcstr(&w, "state", fsm_state_name(p->fsm.state));
        jw_ki64(&w, "pid", p->pid);
        jw_ku64(&w, "restarts", p->restarts);
        jw_ku64(&w, "readyUs", p->ready_us);
        if (p->cage.looked) {
            jw_key(&w, "sandbox");
            confine_write(&w, &p->cage);
        }
        if (p->memory) {
            jw_ku64(&w, "memoryKib", p->memory / KIB);
            jw_ku64(&w, "memoryLimitKib", recycle_soft(f, p->role) / KIB);
            jw_ku64(&w, "memoryKillKib", recycle_hard(f, p->role) / KIB);
            jw_kcstr(&w, "memoryBy", p->by_cgroup ? "cgroup" : "watch");
        }
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    jw_key(&w, "lanes");
    jw_arr(&w);
    for (unsigned i = 0; lanes_stat(f->lanes, i, &s); i++) {
        jw_obj(&w);
        jw_kcstr(&w, "lane", s.name);
        jw_ku64(&w, "waiting", s.waiting);
        jw_ku64(&w, "running", s.running);
        jw_ku64(&w, "concurrency", s.concurrency);
        jw_obj_end(&w);
    }
    jw_arr_end(&w);
    jw_ku64(&w, "unauthenticated", conns_unauthenticated(f->conns));
    jw_obj_end(&w);
    if (buf_check(&b, &e) < 0 ||
        msg_send_fleet(hub->link, &(struct ipc_fleet){.state = buf_view(&b)}, &e) < 0)
        log_warn("fleet.untold", KV("why", e.text));
    buf_fini(&b);
}

bool wires_send_logs(void *ctx, struct view lines)
{
    struct proc *hub = fleet_up(ctx, ROLE_HUB);
    struct err e = ERR_INIT;

    if (!hub)
        return false;
    /* a hub that does not keep up misses lines; to log that would make one more */
    (void)!msg_send_log_lines(hub->link, &(struct ipc_log_lines){.lines = lines}, &e);
    return true;
}

void fleet_changed(struct fleet *f)
{
    if (!loop_timer_pending(&f->tell))
        loop_timer_set(&f->tell, FLEET_TELL_MS);
}

/* -- lines between workers -- */
static int send_line(struct proc *to, const struct proc *peer, int sock, struct err *e)
{
    struct ipc_link m = {.role = view_str(role_name(peer->role)),
                         .instance = peer->instance,
                         .generation = peer->generation,
                         .sock = sock};

    return msg_send_link(to->link, &m, e);
}

static int connect_pair(struct proc *a, struct proc *b, struct err *e)
{
    int s[2], r;

    if ((r = fd_pair(s, 1024 * 1024, e)) < 0)
        return r;
    if ((r = send_line(a, b, s[0], e)) < 0) {
        fd_close(&s[0]);
        fd_close(&s[1]);
        return r;
    }
    if ((r = send_line(b, a, s[1], e)) < 0)
        fd_close(&s[1]);
    return r;
}

void wires_announce(struct proc *p)
{
    struct fleet *f = p->fleet;
    struct err e = ERR_INIT;

    p->ready_us = (clock_mono_ns() - p->spawned_ns) / 1000;
    p->linked = true;
    if (p->role == ROLE_HUB)
        logsink_again();
    for (unsigned w = 0; w < COUNT_OF(wires); w++) {
        enum role other = wires[w].a == p->role   ? wires[w].b
                          : wires[w].b == p->role ? wires[w].a
                                                  : ROLE_COUNT;

        for (unsigned i = 0; other != ROLE_COUNT && i < f->count; i++)
            /* one that died a moment ago is UP without a link: its successor is announced later */
            if (f->proc[i].role == other && f->proc[i].fsm.state == FSM_UP && f->proc[i].link &&
                connect_pair(p, &f->proc[i], &e) < 0) {
                log_error("link.failed", KV("role", role_name(p->role)), KV("why", e.text));
                /* without a line it is of no use: its successor gets one (on_ping_time) */
                (p->role == ROLE_HUB ? &f->proc[i] : p)->suspect = FLEET_SUSPECT_PINGS;
            }
    }
    if (p->role == ROLE_FRONT)
        conns_fronts_changed(f);
    loop_defer(f->loop, &f->dispatch, LOOP_COMMIT);
    fleet_changed(f);
    if (!f->ready_told && fleet_all_up(f)) {
        f->ready_told = true;
        f->conf.on_ready(f->conf.ctx);
    }
}
