/* tests/unit/test_wires.c - lines between workers when one of them has just died. */
#include "ck.h"
#include "fd.h"
#include "fleet.h"

static int no_slice(void *ctx, enum role role, struct buf *out, struct err *e)
{
    (void)ctx;
    (void)role;
    (void)out;
    (void)e;
    return 0;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void closed(void *ctx, struct link *l, const struct err *why)
{
    (void)ctx;
    (void)l;
    (void)why;
}

static struct proc *find(struct fleet *f, enum role role)
{
    for (unsigned i = 0; i < f->count; i++)
        if (f->proc[i].role == role)
            return &f->proc[i];
    return NULL;
}

/* A front that was killed is UP until it is reaped, its link is gone already: seen in a storm of
 * kills, where the hub said READY in between. */
START_TEST(test_dead_peer)
{
    static const struct ipc_handlers none = {.hello = NULL};
    struct fleet_conf conf = {.exe_dir = "/nowhere",
                              .fronts = 1,
                              .agents = 1,
                              .jobs_per_agent = 1,
                              .heartbeat_ms = 1000,
                              .hang_ms = 3000,
                              .start_ms = 1000,
                              .slice = no_slice,
                              .on_ready = nothing,
                              .on_stopped = nothing};
    struct link_conf lc = {
        .me = ROLE_SUPERVISOR, .peer = ROLE_HUB, .on = &none, .on_close = closed};
    struct loop *loop = NULL;
    struct fleet *f = NULL;
    struct err e = ERR_INIT;
    struct proc *hub;
    int s[2];

    ck_assert_int_eq(loop_new(&loop, &e), 0);
    ck_assert_msg(fleet_new(&f, loop, &conf, &e) == 0, "%s", e.text);
    hub = find(f, ROLE_HUB);
    ck_assert(hub && find(f, ROLE_FRONT));
    ck_assert_int_eq(fd_pair(s, 0, &e), 0);
    ck_assert_int_eq(link_open(&hub->link, loop, s[0], &lc, &e), 0);
    hub->fsm.state = FSM_UP;
    find(f, ROLE_FRONT)->fsm.state = FSM_UP; /* and no link */
    wires_announce(hub);
    ck_assert_uint_eq(ipc_queued(link_ipc(hub->link)), 0); /* nobody to connect it to */
    fleet_free(&f);
    loop_free(&loop);
    fd_close(&s[1]);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_test(tc, test_dead_peer);
}
CK_MAIN("wires")
