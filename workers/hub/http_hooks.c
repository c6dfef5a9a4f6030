/* workers/hub/http_hooks.c - POST <hooks.path>/wake, /agent and /<name> (protocol, 10.2). */
#include "auth.h"
#include "clock.h"
#include "hook_map.h"
#include "hook_run.h"
#include "hook_script.h"
#include "json.h"
#include "log.h"
#include "room.h"
#include "secret.h"
#include "settings.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    HOOK_FAILURES = 20, /* wrong tokens of an address in a minute */
    HOOK_LOCK_MS = 60 * 1000,
};

/* ---- answers ---- */

static void refuse(struct http_request *r, unsigned status, const char *fmt, ...) PRINTF(3, 4);
static void refuse(struct http_request *r, unsigned status, const char *fmt, ...)
{
    struct buf b = BUF_INIT(4 << 10);
    struct jw w = JW_INIT(&b);
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    jw_obj(&w);
    jw_kbool(&w, "ok", false);
    jw_kcstr(&w, "error", text);
    jw_obj_end(&w);
    http_reply_json(r, status, buf_view(&b));
    buf_fini(&b);
}

/* ---- who ---- */

bool http_hook_judge(struct http_request *r, struct view credential)
{
    struct hub *h = r->hub;
    struct err e = ERR_INIT;
    struct buf token = BUF_INIT(4 << 10);
    unsigned char sum[MAC_BYTES];
    uint64_t now = clock_mono_ms(), locked;
    bool right, in_query = http_query(r, V("token"), &token);

    token.secret = true;
    buf_fini(&token);
    if (in_query) {
        refuse(r, 400,
               "The token belongs into the Authorization or X-OpenClaw-Token header, not "
               "into the address.");
        return false;
    }
    if (!h->hook_throttle && mem_new(&h->hook_throttle, sizeof(*h->hook_throttle), &e) < 0) {
        refuse(r, 503, "out of memory");
        return false;
    }
    h->hook_throttle->rule =
        (struct throttle_rule){.failures = HOOK_FAILURES, .lock_ms = HOOK_LOCK_MS};
    right = h->settings->have_hook_token && credential.n &&
            mac_of(h->mac, credential, sum, &e) == 0 &&
            secret_same(sum, h->settings->hook_token_mac, sizeof(sum));
    mem_wipe(sum, sizeof(sum));
    locked = throttle_locked(h->hook_throttle, THROTTLE_SECRET, r->peer, now);
    if (right && !locked) {
        throttle_ok(h->hook_throttle, THROTTLE_SECRET, r->peer);
        return true;
    }
    if (!locked) {
        (void)throttle_failed(h->hook_throttle, THROTTLE_SECRET, r->peer, false, now);
        http_reply_text(r, 401, "Unauthorized");
    } else {
        char fields[64];

        (void)snprintf(fields, sizeof(fields), "Retry-After: %llu\r\n",
                       (unsigned long long)(locked / 1000 + 1));
        http_reply(r, &(struct http_reply){.status = 429,
                                           .type = "text/plain; charset=utf-8",
                                           .fields = fields,
                                           .body = V("Too Many Requests")});
    }
    return false;
}

static void wake_answer(struct http_request *r, const struct hook_ask *a)
{
    http_reply_json(r, 200,
                    a->next_heartbeat
                        ? V("{\"ok\":true,\"mode\":\"next-heartbeat\",\"eventOutcome\":\"queued\"}")
                        : V("{\"ok\":true,\"mode\":\"now\",\"eventOutcome\":\"queued\"}"));
}

/* ---- requests ---- */

static bool mode_of(struct view word, bool *next)
{
    *next = view_eq(word, V("next-heartbeat"));
    return !word.n || *next || view_eq(word, V("now"));
}

