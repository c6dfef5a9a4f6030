/*
 * workers/hub/hub.h - the hub's state: one thread, no network, sole owner of the store. Every
 * change goes through the store; nothing leaves the hub before the turn it belongs to is committed
 * (loop phases COMMIT, then FLUSH).
 */
#ifndef HUB_H
#define HUB_H

#include "agent_files.h"
#include "config_rpc.h"
#include "jw.h"
#include "pulse.h"
#include "rpc.h"
#include "store.h"
#include "worker.h"

#include <sys/utsname.h>

struct conns;          /* connections that said hello (conn.h) */
struct runs;           /* runs under way (run.h) */
struct presence;       /* who is listed (presence.h) */
struct settings;       /* what the hub reads from its config slice, parsed once (settings.h) */
struct mac;            /* keyed hash of tickets and tokens (mac.h) */
struct auth;           /* who may connect (auth.h) */
struct http;           /* HTTP requests under way (http.h) */
struct setups;         /* setup codes (pairing_setup.h) */
struct tailnet;        /* connects that wait for tailscaled's word (tailnet.h) */
struct http_channels;  /* requests that channels answer (http_channel.h) */
struct apis;           /* turns that OpenAI's interfaces asked for (api.h) */
struct embeds;         /* requests for vectors (api_embed.h) */
struct file_gets;      /* files that openclaw-files reads (file_get.h) */
struct hook_scripts;   /* transforms under way (hook_script.h) */
struct hello;          /* the constant parts of hello-ok (hello.h) */
struct dispatch;       /* compiled method table (dispatch.h) */
struct devices;        /* paired devices (devices.h) */
struct pairing;        /* devices that ask, setup codes (pairing.h) */
struct fetches;        /* files that are got from the network (fetch.h) */
struct deliveries;     /* outgoing messages on their way (deliveries.h) */
struct inbound;        /* what channels bring (inbound.h) */
struct medias;         /* files of messages (media/media.h) */
struct brought;        /* files whose messages are not here yet (media/brought.h) */
struct health;         /* the last health snapshot (health.h) */
struct channel_probes; /* requests that wait for platforms (channels.h) */
struct tools;          /* what agents can do (tools.h) */
struct metrics;        /* counts for /metrics (metrics.h) */
struct throttle;       /* wrong secrets (throttle.h) */
struct chore;          /* long work in steps (chore.h) */

struct hub {
    struct worker w; /* first: every handler's ctx is the hub */
    struct store *store;
    struct settings *settings;
    struct conns *conns;
    struct runs *runs;
    struct presence *presence;
    struct mac *mac;
    struct auth *auth;
    struct http *http;
    struct setups *setups;
    struct tailnet *tailnet;
    struct apis *apis;
    struct embeds *embeds;
    struct file_gets *file_gets;
    struct hook_scripts *hook_scripts;
    struct http_channels *http_channels;
    struct metrics *metrics;
    struct tools *tools;
    struct throttle *hook_throttle; /* wrong tokens of hooks; made when there is one */
    struct hello *hello;
    struct dispatch *dispatch;
    struct health *health;
    struct fetches *fetches;
    struct deliveries *deliveries;
    struct inbound *inbound;
    struct medias *medias;
    struct brought *brought;
    size_t attach_later;  /* bytes of attachments that are written in steps */
    unsigned api_waiting; /* requests whose images are on their way (api_fetch.c) */
    struct channel_probes *channel_probes;
    struct devices *devices;
    struct pairing *pairing;
    struct { /* a frame under construction: one answer and one event at a time */
        struct buf buf;
        struct jw jw;
    } reply, event;
    struct { /* newest log lines (logs.h) */
        struct buf buf;
        uint64_t total; /* bytes since the start: the cursor of logs.tail */
    } logs;
    struct config_writes writes;    /* changes of the configuration under way */
    struct agent_files agent_files; /* requests under way for files of workspaces */
    struct pulse pulse;             /* turns of the last hours */
    struct {                        /* chore.h */
        struct chore *first;
        unsigned count;
        struct loop_timer timer;
    } chores;
    struct { /* session_storage.c */
        unsigned running;
        bool failed;
        int64_t started_at, completed_at; /* wall clock, 0: never */
    } upkeep;
    uint64_t state_presence, state_health; /* stateVersion of events */
    struct loop_timer idle;                /* checkpoint of the store */
    struct loop_task commit;               /* deferred whenever something changed */
    struct loop_timer tick;                /* only while somebody is connected (tick.h) */
    int64_t started_ms;                    /* wall clock */
    long cpus;                             /* of the machine: read from a file, so only once */
    struct utsname machine;                /* likewise: no call for it in the sandbox */
    char boot_id[37];
    struct loop_timer stop; /* the grace is nearly over */
    bool stopping, said_goodbye;
    bool full;              /* no room for new work (room.h) */
    struct loop_timer room; /* asks again */
    json_t *fleet;          /* what the supervisor said last; may be NULL */
};

/* The commit task. */
void hub_init(struct hub *h);
/* Something was put into the store this turn: it is committed before any queued frame goes out. */
void hub_changed(struct hub *h);
/* The line to a front, or NULL. */
struct link *hub_front(const struct hub *h, unsigned instance);
/* Something was queued to a front: stop reading from it while it does not read from us. */
void hub_front_mark(struct link *l);

#endif
