/*
 * workers/hub/main.c - sessions, runs, identities, events: everything that has to be consistent, in
 * one thread. Trusts: the supervisor; fronts and agents as far as their messages go, never for an
 * identity. Holds: the store, the key tickets are sealed with. May: use its folder and its lines.
 * Dies: at any moment; it is back from the store in milliseconds, the fronts keep their clients
 * meanwhile.
 */
#include "api.h"
#include "api_embed.h"
#include "auth.h"
#include "brought.h"
#include "canvas.h"
#include "channels.h"
#include "chore.h"
#include "clock.h"
#include "deliveries.h"
#include "dispatch.h"
#include "event.h"
#include "fetch.h"
#include "file_get.h"
#include "health.h"
#include "hello.h"
#include "hook_script.h"
#include "http.h"
#include "http_channel.h"
#include "inbound.h"
#include "inbox.h"
#include "json.h"
#include "log.h"
#include "mac.h"
#include "media.h"
#include "metrics.h"
#include "pairing.h"
#include "pairing_setup.h"
#include "presence.h"
#include "rand.h"
#include "room.h"
#include "run.h"
#include "session_groups.h"
#include "settings.h"
#include "standing.h"
#include "tailnet.h"
#include "tick.h"
#include "tools.h"

#include <stdio.h>
#include <unistd.h>

enum {
    STOP_MARGIN_MS = 300, /* of the grace, for the last words to the clients */
    PATH_BYTES_MAX = 4096,
};

static const struct sandbox hub_sandbox = {.allow = SB_STATE_DIR | SB_MEMFD | SB_FOLDER,
                                           .folder = MEDIA_FD};

/* ---- lines ---- */

static void on_drain(void *ctx, struct link *l)
{
    (void)ctx;
    ipc_pause(link_ipc(l), false);
}

static void on_peer(void *ctx, struct link *l, bool up)
{
    struct hub *h = ctx;

    if (h->runs)
        runs_on_peer(h, l, up);
    if (link_peer(l) == ROLE_CHANNEL)
        deliveries_on_peer(h, l, up);
    if (link_peer(l) == ROLE_CHANNEL && !up) {
        brought_line_gone(h, l);
        http_channel_gone(h, l);
    }
    if (link_peer(l) == ROLE_FETCH)
        fetches_on_peer(h, l, up);
    if (link_peer(l) == ROLE_SCRIPT)
        hook_scripts_on_peer(h, l, up);
    if (link_peer(l) == ROLE_FILES)
        file_gets_on_peer(h, l, up);
    if (link_peer(l) == ROLE_AGENT && !up)
        api_embed_agent_gone(h, l);
    if (link_peer(l) == ROLE_WHOIS && !up && !worker_peer(&h->w, ROLE_WHOIS))
        tailnet_worker_gone(h);
    if (link_peer(l) != ROLE_FRONT || !h->conns)
        return;
    /* A front that comes up has none of the connections its predecessor had; a line that ends after
     * its successor came takes nothing with it. */
    if (up || !hub_front(h, link_instance(l))) {
        tailnet_front_gone(h, link_instance(l));
        conns_front_gone(h, link_instance(l));
        http_front_gone(h, link_instance(l));
    }
    if (up && h->health) {
        health_to_front(h, l);
        http_channel_to_front(h, l);
    }
}

/* ---- configuration ---- */

static void close_all_conns(struct hub *h, uint16_t code, struct view reason)
{
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < h->w.peer_count; i++)
        if (link_peer(h->w.peers[i]) == ROLE_FRONT &&
            msg_send_conn_close(h->w.peers[i],
                                &(struct ipc_conn_close){.code = code, .reason = reason}, &e) < 0)
            log_error("conn.close_lost", KV("why", e.text));
}

