#include "gateway.h"

#include "bind.h"
#include "clock.h"
#include "config.h"
#include "confine.h"
#include "fd.h"
#include "fleet.h"
#include "folders.h"
#include "greet.h"
#include "log.h"
#include "logsink.h"
#include "mem.h"
#include "notify.h"
#include "rand.h"
#include "rewrite.h"
#include "site.h"
#include "slice.h"
#include "statedir.h"
#include "tls_keys.h"
#include "version.h"
#include "watch.h"
#include "workspaces.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIGNALS = 4 };

struct gateway {
    const struct options *o;
    uint64_t start_ns, phase_ns;
    struct loop *loop;
    struct loop_signal sig[SIGNALS];
    struct config_source src;
    struct config *config;
    struct config_report report;
    struct slice_runtime rt;
    struct secret
        token; /* the one kept in the state folder; unset when the configuration has one */
    struct watch *token_watch; /* of its file */
    char *state_dir;           /* owned */
    char *store;               /* owned: the hub's part of it */
    char *tailscaled;          /* owned: its socket */
    struct confine cage;
    bool uncaged; /* a required layer is missing */
    char exe_dir[PATH_MAX];
    struct bind_plan bind;
    struct fleet *fleet;
    struct workspaces *workspaces;
    struct watch *watch;
    struct tls_keys *tls; /* NULL: clear text */
    int site;             /* the control page of a folder, packed; -1: not yet */
    uint64_t site_bytes;
    unsigned site_files; /* in it; 0: the built-in page is served */
    int lock;
    bool made_token;
};

/* OPENCLAW_GATEWAY_STARTUP_TRACE=1: each phase of the start with its time. */
static void phase(struct gateway *g, const char *name)
{
    uint64_t now = clock_mono_ns();

    if (g->o->startup_trace)
        log_info("startup.phase", KV("phase", name), KV("us", (now - g->phase_ns) / 1000),
                 KV("since_exec_us", (now - g->start_ns) / 1000));
    g->phase_ns = now;
}

static enum log_level level_of(const struct gateway *g)
{
    if (g->o->verbose)
        return LOG_DEBUG;
    switch (config_conf(g->config)->logging_level) {
    case CONF_LOG_DEBUG:
    case CONF_LOG_TRACE:
        return LOG_DEBUG;
    case CONF_LOG_WARN:
        return LOG_WARN;
    case CONF_LOG_ERROR:
    case CONF_LOG_FATAL:
    case CONF_LOG_SILENT:
        return LOG_ERROR;
    default:
        return LOG_INFO;
    }
}

static bool wants_whois(const struct conf *conf)
{
    return conf->gateway_auth_mode == CONF_AUTH_TAILSCALE ||
           (conf->gateway_auth_allow_tailscale && (conf->gateway_auth_mode == CONF_AUTH_TOKEN ||
                                                   conf->gateway_auth_mode == CONF_AUTH_PASSWORD));
}

/* Without a configured token the one of the state folder is used; mode none needs none. */
static int fill_token(struct gateway *g, struct config *c, struct err *e)
{
    const struct conf *conf = config_conf(c);
    struct secret fresh = {.p = NULL};
    struct err why = ERR_INIT;
    int r;

    if (!greet_by_token(conf) || conf->gateway_auth_token.n)
        return 0;
    /* At a reload the file may hold another one; while it holds none the old one goes on. */
    if ((r = statedir_token(g->state_dir, &fresh, &g->made_token, &why)) == 0) {
        secret_fini(&g->token);
        g->token = fresh; /* moved */
    } else if (!g->token.n) {
        *e = why;
        return r;
    } else {
        log_error("token.unreadable", KV("why", why.text));
    }
    return config_set_token(c, view_of((const char *)g->token.p, g->token.n), e);
}

static int load(struct gateway *g, struct err *e)
{
    int r;

    config_report_init(&g->report);
    r = config_load(&g->config, &g->src, &g->report, e);
    greet_report(&g->report);
    if (r < 0)
        return r;
    log_set_level(level_of(g));
    return 0;
}

static int write_slice(void *ctx, enum role role, struct buf *out, struct err *e)
{
    struct gateway *g = ctx;

    return slice_write(&g->rt, role, out, e);
}