static void on_wake(struct http_request *r, const json_t *p)
{
    struct hook_ask a = {.message = view_trim(json_view(p, "text")),
                         .agent = json_view(p, "agentId"),
                         .key = json_view(p, "sessionKey")};
    char why[256];
    unsigned status;

    if (!a.message.n)
        refuse(r, 400, "text required");
    else if (!mode_of(json_view(p, "mode"), &a.next_heartbeat))
        refuse(r, 400, "mode is \"now\" or \"next-heartbeat\"");
    else if (a.key.n &&
             (a.next_heartbeat || !json_flag(hook_conf(r->hub), "allowRequestSessionKey", false) ||
              !hook_prefix_allowed(hook_conf(r->hub), a.key)))
        refuse(r, 400, "sessionKey is not allowed here");
    else if ((status = hook_wake(r, &a, why)))
        refuse(r, status, "%s", why);
    else
        wake_answer(r, &a);
}

static struct view replay_key(const struct http_request *r, const json_t *p)
{
    struct view v = view_trim(http_header(r, V("idempotency-key")));

    if (!v.n)
        v = view_trim(http_header(r, V("x-openclaw-idempotency-key")));
    return v.n ? v : view_trim(json_view(p, "idempotencyKey"));
}

static void on_agent(struct http_request *r, const json_t *p)
{
    struct view mode = json_view(p, "sessionMode");
    struct hook_ask a = {.message = view_trim(json_view(p, "message")),
                         .name = json_view(p, "name"),
                         .agent = json_view(p, "agentId"),
                         .key = view_trim(json_view(p, "sessionKey")),
                         .key_from_payload = true,
                         .persistent = view_eq(mode, V("persistent")),
                         .deliver = json_flag(p, "deliver", true),
                         .channel = json_view(p, "channel"),
                         .to = json_view(p, "to"),
                         .account = json_view(p, "accountId"),
                         .model = view_trim(json_view(p, "model")),
                         .thinking = json_view(p, "thinking"),
                         .replay = replay_key(r, p),
                         .wrap = true,
                         .timeout_s = json_i64(p, "timeoutSeconds", 0)};
    struct buf b = BUF_INIT(1024);
    char run_id[40], why[256];
    unsigned status;

    if (!a.message.n)
        refuse(r, 400, "message required");
    else if (mode.n && !a.persistent && !view_eq(mode, V("isolated")))
        refuse(r, 400, "sessionMode is \"isolated\" or \"persistent\"");
    else if ((status = hook_start(r, &a, run_id, why)))
        refuse(r, status, "%s", why);
    else {
        buf_printf(&b, "{\"ok\":true,\"runId\":\"%s\"}", run_id);
        http_reply_json(r, 200, buf_view(&b));
    }
    buf_fini(&b);
}

/* ---- mappings ---- */

enum { T_MESSAGE, T_NAME, T_KEY, T_TO, T_MODEL, T_THINKING, T_COUNT };

/* One action of a mapping: what a transform says of it goes before what the mapping says. */
struct action {
    const json_t *map, *over; /* over: NULL without a transform */
    const struct hook_source *source;
    bool gmail; /* of the preset */
};

static const json_t *word(const struct action *x, const char *key)
{
    const json_t *v = json_object_get(x->over, key);

    return v && !json_is_null(v) ? v : json_object_get(x->map, key);
}

