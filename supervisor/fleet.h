/*
 * supervisor/fleet.h - the worker processes: started, connected to each other, watched, restarted,
 * stopped. Files: fleet.c (table and events), spawn.c (fork and exec), forkservers.c, jobs.c (lanes
 * between hub and agents), conns.c (listening, budgets, passing connections to fronts). Nothing
 * here parses a byte that came from a client, a model or a chat platform, and nothing here blocks
 * (forkservers.c waits 250 ms, once, for a process that does not answer).
 */
#ifndef FLEET_H
#define FLEET_H

#include "budget.h"
#include "cgroup.h"
#include "confine.h"
#include "fsm.h"
#include "lane.h"
#include "loop.h"
#include "msg.h"

#include <jansson.h>
#include <sys/types.h>

enum {
    FLEET_PROCS_MAX = 320,   /* 256 accounts of channels, and fronts and agents */
    FLEET_SUSPECT_PINGS = 2, /* the next may be a moment away, and the other end just dying */
    FLEET_TELL_MS = 250,     /* the hub hears of changes at most so often */
    FLEET_START_MS =
        20 * 1000, /* from fork to READY; a sanitized build on a busy machine needs seconds */
    FLEET_PATIENCE_MS = 500,  /* a second request to stop so soon is the same one */
    FLEET_KILL_MS = 3 * 1000, /* from STOP beyond its grace to SIGKILL */
};

struct fleet;
struct conns;
struct forkservers;
struct workspaces;

enum { CHANNEL_ID_MAX = 32, CHANNEL_ACCOUNT_MAX = 64 }; /* as the store has them */
enum { CHANNEL_PROGRAM_BYTES = 64 };

/* The account a channel's process serves. */
struct channel {
    char id[CHANNEL_ID_MAX + 1], account[CHANNEL_ACCOUNT_MAX + 1];
    char program[CHANNEL_PROGRAM_BYTES];
    json_t *conf;     /* owned reference: its section, secrets included */
    json_t *messages; /* owned reference: what holds for all platforms, no secrets */
    bool wanted, seen;
    bool stopped; /* by a person */
};

struct proc {
    struct fleet *fleet;
    enum role role;
    unsigned instance;
    uint64_t generation; /* grows with every start */
    struct fsm fsm;
    pid_t pid; /* 0 when there is none */
    struct link *link;
    struct loop_timer timer; /* start limit, backoff, or the end of STOP's grace */
    unsigned unanswered;     /* pings */
    uint64_t spawned_ns;
    uint64_t ready_us;
    unsigned restarts;
    unsigned conns;  /* fronts: connections they hold */
    bool awaits;     /* STARTING, but its program's fork server is not ready */
    bool copied;     /* from a fork server */
    bool linked;     /* announced in this life */
    uint8_t suspect; /* lost a line while both ends lived: pings until it goes; 0: it has not */
    uint64_t memory, memory_told; /* bytes of its own, and what the hub knows */
    unsigned over;                /* heartbeats in a row above its soft limit */
    bool by_cgroup;               /* the kernel holds it to its hard limit */
    bool retiring;                /* gets nothing new; leaves when its successor is up */
    bool brief;                   /* STOP means at once: it comes back as if it had died */
    struct proc *successor;       /* of a retiring one */
    struct confine_view cage;     /* what was in force when it said READY */
    struct channel *channel;      /* owned; of channels only, NULL in a free slot */
};

struct fleet_conf {
    const char *exe_dir; /* where the worker executables are; borrowed */
    unsigned fronts, agents, jobs_per_agent;
    uint32_t drain_ms;
    uint32_t heartbeat_ms; /* between pings */
    uint32_t hang_ms;      /* unanswered for so long: killed */
    uint32_t start_ms;     /* from fork to READY */
    /* The role's slice as JSON text appended to out. */
    int (*slice)(void *ctx, enum role role, struct buf *out, struct err *e);
    struct workspaces *workspaces; /* borrowed: files of agents; NULL: there are none */
    struct confine cage;           /* of every worker */
    /* A layer is missing that sandbox.mode requires: do not go on. */
    void (*on_uncaged)(void *ctx);
    /* the hub wants the configuration changed; answered with config_written */
    int (*on_config_write)(void *ctx, struct link *from, struct ipc_config_write *m, struct err *e);
    /* What a front needs before its slice (TLS keys); may be NULL. */
    int (*keys)(void *ctx, struct link *front, struct err *e);
    /* The folders that openclaw-files may read, before its slice; may be NULL. */
    int (*folders)(void *ctx, struct link *files, struct err *e);
    /* Every process is up for the first time (us: the slowest one's start). */
    void (*on_ready)(void *ctx);
    /* All are gone after fleet_stop. */
    void (*on_stopped)(void *ctx);
    void *ctx;
};

struct fleet {
    struct loop *loop;
    struct fleet_conf conf;
    struct proc proc[FLEET_PROCS_MAX];
    unsigned count;
    struct lanes *lanes;
    struct conns *conns;
    struct cgroups cgroups;
    struct forkservers *forkservers;  /* forkservers.c; NULL until one is wanted */
    uint64_t recycled_ms[ROLE_COUNT]; /* when one of the class was replaced last */
    struct loop_timer ping, tell, kill_all;
    struct loop_task dispatch; /* hand waiting jobs to agents at the end of the turn */
    uint64_t next_generation;
    unsigned next_channel; /* instance of the last account that was added */
    json_t *messages;      /* owned; of the channels' slice: what holds for all platforms */
    bool started, ready_told, stopping, hub_done;
    uint64_t stopping_ms; /* since when */
};

