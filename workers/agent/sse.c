#include "sse.h"

enum { KEEP_BYTES = 4096 }; /* what an idle parser may hold */

void sse_init(struct sse *s, sse_event_fn *on_event, void *ctx)
{
    *s = (struct sse){.on_event = on_event, .ctx = ctx};
    buf_init(&s->line, SSE_LINE_MAX);
    buf_init(&s->data, SSE_EVENT_MAX);
}

void sse_fini(struct sse *s)
{
    buf_fini(&s->line);
    buf_fini(&s->data);
}

static int dispatch(struct sse *s, struct err *e)
{
    int r = 0;

    if (s->has_data)
        r = s->on_event(s->ctx, view_of(s->name, s->name_len), buf_view(&s->data), e);
    buf_reset(&s->data, KEEP_BYTES);
    s->has_data = false;
    s->name_len = 0;
    return r;
}

static int add_data(struct sse *s, struct view value, struct err *e)
{
    if (s->has_data)
        buf_put_char(&s->data, '\n');
    buf_put_view(&s->data, value);
    s->has_data = true;
    return buf_check(&s->data, e) < 0 ? err_wrap(e, "event stream: an event's data") : 0;
}

static void set_name(struct sse *s, struct view value)
{
    s->name_len = (uint8_t)(value.n < SSE_NAME_MAX ? value.n : SSE_NAME_MAX);
    memcpy(s->name, value.p, s->name_len);
}

/* One line without its end. */
static int take_line(struct sse *s, struct view line, struct err *e)
{
    struct view field, value = VIEW_EMPTY;
    size_t colon;

    if (!s->begun) {
        s->begun = true;
        if (view_starts(line, V("\xef\xbb\xbf")))
            line = view_from(line, 3);
    }
    if (line.n == 0)
        return dispatch(s, e);
    colon = view_find(line, ':');
    field = view_of(line.p, colon);
    if (colon < line.n)
        value = view_from(line, colon + 1);
    if (value.n && value.p[0] == ' ')
        value = view_from(value, 1);
    if (view_eq(field, V("data")))
        return add_data(s, value, e);
    if (view_eq(field, V("event")))
        set_name(s, value);
    return 0; /* comments, id, retry and what else may come mean nothing to us */
}

static int add_to_line(struct sse *s, struct view part, struct err *e)
{
    buf_put_view(&s->line, part);
    return buf_check(&s->line, e) < 0 ? err_wrap(e, "event stream: a line") : 0;
}

/* The bytes up to a line end have come; earlier pieces of the line may wait in s->line. */
static int end_line(struct sse *s, struct view tail, struct err *e)
{
    int r;

    if (s->line.n == 0 && tail.n <= SSE_LINE_MAX)
        return take_line(s, tail, e); /* nearly always: no copy */
    if ((r = add_to_line(s, tail, e)) < 0)
        return r;
    r = take_line(s, buf_view(&s->line), e);
    buf_reset(&s->line, KEEP_BYTES);
    return r;
}

static size_t line_length(struct view v)
{
    const char *lf = memchr(v.p, '\n', v.n);
    size_t n = lf ? (size_t)(lf - v.p) : v.n;
    const char *cr = n ? memchr(v.p, '\r', n) : NULL;

    return cr ? (size_t)(cr - v.p) : n;
}

int sse_feed(struct sse *s, struct view piece, struct err *e)
{
    while (piece.n) {
        size_t n;
        int r;

        if (s->skip_lf) {
            s->skip_lf = false;
            if (piece.p[0] == '\n') {
                piece = view_from(piece, 1);
                continue;
            }
        }
        n = line_length(piece);
        if (n == piece.n)
            return add_to_line(s, piece, e);
        s->skip_lf = piece.p[n] == '\r';
        if ((r = end_line(s, view_of(piece.p, n), e)) < 0)
            return r;
        piece = view_from(piece, n + 1);
    }
    return 0;
}

int sse_end(struct sse *s, struct err *e)
{
    int r = s->line.n ? end_line(s, VIEW_EMPTY, e) : 0;

    return r < 0 ? r : dispatch(s, e);
}