static int on_config(void *ctx, json_t *conf, struct err *e)
{
    struct hub *h = ctx;
    struct settings *fresh = NULL, *old = h->settings;
    json_t *was = h->w.conf;
    struct mac *mac = NULL;
    unsigned closed;
    int r;

    if (!h->settings)
        return 0; /* before start: open_all reads it */
    if ((r = settings_new(&fresh, conf, e)) < 0)
        return r;
    h->settings = fresh;
    if ((r = mac_new(&mac, fresh->ticket_key, sizeof(fresh->ticket_key), e)) < 0 ||
        (r = hello_open(h, e)) < 0) {
        h->settings = old;
        mac_free(&mac);
        settings_free(&fresh);
        return r;
    }
    mac_free(&h->mac);
    h->mac = mac;
    auth_reconfigured(h);
    canvas_reconfigured(h);
    if ((closed = standing_recheck(h)))
        log_info("auth.changed", KV("conns", closed));
    config_announce(h, old);
    settings_free(&old);
    h->w.conf = conf;
    runs_config(h);
    deliveries_config(h);
    inbound_config(h);
    media_config(h);
    h->w.conf = was; /* the worker swaps it when we return */
    health_now(h);
    return 0;
}

static int open_store(struct hub *h, struct err *e)
{
    char path[PATH_BYTES_MAX];
    struct view given = json_view(json_object_get(h->w.conf, "runtime"), "storePath");
    int n = given.n ? snprintf(path, sizeof(path), "%.*s", VIEW_FMT(given))
                    : snprintf(path, sizeof(path), "%s/state.mdb", h->settings->state_dir);

    if (n < 0 || (size_t)n >= sizeof(path))
        return err_set(e, ERR_LIMIT, "runtime.stateDir: longer than %d bytes", PATH_BYTES_MAX);
    n = store_open(&h->store, path, NULL, e);
    return n < 0 ? n : media_open(h, path, e);
}

static int open_all(struct hub *h, struct err *e)
{
    int r;

    h->started_ms = clock_wall_ms();
    h->cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (uname(&h->machine) < 0)
        memset(&h->machine, 0, sizeof(h->machine));
    rand_uuid(h->boot_id);
    hub_init(h);
    chores_open(h);
    tick_open(h);
    if ((r = settings_new(&h->settings, h->w.conf, e)) < 0) {
        h->w.exit_code = 2; /* the same slice would fail again */
        return err_wrap(e, "configuration");
    }
    if ((r = mac_new(&h->mac, h->settings->ticket_key, sizeof(h->settings->ticket_key), e)) < 0 ||
        (r = open_store(h, e)) < 0 || (r = devices_open(&h->devices, h->store, e)) < 0 ||
        (r = pairing_open(h, e)) < 0 || (r = pairing_setup_open(h, e)) < 0 ||
        (r = conns_open(h, e)) < 0 || (r = presence_open(h, e)) < 0 ||
        (r = health_open(h, e)) < 0 || (r = hello_open(h, e)) < 0 || (r = auth_open(h, e)) < 0 ||
        (r = http_open(h, e)) < 0 || (r = tools_open(h, e)) < 0 || (r = file_gets_open(h, e)) < 0 ||
        (r = metrics_open(h, e)) < 0 || (r = tailnet_open(h, e)) < 0 ||
        (r = dispatch_open(h, e)) < 0 || (r = fetches_open(h, e)) < 0 ||
        (r = deliveries_open(h, e)) < 0 || (r = runs_open(h, e)) < 0 ||
        (r = inbound_open(h, e)) < 0 || (r = channels_open(h, e)) < 0 ||
        (r = groups_open(h, e)) < 0)
        return r;
    room_open(h);
    return 0;
}

static void close_all(struct hub *h)
{
    if (!h->w.loop)
        return;
    loop_undefer(h->w.loop, &h->commit);
    chores_close(h);
    channels_close(h);
    inbound_close(h);
    api_embed_close(h);
    api_close(h);
    http_channel_close(h);
    mem_free(TAKE(h->hook_throttle));
    if (h->runs)
        runs_close(h);
    deliveries_close(h);
    loop_timer_fini(&h->stop);
    loop_timer_fini(&h->idle);
    room_close(h);
    dispatch_close(h);
    http_close(h);
    fetches_close(h); /* whoever asked is gone by now */
    tools_close(h);
    file_gets_close(h);
    hook_scripts_close(h);
    metrics_close(h);
    tailnet_close(h);
    auth_close(h);
    hello_close(h);
    conns_close(h);
    health_close(h);
    presence_close(h);
    tick_close(h);
    pairing_close(h);
    pairing_setup_close(h);
    devices_close(&h->devices);
    brought_close(h);
    media_close(h);
    store_close(&h->store);
    mac_free(&h->mac);
    settings_free(&h->settings);
    json_decref(h->fleet);
    buf_fini(&h->reply.buf);
    buf_fini(&h->event.buf);
    buf_fini(&h->logs.buf);
}