static bool flag(const struct action *x, const char *key, bool otherwise)
{
    const json_t *v = word(x, key);

    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

/* The transform's text, or the mapping's template filled in. */
static int fill(const struct action *x, const char *over, const char *map, struct buf *out,
                struct err *e)
{
    const json_t *v = json_object_get(x->over, over);

    if (!json_is_string(v))
        return hook_map_fill(json_view(x->map, map), x->source, out, e);
    buf_put_view(out, json_view_of(v));
    return buf_check(out, e);
}

/* A key that the request had a part in needs hooks.allowRequestSessionKey. */
static bool key_from_outside(const struct action *x)
{
    if (json_is_string(json_object_get(x->over, "sessionKey")))
        return !view_eq(json_view(x->over, "sessionKeySource"), V("static"));
    return hook_map_is_template(json_view(x->map, "sessionKey"));
}

static bool is_wake_action(const struct action *x)
{
    struct view kind = json_view(x->over, "kind");

    return view_eq(kind.n ? kind : json_view(x->map, "action"), V("wake"));
}

static void ask_of(const struct action *x, struct http_request *r, struct buf t[T_COUNT],
                   struct hook_ask *a)
{
    const json_t *gmail = x->gmail ? json_object_get(hook_conf(r->hub), "gmail") : NULL;

    *a = (struct hook_ask){.message = view_trim(buf_view(&t[T_MESSAGE])),
                           .name = buf_view(&t[T_NAME]),
                           .agent = json_view_of(word(x, "agentId")),
                           .key = view_trim(buf_view(&t[T_KEY])),
                           .key_from_payload = key_from_outside(x),
                           .persistent =
                               view_eq(json_view_of(word(x, "sessionMode")), V("persistent")),
                           .deliver = flag(x, "deliver", true),
                           .channel = json_view_of(word(x, "channel")),
                           .to = view_trim(buf_view(&t[T_TO])),
                           .model = view_trim(buf_view(&t[T_MODEL])),
                           .thinking = view_trim(buf_view(&t[T_THINKING])),
                           .replay = replay_key(r, x->source->payload),
                           .wrap = !flag(x, "allowUnsafeExternalContent", false) &&
                                   !json_flag(gmail, "allowUnsafeExternalContent", false),
                           .timeout_s = json_integer_value(word(x, "timeoutSeconds"))};
    if (!a->model.n && gmail) {
        a->model = view_trim(json_view(gmail, "model"));
        a->may_ignore_model = true;
    }
    if (!a->thinking.n)
        a->thinking = view_trim(json_view(gmail, "thinking"));
    if (view_eq(a->channel, V("last")) || !a->to.n) {
        a->last = !a->channel.n || view_eq(a->channel, V("last"));
        a->channel = a->to = VIEW_EMPTY;
    }
    (void)mode_of(json_view_of(word(x, "wakeMode")), &a->next_heartbeat);
}

/* 0 or a status with why; run_id "" for a wake. */
static unsigned act(struct http_request *r, const struct action *x, char run_id[40], char why[256])
{
    static const char *const names[T_COUNT] = {NULL, "name",  "sessionKey",
                                               "to", "model", "thinking"};
    bool is_wake = is_wake_action(x);
    struct buf t[T_COUNT];
    struct hook_ask a;
    struct err e = ERR_INIT;
    unsigned status = 0;

    for (int i = 0; i < T_COUNT; i++) {
        const char *over = i ? names[i] : is_wake ? "text" : "message";
        const char *map = i ? names[i] : is_wake ? "textTemplate" : "messageTemplate";

        buf_init(&t[i], HOOK_TEXT_MAX);
        if (!status && fill(x, over, map, &t[i], &e) < 0) {
            (void)snprintf(why, 256, "hook mapping failed: %.180s", e.text);
            status = 500;
        }
    }
    ask_of(x, r, t, &a);
    run_id[0] = 0;
    if (!status && !a.message.n) {
        (void)snprintf(why, 256, is_wake ? "text required" : "message required");
        status = 400;
    }
    if (!status && json_view_of(word(x, "sessionKey")).n && !a.key.n) {
        (void)snprintf(why, 256, "sessionKey: the template gives nothing");
        status = 400;
    }
    if (!status)
        status = is_wake ? hook_wake(r, &a, why) : hook_start(r, &a, run_id, why);
    for (int i = 0; i < T_COUNT; i++)
        buf_fini(&t[i]);
    return status;
}

/* The payload with the list replaced by one of its items. */
static json_t *with_item(const json_t *p, const char *key, json_t *item)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)p);

    if (copy && json_object_set_new(copy, key, json_pack("[O]", item)) < 0) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}

static void batch_answer(struct http_request *r, const char *ids, unsigned n, bool batch)
{
    struct buf b = BUF_INIT(64 << 10);

    if (n == 0) {
        http_reply_json(r, 200, V("{\"ok\":true,\"mode\":\"now\",\"eventOutcome\":\"queued\"}"));
        return;
    }
    buf_printf(&b, "{\"ok\":true,\"runId\":%.*s", (int)strcspn(ids, ","), ids);
    if (batch && n > 1)
        buf_printf(&b, ",\"runIds\":[%s],\"dispatched\":%u", ids, n);
    buf_put_char(&b, '}');
    http_reply_json(r, 200, buf_view(&b));
    buf_fini(&b);
}

