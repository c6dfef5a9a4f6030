#include "hook_map.h"

#include "http.h"
#include "json.h"
#include "num.h"

#include <time.h>

/* The mapping of the preset "gmail": what gog's watcher posts. */
static const char gmail[] =
    "{\"id\":\"gmail\",\"match\":{\"path\":\"gmail\"},\"action\":\"agent\",\"name\":\"Gmail\","
    "\"forEach\":\"messages\",\"sessionKey\":\"hook:gmail:{{messages[0].id}}\","
    "\"messageTemplate\":\"New mail from {{messages[0].from}}\\nSubject: {{messages[0].subject}}"
    "\\n{{messages[0].snippet}}\\n{{messages[0].body}}\"}";

static struct view bare(struct view path)
{
    while (path.n && path.p[0] == '/')
        path = view_from(path, 1);
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

static bool fits(const json_t *m, const struct hook_source *s)
{
    const json_t *match = json_object_get(m, "match");
    struct view path = bare(json_view(match, "path")), source = json_view(match, "source");

    return json_is_object(m) && (!path.n || view_eq(path, s->path)) &&
           (!source.n || view_eq(source, json_view(s->payload, "source")));
}

static json_t *preset; /* read once: a constant of ours */

bool hook_map_is_preset(const json_t *mapping)
{
    return mapping && mapping == preset;
}

const json_t *hook_map_find(const json_t *conf, const struct hook_source *s)
{
    const json_t *m, *name;
    size_t i;

    json_array_foreach(json_object_get(conf, "mappings"), i, m)
    {
        if (fits(m, s))
            return m;
    }
    json_array_foreach(json_object_get(conf, "presets"), i, name)
    {
        struct err e = ERR_INIT;

        if (!view_eq(json_view_of(name), V("gmail")))
            continue;
        if (!preset && json_parse(view_str(gmail), &preset, &e) < 0)
            return NULL;
        if (fits(preset, s))
            return preset;
    }
    return NULL;
}

bool hook_map_is_template(struct view tmpl)
{
    return memmem(tmpl.p, tmpl.n, "{{", 2) != NULL;
}

/* ---- one {{...}} ---- */

static int put_value(const json_t *v, struct buf *out, struct err *e)
{
    if (json_is_string(v))
        buf_put_view(out, json_view_of(v));
    else if (v && !json_is_null(v))
        return json_dump(v, out, e);
    return 0;
}

/* a.b[0].c in v, or NULL. */
static const json_t *walk(const json_t *v, struct view path)
{
    struct err e = ERR_INIT;
    char name[256];

    for (int depth = 0; path.n && depth < HOOK_DEPTH_MAX; depth++) {
        size_t n = 0;
        uint32_t index;

        if (path.p[0] == '[') {
            size_t close = view_find(path, ']');

            if (close == path.n ||
                num_u32(view_of(path.p + 1, close - 1), 0, UINT32_MAX, &index, &e) < 0)
                return NULL;
            v = json_array_get(v, index);
            path = view_from(path, close + 1);
        } else {
            while (n < path.n && path.p[n] != '.' && path.p[n] != '[')
                n++;
            if (n == 0 || n >= sizeof(name) || memchr(path.p, 0, n))
                return NULL;
            memcpy(name, path.p, n);
            name[n] = 0;
            v = json_object_get(v, name);
            path = view_from(path, n);
        }
        if (path.n && path.p[0] == '.')
            path = view_from(path, 1);
    }
    return path.n ? NULL : v;
}

static struct view header(struct view all, struct view name)
{
    while (all.n) {
        size_t end = view_find(all, '\n');
        struct view line = view_of(all.p, end);
        size_t colon = view_find(line, ':');

        all = view_from(all, end + 1);
        if (view_ieq(view_of(line.p, colon), name))
            return view_trim(view_from(line, colon + 1));
    }
    return VIEW_EMPTY;
}

static void put_query(struct view all, struct view name, struct buf *out)
{
    while (all.n) {
        size_t end = view_find(all, '&');
        struct view part = view_of(all.p, end);
        size_t eq = view_find(part, '=');

        all = view_from(all, end + 1);
        if (view_eq(view_of(part.p, eq), name)) {
            size_t was = out->n;

            if (!http_unescape(view_from(part, eq + 1), true, out) && !out->failed)
                buf_cut(out, was);
            return;
        }
    }
}

static void put_now(int64_t now_ms, struct buf *out)
{
    time_t t = (time_t)(now_ms / 1000);
    struct tm tm;

    if (gmtime_r(&t, &tm))
        buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now_ms % 1000));
}

static int put_expression(struct view x, const struct hook_source *s, struct buf *out,
                          struct err *e)
{
    if (view_eq(x, V("path")))
        buf_put_view(out, s->path);
    else if (view_eq(x, V("now")))
        put_now(s->now_ms, out);
    else if (view_starts(x, V("headers.")))
        buf_put_view(out, header(s->headers, view_from(x, 8)));
    else if (view_starts(x, V("query.")))
        put_query(s->query, view_from(x, 6), out);
    else if (view_starts(x, V("payload.")))
        return put_value(walk(s->payload, view_from(x, 8)), out, e);
    else if (view_eq(x, V("payload")))
        return put_value(s->payload, out, e);
    else
        return put_value(walk(s->payload, x), out, e);
    return 0;
}

int hook_map_fill(struct view tmpl, const struct hook_source *s, struct buf *out, struct err *e)
{
    int r;

    while (tmpl.n) {
        const char *open = memmem(tmpl.p, tmpl.n, "{{", 2), *close;

        if (!open || !(close = memmem(open, tmpl.n - (size_t)(open - tmpl.p), "}}", 2))) {
            buf_put_view(out, tmpl);
            break;
        }
        buf_put(out, tmpl.p, (size_t)(open - tmpl.p));
        if ((r = put_expression(view_trim(view_of(open + 2, (size_t)(close - open) - 2)), s, out,
                                e)) < 0)
            return r;
        tmpl = view_from(tmpl, (size_t)(close - tmpl.p) + 2);
    }
    return buf_check(out, e);
}
