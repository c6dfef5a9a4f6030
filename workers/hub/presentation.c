#include "presentation.h"

#include "json.h"
#include "jw.h"
#include "mem.h"

enum {
    LABEL_BYTES = 1024,
    VALUE_BYTES = 4096,
    BLOCKS_MAX = 200,
    EXTRA_BYTES = 64 << 10, /* records.def: delivery_add.extra */
    COLUMNS = 3,            /* buttons of a block beside each other */
};

struct reader {
    struct buf *text;
    struct jw *w;
    unsigned buttons, in_row;
};

/* ---- words ---- */

static void paragraph(struct buf *b)
{
    if (b->n)
        buf_put_str(b, "\n\n");
}

static void put_words(struct buf *b, struct view words)
{
    words = view_trim(words);
    if (!words.n)
        return;
    paragraph(b);
    buf_put_view(b, words);
}

/* A number as it was written, a text as it is. */
static void put_cell(struct buf *b, const json_t *v)
{
    if (json_is_integer(v))
        buf_put_i64(b, json_integer_value(v));
    else if (json_is_real(v))
        buf_printf(b, "%.12g", json_real_value(v));
    else
        buf_put_view(b, view_trim(json_view_of(v)));
}

/* caption (table), then each row as "- header: cell; ...". */
static void put_table(struct buf *b, const json_t *block)
{
    const json_t *headers = json_object_get(block, "headers"), *row, *cell;
    size_t i, j;

    paragraph(b);
    buf_printf(b, "%.*s (table)", VIEW_FMT(view_trim(json_view(block, "caption"))));
    json_array_foreach(json_object_get(block, "rows"), i, row)
    {
        json_array_foreach(row, j, cell)
        {
            buf_printf(b, "%s%.*s: ", j ? "; " : "\n- ",
                       VIEW_FMT(json_view_of(json_array_get(headers, j))));
            put_cell(b, cell);
        }
    }
}

static void put_series(struct buf *b, const json_t *names, const json_t *values)
{
    const json_t *v;
    size_t i;

    json_array_foreach(values, i, v)
    {
        buf_printf(b, "%s%.*s ", i ? ", " : "", VIEW_FMT(json_view_of(json_array_get(names, i))));
        put_cell(b, v);
    }
}

static void put_chart(struct buf *b, const json_t *block)
{
    const json_t *row;
    size_t i;

    paragraph(b);
    buf_printf(b, "%.*s (chart)", VIEW_FMT(view_trim(json_view(block, "title"))));
    json_array_foreach(json_object_get(block, "segments"), i, row)
    {
        buf_printf(b, "\n- %.*s: ", VIEW_FMT(json_view(row, "label")));
        put_cell(b, json_object_get(row, "value"));
    }
    json_array_foreach(json_object_get(block, "series"), i, row)
    {
        buf_printf(b, "\n- %.*s: ", VIEW_FMT(json_view(row, "name")));
        put_series(b, json_object_get(block, "categories"), json_object_get(row, "values"));
    }
}

/* ---- what can be pressed ---- */

/* The address of an action or of a member of older clients: a text, or {url}. */
static struct view address(const json_t *from, const char *name)
{
    const json_t *v = json_object_get(from, name);

    return json_is_object(v) ? json_view(v, "url") : json_view_of(v);
}

static struct view first_of(const json_t *b, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (json_view(b, names[i]).n)
            return json_view(b, names[i]);
    return VIEW_EMPTY;
}

/* What pressing it does: one of the members that channels know. NULL: nothing. */
static const char *deed_of(const json_t *b, struct view *out)
{
    static const char *const values[] = {"callback_data", "callbackData", "value"};
    const json_t *a = json_object_get(b, "action");
    struct view type = json_view(a, "type");

    if (json_is_object(a)) {
        *out = view_eq(type, V("command"))    ? view_trim(json_view(a, "command"))
               : view_eq(type, V("callback")) ? json_view(a, "value")
                                              : json_view(a, "url");
        return view_eq(type, V("command"))    ? "command"
               : view_eq(type, V("callback")) ? "callback"
               : view_eq(type, V("url"))      ? "url"
               : view_eq(type, V("web-app"))  ? "webApp"
                                              : NULL;
    }
    if ((*out = address(b, "url")).n)
        return "url";
    if ((*out = address(b, "webApp")).n || (*out = address(b, "web_app")).n)
        return "webApp";
    *out = first_of(b, values, COUNT_OF(values));
    return "value";
}

