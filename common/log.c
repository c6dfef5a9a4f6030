#include "log.h"

#include "clock.h"
#include "jw.h"

enum { END_KEY = 0x1f, END_VALUE = 0x1e };

static log_sink *sink_fn;
static void *sink_ctx;
static enum log_level min_level = LOG_INFO;

void log_set_sink(log_sink *sink, void *ctx)
{
    sink_fn = sink;
    sink_ctx = ctx;
}

void log_set_level(enum log_level level)
{
    min_level = level;
}

enum log_level log_level(void)
{
    return min_level;
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[LOG_LEVEL_COUNT] = {"debug", "info", "warn", "error"};

    return level < LOG_LEVEL_COUNT ? names[level] : "error";
}

struct log_kv log_kv_i(const char *key, int64_t v)
{
    return (struct log_kv){.key = key, .type = LOG_KV_I, .i = v};
}

struct log_kv log_kv_u(const char *key, uint64_t v)
{
    return (struct log_kv){.key = key, .type = LOG_KV_U, .u = v};
}

struct log_kv log_kv_b(const char *key, bool v)
{
    return (struct log_kv){.key = key, .type = LOG_KV_B, .u = v};
}

struct log_kv log_kv_v(const char *key, struct view v)
{
    return (struct log_kv){.key = key, .type = LOG_KV_V, .v = v};
}

struct log_kv log_kv_s(const char *key, const char *v)
{
    return log_kv_v(key, view_str(v));
}

static void put_text(struct buf *b, struct view v)
{
    size_t n = v.n > LOG_VALUE_MAX ? LOG_VALUE_MAX : v.n;

    for (size_t i = 0; i < n; i++) {
        char c = v.p[i];

        buf_put_char(b, (unsigned char)c < 0x20 || c == 0x7f ? '?' : c);
    }
}

void log_write(enum log_level level, const char *event, const struct log_kv *kv)
{
    struct buf b;

    if (!sink_fn)
        return;
    buf_init(&b, LOG_FIELDS_MAX);
    for (; kv->key; kv++) {
        size_t before = b.n;

        buf_put_char(&b, kv->type == LOG_KV_V ? 's' : 'n');
        buf_put_str(&b, kv->key);
        buf_put_char(&b, END_KEY);
        switch (kv->type) {
        case LOG_KV_I:
            buf_put_i64(&b, kv->i);
            break;
        case LOG_KV_U:
            buf_put_u64(&b, kv->u);
            break;
        case LOG_KV_B:
            buf_put_str(&b, kv->u ? "true" : "false");
            break;
        case LOG_KV_V:
        case LOG_KV_END:
            put_text(&b, kv->v);
            break;
        }
        buf_put_char(&b, END_VALUE);
        if (b.failed) { /* the line goes out without what did not fit */
            b.failed = false;
            buf_cut(&b, before);
            break;
        }
    }
    sink_fn(sink_ctx, level, view_str(event), buf_view(&b));
    buf_fini(&b);
}

static bool next_field(struct view *fields, char *type, struct view *key, struct view *value)
{
    size_t k, v;

    if (fields->n < 3)
        return false;
    *type = fields->p[0];
    *fields = view_from(*fields, 1);
    k = view_find(*fields, END_KEY);
    v = view_find(*fields, END_VALUE);
    if (k >= fields->n || v >= fields->n || k > v)
        return false;
    *key = view_of(fields->p, k);
    *value = view_of(fields->p + k + 1, v - k - 1);
    *fields = view_from(*fields, v + 1);
    return true;
}

static bool is_number(struct view v)
{
    if (view_eq(v, V("true")) || view_eq(v, V("false")))
        return true;
    if (v.n && v.p[0] == '-')
        v = view_from(v, 1);
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
    return v.n > 0 && v.n <= 20;
}

void log_render_json(struct buf *out, int64_t wall_ms, enum log_level level, struct view event,
                     const char *proc, int pid, struct view fields)
{
    struct jw w = JW_INIT(out);
    char iso[CLOCK_ISO_MAX];
    struct view key, value;
    char type;

    clock_iso(wall_ms, iso);
    jw_obj(&w);
    jw_kcstr(&w, "ts", iso);
    jw_kcstr(&w, "level", log_level_name(level));
    jw_kstr(&w, "event", event);
    jw_kcstr(&w, "proc", proc);
    jw_ki64(&w, "pid", pid);
    while (next_field(&fields, &type, &key, &value)) {
        jw_key_view(&w, key);
        if (type == 'n' && is_number(value))
            jw_raw(&w, value);
        else
            jw_str(&w, value);
    }
    jw_obj_end(&w);
    buf_put_char(out, '\n');
}

/* Printable ASCII and valid UTF-8 as jw_escape leaves it; quotes only where a blank or quote would
 * confuse. */
static void put_word(struct buf *out, struct view v)
{
    bool quote = v.n == 0;

    for (size_t i = 0; i < v.n && !quote; i++)
        quote = v.p[i] == ' ' || v.p[i] == '"' || v.p[i] == '=';
    if (quote)
        buf_put_char(out, '"');
    jw_escape(out, v);
    if (quote)
        buf_put_char(out, '"');
}

void log_render_text(struct buf *out, int64_t wall_ms, enum log_level level, struct view event,
                     const char *proc, int pid, struct view fields, bool color)
{
    static const char *const paint[LOG_LEVEL_COUNT] = {"\x1b[2m", "\x1b[32m", "\x1b[33m",
                                                       "\x1b[31m"};
    char iso[CLOCK_ISO_MAX];
    struct view key, value;
    char type;

    clock_iso(wall_ms, iso);
    buf_printf(out, "%.12s ", iso + 11); /* time of day is enough for eyes */
    if (color && level < LOG_LEVEL_COUNT)
        buf_put_str(out, paint[level]);
    buf_printf(out, "%-5s", log_level_name(level));
    if (color)
        buf_put_str(out, "\x1b[0m");
    buf_printf(out, " %s[%d] ", proc, pid);
    put_word(out, event);
    while (next_field(&fields, &type, &key, &value)) {
        buf_put_char(out, ' ');
        put_word(out, key);
        buf_put_char(out, '=');
        put_word(out, value);
    }
    buf_put_char(out, '\n');
}
