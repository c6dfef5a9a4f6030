/* workers/hub/http_canvas.c - requests for the canvas's files (canvas.h). */
#include "canvas.h"
#include "file_get.h"
#include "json.h"
#include "log.h"
#include "media_type.h"
#include "settings.h"

#include <stdio.h>

enum { PART = 128 * 1024 }; /* ipc.def: file_part */

#define ROOT "/__openclaw__/"
#define POLICY                                                                                     \
    "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads "                 \
    "allow-pointer-lock; frame-ancestors 'self'"

/* One answer under way. */
struct serving {
    struct http_request *r;
    struct file_get *get;
    unsigned which;
    bool html;
    bool asking; /* its next part is on its way */
    char type[128];
};

/* Behind each page: what phones' apps give to pages that answer (the names are theirs), and the
 * line that says when to load anew. */
static const char live[] =
    "\n<script>\n(() => {\n"
    "  const name = \"openclawCanvasA2UIAction\";\n"
    "  const post = (message) => {\n"
    "    const text = typeof message === \"string\" ? message : JSON.stringify(message);\n"
    "    const to = window.webkit?.messageHandlers?.[name] ?? window[name];\n"
    "    if (typeof to?.postMessage !== \"function\") return false;\n"
    "    try { to.postMessage(text); return true; } catch { return false; }\n"
    "  };\n"
    "  const act = (action) => post({ userAction: { ...action, id: String(action?.id ?? "
    "\"\").trim() "
    "||\n"
    "    (crypto.randomUUID?.() ?? String(Date.now())) } });\n"
    "  window.OpenClaw = Object.assign(window.OpenClaw ?? {}, { postMessage: post, sendUserAction: "
    "act });\n"
    "  window.openclawPostMessage = post;\n"
    "  window.openclawSendUserAction = act;\n"
    "  const ticket = location.pathname.match(/^(.*\\/__openclaw__\\/cap\\/[^/]+)\\//);\n"
    "  const asked = new URLSearchParams(location.search).get(\"oc_cap\");\n"
    "  const at = location.origin.replace(/^http/, \"ws\") + (ticket ? ticket[1] : \"\") + "
    "\"/__openclaw__/ws\" +\n"
    "    (asked && !ticket ? \"?oc_cap=\" + encodeURIComponent(asked) : \"\");\n"
    "  let wait = 1000;\n"
    "  const listen = () => {\n"
    "    let ws;\n"
    "    try { ws = new WebSocket(at); } catch { return; }\n"
    "    ws.onopen = () => { wait = 1000; };\n"
    "    ws.onmessage = (e) => { if (e.data === \"reload\") location.reload(); };\n"
    "    ws.onclose = (e) => {\n"
    "      if (e.code === 1008) return;\n"
    "      setTimeout(listen, wait);\n"
    "      wait = Math.min(wait * 2, 30000);\n"
    "    };\n"
    "  };\n"
    "  listen();\n"
    "})();\n</script>\n";

static struct view behind(const struct serving *s)
{
    bool off = json_is_false(json_at(s->r->hub->settings->doc, "canvasHost.liveReload"));

    return s->html && !off ? view_of(live, sizeof(live) - 1) : VIEW_EMPTY;
}

/* ---- answers ---- */

/* With a ticket in the address whoever has it may read: a page in its sandbox is a stranger to the
 * files beside it, too. */
static const char *fields_of(const struct http_request *r)
{
    return r->by_ticket ? "Access-Control-Allow-Origin: *\r\n" : NULL;
}

static struct http_request *let_go(struct serving *s)
{
    struct http_request *r = s->r;

    r->work = NULL;
    file_get_cancel(&s->get);
    mem_free(s);
    return r;
}

static void say(struct http_request *r, unsigned status, const char *text)
{
    http_reply(r, &(struct http_reply){.status = status,
                                       .type = "text/plain; charset=utf-8",
                                       .fields = fields_of(r),
                                       .policy = POLICY,
                                       .body = view_str(text)});
}

static void moved(struct http_request *r)
{
    struct buf b = BUF_INIT(16 * KIB);
    struct view path = r->route->path;

    buf_put_str(&b, "Location: ");
    buf_put_view(&b, path);
    buf_put_view(&b, r->rest);
    buf_put_char(&b, '/');
    if (r->query.n) {
        buf_put_char(&b, '?');
        buf_put_view(&b, r->query);
    }
    buf_put(&b, "\r\n", 3);
    if (b.n > 4 * KIB)
        say(r, 404, "not found");
    else
        http_reply(r,
                   &(struct http_reply){.status = 302, .fields = buf_view(&b).p, .policy = POLICY});
    buf_fini(&b);
}

static void missing(struct serving *s)
{
    bool a2ui = s->which == FOLDER_A2UI &&
                !json_view_of(json_at(s->r->hub->settings->doc, "canvasHost.a2uiRoot")).n;

    say(let_go(s), 404,
        a2ui ? "There is no A2UI renderer here. Set canvasHost.a2uiRoot to a folder that has one: "
               "an index.html and what it loads."
             : "There is no such file in the canvas folder.");
}

/* As much is on its way as its client takes. */
static void go_on(struct serving *s)
{
    s->asking = http_room(s->r) >= PART;
    if (s->asking)
        file_get_more(s->get);
}