static int put_button(struct reader *r, const json_t *b, unsigned columns, struct err *e)
{
    static const char *const labels[] = {"label", "text"};
    struct view label = view_trim(first_of(b, labels, COUNT_OF(labels))), value = VIEW_EMPTY;
    const char *deed = deed_of(b, &value);

    if (!label.n || label.n > LABEL_BYTES)
        return err_set(e, ERR_INVALID, "a button has a label of 1 to %d bytes", (int)LABEL_BYTES);
    if (!deed || !value.n || value.n > VALUE_BYTES)
        return err_set(e, ERR_INVALID,
                       "button %.*s: an action of type command, callback, url or web-app with what "
                       "it does (at most %d bytes)",
                       VIEW_FMT(label), (int)VALUE_BYTES);
    if (r->buttons++ == PRESENTATION_BUTTONS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d buttons", (int)PRESENTATION_BUTTONS_MAX);
    if (json_flag(b, "disabled", false)) { /* no platform of ours shows that: words */
        paragraph(r->text);
        buf_put_view(r->text, label);
        return 0;
    }
    if (r->in_row == columns) {
        jw_arr_end(r->w);
        r->in_row = 0;
    }
    if (r->in_row++ == 0)
        jw_arr(r->w);
    jw_obj(r->w);
    jw_kstr(r->w, "text", label);
    jw_kstr(r->w, deed, value);
    if (json_view(b, "style").n && json_view(b, "style").n <= 16)
        jw_kstr(r->w, "style", json_view(b, "style"));
    jw_obj_end(r->w);
    return 0;
}

static void end_row(struct reader *r)
{
    if (r->in_row)
        jw_arr_end(r->w);
    r->in_row = 0;
}

static int put_row(struct reader *r, const json_t *row, unsigned columns, struct err *e)
{
    const json_t *b;
    size_t i;
    int rc = 0;

    json_array_foreach(row, i, b)
    {
        if ((rc = put_button(r, b, columns, e)) < 0)
            break;
    }
    end_row(r);
    return rc;
}

/* buttons: rows of buttons, or one row without the list around it. */
static int put_rows(struct reader *r, const json_t *rows, struct err *e)
{
    const json_t *row;
    size_t i;
    int rc;

    if (!json_is_array(json_array_get(rows, 0)))
        return put_row(r, rows, PRESENTATION_ROW_MAX, e);
    json_array_foreach(rows, i, row)
    {
        if ((rc = put_row(r, row, PRESENTATION_ROW_MAX, e)) < 0)
            return rc;
    }
    return 0;
}

/* ---- presentation ---- */

static int put_block(struct reader *r, const json_t *block, struct err *e)
{
    struct view type = json_view(block, "type");

    if (view_eq(type, V("text")) || view_eq(type, V("context"))) {
        put_words(r->text, json_view(block, "text"));
    } else if (view_eq(type, V("divider"))) {
        put_words(r->text, V("---"));
    } else if (view_eq(type, V("table"))) {
        put_table(r->text, block);
    } else if (view_eq(type, V("chart"))) {
        put_chart(r->text, block);
    } else if (view_eq(type, V("buttons"))) {
        return put_row(r, json_object_get(block, "buttons"), COLUMNS, e);
    } else if (view_eq(type, V("select"))) {
        put_words(r->text, json_view(block, "placeholder"));
        return put_row(r, json_object_get(block, "options"), COLUMNS, e);
    } else {
        return err_set(e, ERR_INVALID,
                       "presentation: blocks are text, context, divider, table, "
                       "chart, buttons or select");
    }
    return 0;
}

static int put_presentation(struct reader *r, const json_t *doc, struct err *e)
{
    const json_t *blocks = json_object_get(doc, "blocks"), *block;
    struct view title = view_trim(json_view(doc, "title"));
    size_t i;
    int rc;

    if (!json_is_object(doc) || json_array_size(blocks) > BLOCKS_MAX)
        return err_set(e, ERR_INVALID, "presentation: {title, blocks: [...]}, at most %d blocks",
                       (int)BLOCKS_MAX);
    if (title.n) {
        paragraph(r->text);
        buf_printf(r->text, "**%.*s**", VIEW_FMT(title));
    }
    json_array_foreach(blocks, i, block)
    {
        if ((rc = put_block(r, block, e)) < 0)
            return rc;
    }
    return 0;
}

/* presentation, as it is or as the text of its JSON; interactive is its name in older clients. */
static int read_presentation(struct reader *r, const json_t *p, struct err *e)
{
    const json_t *doc = json_object_get(p, "presentation");
    json_t *parsed = NULL;
    int rc = 0;

    if (!doc)
        doc = json_object_get(p, "interactive");
    if (json_is_string(doc) && json_view_of(doc).n) {
        if ((rc = json_parse(json_view_of(doc), &parsed, e)) < 0)
            return err_wrap(e, "presentation");
        doc = parsed;
    }
    if (doc && !json_is_null(doc) && !json_is_string(doc))
        rc = put_presentation(r, doc, e);
    json_decref(parsed);
    return rc;
}

/* Members of channelData that are not buttons: for the platform whose they are. */
static int put_data(struct jw *w, const json_t *data, struct err *e)
{
    struct buf b = BUF_INIT(EXTRA_BYTES);
    int rc;

    if ((rc = json_dump(data, &b, e)) == 0)
        jw_kraw(w, "channelData", buf_view(&b));
    buf_fini(&b);
    return rc;
}

int presentation_read(const json_t *p, struct buf *text, struct buf *extra, struct err *e)
{
    const json_t *data = json_object_get(p, "channelData"),
                 *own = json_object_get(json_object_get(data, "telegram"), "buttons");
    struct buf b = BUF_INIT(EXTRA_BYTES);
    struct jw w = JW_INIT(&b);
    struct reader r = {.text = text, .w = &w};
    int rc;

    jw_obj(&w);
    jw_key(&w, "buttons");
    jw_arr(&w);
    if ((rc = read_presentation(&r, p, e)) == 0 &&
        (rc = put_rows(&r, json_object_get(p, "buttons"), e)) == 0)
        rc = put_rows(&r, own ? own : json_object_get(data, "buttons"), e);
    jw_arr_end(&w);
    if (rc == 0 && json_is_object(data))
        rc = put_data(&w, data, e);
    jw_obj_end(&w);
    if (rc == 0 && (b.failed || text->failed))
        rc = err_set(e, ERR_LIMIT, "presentation: more than %d bytes", (int)EXTRA_BYTES);
    if (rc == 0 && (r.buttons || json_is_object(data)))
        buf_put_view(extra, buf_view(&b));
    buf_fini(&b);
    return rc < 0 ? rc : buf_check(extra, e);
}
