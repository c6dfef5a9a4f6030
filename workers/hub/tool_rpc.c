/* workers/hub/tool_rpc.c - tools.catalog, tools.effective, tools.invoke (protocol, 9.4). */
#include "call.h"
#include "json.h"
#include "settings.h"
#include "tool_invoke.h"

static const struct {
    const char *id, *label;
} sections[] = {{"fs", "Files"},
                {"runtime", "Runtime"},
                {"web", "Web"},
                {"memory", "Memory"},
                {"sessions", "Sessions"},
                {"ui", "UI"},
                {"messaging", "Messaging"},
                {"automation", "Automation"},
                {"nodes", "Nodes"},
                {"agents", "Agents"},
                {"media", "Media"}};

static void put_tool(struct jw *w, const struct tool_row *t)
{
    jw_kstr(w, "id", t->name);
    jw_kstr(w, "label", t->name);
    jw_kcstr(w, "description", t->help);
    jw_kcstr(w, "source", "core");
}

static void put_catalog_tool(struct jw *w, const struct tool_row *t)
{
    static const struct {
        const char *name;
        unsigned bit;
    } profiles[] = {{"minimal", P_MINIMAL}, {"coding", P_CODING}, {"messaging", P_MESSAGING}};

    jw_obj(w);
    put_tool(w, t);
    jw_kcstr(w, "risk", t->flags & T_OWNER ? "high" : t->flags & T_READ ? "low" : "medium");
    jw_key(w, "defaultProfiles");
    jw_arr(w);
    for (size_t i = 0; i < COUNT_OF(profiles); i++)
        if (t->profiles & profiles[i].bit)
            jw_cstr(w, profiles[i].name);
    jw_arr_end(w);
    jw_obj_end(w);
}

int rpc_tools_catalog(struct call *c)
{
    const struct agent_conf *a = settings_agent(c->hub->settings, json_view(c->params, "agentId"));
    struct jw *w;

    if (!a)
        return call_error(c, RPC_INVALID_REQUEST, "unknown agent id \"%.*s\"",
                          VIEW_FMT(json_view(c->params, "agentId")));
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "agentId", a->id);
    jw_kraw(
        w, "profiles",
        V("[{\"id\":\"minimal\",\"label\":\"Minimal\"},{\"id\":\"coding\",\"label\":\"Coding\"},"
          "{\"id\":\"messaging\",\"label\":\"Messaging\"},{\"id\":\"full\",\"label\":\"Full\"}]"));
    jw_key(w, "groups");
    jw_arr(w);
    for (size_t s = 0; s < COUNT_OF(sections); s++) {
        bool any = false;

        for (unsigned i = 0; i < TOOLS_SERVED; i++) {
            const struct tool_row *t = tool_row((enum tool_index)i);

            if (!view_eq(t->section, view_str(sections[s].id)))
                continue;
            if (!any) {
                jw_obj(w);
                jw_kcstr(w, "id", sections[s].id);
                jw_kcstr(w, "label", sections[s].label);
                jw_kcstr(w, "source", "core");
                jw_key(w, "tools");
                jw_arr(w);
            }
            any = true;
            put_catalog_tool(w, t);
        }
        if (any) {
            jw_arr_end(w);
            jw_obj_end(w);
        }
    }
    jw_arr_end(w);
    jw_obj_end(w);
    return call_end(c);
}

int rpc_tools_effective(struct call *c)
{
    struct hub *h = c->hub;
    struct tool_asker who = {.conf = h->w.conf, .owner = (c->conn->who.scopes & SCOPE_ADMIN) != 0};
    struct session_key key;
    struct model_pick pick = {.provider = ""};
    struct session s;
    struct err e = ERR_INIT;
    struct jw *w;
    int r;

    if (session_key(h, json_view(c->params, "sessionKey"), json_view(c->params, "agentId"), &key,
                    &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    r = session_load(h, session_key_view(&key), &s, &e);
    if (r == ERR_NOT_FOUND)
        r = session_init(&s, &key, &e);
    if (r < 0)
        return r;
    session_model(h, &s, &pick);
    session_fini(&s);
    who.agent = view_str(key.agent);
    who.session = session_key_view(&key);
    who.provider = view_str(pick.provider);
    who.model = view_str(pick.model);
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "agentId", key.agent);
    jw_kstr(w, "profile", tool_profile_of(&who));
    jw_key(w, "groups");
    jw_arr(w);
    jw_obj(w);
    jw_kcstr(w, "id", "core");
    jw_kcstr(w, "label", "Built-in tools");
    jw_kcstr(w, "source", "core");
    jw_key(w, "tools");
    jw_arr(w);
    for (unsigned i = 0; i < TOOLS_SERVED; i++) {
        const struct tool_row *t = tool_row((enum tool_index)i);

        if (!tool_allowed(&who, t, NULL))
            continue;
        jw_obj(w);
        put_tool(w, t);
        jw_kcstr(w, "rawDescription", t->help);
        jw_obj_end(w);
    }
    jw_arr_end(w);
    jw_obj_end(w);
    jw_arr_end(w);
    jw_obj_end(w);
    return call_end(c);
}

/* ---- tools.invoke ---- */

struct invoke {
    struct tool_call call; /* first */
    struct call_ref ref;
};

static void put_error(struct jw *w, const char *code, struct view text)
{
    jw_key(w, "error");
    jw_obj(w);
    jw_kcstr(w, "code", code);
    jw_kstr(w, "message", text);
    jw_obj_end(w);
}

static void on_end(struct tool_call *c, enum tool_end end, struct view text)
{
    static const char *const codes[] = {"", "internal_error", "internal_error", "internal_error"};
    struct invoke *v = (struct invoke *)c;
    struct buf payload = BUF_INIT(1 << 20), body = BUF_INIT(2 << 20);
    struct jw w = JW_INIT(&payload);

    jw_obj(&w);
    jw_kbool(&w, "ok", end == TOOL_DONE);
    jw_kstr(&w, "toolName", c->row->name);
    if (end == TOOL_DONE) {
        jw_key(&w, "output");
        tool_put_result(&w, text);
        jw_kcstr(&w, "source", "core");
    } else {
        put_error(&w, codes[end], text);
    }
    jw_obj_end(&w);
    call_body_ok(&body, buf_view(&payload));
    (void)call_send(c->hub, &v->ref, false, buf_view(&body));
    buf_fini(&payload);
    buf_fini(&body);
    mem_free(v);
}

int rpc_tools_invoke(struct call *c)
{
    struct tool_ask ask = {.hub = c->hub,
                           .body = c->params,
                           .by = "rpc",
                           .owner = (c->conn->who.scopes & SCOPE_ADMIN) != 0};
    struct invoke *v;
    struct view name;
    struct err e = ERR_INIT;
    enum tool_fault fault;
    char why[256];
    struct jw *w;
    int r;

    if ((r = mem_new(&v, sizeof(*v), &e)) < 0)
        return r;
    v->ref = c->ref;
    v->call.on_end = on_end;
    fault = tool_prepare(&ask, &v->call, &name, why);
    if (fault == TOOL_FINE) {
        tool_start(&v->call);
        return 0;
    }
    mem_free(v);
    w = call_ok(c);
    jw_obj(w);
    jw_kbool(w, "ok", false);
    jw_kstr(w, "toolName", name);
    put_error(w, fault == TOOL_NOT_FOUND ? "not_found" : "validation_error", view_str(why));
    jw_obj_end(w);
    return call_end(c);
}