static void on_answer(void *ctx, unsigned result, uint64_t size, struct view part)
{
    struct serving *s = ctx;
    struct view end = behind(s);
    struct http_reply a = {
        .status = 200, .type = s->type, .fields = fields_of(s->r), .policy = POLICY, .body = part};
    struct buf whole = BUF_INIT(256 * KIB);

    if (result != FILE_FOUND || part.n == size)
        s->get = NULL; /* it is gone */
    if (result == FILE_MISSING) {
        missing(s);
    } else if (result == FILE_FOLDER) {
        moved(let_go(s));
    } else if (result == FILE_BUSY) {
        say(let_go(s), 503, "Too many files are read at once. Try again.");
    } else if (part.n == size) {
        buf_put_view(&whole, part);
        buf_put_view(&whole, end);
        a.body = buf_view(&whole);
        s->r->work = NULL;
        http_reply(s->r, &a);
        mem_free(s);
    } else {
        http_begin(s->r, &a);
        go_on(s);
    }
    buf_fini(&whole);
}

static void on_part(void *ctx, struct view part, bool last)
{
    struct serving *s = ctx;
    struct view end = behind(s);

    http_part(s->r, part);
    if (last) {
        struct http_request *r;

        s->get = NULL;
        r = let_go(s);
        http_end(r, end);
    } else {
        go_on(s);
    }
}

static void on_broken(void *ctx)
{
    struct serving *s = ctx;
    bool begun = s->r->begun;
    struct http_request *r;

    s->get = NULL;
    r = let_go(s);
    if (begun)
        http_break(r);
    else
        say(r, 503, "The canvas folder cannot be read now. Try again.");
}

static void on_gone(struct http_request *r)
{
    (void)let_go(r->user);
}

static void on_room(struct http_request *r)
{
    struct serving *s = r->user;

    if (s->get && !s->asking)
        go_on(s);
}

/* ---- requests ---- */

static void serve(struct http_request *r, unsigned which, struct view path)
{
    static const struct http_work working = {.on_gone = on_gone, .on_room = on_room};
    static const struct file_get_on on = {
        .answer = on_answer, .part = on_part, .broken = on_broken};
    struct buf name = BUF_INIT(4 * KIB);
    struct serving *s = NULL;
    struct err e = ERR_INIT;
    const char *type;

    if (json_is_false(json_at(r->hub->settings->doc, "canvasHost.enabled"))) {
        http_reply_text(r, 404, "Not Found");
        return;
    }
    if (!http_unescape(path, false, &name)) {
        say(r, 404, "not found");
        goto out;
    }
    type = media_type(!name.n || view_ends(buf_view(&name), V("/")) ? V(".html") : buf_view(&name));
    if (mem_new(&s, sizeof(*s), &e) < 0) {
        say(r, 503, "Out of memory. Try again.");
        goto out;
    }
    *s = (struct serving){
        .r = r, .which = which, .html = view_starts(view_str(type), V("text/html"))};
    (void)snprintf(s->type, sizeof(s->type), "%s", type);
    r->work = &working;
    r->user = s;
    if (file_get(r->hub, which, buf_view(&name), &on, s, &s->get, &e) < 0)
        say(let_go(s), 503, "Too many files are read at once. Try again.");
out:
    buf_fini(&name);
}

void http_canvas(struct http_request *r, struct view body)
{
    (void)body;
    serve(r, FOLDER_CANVAS, r->rest);
}

void http_a2ui(struct http_request *r, struct view body)
{
    (void)body;
    serve(r, FOLDER_A2UI, r->rest);
}

/* Without the "/" what a page names beside itself would be looked for elsewhere. */
void http_canvas_bare(struct http_request *r, struct view body)
{
    (void)body;
    moved(r);
}

/* <ticket>/__openclaw__/canvas/... */
void http_canvas_cap(struct http_request *r, struct view body)
{
    struct view path = view_from(r->rest, view_find(r->rest, '/'));

    (void)body;
    if (view_starts(path, V(ROOT "canvas/")))
        serve(r, FOLDER_CANVAS, view_from(path, sizeof(ROOT "canvas/") - 1));
    else if (view_starts(path, V(ROOT "a2ui/")))
        serve(r, FOLDER_A2UI, view_from(path, sizeof(ROOT "a2ui/") - 1));
    else if (view_eq(path, V(ROOT "canvas")) || view_eq(path, V(ROOT "a2ui")))
        moved(r);
    else
        say(r, 404, "not found");
}

void http_canvas_ws(struct http_request *r, struct view body)
{
    (void)body;
    http_reply(r, &(struct http_reply){.status = 426,
                                       .type = "text/plain; charset=utf-8",
                                       .fields = "Upgrade: websocket\r\n",
                                       .body = V("upgrade required")});
}

bool http_by_ticket(struct http_request *r)
{
    struct buf asked = BUF_INIT(256);
    struct view ticket = VIEW_EMPTY;

    if (r->route->id == ROUTE_canvas_cap)
        ticket = view_of(r->rest.p, view_find(r->rest, '/'));
    else if (http_query(r, V("oc_cap"), &asked))
        ticket = buf_view(&asked);
    r->by_ticket = canvas_holder(r->hub, ticket) != NULL;
    buf_fini(&asked);
    return r->by_ticket;
}