/* Which accounts have processes, and what the hub is told about it. */
static int set_channels(struct gateway *g, struct err *e)
{
    json_t *slice = NULL;
    int r;

    if ((r = config_slice(g->config, ROLE_CHANNEL, &slice, e)) < 0)
        return r;
    r = channels_configure(g->fleet, slice, e);
    json_decref(slice);
    json_decref(g->rt.channels);
    g->rt.channels = channels_list(g->fleet);
    return r;
}

static int send_keys(void *ctx, struct link *front, struct err *e)
{
    struct gateway *g = ctx;

    struct ipc_site site = {.files = g->site_files, .bytes = g->site_bytes, .pack = -1};
    int r;

    if (g->tls && (r = tls_keys_send(g->tls, front, e)) < 0)
        return r;
    site.pack = fcntl(g->site, F_DUPFD_CLOEXEC, 0);
    if (site.pack < 0)
        return err_sys(e, "a descriptor for a front");
    if ((r = msg_send_site(front, &site, e)) < 0)
        fd_close(&site.pack);
    return r;
}

static int send_folders(void *ctx, struct link *files, struct err *e)
{
    struct gateway *g = ctx;

    return folders_send(config_conf(g->config), g->state_dir, files, e);
}

/* Read the control page's folder, or keep what was there when that fails. */
static int load_site(struct gateway *g, struct err *e)
{
    const char *root = config_conf(g->config)->control_ui_root;
    unsigned files = 0;
    uint64_t bytes = 0;
    int fd = -1, r;

    r = root && *root ? site_pack(root, &fd, &files, &bytes, e)
                      : fd_sealed("none", VIEW_EMPTY, &fd, e);
    if (r < 0)
        return r;
    fd_close(&g->site);
    g->site = fd;
    g->site_files = files;
    g->site_bytes = bytes;
    if (files)
        log_info("site.read", KV("root", root), KV("files", files));
    return 0;
}

static void on_new_keys(void *ctx)
{
    struct gateway *g = ctx;

    if (g->fleet)
        fleet_send_keys(g->fleet);
}

/* SIGHUP asks for it even where files are not watched. */
static void reload_keys(struct gateway *g)
{
    struct err e = ERR_INIT;
    bool news;

    if (!g->tls)
        return;
    if (tls_keys_reload(g->tls, &news, &e) < 0)
        log_error("tls.reload_refused", KV("why", e.text), KV("kept", "the certificate in force"));
    else if (news)
        log_info("tls.reloaded", KV("fingerprint", tls_keys_fingerprint(g->tls)));
    if (!e.code && news)
        fleet_send_keys(g->fleet);
}

/* -- ready and gone -- */
static void say_hello(const struct gateway *g)
{
    greet(&(struct greeting){.conf = config_conf(g->config),
                             .config_path = config_path_of(g->config),
                             .config_exists = config_exists(g->config),
                             .state_dir = g->state_dir,
                             .exe_dir = g->exe_dir,
                             .host = g->bind.text,
                             .port = conns_port(g->fleet->conns),
                             .own_token = g->token.n > 0,
                             .fingerprint = g->tls ? tls_keys_fingerprint(g->tls) : NULL});
}

static void on_ready(void *ctx)
{
    struct gateway *g = ctx;

    phase(g, "workers");
    log_info("gateway.ready", KV("took_ms", (clock_mono_ns() - g->start_ns) / 1000000),
             KV("port", conns_port(g->fleet->conns)), KV("bind", g->bind.text),
             KV("state_dir", g->state_dir), KV("version", OPENCLAW_C_VERSION));
    notify_send(V("READY=1\nSTATUS=serving"));
    say_hello(g);
}

static void on_uncaged(void *ctx)
{
    struct gateway *g = ctx;

    if (g->uncaged)
        return;
    g->uncaged = true;
    fleet_stop(g->fleet);
}

static void on_stopped(void *ctx)
{
    struct gateway *g = ctx;

    loop_stop(g->loop);
}

/* -- reload -- */
static void reload_site(struct gateway *g)
{
    struct err e = ERR_INIT;

    if (load_site(g, &e) < 0)
        log_error("site.refused", KV("why", e.text), KV("kept", "the page in force"));
    else
        fleet_send_keys(g->fleet);
}

