#include "tool_invoke.h"

#include "json.h"
#include "rand.h"
#include "settings.h"

#include <openssl/sha.h>
#include <stdio.h>

enum { NAME_SHOWN = 128 };

static struct view name_of(const json_t *body)
{
    struct view v = view_trim(json_view(body, "name"));

    if (!v.n)
        v = view_trim(json_view(body, "tool"));
    if (v.n > NAME_SHOWN)
        for (v.n = NAME_SHOWN; v.n && ((unsigned char)v.p[v.n] & 0xc0) == 0x80;)
            v.n--;
    return v;
}

/* The same key with the same request is the same call; without a key each is one of its own. */
static int name_call(const struct tool_ask *a, struct tool_call *c, struct err *e)
{
    struct view key = view_trim(json_view(a->body, "idempotencyKey"));
    struct buf b = BUF_INIT(TOOL_ARGS_MAX + 16 * KIB);
    unsigned char md[SHA256_DIGEST_LENGTH];
    char uuid[37];
    int r = 0;

    if (!key.n) {
        rand_uuid(uuid);
        (void)snprintf(c->id, sizeof(c->id), "%s-%s", a->by, uuid);
        return 0;
    }
    buf_printf(&b, "%.*s\n%s\n%.*s\n", VIEW_FMT(c->row->name), c->session.s, VIEW_FMT(key));
    if ((r = json_dump(c->args, &b, e)) == 0) {
        (void)SHA256((const unsigned char *)buf_view(&b).p, b.n, md);
        (void)snprintf(c->id, sizeof(c->id), "%s-", a->by);
        for (size_t i = 0, at = strlen(c->id); i < 20; i++, at += 2)
            (void)snprintf(c->id + at, sizeof(c->id) - at, "%02x", md[i]);
    }
    buf_fini(&b);
    return r;
}

/* args, with action among them where the tool has such an argument. */
static json_t *args_of(const json_t *body, const struct tool_row *row)
{
    json_t *args = json_object_get(body, "args"), *action = json_object_get(body, "action");

    if (!json_is_object(args))
        args = json_object();
    else
        args = json_copy(args);
    if (args && json_is_string(action) && !json_object_get(args, "action") &&
        strstr(row->params, "action"))
        (void)json_object_set(args, "action", action);
    return args;
}

static enum tool_fault session_of(const struct tool_ask *a, struct tool_call *c, char why[256])
{
    struct view asked = view_trim(json_view(a->body, "sessionKey")),
                agent = view_trim(json_view(a->body, "agentId"));
    struct err e = ERR_INIT;

    if (session_key(a->hub, asked.n ? asked : V("main"), agent, &c->session, &e) < 0) {
        (void)snprintf(why, 256, "%.250s", e.text);
        return TOOL_INVALID_REQUEST;
    }
    if (agent.n && !view_ieq(agent, view_str(c->session.agent))) {
        (void)snprintf(why, 256, "agent id \"%.*s\" does not match session agent \"%.64s\"",
                       (int)(agent.n < 64 ? agent.n : 64), agent.p, c->session.agent);
        return TOOL_INVALID_REQUEST;
    }
    return TOOL_FINE;
}

enum tool_fault tool_prepare(const struct tool_ask *a, struct tool_call *c, struct view *name,
                             char why[256])
{
    struct tool_asker who = {.conf = a->hub->w.conf, .outside = true, .owner = a->owner};
    enum tool_index i;
    enum tool_fault fault;
    struct err e = ERR_INIT;

    *name = name_of(a->body);
    if (!name->n) {
        (void)snprintf(why, 256, "tools.invoke requires name");
        return TOOL_INVALID_REQUEST;
    }
    if ((fault = session_of(a, c, why)) != TOOL_FINE)
        return fault;
    c->hub = a->hub;
    c->owner = a->owner;
    c->inside = true;
    who.agent = view_str(c->session.agent);
    who.session = session_key_view(&c->session);
    i = tool_find(*name);
    if (i >= TOOLS_SERVED || !tool_allowed(&who, tool_row(i), NULL)) {
        (void)snprintf(why, 256, "Tool not available: %.*s", VIEW_FMT(*name));
        return TOOL_NOT_FOUND;
    }
    c->row = tool_row(i);
    if (!(c->args = args_of(a->body, c->row)) || name_call(a, c, &e) < 0) {
        json_decref(TAKE(c->args));
        (void)snprintf(why, 256, "the arguments are too large");
        return TOOL_INVALID_REQUEST;
    }
    return TOOL_FINE;
}

void tool_put_result(struct jw *w, struct view text)
{
    jw_obj(w);
    jw_key(w, "content");
    jw_arr(w);
    jw_obj(w);
    jw_kcstr(w, "type", "text");
    jw_kstr(w, "text", text);
    jw_obj_end(w);
    jw_arr_end(w);
    jw_kraw(w, "details", text);
    jw_obj_end(w);
}
