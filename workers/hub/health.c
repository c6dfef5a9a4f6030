#include "health.h"

#include "clock.h"
#include "event.h"
#include "log.h"
#include "settings.h"

enum {
    HEALTH_TEXT_MAX = 1024 * 1024,
    HEALTH_SCAN = 500 /* newest sessions looked at to count per agent */
};

struct health {
    struct buf text;
    uint64_t made_ms; /* loop clock */
    struct loop_timer soon;
};

struct scan {
    struct jw *w;
    struct view agent;
    int64_t now;
    unsigned shown;
    uint64_t seen;
};

static int on_session(void *ctx, const struct rec_session_put *r)
{
    struct scan *s = ctx;

    if (s->agent.n && !view_eq(s->agent, r->agent_id))
        return 0;
    s->seen++;
    if (s->shown++ >= HEALTH_RECENT)
        return 0;
    jw_obj(s->w);
    jw_kstr(s->w, "key", r->key);
    jw_ki64(s->w, "updatedAt", r->updated_at);
    jw_ki64(s->w, "age", s->now > r->updated_at ? s->now - r->updated_at : 0);
    jw_obj_end(s->w);
    return 0;
}

void health_sessions(struct hub *h, struct jw *w, struct view agent, bool show_path)
{
    struct scan s = {.w = w, .agent = agent, .now = clock_wall_ms()};
    bool all = agent.n == 0 || h->settings->agent_count == 1;
    struct err e = ERR_INIT;
    uint64_t total = 0;

    if (all)
        s.agent = VIEW_EMPTY;
    jw_key(w, "path");
    if (show_path) {
        jw_raw(w, V("\""));
        jw_escape(w->b, view_str(h->settings->state_dir));
        buf_put_view(w->b, V("/state.mdb\""));
    } else
        jw_cstr(w, "[redacted]");
    jw_key(w, "recent");
    jw_arr(w);
    if (store_sessions_page(h->store, 0, all ? HEALTH_RECENT : HEALTH_SCAN, on_session, &s, &e) <
            0 ||
        (all && store_sessions_count(h->store, &total, &e) < 0))
        log_warn("health.sessions", KV("why", e.text));
    jw_arr_end(w);
    jw_ku64(w, "count", all ? total : s.seen);
}

static void write_agents(struct hub *h, struct jw *w)
{
    const struct settings *s = h->settings;

    jw_key(w, "agents");
    jw_arr(w);
    for (unsigned i = 0; i < s->agent_count; i++) {
        jw_obj(w);
        jw_kcstr(w, "agentId", s->agents[i].id);
        if (s->agents[i].name)
            jw_kcstr(w, "name", s->agents[i].name);
        jw_kbool(w, "isDefault", i == s->default_agent);
        jw_kraw(w, "heartbeat",
                V("{\"enabled\":false,\"every\":\"0m\",\"everyMs\":null,\"prompt\":\"\",\"target\":"
                  "\"none\",\"ackMaxChars\":300}"));
        jw_key(w, "sessions");
        jw_obj(w);
        health_sessions(h, w, view_str(s->agents[i].id), true);
        jw_obj_end(w);
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

static void make(struct hub *h)
{
    struct health *he = h->health;
    struct jw w = JW_INIT(&he->text);
    uint64_t from_ns = clock_mono_ns();

    buf_reset(&he->text, HEALTH_TEXT_MAX);
    jw_obj(&w);
    jw_kbool(&w, "ok", true);
    jw_ki64(&w, "ts", clock_wall_ms());
    jw_kraw(&w, "plugins", V("{\"loaded\":[],\"errors\":[],\"unavailable\":[]}"));
    jw_kraw(&w, "configReload", V("{\"hotReloadStatus\":\"active\"}"));
    jw_kraw(&w, "channels", V("{}"));
    jw_kraw(&w, "channelOrder", V("[]"));
    jw_kraw(&w, "channelLabels", V("{}"));
    jw_ku64(&w, "heartbeatSeconds", 0);
    jw_kcstr(&w, "defaultAgentId", h->settings->agents[h->settings->default_agent].id);
    write_agents(h, &w);
    jw_key(&w, "sessions");
    jw_obj(&w);
    health_sessions(h, &w, VIEW_EMPTY, true);
    jw_obj_end(&w);
    jw_ku64(&w, "durationMs", (clock_mono_ns() - from_ns) / 1000000);
    jw_obj_end(&w);
    if (he->text.failed) {
        log_error("health.too_large");
        buf_reset(&he->text, 0);
        buf_put_view(&he->text, V("{\"ok\":true}"));
    }
    he->made_ms = loop_now_ms(h->w.loop);
}

static void send_snapshot(struct link *l, struct view name, struct view payload)
{
    struct err e = ERR_INIT;

    if (msg_send_snapshot(l, &(struct ipc_snapshot){.name = name, .payload = payload}, &e) < 0)
        log_error("snapshot.lost", KV("front", link_instance(l)), KV("why", e.text));
}

static void send_ready(struct hub *h, struct link *l)
{
    send_snapshot(l, V("ready"),
                  h->stopping ? V("{\"ready\":false,\"failing\":[\"draining\"]}")
                  : h->full   ? V("{\"ready\":false,\"failing\":[\"store: no room on the disk\"]}")
                              : V("{\"ready\":true,\"failing\":[]}"));
}

void health_to_front(struct hub *h, struct link *l)
{
    send_snapshot(l, V("health"), health_text(h));
    send_ready(h, l);
}

void health_ready(struct hub *h)
{
    for (unsigned i = 0; i < h->w.peer_count; i++)
        if (link_peer(h->w.peers[i]) == ROLE_FRONT)
            send_ready(h, h->w.peers[i]);
}

static void to_fronts(struct hub *h)
{
    for (unsigned i = 0; i < h->w.peer_count; i++)
        if (link_peer(h->w.peers[i]) == ROLE_FRONT)
            send_snapshot(h->w.peers[i], V("health"), health_text(h));
}

static void on_soon(void *ctx)
{
    struct hub *h = ctx;

    make(h);
    to_fronts(h);
}

void health_stale(struct hub *h)
{
    if (h->health && !loop_timer_pending(&h->health->soon))
        loop_timer_set(&h->health->soon, HEALTH_CHANGE_MS);
}

void health_now(struct hub *h)
{
    make(h);
    h->state_health++;
    to_fronts(h);
    if (conns_count(h) == 0)
        return;
    jw_raw(event_begin(h, "health"), health_text(h));
    event_state_version(h);
    event_end(h, AUD_ALL, EVENT_SEQ);
}

bool health_if_old(struct hub *h)
{
    if (loop_now_ms(h->w.loop) - h->health->made_ms < HEALTH_REFRESH_MS - HEALTH_CHANGE_MS)
        return false;
    health_now(h);
    return true;
}

struct view health_text(struct hub *h)
{
    return buf_view(&h->health->text);
}

int health_open(struct hub *h, struct err *e)
{
    int r = mem_new(&h->health, sizeof(*h->health), e);

    if (r < 0)
        return r;
    buf_init(&h->health->text, HEALTH_TEXT_MAX);
    loop_timer_init(&h->health->soon, h->w.loop, on_soon, h);
    h->state_health = 1;
    make(h);
    return 0;
}

void health_close(struct hub *h)
{
    if (!h->health)
        return;
    loop_timer_fini(&h->health->soon);
    buf_fini(&h->health->text);
    mem_free(h->health);
    h->health = NULL;
}