/* overs: what a transform says of each action, or NULL without one. */
static void run_mapping(struct http_request *r, const json_t *m, struct hook_source *s,
                        const json_t *overs)
{
    struct view each = json_view(m, "forEach");
    const json_t *list = each.n ? json_object_getn(s->payload, each.p, each.n) : NULL;
    size_t count = each.n ? json_array_size(list) : 1;
    struct buf ids = BUF_INIT(64 << 10);
    const json_t *payload = s->payload;
    char run_id[40], why[256];
    struct action x = {.map = m, .source = s, .gmail = hook_map_is_preset(m)};
    unsigned status = 0, n = 0, acted = 0;
    char name[128];

    (void)snprintf(name, sizeof(name), "%.*s", (int)(each.n < 127 ? each.n : 127), each.p);
    if (count > HOOK_ITEMS_MAX) {
        log_warn("hook.items_dropped", KV("items", count), KV("taken", (int)HOOK_ITEMS_MAX));
        count = HOOK_ITEMS_MAX;
    }
    for (size_t i = 0; i < count && !status; i++) {
        json_t *one = each.n ? with_item(payload, name, json_array_get(list, i)) : NULL;

        x.over = overs ? json_array_get(overs, i) : NULL;
        if (each.n)
            s->payload = one;
        if (!overs || json_is_object(x.over)) { /* null: leave it out */
            acted++;
            status = act(r, &x, run_id, why);
            if (!status && run_id[0]) {
                buf_printf(&ids, "%s\"%s\"", n ? "," : "", run_id);
                n++;
            }
        }
        json_decref(one);
        s->payload = payload;
    }
    buf_put_char(&ids, 0);
    if (!acted)
        http_reply(r, &(struct http_reply){.status = 204});
    else if (status)
        refuse(r, status, "%s", why);
    else
        batch_answer(r, buf_view(&ids).p, n, each.n > 0);
    buf_fini(&ids);
}

/* ---- mappings with a transform ---- */

/* A request whose transform is under way. */
struct transform {
    struct http_request *r;
    struct hook_script *script;
    json_t *map, *payload; /* references */
    int64_t now_ms;
};

static struct http_request *transform_free(struct transform *t)
{
    struct http_request *r = t->r;

    r->work = NULL;
    hook_script_cancel(&t->script);
    json_decref(t->map);
    json_decref(t->payload);
    mem_free(t);
    return r;
}

static void on_gone(struct http_request *r)
{
    (void)transform_free(r->user);
}

static struct hook_source source_of(const struct http_request *r, const json_t *payload,
                                    int64_t now_ms)
{
    struct hook_source s = {.payload = payload,
                            .path = r->rest,
                            .headers = r->headers,
                            .query = r->query,
                            .now_ms = now_ms};

    while (s.path.n && s.path.p[s.path.n - 1] == '/')
        s.path.n--;
    return s;
}

static void on_transformed(void *ctx, unsigned result, struct view answer)
{
    struct transform *t = ctx;
    struct hook_source s = source_of(t->r, t->payload, t->now_ms);
    json_t *overs = NULL, *map = json_incref(t->map), *payload = json_incref(t->payload);
    struct http_request *r;
    struct err e = ERR_INIT;

    t->script = NULL;
    r = transform_free(t);
    if (result == SCRIPT_OK && json_parse(answer, &overs, &e) == 0 && json_is_array(overs)) {
        run_mapping(r, map, &s, overs);
    } else if (result == SCRIPT_NONE) {
        refuse(
            r, 501,
            "This mapping has a transform, which is JavaScript, and there is no node here to run "
            "it: install node (Debian: apt install nodejs), or name it in hooks.transformsNode.");
    } else if (result == SCRIPT_BUSY) {
        refuse(r, 503, "The transform cannot be run now: %.*s",
               (int)(answer.n < 200 ? answer.n : 200), answer.p);
    } else {
        log_warn("hook.transform_failed",
                 KV("why", view_of(answer.p, answer.n < 300 ? answer.n : 300)));
        refuse(r, 500, "hook mapping failed: the transform: %.*s",
               (int)(answer.n < 300 ? answer.n : 300), answer.p);
    }
    json_decref(overs);
    json_decref(map);
    json_decref(payload);
}

