#include "job.h"

#include "fd.h"
#include "mem.h"
#include "run.h"

int job_read(int payload, struct tools_seen *seen, struct view persona, enum persona_when when,
             json_t **out, struct err *e)
{
    struct buf text = BUF_INIT(RUN_PAYLOAD_MAX);
    json_t *doc = NULL, *list = NULL;
    struct view own;
    int r;

    if ((r = fd_read_all(payload, RUN_PAYLOAD_MAX, &text, e)) < 0)
        goto out;
    own = buf_view(&text);
    if ((r = tools_take(&own, seen, &list, e)) < 0 || (r = json_parse(own, &doc, e)) < 0)
        goto out;
    if (list && (r = json_set_at(doc, "tools", json_incref(list), e)) < 0)
        goto out;
    if ((r = persona_join(doc, persona, when, e)) == 0)
        *out = TAKE(doc);
out:
    if (r < 0)
        r = err_wrap(e, "job");
    json_decref(list);
    json_decref(doc);
    buf_fini(&text);
    return r;
}
