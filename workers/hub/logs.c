#include "logs.h"

#include "call.h"
#include "json.h"
#include "mem.h"

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

/* " key=value" for what a line holds besides the members that every line has. */
static void put_rest(struct buf *b, json_t *doc)
{
    static const char *const every[] = {"ts", "level", "event", "proc", "pid"};
    struct err e = ERR_INIT;
    const char *key;
    json_t *v;

    json_object_foreach(doc, key, v)
    {
        bool known = false;

        for (size_t i = 0; i < COUNT_OF(every); i++)
            known |= strcmp(key, every[i]) == 0;
        if (known)
            continue;
        buf_printf(b, " %s=", key);
        if (json_is_string(v))
            buf_put_view(b, json_view_of(v));
        else if (json_dump(v, b, &e) < 0)
            return;
    }
}

/* A line with the members that stock clients show: time, subsystem, message. What is no object of
 * ours goes as it is. */
static void put_line(struct jw *w, struct view line)
{
    struct buf b = BUF_INIT(4 * LOGS_BYTES), said = BUF_INIT(2 * LOGS_BYTES);
    struct jw more = {.b = &b, .depth = 1, .has_item = 1u << 1};
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    if (line.n > 2 && line.p[line.n - 1] == '}' && json_parse(line, &doc, &e) == 0 &&
        json_view(doc, "ts").n && json_view(doc, "event").n) {
        buf_put_view(&said, json_view(doc, "event"));
        put_rest(&said, doc);
        buf_put(&b, line.p, line.n - 1);
        jw_kstr(&more, "time", json_view(doc, "ts"));
        jw_kstr(&more, "subsystem", json_view(doc, "proc"));
        jw_kstr(&more, "message", buf_view(&said));
        buf_put_char(&b, '}');
    }
    jw_str(w, b.n && !b.failed && !said.failed ? buf_view(&b) : line);
    json_decref(doc);
    buf_fini(&b);
    buf_fini(&said);
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

        put_line(w, view_of(got.p, end));
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
