#include "logs.h"

#include "call.h"
#include "json.h"

enum { LINES_DEFAULT = 500, BYTES_DEFAULT = 250000 }; /* protocol, 9.1 */

int logs_on_lines(struct hub *h, struct ipc_log_lines *m, struct err *e)
{
    struct buf *b = &h->logs.buf;

    (void)e;
    b->max = LOGS_BYTES;
    if (m->lines.n > LOGS_BYTES)
        return err_set(e, ERR_LIMIT, "%zu bytes of log lines", m->lines.n);
    while (b->n && b->n + m->lines.n > LOGS_BYTES)
        buf_eat(b, view_find(buf_view(b), '\n') < b->n ? view_find(buf_view(b), '\n') + 1 : b->n);
    buf_put_view(b, m->lines);
    h->logs.total += m->lines.n;
    if (b->failed)
        buf_reset(b, 0); /* no memory: older lines are gone */
    return 0;
}

/* The last lines of text that fit both limits. */
static struct view newest(struct view text, size_t lines, size_t bytes)
{
    size_t from = text.n, count = 0;

    while (from && count < lines) {
        size_t at = from - 1; /* a line end */

        while (at && text.p[at - 1] != '\n')
            at--;
        if (text.n - at > bytes)
            break;
        from = at;
        count++;
    }
    return view_from(text, from);
}

int rpc_logs_tail(struct call *c)
{
    uint64_t total = c->hub->logs.total;
    size_t lines = (size_t)json_i64(c->params, "limit", LINES_DEFAULT);
    size_t bytes = (size_t)json_i64(c->params, "maxBytes", BYTES_DEFAULT);
    struct view text = buf_view(&c->hub->logs.buf), got;
    uint64_t first = total - text.n, cursor = first, skipped;
    int64_t asked = json_i64(c->params, "cursor", -1);
    bool reset = false;
    struct jw *w;

    if (asked >= 0) {
        cursor = (uint64_t)asked;
        if ((reset = cursor > total || cursor < first))
            cursor = first;
    }
    got = newest(view_from(text, (size_t)(cursor - first)), lines, bytes);
    skipped = total - cursor - got.n;
    w = call_ok(c);
    jw_obj(w);
    jw_kcstr(w, "file", "(memory)");
    jw_ku64(w, "cursor", total);
    jw_ku64(w, "size", total);
    jw_key(w, "lines");
    jw_arr(w);
    while (got.n) {
        size_t end = view_find(got, '\n');

        jw_str(w, view_of(got.p, end));
        got = view_from(got, end + 1);
    }
    jw_arr_end(w);
    jw_kbool(w, "truncated", skipped > 0);
    jw_kbool(w, "reset", reset);
    if (skipped)
        jw_ku64(w, "skippedBytes", skipped);
    jw_obj_end(w);
    return call_end(c);
}