static void put_headers(const struct http_request *r, struct jw *w)
{
    struct view left = r->headers;

    jw_obj(w);
    while (left.n) {
        struct view line = view_of(left.p, view_find(left, '\n'));
        size_t colon = view_find(line, ':');

        left = view_from(left, line.n + 1);
        /* no credential is a module's business */
        if (colon == line.n || view_eq(view_of(line.p, colon), V("authorization")))
            continue;
        jw_key_view(w, view_of(line.p, colon));
        jw_str(w, view_trim(view_from(line, colon + 1)));
    }
    jw_obj_end(w);
}

/* hooks.transformsDir, or the folder beside the configuration. */
static void put_dir(const struct hub *h, struct jw *w)
{
    struct view dir = json_view(hook_conf(h), "transformsDir");
    struct view config = view_str(h->settings->config_path ? h->settings->config_path : "");

    jw_key(w, "dir");
    if (dir.n) {
        jw_str(w, dir);
        return;
    }
    while (config.n && config.p[config.n - 1] != '/')
        config.n--;
    jw_str_open(w);
    jw_escape(w->b, config);
    buf_put_str(w->b, "hooks/transforms");
    jw_str_close(w);
}

static int put_question(const struct http_request *r, const json_t *m, const json_t *payload,
                        struct buf *out, struct err *e)
{
    const json_t *transform = json_object_get(m, "transform");
    struct jw w = JW_INIT(out);
    int rc;

    jw_obj(&w);
    put_dir(r->hub, &w);
    jw_kstr(&w, "module", json_view(transform, "module"));
    jw_kstr(&w, "export", json_view(transform, "export"));
    jw_kstr(&w, "each", json_view(m, "forEach"));
    jw_ki64(&w, "most", HOOK_ITEMS_MAX);
    jw_kstr(&w, "path", source_of(r, NULL, 0).path);
    jw_key(&w, "url");
    jw_str_open(&w);
    buf_put_char(out, '/');
    jw_escape(out, r->rest);
    if (r->query.n) {
        buf_put_char(out, '?');
        jw_escape(out, r->query);
    }
    jw_str_close(&w);
    jw_key(&w, "headers");
    put_headers(r, &w);
    jw_key(&w, "payload");
    if ((rc = json_dump(payload, out, e)) < 0)
        return rc;
    buf_put_char(out, '}');
    return buf_check(out, e);
}

static void transform(struct http_request *r, const json_t *m, const json_t *payload)
{
    static const struct http_work working = {.on_gone = on_gone};
    struct buf q = BUF_INIT(MIB);
    struct transform *t = NULL;
    struct err e = ERR_INIT;

    if (put_question(r, m, payload, &q, &e) < 0 || mem_new(&t, sizeof(*t), &e) < 0) {
        refuse(r, 503, "hook mapping failed: %.200s", e.text);
        goto out;
    }
    *t = (struct transform){.r = r,
                            .map = json_incref((json_t *)(uintptr_t)m),
                            .payload = json_incref((json_t *)(uintptr_t)payload),
                            .now_ms = clock_wall_ms()};
    r->work = &working;
    r->user = t;
    if (hook_script_ask(r->hub, buf_view(&q), on_transformed, t, &t->script, &e) < 0)
        refuse(transform_free(t), 503, "%.200s", e.text);
out:
    buf_fini(&q);
}

void http_hook(struct http_request *r, struct view body)
{
    struct hook_source s = source_of(r, NULL, clock_wall_ms());
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    const json_t *m;

    if (json_parse(body, &doc, &e) < 0 || !json_is_object(doc)) {
        refuse(r, 400, "The body is not a JSON object.");
    } else if (!room_for(r->hub, 2 * body.n)) {
        refuse(r, 503, "The gateway's disk is full. Try again later.");
    } else if (view_eq(s.path, V("wake"))) {
        on_wake(r, doc);
    } else if (view_eq(s.path, V("agent"))) {
        on_agent(r, doc);
    } else {
        s.payload = doc;
        m = s.path.n ? hook_map_find(hook_conf(r->hub), &s) : NULL;
        if (!m)
            http_reply_text(r, 404, "Not Found");
        else if (json_object_get(m, "transform"))
            transform(r, m, doc);
        else
            run_mapping(r, m, &s, NULL);
    }
    json_decref(doc);
}