static void reload(void *ctx)
{
    struct gateway *g = ctx;
    struct config_source src = g->src;
    struct config_report report;
    struct config *next = NULL, *old = g->config;
    struct config_diff d;
    struct err e = ERR_INIT;

    src.must_exist = config_exists(g->config);
    config_report_init(&report);
    if (config_load(&next, &src, &report, &e) < 0 || fill_token(g, next, &e) < 0 ||
        config_diff(old, next, &d, &e) < 0) {
        greet_report(&report);
        log_error("config.reload_refused", KV("why", e.text),
                  KV("kept", "the configuration in force"));
        config_report_fini(&report);
        config_free(&next);
        return;
    }
    if (d.total == 0 && config_same_text(old, next)) {
        config_diff_fini(&d);
        config_report_fini(&report);
        config_free(&next);
        return;
    }
    greet_report(&report);
    for (unsigned i = 0; i < d.count; i++)
        log_info("config.changed", KV("key", d.change[i].path),
                 KV("takes_effect", d.change[i].reload == CONFIG_HOT ? "now"
                                    : d.change[i].reload == CONFIG_RESTART
                                        ? "now: its workers restart"
                                        : "at the next start"));
    config_report_fini(&g->report);
    g->report = report;
    g->config = next;
    g->rt.config = next;
    config_free(&old);
    if (d.hot_roles & (1u << ROLE_FRONT))
        reload_site(g);
    log_set_level(level_of(g));
    fleet_log_level(g->fleet, (uint32_t)log_level());
    jobs_configure(g->fleet, config_conf(next));
    if (workspaces_set(g->workspaces, config_doc(next), g->state_dir, &e) < 0)
        log_error("workspaces.not_configured", KV("why", e.text));
    if (set_channels(g, &e) < 0)
        log_error("channels.not_configured", KV("why", e.text));
    if (fleet_want(g->fleet, ROLE_WHOIS, wants_whois(config_conf(next)), &e) < 0)
        log_error("whois.not_configured", KV("why", e.text));
    for (int r = 0; r < ROLE_COUNT; r++) {
        if (r == ROLE_CHANNEL) /* each by its own account's section */
            continue;
        if (d.restart_roles & (1u << r))
            fleet_reconfigure(g->fleet, (enum role)r, true);
        else if ((d.hot_roles & (1u << r)) ||
                 r == ROLE_HUB) /* the hub shows the configuration (config.get) */
            fleet_reconfigure(g->fleet, (enum role)r, false);
    }
    config_diff_fini(&d);
}

static int on_config_write(void *ctx, struct link *from, struct ipc_config_write *m, struct err *e)
{
    struct gateway *g = ctx;
    struct rewrite w = {.now = g->config,
                        .src = &g->src,
                        .hash_key = view_of((const char *)g->rt.key, SLICE_KEY_BYTES)};

    return rewrite_on_message(&w, from, m, reload, g, e);
}

static void on_signal(void *ctx, int signo)
{
    struct gateway *g = ctx;

    switch (signo) {
    case SIGCHLD:
        fleet_reap(g->fleet);
        break;
    case SIGHUP:
        reload(g);
        reload_keys(g);
        reload_site(g);
        break;
    default:
        log_info("gateway.stopping", KV("signal", signo));
        notify_send(V("STOPPING=1"));
        fleet_stop(g->fleet);
    }
}

/* -- start -- */
static int find_exe_dir(struct gateway *g, struct err *e)
{
    char probe[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", g->exe_dir, sizeof(g->exe_dir) - 1);
    char *slash;

    if (n <= 0)
        return err_sys(e, "/proc/self/exe");
    g->exe_dir[n] = 0;
    slash = strrchr(g->exe_dir, '/');
    if (slash)
        *slash = 0;
    (void)snprintf(probe, sizeof(probe), "%s/%s", g->exe_dir, role_name(ROLE_HUB));
    if (access(probe, X_OK) < 0)
        (void)snprintf(g->exe_dir, sizeof(g->exe_dir), "%s", OPENCLAW_LIBEXECDIR);
    (void)snprintf(probe, sizeof(probe), "%s/%s", g->exe_dir, role_name(ROLE_HUB));
    if (access(probe, X_OK) < 0)
        return err_sys(e, "the workers' programs are neither beside openclawd nor in %s",
                       OPENCLAW_LIBEXECDIR);
    return 0;
}

static unsigned front_count(const struct conf *conf)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (conf->workers_fronts)
        return conf->workers_fronts;
    return cores >= 4 ? (unsigned)(cores / 2) : 1;
}

