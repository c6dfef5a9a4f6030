/* workers/hub/reads.c - methods that only look: health, status, presence, agents, models,
 * configuration, the machine. */
#include "call.h"
#include "clock.h"
#include "health.h"
#include "json.h"
#include "presence.h"
#include "settings.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#define THINKING_LEVELS "[{\"id\":\"off\",\"label\":\"off\"}]"
#define RUNTIME_AUTO                                                                               \
    "{\"id\":\"auto\",\"cloudPlacementSupported\":false,\"devicePlacementSupported\":false,"       \
    "\"source\":\"implicit\"}"

int rpc_health(struct call *c)
{
    return call_ok_raw(c, health_text(c->hub));
}

int rpc_system_presence(struct call *c)
{
    presence_write(c->hub, call_ok(c));
    return call_end(c);
}

int rpc_last_heartbeat(struct call *c)
{
    return call_ok_raw(c, V("null")); /* heartbeats come with cron */
}

static const char *default_agent(const struct call *c)
{
    const struct settings *s = c->hub->settings;

    return s->agents[s->default_agent].id;
}

/* ---- status ---- */

struct recent {
    struct jw *w;
    int64_t now;
    const char *model;
};

static int on_recent(void *ctx, const struct rec_session_put *r)
{
    struct recent *s = ctx;
    struct jw *w = s->w;

    jw_obj(w);
    jw_kstr(w, "agentId", r->agent_id);
    jw_kstr(w, "key", r->key);
    jw_kcstr(w, "kind", "direct");
    jw_kstr(w, "sessionId", r->session_id);
    jw_ki64(w, "updatedAt", r->updated_at);
    jw_ki64(w, "age", s->now > r->updated_at ? s->now - r->updated_at : 0);
    jw_kbool(w, "systemSent", r->flags & SESSION_SYSTEM_SENT);
    jw_kbool(w, "abortedLastRun", r->flags & SESSION_ABORTED_LAST_RUN);
    jw_ku64(w, "inputTokens", r->input_tokens);
    jw_ku64(w, "outputTokens", r->output_tokens);
    jw_ku64(w, "totalTokens", r->total_tokens);
    jw_ku64(w, "contextTokens", r->context_tokens);
    jw_kcstr(w, "configuredModel", s->model);
    jw_key(w, "flags");
    jw_arr(w);
    jw_arr_end(w);
    jw_obj_end(w);
    return 0;
}

