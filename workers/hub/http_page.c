/* workers/hub/http_page.c - what a control page asks for before it opens its WebSocket (protocol,
 * 10.3). */
#include "http.h"
#include "json.h"
#include "settings.h"
#include "version.h"

void http_page_config(struct http_request *r, struct view body)
{
    const struct settings *s = r->hub->settings;
    const struct agent_conf *a = &s->agents[s->default_agent];
    struct view name = json_view(a->identity, "name"), avatar = json_view(a->identity, "avatar");
    struct view base = json_view_of(json_at(s->doc, "gateway.controlUi.basePath"));
    struct buf b = BUF_INIT(8 * KIB);
    struct jw w = JW_INIT(&b);

    (void)body;
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    jw_obj(&w);
    jw_kstr(&w, "basePath", base);
    jw_kstr(&w, "assistantName", name.n ? name : view_str(a->name ? a->name : a->id));
    jw_kstr(&w, "assistantAvatar", avatar);
    jw_kcstr(&w, "assistantAgentId", a->id);
    jw_kcstr(&w, "serverVersion", OPENCLAW_WIRE_VERSION);
    /* the page's own build is whatever the operator points at: it must not insist on another */
    jw_kcstr(&w, "controlUiBuildSource", "configured");
    jw_kbool(&w, "terminalEnabled", false);
    jw_kcstr(&w, "embedSandbox", "scripts");
    jw_kbool(&w, "allowExternalEmbedUrls", false);
    jw_obj_end(&w);
    http_reply_json(r, b.failed ? 500 : 200, buf_view(&b));
    buf_fini(&b);
}
