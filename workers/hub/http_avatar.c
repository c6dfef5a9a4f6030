/* workers/hub/http_avatar.c - GET /avatar/<agent>: the picture of agents.list[].identity.avatar
 * when it is a data: URL (protocol, 10.1). Files are not served: the hub has none but its own. */
#include "http.h"
#include "json.h"
#include "settings.h"

#include <openssl/evp.h>

enum { AVATAR_MAX = 1024 * 1024 };

/* Bytes of "data:image/png;base64,..." and its type, or false. */
static bool decode(struct view url, const char **type, struct buf *out)
{
    static const char *const types[] = {"image/png", "image/jpeg", "image/gif", "image/webp"};
    struct view v = view_from(url, 5);
    size_t semi = view_find(v, ';'), pad = 0;
    struct view name = view_of(v.p, semi), data = view_from(v, semi + 1);
    char *room;
    int n;

    *type = NULL;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (view_ieq(name, view_str(types[i])))
            *type = types[i];
    if (!view_starts(url, V("data:")) || !*type || !view_starts(data, V("base64,")))
        return false;
    data = view_from(data, 7);
    if (data.n == 0 || data.n % 4 || data.n > AVATAR_MAX || !(room = buf_room(out, data.n)))
        return false;
    n = EVP_DecodeBlock((unsigned char *)room, (const unsigned char *)data.p, (int)data.n);
    if (n < 0)
        return false;
    while (pad < 2 && data.p[data.n - 1 - pad] == '=')
        pad++;
    buf_added(out, (size_t)n - pad);
    return true;
}

void http_avatar(struct http_request *r, struct view body)
{
    struct buf id = BUF_INIT(256), picture = BUF_INIT(AVATAR_MAX), meta = BUF_INIT(16),
               doc = BUF_INIT(4 << 10);
    const struct agent_conf *a = NULL;
    const char *type = NULL;
    struct jw w = JW_INIT(&doc);
    struct view url;

    (void)body;
    if (http_unescape(r->rest, false, &id) && id.n)
        a = settings_agent(r->hub->settings, buf_view(&id));
    url = a ? json_view(a->identity, "avatar") : VIEW_EMPTY;
    if (http_query(r, V("meta"), &meta) && view_eq(buf_view(&meta), V("1")) && a) {
        jw_obj(&w);
        jw_key(&w, "avatarUrl");
        if (view_starts(url, V("data:")))
            jw_str(&w, url);
        else
            jw_null(&w);
        jw_obj_end(&w);
        if (doc.failed) { /* a large picture: where it is */
            buf_reset(&doc, 0);
            buf_put_str(&doc, "{\"avatarUrl\":\"/avatar/");
            buf_put_view(&doc, r->rest);
            buf_put_str(&doc, "\"}");
        }
        http_reply_json(r, 200, buf_view(&doc));
    } else if (decode(url, &type, &picture)) {
        http_reply(r,
                   &(struct http_reply){.status = 200, .type = type, .body = buf_view(&picture)});
    } else {
        http_reply_text(r, 404, "Not Found");
    }
    buf_fini(&id);
    buf_fini(&picture);
    buf_fini(&meta);
    buf_fini(&doc);
}