int fleet_new(struct fleet **out, struct loop *l, const struct fleet_conf *conf,
              struct err *e) MUST_USE;
int fleet_start(struct fleet *f, struct err *e) MUST_USE;
/* Tell the hub to drain, then everyone to leave; on_stopped follows. Again: hurry. */
void fleet_stop(struct fleet *f);
void fleet_free(struct fleet **f);
/* A changed configuration for the processes of this role: pushed, or by a restart. */
void fleet_reconfigure(struct fleet *f, enum role role, bool restart);
/* The one process of this role runs, or does not.  Errors: ERR_LIMIT */
int fleet_want(struct fleet *f, enum role role, bool wanted, struct err *e) MUST_USE;
/* New keys for the fronts. */
void fleet_send_keys(struct fleet *f);
/* usage.c: what the processes use, to the hub. */
int usage_on_ask(struct fleet *f, struct link *from, const struct ipc_usage_ask *m, struct err *e);
void fleet_log_level(struct fleet *f, uint32_t level);
/* SIGCHLD. */
void fleet_reap(struct fleet *f);
bool fleet_all_up(const struct fleet *f);

/* -- between the files -- */
struct proc *fleet_up(struct fleet *f, enum role role); /* the first one that is UP, or NULL */
void fleet_changed(struct fleet *f);                    /* the hub is told soon */
void proc_event(struct proc *p, enum fsm_event ev);
/* A further slot. Errors: ERR_LIMIT */
int fleet_add(struct fleet *f, enum role role, unsigned instance, struct proc **out,
              struct err *e) MUST_USE;
const char *proc_name(const struct proc *p, char out[64]);

/* A fork server is ready, or gone: those that waited for it start. */
void fleet_go_on(struct fleet *f, const char *program);
void fleet_hub_done(struct fleet *f); /* it has drained or is gone: the rest may stop */

/* wires.c */
void wires_announce(struct proc *p);                  /* it is READY: connect it to its peers */
void wires_tell_hub(void *fleet);                     /* how things are */
bool wires_send_logs(void *fleet, struct view lines); /* for logs.tail; false: there is no hub */

/* inbox.c: what workers say */
extern const struct ipc_handlers fleet_inbox;

/* channels.c: one process per configured account */
/* Start, stop and restart processes so that they are what `slice` (of ROLE_CHANNEL) says. */
int channels_configure(struct fleet *f, json_t *slice, struct err *e) MUST_USE;
/* A person's word about one. */
void channels_run(struct fleet *f, struct view channel, struct view account, bool run);
/* Its process is gone: an account that is not wanted any more gives its slot back. */
void channels_ended(struct proc *p);
void channels_free(struct fleet *f);
/* What this process is told: its own account. */
int channels_slice(const struct proc *p, struct buf *out, struct err *e) MUST_USE;
/* [{instance, channel, account}]: what the hub is told. The caller's reference; NULL: no memory. */
json_t *channels_list(const struct fleet *f);

/* recycle.c: workers that grow are replaced */
uint64_t recycle_soft(const struct fleet *f, enum role role); /* bytes */
uint64_t recycle_hard(const struct fleet *f, enum role role);
void recycle_look(struct proc *p);   /* how much it has */
void recycle_check(struct proc *p);  /* at each heartbeat of one that is UP */
void recycle_go_on(struct fleet *f); /* a successor is up, or a job is done */
void recycle_ended(struct proc *p);

/* spawn.c: fork and exec a program beside ours with the socket as fd 3. Errors: ERR_SYS */
struct spawn {
    const char *program, *title; /* title: what ps shows */
    const char *arg;             /* its only argument; NULL: none */
    int sock;
    int cgroup; /* of the group it is put into: cgroup.procs; -1: into ours */
};
int spawn_worker(const struct confine *c, const char *exe_dir, enum role role,
                 const struct spawn *s, pid_t *out, struct err *e) MUST_USE;

/* jobs.c */
int jobs_init(struct fleet *f, struct err *e) MUST_USE;
struct conf;
/* How many turns of each lane run at once. */
void jobs_configure(struct fleet *f, const struct conf *conf);
void jobs_dispatch(void *fleet);
void jobs_agent_gone(struct fleet *f, struct proc *agent);
int jobs_on_submit(struct fleet *f, struct link *from, struct ipc_job_submit *m,
                   struct err *e) MUST_USE;
int jobs_on_cancel(struct fleet *f, struct link *from, struct ipc_job_cancel *m,
                   struct err *e) MUST_USE;
int jobs_on_done(struct fleet *f, struct link *from, struct ipc_job_done *m,
                 struct err *e) MUST_USE;

/* conns.c */
struct listen_addr {
    struct sockaddr_storage sa;
    socklen_t len;
};
int conns_new(struct conns **out, struct fleet *f, struct err *e) MUST_USE;
void conns_free(struct conns **c);
/* Bind and listen; accepting begins with the first front. optional: a failure is logged, not
 * returned (IPv6 loopback). */
int conns_listen(struct conns *c, const struct listen_addr *a, bool optional,
                 struct err *e) MUST_USE;
void conns_fronts_changed(struct fleet *f);
void conns_front_gone(struct fleet *f, struct proc *front);
void conns_stop(struct conns *c);
unsigned conns_port(const struct conns *c); /* the first socket's */
int conns_on_state(struct fleet *f, struct proc *front, const struct ipc_conn_state *m,
                   struct err *e) MUST_USE;
unsigned conns_unauthenticated(const struct conns *c);

#endif
