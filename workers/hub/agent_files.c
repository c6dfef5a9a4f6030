#include "agent_files.h"

#include "call.h"
#include "json.h"

static int ask(struct call *c, unsigned how)
{
    struct agent_files *f = &c->hub->agent_files;
    struct agent_files_call *slot = NULL;
    struct ipc_agent_files m = {.how = (uint8_t)how,
                                .agent = json_view(c->params, "agentId"),
                                .name = json_view(c->params, "name"),
                                .hash = json_view(c->params, "expectedHash"),
                                .text = json_view(c->params, "content")};
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < AGENT_FILES_ASKED && !slot; i++)
        slot = f->call[i].req ? NULL : &f->call[i];
    if (!slot)
        return call_error_full(c, RPC_UNAVAILABLE, "other files are being read", VIEW_EMPTY, 1,
                               500);
    m.req = ++f->last;
    if (msg_send_agent_files(c->hub->w.sup, &m, &e) < 0)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    *slot = (struct agent_files_call){.req = m.req,
                                      .conn_id = c->ref.conn_id,
                                      .call = c->ref.req,
                                      .front = c->ref.front,
                                      .how = how};
    return 0;
}

int rpc_agents_files_list(struct call *c)
{
    return ask(c, AGENT_FILES_LIST);
}

int rpc_agents_files_get(struct call *c)
{
    return ask(c, AGENT_FILES_GET);
}

int rpc_agents_files_set(struct call *c)
{
    return ask(c, AGENT_FILES_SET);
}

int agent_files_on_done(struct hub *h, const struct ipc_agent_files_done *m, struct err *e)
{
    struct buf payload = BUF_INIT(3 * MIB), body = BUF_INIT(4 * MIB);
    struct agent_files_call k = {.req = 0};
    struct call_ref ref;
    int r;

    for (unsigned i = 0; i < AGENT_FILES_ASKED; i++)
        if (h->agent_files.call[i].req && h->agent_files.call[i].req == m->req) {
            k = h->agent_files.call[i];
            h->agent_files.call[i].req = 0;
        }
    if (!k.req)
        return 0; /* asked by a hub before this one */
    if (m->ok && k.how == AGENT_FILES_SET && m->doc.n > 1) {
        buf_put_str(&payload, "{\"ok\":true,");
        buf_put_view(&payload, view_from(m->doc, 1));
    } else {
        buf_put_view(&payload, m->doc);
    }
    if (m->ok)
        call_body_ok(&body, buf_view(&payload));
    else
        call_body_error(&body, RPC_INVALID_REQUEST, m->message, VIEW_EMPTY, -1, 0, VIEW_EMPTY);
    ref = (struct call_ref){.conn_id = k.conn_id, .req = k.call, .front = k.front};
    if (payload.failed || buf_check(&body, e) < 0) {
        buf_reset(&body, 0);
        call_body_error(&body, RPC_UNAVAILABLE, V("no memory for the answer"), VIEW_EMPTY, 1, 500,
                        VIEW_EMPTY);
    }
    r = call_send(h, &ref, false, buf_view(&body));
    buf_fini(&payload);
    buf_fini(&body);
    return r;
}
