#include "attach_later.h"

#include "chore.h"
#include "dispatch.h"
#include "json.h"
#include "log.h"

enum {
    LATER_BYTES_MAX = 40 << 20
}; /* of all that wait: twice the largest, see MEMORY in hub.def */

struct later {
    struct chore chore; /* first */
    struct call_ref ref;
    const struct rpc_row *row;
    json_t *params;           /* owned */
    struct attachments files; /* owned */
    struct attach_write write;
    size_t bytes;
    char trace[64];
};

static int on_step(struct chore *c, struct err *e)
{
    struct later *l = (struct later *)c;

    if (!conn_find(c->hub, l->ref.front, l->ref.conn_id))
        return 0; /* nobody waits: on_end sees that, too */
    return attach_write(c->hub, &l->files, &l->write, e);
}

static void on_end(struct chore *c, int rc, const struct err *e)
{
    struct later *l = (struct later *)c;
    struct hub *h = c->hub;
    struct call call = {
        .hub = h, .ref = l->ref, .row = l->row, .trace = view_str(l->trace), .params = l->params};

    if (rc != ERR_CLOSED && (call.conn = conn_find(h, l->ref.front, l->ref.conn_id))) {
        call.files = &l->files;
        rc = rc < 0 ? call_error_full(&call, RPC_UNAVAILABLE, e->text, VIEW_EMPTY, 1, 1000)
                    : dispatch_again(&call);
        if (rc < 0)
            log_warn("attach.unanswered", KV("conn", l->ref.conn_id));
    }
    attach_drop(h, &l->files, &l->write); /* what the message did not keep */
    h->attach_later -= l->bytes;
    attach_fini(&l->files);
    json_decref(l->params);
    mem_free(l);
}

/* The text that was decoded is not kept beside the bytes. */
static void drop_content(json_t *params)
{
    json_t *att;
    size_t i;

    json_array_foreach(json_object_get(params, "attachments"), i, att)
    {
        (void)json_object_del(att, "content");
        (void)json_object_del(att, "source");
    }
}

int attach_later(struct call *c, struct attachments *files, struct err *e)
{
    size_t bytes = attach_bytes(files);
    struct later *l;
    int r;

    if (bytes > LATER_BYTES_MAX - c->hub->attach_later)
        return err_set(e, ERR_AGAIN, "too many large attachments at once; try again");
    if ((r = mem_new(&l, sizeof(*l), e)) < 0)
        return r;
    l->bytes = bytes;
    l->chore = (struct chore){.step = on_step, .end = on_end};
    l->ref = c->ref;
    l->row = c->row;
    if (c->trace.n < sizeof(l->trace))
        memcpy(l->trace, c->trace.p, c->trace.n);
    if ((r = chore_add(c->hub, &l->chore, e)) < 0) {
        mem_free(l);
        return r;
    }
    c->hub->attach_later += bytes;
    drop_content(c->params);
    l->params = json_incref(c->params);
    l->files = *files;
    *files = (struct attachments){0};
    return 0;
}
