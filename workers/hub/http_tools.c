/* workers/hub/http_tools.c - POST /tools/invoke (protocol, 10.2). */
#include "http.h"
#include "json.h"

enum { NAME_SHOWN = 128 };

static void tool_error(struct http_request *r, unsigned status, const char *type, const char *text,
                       struct view name)
{
    struct buf b = BUF_INIT(4 * KIB);

    buf_put_str(&b, "{\"ok\":false,\"error\":{\"type\":\"");
    buf_put_str(&b, type);
    buf_put_str(&b, "\",\"message\":\"");
    buf_put_str(&b, text);
    jw_escape(&b, name);
    buf_put_str(&b, "\"}}");
    http_reply_json(r, status, buf_view(&b));
    buf_fini(&b);
}

void http_tools_invoke(struct http_request *r, struct view body)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    struct view tool = VIEW_EMPTY;

    if (json_parse(body, &doc, &e) == 0)
        tool = view_trim(json_view(doc, "tool"));
    if (tool.n > NAME_SHOWN)
        for (tool.n = NAME_SHOWN; tool.n && ((unsigned char)tool.p[tool.n] & 0xc0) == 0x80;)
            tool.n--;
    if (tool.n)
        tool_error(r, 404, "not_found", "Tool not available: ", tool);
    else
        tool_error(r, 400, "invalid_request", "tools.invoke requires body.tool", VIEW_EMPTY);
    json_decref(doc);
}
