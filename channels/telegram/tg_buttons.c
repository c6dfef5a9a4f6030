#include "tg_buttons.h"

#include "json.h"
#include "mem.h"

/* What stands in front of data that means something else than it says: a command is given, and text
 * that looks like one is none. The names are OpenClaw's, so that what it sent can be pressed. */
#define COMMAND "tgcmd:"
#define OPAQUE  "tgcb1:" /* and a check sum, and a colon */

enum what { NOTHING, DATA, URL, WEB_APP };

static bool is_web(struct view url)
{
    return url.n <= 2048 && (view_starts(url, V("https://")) || view_starts(url, V("http://")) ||
                             view_starts(url, V("tg://")));
}

static void put_data(const json_t *b, struct buf *out)
{
    struct view command = json_view(b, "command"), opaque = json_view(b, "callback"),
                value = json_view(b, "value");

    if (command.n)
        buf_printf(out, COMMAND "%.*s", VIEW_FMT(command));
    else if (opaque.n && (opaque.p[0] == '/' || view_starts(opaque, V("tg"))))
        buf_printf(out, OPAQUE "0:%.*s", VIEW_FMT(opaque));
    else
        buf_put_view(out, opaque.n ? opaque : value);
}

/* What it does, and with what: in to when it is an address, else in data. */
static enum what read_button(const json_t *b, bool web_apps, struct buf *data, struct view *to)
{
    if (!json_view(b, "text").n || json_view(b, "text").n > 256)
        return NOTHING;
    if ((*to = json_view(b, "url")).n)
        return is_web(*to) ? URL : NOTHING;
    if ((*to = json_view(b, "webApp")).n)
        return web_apps && is_web(*to) && view_starts(*to, V("https://")) ? WEB_APP : NOTHING;
    put_data(b, data);
    *to = buf_view(data);
    return to->n && to->n <= TG_BUTTON_DATA_MAX && !data->failed ? DATA : NOTHING;
}

static void put_style(struct jw *w, struct view style)
{
    if (view_eq(style, V("danger")) || view_eq(style, V("success")) || view_eq(style, V("primary")))
        jw_kstr(w, "style", style);
}

static bool put_button(struct jw *w, const json_t *b, bool web_apps, bool first)
{
    struct buf data = BUF_INIT(16 << 10);
    struct view to;
    enum what what = read_button(b, web_apps, &data, &to);

    if (what != NOTHING) {
        if (first)
            jw_arr(w);
        jw_obj(w);
        jw_kstr(w, "text", json_view(b, "text"));
        if (what == WEB_APP) {
            jw_key(w, "web_app");
            jw_obj(w);
            jw_kstr(w, "url", to);
            jw_obj_end(w);
        } else {
            jw_kstr(w, what == URL ? "url" : "callback_data", to);
        }
        put_style(w, json_view(b, "style"));
        jw_obj_end(w);
    }
    buf_fini(&data);
    return what != NOTHING;
}

static unsigned put_row(struct jw *w, const json_t *row, bool web_apps, unsigned left)
{
    const json_t *b;
    unsigned n = 0;
    size_t i;

    json_array_foreach(row, i, b)
    {
        if (n < left && put_button(w, b, web_apps, n == 0))
            n++;
    }
    if (n)
        jw_arr_end(w);
    return n;
}

bool tg_buttons_put(struct jw *w, const json_t *extra, bool web_apps)
{
    struct buf rows = BUF_INIT(128 << 10);
    struct jw r = JW_INIT(&rows);
    const json_t *row;
    unsigned good = 0;
    size_t i;

    jw_arr(&r);
    json_array_foreach(json_object_get(extra, "buttons"), i, row)
    {
        good += put_row(&r, row, web_apps, TG_BUTTONS_MAX - good);
    }
    jw_arr_end(&r);
    if (good && !rows.failed) {
        jw_obj(w);
        jw_kraw(w, "inline_keyboard", buf_view(&rows));
        jw_obj_end(w);
    }
    good = rows.failed ? 0 : good;
    buf_fini(&rows);
    return good > 0;
}

void tg_buttons_pressed(struct view data, struct buf *out)
{
    if (view_starts(data, V(COMMAND "/"))) {
        buf_put_view(out, view_from(data, sizeof(COMMAND) - 1));
        return;
    }
    if (view_starts(data, V(OPAQUE))) {
        struct view rest = view_from(data, sizeof(OPAQUE) - 1);
        size_t at = view_find(rest, ':');

        if (at < rest.n)
            data = view_from(rest, at + 1);
    } else if (view_starts(data, V("/"))) {
        buf_put_view(out, data);
        return;
    }
    buf_printf(out, "callback_data: %.*s", VIEW_FMT(data));
}
