#include "tg_buttons.h"

#include "json.h"
#include "mem.h"

static struct view data_of(const json_t *b)
{
    static const char *const names[] = {"callback_data", "callbackData", "value"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_view(b, names[i]).n)
            return json_view(b, names[i]);
    return VIEW_EMPTY;
}

static bool usable(const json_t *b)
{
    struct view url = json_view(b, "url"), data = data_of(b);

    if (!json_view(b, "text").n || json_view(b, "text").n > 256)
        return false;
    if (url.n)
        return url.n <= 2048 && (view_starts(url, V("https://")) ||
                                 view_starts(url, V("http://")) || view_starts(url, V("tg://")));
    return data.n && data.n <= TG_BUTTON_DATA_MAX;
}

static const json_t *rows_of(const json_t *extra)
{
    const json_t *own = json_object_get(extra, "telegram");
    const json_t *rows = json_object_get(own ? own : extra, "buttons");

    return rows ? rows : json_object_get(extra, "buttons");
}

static unsigned put_row(struct jw *w, const json_t *row, unsigned left)
{
    const json_t *b;
    unsigned n = 0;
    size_t i;

    json_array_foreach(row, i, b)
    {
        struct view url = json_view(b, "url");

        if (!usable(b) || n == left)
            continue;
        if (n++ == 0)
            jw_arr(w);
        jw_obj(w);
        jw_kstr(w, "text", json_view(b, "text"));
        jw_kstr(w, url.n ? "url" : "callback_data", url.n ? url : data_of(b));
        jw_obj_end(w);
    }
    if (n)
        jw_arr_end(w);
    return n;
}

bool tg_buttons_put(struct jw *w, const json_t *extra)
{
    const json_t *rows = rows_of(extra), *row, *b;
    unsigned good = 0;
    size_t i, j;

    json_array_foreach(rows, i, row) json_array_foreach(row, j, b) good += usable(b);
    if (!good)
        return false;
    jw_obj(w);
    jw_key(w, "inline_keyboard");
    jw_arr(w);
    good = 0;
    json_array_foreach(rows, i, row) good += put_row(w, row, TG_BUTTONS_MAX - good);
    jw_arr_end(w);
    jw_obj_end(w);
    return true;
}