static int status_sessions(struct call *c, struct jw *w, bool admin)
{
    const struct settings *s = c->hub->settings;
    const struct agent_conf *a = &s->agents[s->default_agent];
    const struct model_conf *m = settings_model(s, view_str(a->primary));
    struct recent recent = {.w = w, .now = clock_wall_ms(), .model = a->primary};
    struct err e = ERR_INIT;
    uint64_t count;
    int r;

    if ((r = store_sessions_count(c->hub->store, &count, &e)) < 0)
        return r;
    jw_key(w, "sessions");
    jw_obj(w);
    jw_key(w, "paths");
    jw_arr(w);
    if (admin) {
        jw_raw(w, V("\""));
        jw_escape(w->b, view_str(s->state_dir));
        buf_put_view(w->b, V("/state.mdb\""));
    }
    jw_arr_end(w);
    jw_ku64(w, "count", count);
    jw_key(w, "defaults");
    jw_obj(w);
    jw_key(w, "model");
    if (admin && m)
        jw_cstr(w, m->id);
    else
        jw_null(w);
    jw_key(w, "contextTokens");
    if (admin && m && m->context_window)
        jw_i64(w, m->context_window);
    else
        jw_null(w);
    jw_obj_end(w);
    jw_key(w, "recent");
    jw_arr(w);
    if (admin && (r = store_sessions_page(c->hub->store, 0, 10, on_recent, &recent, &e)) < 0)
        return r;
    jw_arr_end(w);
    jw_key(w, "byAgent");
    jw_arr(w);
    for (unsigned i = 0; i < s->agent_count; i++) {
        jw_obj(w);
        jw_kcstr(w, "agentId", s->agents[i].id);
        health_sessions(c->hub, w, view_str(s->agents[i].id), admin);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_obj_end(w);
    return 0;
}

int rpc_status(struct call *c)
{
    bool admin = c->conn->who.scopes & SCOPE_ADMIN;
    struct jw *w = call_ok(c);
    struct err e = ERR_INIT;
    int r;

    jw_obj(w);
    jw_kcstr(w, "runtimeVersion", c->hub->settings->wire_version);
    jw_key(w, "heartbeat");
    jw_obj(w);
    jw_kcstr(w, "defaultAgentId", default_agent(c));
    jw_key(w, "agents");
    jw_arr(w);
    for (unsigned i = 0; i < c->hub->settings->agent_count; i++) {
        jw_obj(w);
        jw_kcstr(w, "agentId", c->hub->settings->agents[i].id);
        jw_kbool(w, "enabled", false);
        jw_kcstr(w, "every", "0m");
        jw_key(w, "everyMs");
        jw_null(w);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_obj_end(w);
    jw_kraw(w, "channelSummary", V("[]"));
    jw_kraw(w, "queuedSystemEvents", V("[]"));
    jw_kraw(w, "degradedSecretOwners", V("[]"));
    jw_kraw(w, "degradedPlugins", V("[]"));
    jw_kraw(w, "tasks",
            V("{\"total\":0,\"active\":0,\"terminal\":0,\"failures\":0,\"byStatus\":{\"queued\":0,"
              "\"running\":0,"
              "\"succeeded\":0,\"failed\":0,\"timed_out\":0,\"cancelled\":0,\"lost\":0},"
              "\"byRuntime\":{\"subagent\":0,"
              "\"acp\":0,\"cli\":0,\"cron\":0}}"));
    jw_kraw(w, "taskAudit",
            V("{\"total\":0,\"warnings\":0,\"errors\":0,\"byCode\":{\"stale_queued\":0,\"stale_"
              "running\":0,\"lost\":0,"
              "\"delivery_failed\":0,\"missing_cleanup\":0,\"inconsistent_timestamps\":0}}"));
    if ((r = status_sessions(c, w, admin)) < 0)
        return r;
    jw_ki64(w, "pid", c->hub->settings->pid);
    if (admin && c->hub->fleet) {
        jw_key(w, "fleet");
        jw_raw(w, VIEW_EMPTY);
        if ((r = json_dump(c->hub->fleet, w->b, &e)) < 0)
            return r;
    }
    jw_obj_end(w);
    return call_end(c);
}

/* ---- agents ---- */

static void copy_member(struct jw *w, const json_t *o, const char *key)
{
    struct view v = json_view(o, key);

    if (v.n)
        jw_kstr(w, key, v);
}

static void write_agent(struct jw *w, const struct agent_conf *a)
{
    jw_obj(w);
    jw_kcstr(w, "id", a->id);
    if (a->name)
        jw_kcstr(w, "name", a->name);
    if (json_object_size(a->identity)) {
        jw_key(w, "identity");
        jw_obj(w);
        copy_member(w, a->identity, "name");
        copy_member(w, a->identity, "theme");
        copy_member(w, a->identity, "emoji");
        copy_member(w, a->identity, "avatar");
        jw_obj_end(w);
    }
    if (a->workspace)
        jw_kcstr(w, "workspace", a->workspace);
    jw_kraw(w, "agentRuntime", V(RUNTIME_AUTO));
    jw_kraw(w, "thinkingLevels", V(THINKING_LEVELS));
    jw_kraw(w, "thinkingOptions", V("[\"off\"]"));
    jw_kcstr(w, "thinkingDefault", "off");
    jw_key(w, "model");
    jw_obj(w);
    jw_kcstr(w, "primary", a->primary);
    if (json_array_size(a->fallbacks)) {
        jw_key(w, "fallbacks");
        jw_arr(w);
        for (size_t i = 0; i < json_array_size(a->fallbacks); i++)
            if (json_view_of(json_array_get(a->fallbacks, i)).n)
                jw_str(w, json_view_of(json_array_get(a->fallbacks, i)));
        jw_arr_end(w);
    }
    jw_obj_end(w);
    jw_kcstr(w, "defaultPermissionMode", "full");
    jw_obj_end(w);
}

int rpc_agents_list(struct call *c)
{
    const struct settings *s = c->hub->settings;
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_kcstr(w, "defaultId", default_agent(c));
    jw_kcstr(w, "ownership", s->agent_count == 1 ? "sole" : "explicit");
    jw_kbool(w, "selectionRequired", false);
    jw_kcstr(w, "mainKey", "main");
    jw_kcstr(w, "scope", "per-sender");
    jw_key(w, "agents");
    jw_arr(w);
    for (unsigned i = 0; i < s->agent_count; i++)
        write_agent(w, &s->agents[i]);
    jw_arr_end(w);
    jw_obj_end(w);
    return call_end(c);
}

/* "agent:<id>:rest" names its agent */
static struct view agent_of_key(struct view key)
{
    struct view rest;

    if (!view_starts(key, V("agent:")))
        return VIEW_EMPTY;
    rest = view_from(key, 6);
    return view_of(rest.p, view_find(rest, ':'));
}

int rpc_agent_identity_get(struct call *c)
{
    struct view id = json_view(c->params, "agentId"), name;
    const struct agent_conf *a;
    struct jw *w;

    if (id.n == 0)
        id = agent_of_key(json_view(c->params, "sessionKey"));
    if (!(a = settings_agent(c->hub->settings, id))) {
        struct buf d = BUF_INIT(8192);
        struct jw dw = JW_INIT(&d);
        char text[160];
        int r;

        jw_obj(&dw);
        jw_kcstr(&dw, "code", "UNKNOWN_AGENT_ID");
        jw_kstr(&dw, "agentId", view_of(id.p, id.n < 512 ? id.n : 512));
        jw_obj_end(&dw);
        (void)snprintf(text, sizeof(text), "unknown agent id \"%.*s\"",
                       (int)(id.n < 120 ? id.n : 120), id.p);
        r = call_error_full(c, RPC_INVALID_REQUEST, text, buf_view(&d), -1, 0);
        buf_fini(&d);
        return r;
    }
    name = json_view(a->identity, "name");
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "agentId", a->id);
    if (name.n == 0 && a->name)
        name = view_str(a->name);
    jw_kstr(w, "name", name.n ? name : V("Assistant"));
    jw_kcstr(w, "nameSource", name.n ? "config" : "default");
    if (json_view(a->identity, "avatar").n)
        copy_member(w, a->identity, "avatar");
    else
        jw_kstr(w, "avatar",
                name.n && (unsigned char)name.p[0] < 0x80 ? view_of(name.p, 1) : V("A"));
    copy_member(w, a->identity, "emoji");
    jw_obj_end(w);
    return call_end(c);
}

/* ---- models ---- */

static bool is_default_model(const struct settings *s, const struct model_conf *m)
{
    return settings_model(s, view_str(s->agents[s->default_agent].primary)) == m;
}

static void write_model(struct jw *w, const struct settings *s, const struct model_conf *m)
{
    jw_obj(w);
    jw_kcstr(w, "id", m->id);
    jw_kcstr(w, "name", m->name);
    jw_kcstr(w, "provider", m->provider);
    if (m->context_window > 0)
        jw_ki64(w, "contextWindow", m->context_window);
    jw_kbool(w, "reasoning", m->reasoning);
    if (is_default_model(s, m))
        jw_kraw(w, "tags", V("[\"default\"]"));
    jw_kraw(w, "thinkingLevels", V(THINKING_LEVELS));
    jw_kcstr(w, "thinkingDefault", "off");
    jw_kbool(w, "available", true);
    jw_obj_end(w);
}

int rpc_models_list(struct call *c)
{
    struct view provider = json_view(c->params, "provider"), view = json_view(c->params, "view");
    const struct settings *s = c->hub->settings;
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_key(w, "models");
    jw_arr(w);
    for (unsigned i = 0; i < s->model_count; i++) {
        const struct model_conf *m = &s->models[i];
        bool demo = strcmp(m->provider, SETTINGS_DEMO_PROVIDER) == 0;

        if (provider.n && !view_eq(provider, view_str(m->provider)))
            continue;
        if (demo && s->model_configured && !view_eq(view, V("all")))
            continue; /* the demo model is for who has nothing else yet */
        write_model(w, s, m);
    }
    jw_arr_end(w);
    jw_obj_end(w);
    return call_end(c);
}

/* ---- configuration and machine ---- */

int rpc_config_get(struct call *c)
{
    const json_t *snapshot = c->hub->settings->snapshot;
    struct err e = ERR_INIT;
    struct jw *w;
    int r;

    if (!snapshot)
        return call_error(c, RPC_UNAVAILABLE, "no configuration snapshot");
    w = call_ok(c);
    if ((r = json_dump(snapshot, w->b, &e)) < 0)
        return r;
    return call_end(c);
}

int rpc_diagnostics_lanes(struct call *c)
{
    json_t *lanes = json_object_get(c->hub->fleet, "lanes"), *l;
    struct jw *w = call_ok(c);
    size_t i;

    jw_obj(w);
    jw_ki64(w, "ts", clock_wall_ms());
    jw_key(w, "lanes");
    jw_arr(w);
    json_array_foreach(lanes, i, l)
    {
        jw_obj(w);
        jw_kstr(w, "lane", json_view(l, "lane"));
        jw_ki64(w, "queuedCount", json_i64(l, "waiting", 0));
        jw_ki64(w, "activeCount", json_i64(l, "running", 0));
        jw_ki64(w, "maxConcurrent", json_i64(l, "concurrency", 0));
        jw_kbool(w, "draining", c->hub->stopping);
        jw_ki64(w, "generation", 0);
        jw_key(w, "blockedBy");
        jw_null(w);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_kraw(w, "dynamic", V("[]"));
    jw_obj_end(w);
    return call_end(c);
}

int rpc_system_info(struct call *c)
{
    const struct settings *s = c->hub->settings;
    struct jw *w = call_ok(c);
    const struct utsname *u = &c->hub->machine;
    struct sysinfo si;

    if (sysinfo(&si) < 0)
        return call_error(c, RPC_UNAVAILABLE, "the kernel does not tell");
    jw_obj(w);
    jw_kcstr(w, "machineName", u->nodename);
    jw_kcstr(w, "hostname", u->nodename);
    jw_kcstr(w, "platform", "linux");
    jw_kcstr(w, "release", u->release);
    jw_kcstr(w, "arch",
             strcmp(u->machine, "x86_64") == 0    ? "x64"
             : strcmp(u->machine, "aarch64") == 0 ? "arm64"
                                                  : u->machine);
    jw_key(w, "osLabel");
    jw_raw(w, V("\"Linux "));
    jw_escape(w->b, view_str(u->release));
    buf_put_char(w->b, '"');
    jw_ki64(w, "port", s->port);
    jw_kcstr(w, "nodeVersion", "none");
    jw_ki64(w, "pid", s->pid);
    jw_kcstr(w, "processInstanceId", c->hub->boot_id);
    jw_ki64(w, "uptimeMs", clock_wall_ms() - (s->started_ms ? s->started_ms : c->hub->started_ms));
    jw_ki64(w, "cpuCount", c->hub->cpus);
    jw_key(w, "loadAverage");
    jw_arr(w);
    for (int i = 0; i < 3; i++)
        jw_dbl(w, (double)si.loads[i] / (1 << SI_LOAD_SHIFT));
    jw_arr_end(w);
    jw_ku64(w, "memoryTotalBytes", (uint64_t)si.totalram * si.mem_unit);
    jw_ku64(w, "memoryFreeBytes", (uint64_t)si.freeram * si.mem_unit);
    jw_obj_end(w);
    return call_end(c);
}

/* ---- presence from outside ---- */

int rpc_system_event(struct call *c)
{
    static const char *const members[] = {
        "text", "deviceId", "instanceId", "host",         "ip",
        "mode", "version",  "platform",   "deviceFamily", "modelIdentifier"};
    struct view text = view_trim(json_view(c->params, "text")),
                key = json_view(c->params, "instanceId");
    struct buf body = BUF_INIT(PRESENCE_BODY_MAX), id = BUF_INIT(PRESENCE_BODY_MAX);
    struct jw w = {.b = &body, .depth = 1};
    struct err e = ERR_INIT;
    int r;

    if (text.n == 0)
        return call_error(c, RPC_INVALID_REQUEST, "text required");
    for (size_t i = 0; i < COUNT_OF(members); i++)
        copy_member(&w, c->params, members[i]);
    buf_put_view(&id, key.n ? V("i:") : V("t:"));
    buf_put_view(&id, key.n ? key : text);
    if ((r = buf_check(&body, &e)) < 0 || (r = buf_check(&id, &e)) < 0)
        r = call_error(c, RPC_INVALID_REQUEST, "system event: more than %d bytes",
                       PRESENCE_BODY_MAX);
    else {
        presence_note(c->hub, buf_view(&id), buf_view(&body),
                      json_string_value(json_object_get(c->params, "reason")));
        r = call_ok_raw(c, V("{\"ok\":true}"));
    }
    buf_fini(&body);
    buf_fini(&id);
    return r;
}
