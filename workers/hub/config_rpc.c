#include "config_rpc.h"

#include "call.h"
#include "clock.h"
#include "config_schema.h"
#include "event.h"
#include "json.h"
#include "json5.h"
#include "settings.h"

enum { /* config_write of ipc.def */
       CONFIG_TEXT_MAX = 1024 * 1024,
       PATH_MAX_BYTES = 255, /* 256 of them, each on a line */
       PATHS_MAX_BYTES = 64 * 1024,
};

/* -------------------------------------------------------------- asking for a change */
static struct config_write_call *free_call(struct config_writes *w)
{
    for (unsigned i = 0; i < CONFIG_WRITES_MAX; i++)
        if (!w->call[i].req)
            return &w->call[i];
    return NULL;
}

static int submit(struct call *c, unsigned kind, struct view replace)
{
    struct view raw = json_view(c->params, "raw");
    struct config_writes *w = &c->hub->writes;
    struct config_write_call *slot = free_call(w);
    struct ipc_config_write m = {.how = kind == CONFIG_CALL_PATCH,
                                 .hash = json_view(c->params, "baseHash"),
                                 .replace = replace,
                                 .text = raw};
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    bool map;

    if (!m.hash.n || m.hash.n > 128)
        return call_error(c, RPC_INVALID_REQUEST,
                          "config base hash required; re-run config.get and retry");
    if (raw.n > CONFIG_TEXT_MAX)
        return call_error(c, RPC_INVALID_REQUEST, "the configuration: %zu bytes, limit %d", raw.n,
                          CONFIG_TEXT_MAX);
    /* what a client wrote is parsed here first: nothing that is no JSON5 goes further */
    if (json5_parse(raw, &doc, &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "SyntaxError: JSON5: %s", e.text);
    map = json_is_object(doc);
    json_decref(doc);
    if (!map)
        return call_error(c, RPC_INVALID_REQUEST, "raw must be a map {...}");
    if (!slot)
        return call_error_full(c, RPC_UNAVAILABLE, "other changes are being written", VIEW_EMPTY, 1,
                               500);
    m.req = ++w->last;
    if (msg_send_config_write(c->hub->w.sup, &m, &e) < 0)
        return call_error(c, RPC_UNAVAILABLE, "%s", e.text);
    *slot = (struct config_write_call){.req = m.req,
                                       .conn_id = c->ref.conn_id,
                                       .call = c->ref.req,
                                       .front = c->ref.front,
                                       .kind = kind};
    return 0;
}

/* A path a line. False: one of them is no path. */
static bool put_paths(const json_t *list, struct buf *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct view path = json_view_of(json_array_get(list, i));

        if (!path.n || path.n > PATH_MAX_BYTES || memchr(path.p, '\n', path.n) ||
            memchr(path.p, 0, path.n))
            return false;
        buf_put_str(out, i ? "\n" : "");
        buf_put_view(out, path);
    }
    return !out->failed;
}

static int ask_supervisor(struct call *c, unsigned kind)
{
    struct buf paths = BUF_INIT(PATHS_MAX_BYTES);
    int r;

    if (put_paths(json_object_get(c->params, "replacePaths"), &paths))
        r = submit(c, kind, buf_view(&paths));
    else
        r = call_error(c, RPC_INVALID_REQUEST,
                       "replacePaths: each is the path of a list, such as agents.list");
    buf_fini(&paths);
    return r;
}

int rpc_config_set(struct call *c)
{
    return ask_supervisor(c, CONFIG_CALL_SET);
}

int rpc_config_patch(struct call *c)
{
    return ask_supervisor(c, CONFIG_CALL_PATCH);
}

int rpc_config_apply(struct call *c)
{
    return ask_supervisor(c, CONFIG_CALL_APPLY);
}

/* -------------------------------------------------------------- the answer */
static void put_ok(struct hub *h, const struct config_write_call *k, struct view details,
                   struct buf *out, struct err *e)
{
    const json_t *snapshot = h->settings->snapshot;
    const json_t *shown = json_object_get(snapshot, "config");
    json_t *doc = NULL, *paths;
    struct jw w = JW_INIT(out);

