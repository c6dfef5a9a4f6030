/* workers/hub/tool_gateway.c - tools about the gateway itself: agents_list, gateway. */
#include "config_rpc.h"
#include "json.h"
#include "settings.h"
#include "tools.h"

#include <stdio.h>

void tool_agents_list(struct tool_call *c)
{
    const struct settings *s = c->hub->settings;
    struct buf b = BUF_INIT(256 * KIB);
    struct jw w = JW_INIT(&b);
    char key[SESSION_AGENT_MAX + 16];

    jw_obj(&w);
    jw_kcstr(&w, "requester", c->session.agent);
    jw_key(&w, "agents");
    jw_arr(&w);
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < s->agent_count; i++) {
            const struct agent_conf *a = &s->agents[i];
            bool self = strcmp(a->id, c->session.agent) == 0;

            (void)snprintf(key, sizeof(key), "agent:%s:main", a->id);
            if (self != (pass == 0) || (!self && !tool_sees(c, view_str(key))))
                continue;
            jw_obj(&w);
            jw_kcstr(&w, "id", a->id);
            if (a->name)
                jw_kcstr(&w, "name", a->name);
            jw_kbool(&w, "configured", true);
            if (a->primary)
                jw_kcstr(&w, "model", a->primary);
            jw_obj_end(&w);
        }
    jw_arr_end(&w);
    jw_obj_end(&w);
    if (b.n > TOOL_RESULT_MAX)
        tool_endf(c, TOOL_FAILED, "there are too many agents to list them");
    else
        tool_end(c, TOOL_DONE, buf_view(&b));
    buf_fini(&b);
}

/* ---- gateway ---- */

static void say(struct tool_call *c, const char *name, struct view path, const json_t *value)
{
    struct buf b = BUF_INIT(4 * MIB);
    struct jw w = JW_INIT(&b);
    struct err e = ERR_INIT;

    jw_obj(&w);
    jw_kstr(&w, "path", path);
    jw_key(&w, name);
    w.after_key = false;
    if (json_dump(value, &b, &e) < 0) {
        tool_endf(c, TOOL_FAILED, "%s", e.text);
    } else {
        w.has_item |= 1u << w.depth;
        jw_obj_end(&w);
        if (b.n > TOOL_RESULT_MAX)
            tool_endf(c, TOOL_BAD_INPUT, "That is %zu bytes, more than can be shown: name a path.",
                      b.n);
        else
            tool_end(c, TOOL_DONE, buf_view(&b));
    }
    buf_fini(&b);
}

/* A dotted path through properties, entries of maps and elements of lists. */
static const json_t *schema_at(const json_t *at, struct view path)
{
    char name[130];

    while (at && path.n) {
        size_t dot = view_find(path, '.');
        const json_t *next;

        if (dot >= sizeof(name))
            return NULL;
        (void)snprintf(name, sizeof(name), "%.*s", (int)dot, path.p);
        path = view_from(path, dot < path.n ? dot + 1 : dot);
        next = json_object_get(json_object_get(at, "properties"), name);
        if (!next)
            next = json_object_get(at, "additionalProperties");
        if (!next && (next = json_object_get(at, "items")))
            next = json_object_get(json_object_get(next, "properties"), name);
        at = json_is_object(next) ? next : NULL;
    }
    return at;
}

static void lookup(struct tool_call *c, struct view path)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    const json_t *at;

    if (json_parse(config_schema_json(), &doc, &e) < 0)
        tool_endf(c, TOOL_FAILED, "%s", e.text);
    else if (!(at = schema_at(json_object_get(doc, "schema"), path)))
        tool_endf(c, TOOL_BAD_INPUT, "There is no setting %.*s.", VIEW_FMT(path));
    else
        say(c, "schema", path, at);
    json_decref(doc);
}

void tool_gateway(struct tool_call *c)
{
    struct view action = json_view(c->args, "action"), path = view_trim(json_view(c->args, "path"));
    const json_t *conf = json_object_get(c->hub->settings->snapshot, "config"), *at;
    char dotted[260];

    (void)snprintf(dotted, sizeof(dotted), "%.*s", VIEW_FMT(path));
    if (view_eq(action, V("config.schema.lookup")))
        lookup(c, path);
    else if (!conf)
        tool_endf(c, TOOL_FAILED, "there is no configuration to show");
    else if (!(at = path.n ? json_at(conf, dotted) : conf))
        tool_endf(c, TOOL_BAD_INPUT, "%s is not set.", dotted);
    else
        say(c, "value", path, at);
}