/* ---- leaving ---- */

/* How many records shared a commit: "1:40 2:7 4:3", the number of batches of 1, 2-3, 4-7 ... */
static void log_commits(struct hub *h)
{
    struct store_stats st;
    struct buf text = BUF_INIT(1024);
    struct err e = ERR_INIT;

    if (store_stats(h->store, &st, &e) < 0)
        return;
    for (unsigned i = 0; i < STORE_BATCH_BUCKETS; i++)
        if (st.batch_hist[i])
            buf_printf(&text, "%s%u:%llu", text.n ? " " : "", 1u << i,
                       (unsigned long long)st.batch_hist[i]);
    log_info("store.commits", KV("commits", st.commits), KV("records", st.records),
             KV("checkpoints", st.checkpoints), KV("failed", st.commits_failed),
             KV("longest_us", st.commit_max_us), KV("batches", buf_view(&text)));
    buf_fini(&text);
}

static void say_goodbye(struct hub *h)
{
    struct err e = ERR_INIT;

    if (h->said_goodbye)
        return;
    h->said_goodbye = true;
    jw_raw(event_begin(h, "shutdown"), V("{\"reason\":\"gateway stopping\"}"));
    event_end(h, AUD_ALL, EVENT_SEQ);
    close_all_conns(h, 1012, V("service restart"));
    if (h->w.sup &&
        msg_send_drained(h->w.sup, &(struct ipc_drained){.runs_left = runs_count(h)}, &e) < 0)
        log_warn("shutdown.drained_untold", KV("why", e.text));
    log_info("hub.drained", KV("runs_left", runs_count(h)));
    log_commits(h);
    worker_leave(&h->w);
}

static void on_runs_ended(struct hub *h)
{
    deliveries_drain(h, say_goodbye);
}

static void on_stop_time(void *ctx)
{
    say_goodbye(ctx);
}

static void on_stop(void *ctx, uint32_t grace_ms)
{
    struct hub *h = ctx;

    if (grace_ms ==
        0) { /* a successor comes at once: the fronts keep everybody, as after a crash */
        log_info("hub.recycled");
        worker_leave(&h->w);
        return;
    }
    h->stopping = true;
    health_ready(h);
    if (!h->runs) {
        worker_leave(&h->w); /* still starting */
        return;
    }
    loop_timer_set(&h->stop,
                   grace_ms > 2 * STOP_MARGIN_MS ? grace_ms - STOP_MARGIN_MS : grace_ms / 2);
    runs_drain(h, on_runs_ended);
}

int main(void)
{
    struct hub h = {.w = WORKER_INIT(HUB)};
    struct err e = ERR_INIT;

    h.w.on_config = on_config;
    h.w.on_peer = on_peer;
    h.w.on_drain = on_drain;
    h.w.on_stop = on_stop;
    if (worker_open(&h.w, &hub_inbox, &e) < 0)
        goto fail;
    loop_timer_init(&h.stop, h.w.loop, on_stop_time, &h);
    if (worker_recv_config(&h.w, &e) < 0 || /* our slice                                  */
        open_all(&h, &e) < 0 ||             /* the store, and everything that is made once */
        worker_sandbox(&h.w, &hub_sandbox, &e) < 0 || /* no way back from here */
        worker_ready(&h.w, &e) < 0 || worker_run(&h.w, &e) < 0)
        goto fail;
    goto out;
fail:
    worker_fail(&h.w, &e);
out:
    close_all(&h);
    worker_fini(&h.w);
    return h.w.exit_code;
}
