/* channels/base/hook.c - requests that came to the gateway's port for this account: handed to the
 * platform as they came, which says whether they are genuine; its answer goes back. */
#include "chan_http.h"
#include "channel_int.h"

#include "log.h"

static void answer(struct channel *c, uint64_t req, unsigned status, const char *type,
                   struct view body)
{
    struct link *hub = channel_hub(c);
    struct err e = ERR_INIT;

    if (hub && msg_send_hook_answer(hub,
                                    &(struct ipc_hook_answer){.req = req,
                                                              .status = (uint16_t)status,
                                                              .type = view_str(type),
                                                              .body = body},
                                    &e) < 0)
        log_warn("channel.hook_unanswered", KV("why", e.text));
}

void channel_hook_answer(struct channel *c, void *reply, unsigned status, const char *type,
                         struct view body)
{
    answer(c, (uint64_t)(uintptr_t)reply, status, type, body);
}

struct view channel_hook_header(const struct channel_hook *h, const char *name)
{
    return chan_header(h->headers, name);
}

int hook_on_message(void *ctx, struct link *from, struct ipc_hook *m, struct err *e)
{
    struct channel *c = ctx;
    struct channel_hook h = {.method = m->method,
                             .path = m->path,
                             .query = m->query,
                             .headers = m->headers,
                             .body = m->body,
                             .reply = (void *)(uintptr_t)m->req};

    (void)from;
    (void)e;
    if (!c->ops->hook || !c->prepared)
        answer(c, m->req, 404, "text/plain", V("Not Found"));
    else
        c->ops->hook(c, &h);
    return 0;
}
