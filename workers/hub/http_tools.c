/* workers/hub/http_tools.c - POST /tools/invoke (protocol, 10.2). */
#include "http.h"
#include "json.h"
#include "room.h"
#include "tool_invoke.h"

enum { ANSWER_MAX = 1 << 20 };

struct invoke {
    struct tool_call call; /* first */
    struct http_request *r;
};

static void tool_error(struct http_request *r, unsigned status, const char *type, struct view text)
{
    struct buf b = BUF_INIT(64 * KIB);
    struct jw w = JW_INIT(&b);

    jw_obj(&w);
    jw_kbool(&w, "ok", false);
    jw_key(&w, "error");
    jw_obj(&w);
    jw_kcstr(&w, "type", type);
    jw_kstr(&w, "message", text);
    jw_obj_end(&w);
    jw_obj_end(&w);
    http_reply_json(r, status, buf_view(&b));
    buf_fini(&b);
}

static void on_end(struct tool_call *c, enum tool_end end, struct view text)
{
    static const unsigned status[] = {200, 400, 403, 500};
    struct invoke *v = (struct invoke *)c;
    struct http_request *r = v->r;
    struct buf b = BUF_INIT(ANSWER_MAX);
    struct jw w = JW_INIT(&b);

    r->work = NULL;
    if (end == TOOL_DONE) {
        jw_obj(&w);
        jw_kbool(&w, "ok", true);
        jw_key(&w, "result");
        tool_put_result(&w, text);
        jw_obj_end(&w);
        http_reply_json(r, 200, buf_view(&b));
    } else {
        tool_error(r, status[end], "tool_error", text);
    }
    buf_fini(&b);
    mem_free(v);
}

/* Its client left. What was accepted goes on. */
static void on_gone(struct http_request *r)
{
    struct invoke *v = r->user;

    tool_drop(&v->call);
    mem_free(v);
}

static const struct http_work working = {.on_gone = on_gone};

void http_tools_invoke(struct http_request *r, struct view body)
{
    struct tool_ask ask = {
        .hub = r->hub, .by = "http", .owner = (r->scopes & SCOPE_ADMIN) == SCOPE_ADMIN};
    struct invoke *v = NULL;
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    struct view name;
    enum tool_fault fault;
    char why[256];

    if (json_parse(body, &doc, &e) < 0 || !json_is_object(doc)) {
        tool_error(r, 400, "invalid_request", V("The body is not a JSON object."));
    } else if (r->hub->stopping || !(v = mem_alloc(sizeof(*v)))) {
        tool_error(r, 503, "unavailable", V("The gateway is busy. Try again in a moment."));
    } else {
        *v = (struct invoke){.r = r, .call = {.on_end = on_end}};
        ask.body = doc;
        if ((fault = tool_prepare(&ask, &v->call, &name, why)) != TOOL_FINE) {
            mem_free(TAKE(v));
            tool_error(r, fault == TOOL_NOT_FOUND ? 404 : 400,
                       fault == TOOL_NOT_FOUND ? "not_found" : "invalid_request", view_str(why));
        } else if (!(v->call.row->flags & T_READ) && !room_for(r->hub, 2 * body.n)) {
            json_decref(v->call.args);
            mem_free(TAKE(v));
            tool_error(r, 503, "unavailable", V("The gateway's disk is full. Try again later."));
        } else {
            r->work = &working;
            r->user = v;
            tool_start(&v->call);
        }
    }
    json_decref(doc);
}