static int open_tls(struct gateway *g, const struct conf *conf, struct err *e)
{
    int r;

    if (!conf->gateway_tls_enabled) {
        if (!g->bind.loopback)
            log_warn("bind.clear_text", KV("bind", g->bind.text),
                     KV("do", "set gateway.tls.enabled: tokens and messages pass the network "
                              "unencrypted"));
        return 0;
    }
    r = tls_keys_new(&g->tls, conf, g->state_dir, g->loop,
                     conf->gateway_reload_mode != CONF_RELOAD_OFF, on_new_keys, g, e);
    if (r == 0)
        log_info("tls.certificate", KV("fingerprint", tls_keys_fingerprint(g->tls)),
                 KV("file", tls_keys_cert_path(g->tls)), KV("made", tls_keys_made(g->tls)));
    phase(g, "tls");
    return r;
}

static int start(struct gateway *g, struct err *e)
{
    static const int signals[SIGNALS] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};
    struct rlimit files;
    const struct conf *conf;
    const char *socket_path;
    struct fleet_conf fc;
    int r;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0}); /* every secret is in here */
    (void)umask(077);
    if ((r = load(g, e)) < 0)
        return r;
    phase(g, "config");
    conf = config_conf(g->config);
    if (conf->gateway_mode != CONF_MODE_LOCAL)
        return err_set(
            e, ERR_INVALID,
            "gateway.mode is \"remote\": this machine is a client of another gateway; set it to "
            "\"local\" to run one here");
    if ((r = config_state_dir(&g->src, &g->state_dir, e)) < 0 ||
        (r = statedir_open(g->state_dir, conf->gateway_port, &g->lock, e)) < 0 ||
        (r = fill_token(g, g->config, e)) < 0 || (r = bind_resolve(conf, &g->bind, e)) < 0 ||
        (r = find_exe_dir(g, e)) < 0)
        return r;
    g->cage = (struct confine){.required = conf->sandbox_mode == CONF_SANDBOX_REQUIRED,
                               .uid_base = conf->sandbox_uid_base,
                               .front_files = conf->limits_connections + (rlim_t)CONFINE_FD_SLACK};
    g->cage.memory[ROLE_FRONT] = conf->sandbox_memory_front;
    g->cage.memory[ROLE_HUB] = conf->sandbox_memory_hub;
    g->cage.memory[ROLE_AGENT] = conf->sandbox_memory_agent;
    g->cage.memory[ROLE_CHANNEL] = conf->sandbox_memory_channel;
    g->cage.memory[ROLE_FETCH] = conf->sandbox_memory_fetch;
    confine_init(&g->cage, g->exe_dir);
    if (geteuid() == 0 && !g->cage.own_uids)
        log_warn("sandbox.no_uids",
                 KV("why", "the workers' programs cannot be run by other users, or "
                           "the numbers from sandbox.uidBase do not exist here"));
    if ((r = statedir_store(g->state_dir, g->cage.own_uids, confine_uid(&g->cage, ROLE_HUB),
                            &g->store, e)) < 0)
        return r;
    g->cage.store = g->store;
    socket_path = conf->gateway_tailscale_socket ? conf->gateway_tailscale_socket : CAGE_TAILSCALED;
    if (!(g->tailscaled = mem_dup(socket_path, strlen(socket_path))))
        return err_set(e, ERR_NOMEM, "out of memory for a path");
    g->cage.socket = g->tailscaled; /* a change of it holds at the next start */
    phase(g, "state");
    if ((r = workspaces_new(&g->workspaces, e)) < 0 ||
        (r = workspaces_set(g->workspaces, config_doc(g->config), g->state_dir, e)) < 0)
        return r;
    rand_bytes(g->rt.key, sizeof(g->rt.key));
    g->rt.config = g->config;
    g->rt.report = &g->report;
    g->rt.state_dir = g->state_dir;
    g->rt.bind = g->bind.text;
    g->rt.started_ms = clock_wall_ms();
    g->rt.fronts = front_count(conf);
    fc = (struct fleet_conf){.exe_dir = g->exe_dir,
                             .fronts = front_count(conf),
                             .agents = conf->workers_agents,
                             .jobs_per_agent = conf->workers_jobs_per_agent,
                             .drain_ms = (uint32_t)conf->shutdown_drain_ms,
                             .heartbeat_ms = (uint32_t)conf->workers_heartbeat_ms,
                             .hang_ms = (uint32_t)conf->workers_hang_ms,
                             .start_ms = (uint32_t)conf->workers_start_timeout_ms,
                             .slice = write_slice,
                             .keys = send_keys,
                             .folders = send_folders,
                             .on_ready = on_ready,
                             .on_stopped = on_stopped,
                             .on_uncaged = on_uncaged,
                             .on_config_write = on_config_write,
                             .workspaces = g->workspaces,
                             .cage = g->cage,
                             .ctx = g};
    if ((r = loop_new(&g->loop, e)) < 0 || (r = open_tls(g, conf, e)) < 0 ||
        (r = load_site(g, e)) < 0 || (r = fleet_new(&g->fleet, g->loop, &fc, e)) < 0)
        return r;
    jobs_configure(g->fleet, conf);
    if ((r = set_channels(g, e)) < 0 ||
        (r = fleet_want(g->fleet, ROLE_WHOIS, wants_whois(conf), e)) < 0)
        return r;
    for (int i = 0; i < SIGNALS; i++)
        if ((r = loop_signal_init(&g->sig[i], g->loop, signals[i], on_signal, g, e)) < 0)
            return r;
    for (unsigned i = 0; i < g->bind.count; i++)
        if ((r = conns_listen(g->fleet->conns, &g->bind.addr[i], g->bind.optional[i], e)) < 0)
            return r;
    phase(g, "listen");
    if (conf->gateway_reload_mode != CONF_RELOAD_OFF) {
        struct err why = ERR_INIT;
        char path[PATH_MAX + 32];

        if (watch_new(&g->watch, g->loop, config_path_of(g->config), reload, g, &why) < 0)
            log_debug("config.unwatched", KV("why", why.text));
        (void)snprintf(path, sizeof(path), "%s/gateway.token", g->state_dir);
        if (g->token.n && watch_new(&g->token_watch, g->loop, path, reload, g, &why) < 0)
            log_debug("token.unwatched", KV("why", why.text));
    }
    if ((r = confine_self(e)) < 0)
        return r;
    r = fleet_start(g->fleet, e);
    phase(g, "fork");
    return r;
}

