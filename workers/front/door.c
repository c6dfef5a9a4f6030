#include "door.h"

#include "json.h"
#include "jw.h"

#include <inttypes.h>
#include <stdio.h>

enum { TOOL_NAME_SHOWN = 128 };

bool door_bearer(struct view authorization, struct view *credential)
{
    struct view scheme = V("Bearer"), v = authorization;

    if (v.n <= scheme.n || !view_ieq(view_of(v.p, scheme.n), scheme) || v.p[scheme.n] != ' ')
        return false;
    v = view_trim(view_from(v, scheme.n));
    if (v.n == 0 || v.n > DOOR_CREDENTIAL_MAX)
        return false;
    *credential = v;
    return true;
}

void door_retry_after(char out[DOOR_RETRY_MAX], uint64_t ms)
{
    (void)snprintf(out, DOOR_RETRY_MAX, "Retry-After: %" PRIu64 "\r\n",
                   ms / 1000 + (ms % 1000 || ms == 0 ? 1 : 0));
}

static unsigned tool_error(struct buf *out, const char *type, const char *text, struct view name)
{
    buf_put_str(out, "{\"ok\":false,\"error\":{\"type\":\"");
    buf_put_str(out, type);
    buf_put_str(out, "\",\"message\":\"");
    buf_put_str(out, text);
    jw_escape(out, name);
    buf_put_str(out, "\"}}");
    return name.n ? 404 : 400;
}

unsigned door_tool_missing(struct view body, struct buf *out)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    struct view tool = VIEW_EMPTY;
    unsigned status;

    if (json_parse(body, &doc, &e) == 0)
        tool = view_trim(json_view(doc, "tool"));
    if (tool.n > TOOL_NAME_SHOWN)
        for (tool.n = TOOL_NAME_SHOWN; tool.n && ((unsigned char)tool.p[tool.n] & 0xc0) == 0x80;)
            tool.n--;
    status =
        tool.n ? tool_error(out, "not_found", "Tool not available: ", tool)
               : tool_error(out, "invalid_request", "tools.invoke requires body.tool", VIEW_EMPTY);
    json_decref(doc);
    return status;
}
