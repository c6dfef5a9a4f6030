/* workers/hub/channels_rpc.c - channels.status, start, stop, logout: how the accounts are, and what
 * a person wants of them. What an account says of itself comes with channel_state, whether its
 * process lives with fleet. */
#include "call.h"
#include "channels.h"
#include "clock.h"
#include "deliver_table.h"
#include "json.h"
#include "log.h"

#include <ctype.h>
#include <stdio.h>

enum {
    PROBES_MAX = 16, /* requests that wait for answers of platforms */
    PROBE_MS = 10 * 1000,
    PROBE_MS_MAX = 30 * 1000,
    LABEL_BYTES = 64,
};

/* A request that waits for every account's word. */
struct probe {
    struct hub *hub;
    struct call_ref ref;
    char channel[CHANNEL_NAME_MAX];
    uint64_t req; /* 0: free */
    unsigned left;
    int64_t since;
    json_t *results; /* owned: "channel account" -> {ok, error, elapsedMs, ...} */
    struct loop_timer limit;
};

struct channel_probes {
    struct probe all[PROBES_MAX];
    uint64_t next;
};

/* ---- rows ---- */

static const json_t *process_of(const struct hub *h, const struct account *a)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(h->fleet, "processes"), i,
                       row) if (view_eq(json_view(row, "channel"), view_str(a->channel)) &&
                                view_eq(json_view(row, "account"), view_str(a->name))) return row;
    return NULL;
}

static bool is_up(const json_t *process)
{
    struct view s = json_view(process, "state");

    return view_eq(s, V("up")) || view_eq(s, V("starting"));
}

static const char *lifecycle(const struct account *a, const json_t *process)
{
    struct view s = json_view(process, "state");

    if (a->spoke) /* its line says more, and earlier */
        return a->flags & CHANNEL_FATAL       ? "failed"
               : a->flags & CHANNEL_CONNECTED ? "connected"
                                              : "connecting";
    if (json_flag(process, "manual", false))
        return "stopped";
    if (view_eq(s, V("backoff")) || view_eq(s, V("failed")))
        return "restarting";
    return "starting";
}

static void put_error(struct jw *w, const struct account *a, const json_t *process)
{
    struct view own = json_view(a->state, "lastError");

    jw_key(w, "lastError");
    if (own.n)
        jw_str(w, own);
    else if (view_eq(json_view(process, "state"), V("failed")))
        jw_cstr(w, "its process ends again and again; see openclawctl channels logs");
    else
        jw_null(w);
}

static void put_or_null(struct jw *w, const struct account *a, const char *key)
{
    int64_t at = json_i64(a->state, key, 0);

    jw_key(w, key);
    if (at)
        jw_i64(w, at);
    else
        jw_null(w);
}

