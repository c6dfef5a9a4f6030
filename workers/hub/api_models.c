/* workers/hub/api_models.c - GET /v1/models and /v1/models/{id}: agents are models (protocol,
 * 10.2). */
#include "api.h"
#include "settings.h"

/* They are there when one of the interfaces is that uses them. */
bool api_any_on(struct http_request *r)
{
    const json_t *doc = r->hub->settings->doc;

    if (json_is_true(json_at(doc, "gateway.http.endpoints.chatCompletions.enabled")) ||
        json_is_true(json_at(doc, "gateway.http.endpoints.responses.enabled")))
        return true;
    http_reply_text(r, 404, "Not Found");
    return false;
}

static void put(struct jw *w, const char *prefix, const char *id)
{
    jw_obj(w);
    jw_key(w, "id");
    jw_str_open(w);
    buf_put_str(w->b, prefix);
    jw_escape(w->b, view_str(id));
    jw_str_close(w);
    jw_kcstr(w, "object", "model");
    jw_ki64(w, "created", 0);
    jw_kcstr(w, "owned_by", "openclaw");
    jw_kraw(w, "permission", V("[]"));
    jw_obj_end(w);
}

void http_models(struct http_request *r, struct view body)
{
    const struct settings *s = r->hub->settings;
    struct buf b = BUF_INIT(1 << 20);
    struct jw w = JW_INIT(&b);

    (void)body;
    if (!api_any_on(r))
        return;
    jw_obj(&w);
    jw_kcstr(&w, "object", "list");
    jw_key(&w, "data");
    jw_arr(&w);
    put(&w, "", "openclaw");
    put(&w, "openclaw/", "default");
    for (unsigned i = 0; i < s->agent_count; i++)
        put(&w, "openclaw/", s->agents[i].id);
    jw_arr_end(&w);
    jw_obj_end(&w);
    http_reply_json(r, b.failed ? 500 : 200, buf_view(&b));
    buf_fini(&b);
}

void http_model(struct http_request *r, struct view body)
{
    const struct settings *s = r->hub->settings;
    struct buf id = BUF_INIT(512), b = BUF_INIT(4 << 10);
    struct jw w = JW_INIT(&b);
    struct view v, agent;

    (void)body;
    if (!api_any_on(r))
        return;
    if (!http_unescape(r->rest, false, &id))
        buf_reset(&id, 0);
    v = buf_view(&id);
    agent = view_starts(v, V("openclaw/")) ? view_from(v, 9) : VIEW_EMPTY;
    if (view_eq(v, V("openclaw"))) {
        put(&w, "", "openclaw");
    } else if (view_eq(agent, V("default"))) {
        put(&w, "openclaw/", "default");
    } else if (agent.n) {
        const struct agent_conf *a = settings_agent(s, agent);

        if (a)
            put(&w, "openclaw/", a->id);
    }
    if (b.n)
        http_reply_json(r, 200, buf_view(&b));
    else
        http_reply_error(r, 400, "invalid_request_error", V("Invalid model id."));
    buf_fini(&id);
    buf_fini(&b);
}