    if (details.n && json_parse(details, &doc, e) < 0)
        doc = NULL; /* the list of changes is a courtesy */
    paths = json_object_get(doc, "changedPaths");
    jw_obj(&w);
    jw_kbool(&w, "ok", true);
    jw_kstr(&w, "path", json_view(snapshot, "path"));
    jw_kstr(&w, "hash", json_view(snapshot, "hash"));
    if (shown) {
        jw_key(&w, "config");
        jw_raw(&w, VIEW_EMPTY);
        if (json_dump(shown, out, e) < 0)
            out->failed = true;
    }
    if (k->kind == CONFIG_CALL_PATCH && json_array_size(paths) == 0)
        jw_kbool(&w, "noop", true);
    if (k->kind == CONFIG_CALL_PATCH && paths) {
        jw_key(&w, "changedPaths");
        jw_raw(&w, VIEW_EMPTY);
        if (json_dump(paths, out, e) < 0)
            out->failed = true;
    }
    if (k->kind != CONFIG_CALL_SET)
        jw_kraw(&w, "restart", V("null"));
    if (k->kind == CONFIG_CALL_APPLY)
        jw_kraw(&w, "sentinel", V("{\"persisted\":false,\"payload\":{}}"));
    jw_obj_end(&w);
    json_decref(doc);
}

/* "invalid config: a.b: why; c.d: why (+3 more issues)", as clients know it. */
static void put_issues(struct view details, struct view message, struct buf *out)
{
    json_t *doc = NULL, *list;
    struct err e = ERR_INIT;
    size_t n;

    if (details.n && json_parse(details, &doc, &e) < 0)
        doc = NULL;
    list = json_object_get(doc, "issues");
    n = json_array_size(list);
    buf_put_str(out, "invalid config: ");
    if (n == 0)
        buf_put_view(out, message);
    for (size_t i = 0; i < n && i < 3; i++) {
        struct view path = json_view(json_array_get(list, i), "path");

        buf_put_str(out, i ? "; " : "");
        buf_put_view(out, path);
        buf_put_str(out, path.n ? ": " : "");
        buf_put_view(out, json_view(json_array_get(list, i), "message"));
    }
    if (n > 3)
        buf_printf(out, " (+%zu more issues)", n - 3);
    json_decref(doc);
}

int config_on_written(struct hub *h, const struct ipc_config_written *m, struct err *e)
{
    struct buf payload = BUF_INIT(16 * MIB), body = BUF_INIT(17 * MIB);
    struct config_write_call k = {.req = 0};
    struct call_ref ref;
    int r = 0;

    for (unsigned i = 0; i < CONFIG_WRITES_MAX; i++)
        if (h->writes.call[i].req && h->writes.call[i].req == m->req) {
            k = h->writes.call[i];
            h->writes.call[i].req = 0;
        }
    if (!k.req)
        return 0; /* asked by a hub before this one */
    if (m->result == CONFIG_WRITTEN_OK) {
        put_ok(h, &k, m->details, &payload, e);
        if (!payload.failed)
            call_body_ok(&body, buf_view(&payload));
    } else {
        if (m->result == CONFIG_WRITTEN_INVALID)
            put_issues(m->details, m->message, &payload);
        else
            buf_put_view(&payload, m->message);
        call_body_error(&body, RPC_INVALID_REQUEST, buf_view(&payload), m->details, -1, 0,
                        VIEW_EMPTY);
    }
    ref = (struct call_ref){.conn_id = k.conn_id, .req = k.call, .front = k.front};
    if (payload.failed || buf_check(&body, e) < 0) {
        buf_reset(&body, 0);
        call_body_error(&body, RPC_UNAVAILABLE, V("no memory for the answer; run config.get"),
                        VIEW_EMPTY, -1, 0, VIEW_EMPTY);
    }
    r = call_send(h, &ref, false, buf_view(&body));
    buf_fini(&payload);
    buf_fini(&body);
    return r;
}

/* -------------------------------------------------------------- what is there */
void config_announce(struct hub *h, const struct settings *old)
{
    struct view was = json_view(old->snapshot, "hash"),
                now = json_view(h->settings->snapshot, "hash");
    struct jw *w;

    if (view_eq(was, now) || !event_wanted(h, AUD_READ))
        return;
    w = event_begin(h, "config.changed");
    jw_obj(w);
    jw_kstr(w, "path", json_view(h->settings->snapshot, "path"));
    jw_kstr(w, "hash", now);
    jw_ki64(w, "ts", clock_wall_ms());
    jw_obj_end(w);
    event_end(h, AUD_READ, EVENT_SEQ);
}

struct view config_schema_json(void)
{
    return view_of(config_schema_text, sizeof(config_schema_text));
}

int rpc_config_schema(struct call *c)
{
    struct view text = config_schema_json();
    char at[CLOCK_ISO_MAX];
    struct jw *w = call_ok(c);

    clock_iso(c->hub->started_ms, at);
    jw_obj(w);
    jw_kcstr(w, "version", c->hub->settings->version);
    jw_kcstr(w, "generatedAt", at);
    buf_put_char(w->b, ',');
    buf_put_view(w->b, view_from(text, 1)); /* its members, and the end of the object */
    w->depth--;                             /* the text closed it */
    return call_end(c);
}