static void finish(struct gateway *g)
{
    watch_free(&g->watch);
    watch_free(&g->token_watch);
    fleet_free(&g->fleet);
    workspaces_free(&g->workspaces);
    tls_keys_free(&g->tls);
    fd_close(&g->site);
    for (int i = 0; i < SIGNALS; i++)
        loop_signal_fini(&g->sig[i]);
    loop_free(&g->loop);
    json_decref(g->rt.channels);
    config_free(&g->config);
    config_report_fini(&g->report);
    secret_fini(&g->token);
    mem_wipe(g->rt.key, sizeof(g->rt.key));
    mem_free(g->state_dir);
    mem_free(g->store);
    mem_free(g->tailscaled);
    fd_close(&g->lock);
}

int gateway_main(const struct options *o, uint64_t start_ns)
{
    static struct gateway gw; /* zeroed; large because of its paths */
    struct gateway *g = &gw;
    struct err e = ERR_INIT;
    int code = 0;

    g->o = o;
    g->start_ns = g->phase_ns = start_ns;
    g->lock = g->site = -1;
    g->src = (struct config_source){.path = o->config,
                                    .state_dir = o->state_dir,
                                    .port = o->port,
                                    .bind = o->bind,
                                    .token = o->token};
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_NAME, "openclawd");
    logsink_init();
    if (start(g, &e) < 0) {
        log_error("gateway.not_started", KV("why", e.text));
        code = e.code == ERR_INVALID ? 2 : 1;
    } else if (loop_run(g->loop, &e) < 0) {
        log_error("gateway.failed", KV("why", e.text));
        code = 1;
    } else if (g->uncaged) {
        log_error("gateway.not_started",
                  KV("why", "sandbox.mode is \"required\" and a layer is missing"));
        code = 2;
    } else {
        log_info("gateway.stopped");
    }
    finish(g);
    return code;
}