/* Members that this file writes itself. */
static bool ours(const char *key)
{
    static const char *const names[] = {"label",       "connected",     "lastError",
                                        "lastStartAt", "lastInboundAt", "lastOutboundAt"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    return false;
}

static void put_members(struct jw *w, const struct account *a, const json_t *process,
                        const json_t *probe, int64_t probed_at)
{
    struct buf b = BUF_INIT(32 * KIB);
    struct err ignored = ERR_INIT;
    bool connected = a->spoke && a->flags & CHANNEL_CONNECTED;
    const char *key;
    json_t *v;

    jw_kbool(w, "configured", true);
    jw_kbool(w, "running", a->spoke ? !(a->flags & CHANNEL_FATAL) : is_up(process));
    jw_kbool(w, "connected", connected);
    jw_kbool(w, "restartPending", view_eq(json_view(process, "state"), V("backoff")));
    jw_ki64(w, "restarts", json_i64(process, "restarts", 0));
    jw_kcstr(w, "lifecycle", lifecycle(a, process));
    put_error(w, a, process);
    put_or_null(w, a, "lastStartAt");
    put_or_null(w, a, "lastInboundAt");
    put_or_null(w, a, "lastOutboundAt");
    json_object_foreach(a->state, key, v)
    {
        buf_reset(&b, 4096);
        if (!ours(key) && json_dump(v, &b, &ignored) == 0) {
            jw_key_view(w, view_str(key));
            jw_raw(w, buf_view(&b));
        }
    }
    buf_reset(&b, 4096);
    if (probe && json_dump(probe, &b, &ignored) == 0) {
        jw_kraw(w, "probe", buf_view(&b));
        jw_ki64(w, "lastProbeAt", probed_at);
    }
    buf_fini(&b);
}

static const char *label_of(const struct account *a, char out[LABEL_BYTES])
{
    struct view own = json_view(a->state, "label");

    if (own.n && own.n < LABEL_BYTES &&
        strcmp(json_string_value(json_object_get(a->state, "label")), "External program") != 0)
        (void)snprintf(out, LABEL_BYTES, "%.*s", VIEW_FMT(own));
    else
        (void)snprintf(out, LABEL_BYTES, "%c%s", toupper((unsigned char)a->channel[0]),
                       a->channel + 1);
    return out;
}

/* ---- the answer ---- */

struct listing {
    struct hub *h;
    struct view only; /* a channel; "" for all */
    const struct probe *probe;
};

/* The first configured account of each channel that is asked for: the channels. */
static bool first_of(const struct listing *l, unsigned i)
{
    const struct deliveries *ds = l->h->deliveries;
    const struct account *a = ds->accounts[i];

    if (!a->configured || (l->only.n && !view_eq(l->only, view_str(a->channel))))
        return false;
    for (unsigned k = 0; k < i; k++)
        if (ds->accounts[k]->configured && strcmp(ds->accounts[k]->channel, a->channel) == 0)
            return false;
    return true;
}

/* "default", else the first by name. */
static const struct account *default_of(const struct hub *h, const char *channel)
{
    const struct deliveries *ds = h->deliveries;
    const struct account *best = NULL;

    for (unsigned i = 0; i < ds->account_n; i++) {
        const struct account *a = ds->accounts[i];

        if (!a->configured || strcmp(a->channel, channel) != 0)
            continue;
        if (!best || strcmp(a->name, "default") == 0 ||
            (strcmp(best->name, "default") != 0 && strcmp(a->name, best->name) < 0))
            best = a;
    }
    return best;
}

static const json_t *probed(const struct listing *l, const struct account *a)
{
    char key[CHANNEL_NAME_MAX + ACCOUNT_NAME_MAX + 2];

    if (!l->probe)
        return NULL;
    (void)snprintf(key, sizeof(key), "%s %s", a->channel, a->name);
    return json_object_get(l->probe->results, key);
}

static void write_accounts(struct jw *w, const struct listing *l, const char *channel)
{
    const struct deliveries *ds = l->h->deliveries;

    jw_arr(w);
    for (unsigned i = 0; i < ds->account_n; i++) {
        const struct account *a = ds->accounts[i];

        if (!a->configured || strcmp(a->channel, channel) != 0)
            continue;
        jw_obj(w);
        jw_kcstr(w, "accountId", a->name);
        jw_kbool(w, "enabled", true);
        put_members(w, a, process_of(l->h, a), probed(l, a), clock_wall_ms());
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

static void write_issues(struct jw *w, const struct listing *l)
{
    const struct deliveries *ds = l->h->deliveries;
    unsigned n = 0;

    jw_arr(w);
    for (unsigned i = 0; i < ds->account_n && n < 50; i++) {
        const struct account *a = ds->accounts[i];

        if (!a->configured || !a->spoke || !(a->flags & CHANNEL_FATAL) ||
            (l->only.n && !view_eq(l->only, view_str(a->channel))))
            continue;
        n++;
        jw_obj(w);
        jw_kcstr(w, "channel", a->channel);
        jw_kcstr(w, "accountId", a->name);
        jw_kcstr(w, "kind", "config");
        jw_kstr(w, "message", json_view(a->state, "lastError"));
        jw_kcstr(w, "fix", "change the account's configuration, or openclawctl channels start");
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

/* One map from channel to something, as the answer has several. */
static void write_map(struct jw *w, const struct listing *l, const char *name,
                      void (*value)(struct jw *w, const struct listing *l, const struct account *a))
{
    const struct deliveries *ds = l->h->deliveries;

    jw_key(w, name);
    jw_obj(w);
    for (unsigned i = 0; i < ds->account_n; i++)
        if (first_of(l, i)) {
            jw_key_view(w, view_str(ds->accounts[i]->channel));
            value(w, l, ds->accounts[i]);
        }
    jw_obj_end(w);
}

static void value_label(struct jw *w, const struct listing *l, const struct account *a)
{
    char label[LABEL_BYTES];

    (void)l;
    jw_cstr(w, label_of(a, label));
}

static void value_channel(struct jw *w, const struct listing *l, const struct account *a)
{
    const struct account *d = default_of(l->h, a->channel);

    jw_obj(w);
    put_members(w, d, process_of(l->h, d), probed(l, d), clock_wall_ms());
    jw_obj_end(w);
}

static void value_accounts(struct jw *w, const struct listing *l, const struct account *a)
{
    write_accounts(w, l, a->channel);
}

static void value_default(struct jw *w, const struct listing *l, const struct account *a)
{
    jw_cstr(w, default_of(l->h, a->channel)->name);
}

static void write_status(struct jw *w, const struct listing *l)
{
    const struct deliveries *ds = l->h->deliveries;
    char label[LABEL_BYTES];

    jw_obj(w);
    jw_ki64(w, "ts", clock_wall_ms());
    jw_key(w, "channelOrder");
    jw_arr(w);
    for (unsigned i = 0; i < ds->account_n; i++)
        if (first_of(l, i))
            jw_cstr(w, ds->accounts[i]->channel);
    jw_arr_end(w);
    write_map(w, l, "channelLabels", value_label);
    write_map(w, l, "channelDetailLabels", value_label);
    jw_key(w, "channelMeta");
    jw_arr(w);
    for (unsigned i = 0; i < ds->account_n; i++)
        if (first_of(l, i)) {
            jw_obj(w);
            jw_kcstr(w, "id", ds->accounts[i]->channel);
            jw_kcstr(w, "label", label_of(ds->accounts[i], label));
            jw_kcstr(w, "detailLabel", label);
            jw_obj_end(w);
        }
    jw_arr_end(w);
    write_map(w, l, "channels", value_channel);
    write_map(w, l, "channelAccounts", value_accounts);
    write_map(w, l, "channelDefaultAccountId", value_default);
    if (l->probe && l->probe->left)
        jw_kbool(w, "partial", true);
    jw_key(w, "statusIssues");
    write_issues(w, l);
    jw_obj_end(w);
}

/* ---- asking the platforms ---- */

static void answer(struct probe *p)
{
    struct buf payload = BUF_INIT(4 * MIB), body = BUF_INIT(5 * MIB);
    struct jw w = JW_INIT(&payload);

    write_status(&w, &(struct listing){.h = p->hub, .only = view_str(p->channel), .probe = p});
    call_body_ok(&body, buf_view(&payload));
    (void)call_send(p->hub, &p->ref, false, buf_view(&body)); /* lost with its connection */
    buf_fini(&payload);
    buf_fini(&body);
    loop_timer_fini(&p->limit);
    json_decref(p->results);
    *p = (struct probe){.req = 0};
}

static void on_limit(void *ctx)
{
    answer(ctx);
}

static int begin(struct call *c, uint32_t limit_ms)
{
    struct channel_probes *all = c->hub->channel_probes;
    struct deliveries *ds = c->hub->deliveries;
    struct view only = json_view(c->params, "channel");
    struct probe *p = NULL;
    struct err e = ERR_INIT;

    for (size_t i = 0; i < PROBES_MAX && !p; i++)
        if (!all->all[i].req)
            p = &all->all[i];
    if (!p || only.n >= CHANNEL_NAME_MAX)
        return call_error(c, RPC_UNAVAILABLE, "too many ask the platforms already");
    *p = (struct probe){.hub = c->hub,
                        .ref = c->ref,
                        .req = ++all->next,
                        .since = clock_wall_ms(),
                        .results = json_object()};
    memcpy(p->channel, only.p, only.n);
    loop_timer_init(&p->limit, c->hub->w.loop, on_limit, p);
    loop_timer_set(&p->limit, limit_ms);
    for (unsigned i = 0; i < ds->account_n; i++) {
        const struct account *a = ds->accounts[i];

        if (a->configured && a->line && a->spoke && a->flags & CHANNEL_BASE &&
            (!only.n || view_eq(only, view_str(a->channel))) &&
            msg_send_channel_do(a->line,
                                &(struct ipc_channel_do){.req = p->req,
                                                         .command = CHANNEL_DO_PROBE,
                                                         .timeout_ms = limit_ms},
                                &e) == 0)
            p->left++;
    }
    if (p->left == 0)
        answer(p);
    return 0;
}

int channels_on_did(struct hub *h, struct link *from, struct ipc_channel_did *m, struct err *e)
{
    const struct account *a = deliver_account_line(h->deliveries, from);
    char key[CHANNEL_NAME_MAX + ACCOUNT_NAME_MAX + 2];
    json_t *details = NULL;

    for (size_t i = 0; a && i < PROBES_MAX; i++) {
        struct probe *p = &h->channel_probes->all[i];

        if (!p->req || p->req != m->req)
            continue;
        if (m->details.n && json_parse(m->details, &details, e) < 0)
            return err_wrap(e, "channel_did: details");
        if (!json_is_object(details)) {
            json_decref(details);
            details = json_object();
        }
        (void)json_object_set_new(details, "ok", json_boolean(m->ok));
        if (m->error.n)
            (void)json_object_set_new(details, "error", json_stringn(m->error.p, m->error.n));
        (void)json_object_set_new(details, "elapsedMs", json_integer(clock_wall_ms() - p->since));
        (void)snprintf(key, sizeof(key), "%s %s", a->channel, a->name);
        (void)json_object_set_new(p->results, key, details);
        if (--p->left == 0)
            answer(p);
        return 0;
    }
    return 0; /* nobody waits for it any more */
}

int rpc_channels_status(struct call *c)
{
    struct listing l = {.h = c->hub, .only = json_view(c->params, "channel")};
    int64_t limit = json_i64(c->params, "timeoutMs", PROBE_MS);

    if (json_flag(c->params, "probe", false))
        return begin(c, (uint32_t)(limit < 100            ? 100
                                   : limit > PROBE_MS_MAX ? PROBE_MS_MAX
                                                          : limit));
    write_status(call_ok(c), &l);
    return call_end(c);
}

/* ---- start, stop, logout ---- */

static struct account *asked_for(const struct call *c)
{
    struct deliveries *ds = c->hub->deliveries;
    struct view channel = json_view(c->params, "channel"), name = json_view(c->params, "accountId");
    struct account *best = NULL;

    for (unsigned i = 0; i < ds->account_n; i++) {
        struct account *a = ds->accounts[i];

        if (!a->configured || !view_eq(channel, view_str(a->channel)) ||
            (name.n && !view_eq(name, view_str(a->name))))
            continue;
        if (!best || strcmp(a->name, "default") == 0 ||
            (strcmp(best->name, "default") != 0 && strcmp(a->name, best->name) < 0))
            best = a;
    }
    return best;
}

static int tell_supervisor(struct call *c, const struct account *a, bool run, struct err *e)
{
    if (!c->hub->w.sup)
        return err_set(e, ERR_CLOSED, "the supervisor is not there");
    return msg_send_channel_run(c->hub->w.sup,
                                &(struct ipc_channel_run){.channel = view_str(a->channel),
                                                          .account = view_str(a->name),
                                                          .run = run},
                                e);
}

static int done(struct call *c, const struct account *a, const char *word, bool value)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kcstr(w, "channel", a->channel);
    jw_kcstr(w, "accountId", a->name);
    jw_kbool(w, word, value);
    if (strcmp(word, "cleared") == 0) { /* the credential stands in a file that we do not write */
        jw_kbool(w, "loggedOut", true);
        jw_kbool(w, "envToken", false);
    }
    jw_obj_end(w);
    return call_end(c);
}

static int run_or_stop(struct call *c, const char *word, bool run, const char *unknown)
{
    struct account *a = asked_for(c);
    struct err e = ERR_INIT;
    bool was;

    if (!a)
        return call_error(c, RPC_INVALID_REQUEST, "%s", unknown);
    was = a->line || is_up(process_of(c->hub, a));
    if (tell_supervisor(c, a, run, &e) < 0)
        return call_error(c, RPC_UNAVAILABLE, "%s", e.text);
    return done(c, a, word, run || was);
}

int rpc_channels_start(struct call *c)
{
    return run_or_stop(c, "started", true, "invalid channels.start channel");
}

int rpc_channels_stop(struct call *c)
{
    return run_or_stop(c, "stopped", false, "invalid channels.stop channel");
}

int rpc_channels_logout(struct call *c)
{
    struct account *a = asked_for(c);
    struct err e = ERR_INIT;

    if (!a)
        return call_error(c, RPC_INVALID_REQUEST, "invalid channels.logout channel");
    /* the platform is told first; whether it answers or not, the process is stopped then */
    if (a->line && a->spoke && a->flags & CHANNEL_BASE &&
        msg_send_channel_do(
            a->line, &(struct ipc_channel_do){.command = CHANNEL_DO_LOGOUT, .timeout_ms = PROBE_MS},
            &e) < 0)
        log_warn("channel.logout_untold", KV("why", e.text));
    if (tell_supervisor(c, a, false, &e) < 0)
        return call_error(c, RPC_UNAVAILABLE, "%s", e.text);
    return done(c, a, "cleared", false);
}

/* ---- life ---- */

int channels_open(struct hub *h, struct err *e)
{
    return mem_new(&h->channel_probes, sizeof(*h->channel_probes), e);
}

void channels_close(struct hub *h)
{
    if (!h->channel_probes)
        return;
    for (size_t i = 0; i < PROBES_MAX; i++)
        if (h->channel_probes->all[i].req) {
            loop_timer_fini(&h->channel_probes->all[i].limit);
            json_decref(h->channel_probes->all[i].results);
        }
    mem_free(h->channel_probes);
    h->channel_probes = NULL;
}
