/* workers/hub/queue.c - settings of a session's queue; their words. What they do: queue_room.c. */
#include "queue.h"

#include "json.h"
#include "num.h"

#include <stdio.h>

struct word {
    const char *text;
    int means;
};
/* The first of each is its name. */
static const struct word modes[] = {
    {"steer", QUEUE_STEER},
    {"followup", QUEUE_FOLLOWUP},
    {"collect", QUEUE_COLLECT},
    {"interrupt", QUEUE_INTERRUPT},
    {"steering", QUEUE_STEER},
    {"queue", QUEUE_STEER},
    {"queued", QUEUE_STEER},
    {"followups", QUEUE_FOLLOWUP},
    {"follow-ups", QUEUE_FOLLOWUP},
    {"steer-backlog", QUEUE_FOLLOWUP},
    {"steer_backlog", QUEUE_FOLLOWUP},
    {"steer+backlog", QUEUE_FOLLOWUP},
    {"coalesce", QUEUE_COLLECT},
    {"interrupts", QUEUE_INTERRUPT},
    {"abort", QUEUE_INTERRUPT},
};
static const struct word drops[] = {
    {"summarize", DROP_SUMMARIZE}, {"old", DROP_OLD},    {"new", DROP_NEW},
    {"summary", DROP_SUMMARIZE},   {"oldest", DROP_OLD}, {"newest", DROP_NEW},
};

static int read_word(const struct word *words, size_t n, struct view name)
{
    name = view_trim(name);
    for (size_t i = 0; i < n; i++)
        if (view_ieq(name, view_str(words[i].text)))
            return words[i].means;
    return -1;
}

static const char *name_of(const struct word *words, size_t n, int means)
{
    for (size_t i = 0; i < n; i++)
        if (words[i].means == means)
            return words[i].text;
    return "";
}

bool queue_mode_read(struct view name, enum queue_mode *out)
{
    int m = read_word(modes, COUNT_OF(modes), name);

    if (m >= 0)
        *out = (enum queue_mode)m;
    return m >= 0;
}

const char *queue_mode_name(enum queue_mode m)
{
    return name_of(modes, COUNT_OF(modes), (int)m);
}

const char *queue_drop_name(enum queue_drop d)
{
    return name_of(drops, COUNT_OF(drops), (int)d);
}

/* ---- what holds ---- */

static bool number_at(const json_t *obj, struct view name, int64_t max, int64_t *out)
{
    const json_t *v = name.n ? json_object_getn(obj, name.p, name.n) : NULL;

    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
        return false;
    *out = json_integer_value(v);
    return true;
}

static bool own_number(const struct session *s, const char *key, uint32_t min, uint32_t max,
                       uint32_t *out)
{
    struct err ignored = ERR_INIT;

    return num_u32(session_rest(s, key), min, max, out, &ignored) == 0;
}

void queue_settings(const json_t *conf, const struct session *s, struct view channel,
                    struct queue_set *out)
{
    const json_t *q = json_at(conf, "messages.queue"), *by = json_object_get(q, "byChannel");
    char word[32];
    int64_t n;
    uint32_t u;
    int drop;

    *out =
        (struct queue_set){.mode = QUEUE_STEER, .debounce_ms = QUEUE_DEBOUNCE_MS, .cap = QUEUE_CAP};
    (void)queue_mode_read(json_view(q, "mode"), &out->mode);
    if (channel.n)
        (void)queue_mode_read(json_view_of(json_object_getn(by, channel.p, channel.n)), &out->mode);
    if (session_rest_str(s, "queueMode", word, sizeof(word)))
        (void)queue_mode_read(view_str(word), &out->mode);

    if (number_at(q, V("debounceMs"), QUEUE_DEBOUNCE_MAX_MS, &n))
        out->debounce_ms = (uint32_t)n;
    if (number_at(json_object_get(q, "debounceMsByChannel"), channel, QUEUE_DEBOUNCE_MAX_MS, &n))
        out->debounce_ms = (uint32_t)n;
    if (own_number(s, "queueDebounceMs", 0, QUEUE_DEBOUNCE_MAX_MS, &u))
        out->debounce_ms = u;

    if (number_at(q, V("cap"), QUEUE_CAP_MAX, &n) && n > 0)
        out->cap = (unsigned)n;
    if (own_number(s, "queueCap", 1, QUEUE_CAP_MAX, &u))
        out->cap = u;
    if ((drop = read_word(drops, COUNT_OF(drops), json_view(q, "drop"))) >= 0)
        out->drop = (enum queue_drop)drop;
    if (session_rest_str(s, "queueDrop", word, sizeof(word)) &&
        (drop = read_word(drops, COUNT_OF(drops), view_str(word))) >= 0)
        out->drop = (enum queue_drop)drop;
}

uint32_t queue_gather_ms(const json_t *conf, struct view channel)
{
    const json_t *in = json_at(conf, "messages.inbound");
    int64_t n = 0;

    if (!number_at(json_object_get(in, "byChannel"), channel, QUEUE_DEBOUNCE_MAX_MS, &n))
        (void)number_at(in, V("debounceMs"), QUEUE_DEBOUNCE_MAX_MS, &n);
    return (uint32_t)n;
}

/* ---- /queue ---- */

/* "500", "500ms", "0.5s", "2m", "1h", "1d" */
static bool read_span(struct view v, uint32_t *out)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}, {"", 1}};
    double whole = 0, scale = 1, ms;
    size_t i = 0;
    bool digits = false, point = false;

    for (; i < v.n && i < 16 && ((v.p[i] >= '0' && v.p[i] <= '9') || (v.p[i] == '.' && !point));
         i++) {
        if (v.p[i] == '.') {
            point = true;
            continue;
        }
        digits = true;
        whole = whole * 10 + (v.p[i] - '0');
        scale *= point ? 10 : 1;
    }
    for (size_t k = 0; digits && k < COUNT_OF(units); k++)
        if (view_ieq(view_from(v, i), view_str(units[k].unit))) {
            ms = whole / scale * units[k].ms;
            if (ms > QUEUE_DEBOUNCE_MAX_MS)
                return false;
            *out = (uint32_t)ms;
            return true;
        }
    return false;
}

struct wish {
    int mode, drop; /* -1: not named */
    bool has_debounce, has_cap;
    uint32_t debounce_ms, cap;
};

/* One word of the command. */
static bool read_wish(struct wish *w, struct view v)
{
    size_t colon = view_find(v, ':');
    struct view key = view_of(v.p, colon), value = view_from(v, colon + 1);
    struct err ignored = ERR_INIT;

    if (colon >= v.n) {
        w->mode = read_word(modes, COUNT_OF(modes), v);
        return w->mode >= 0;
    }
    if (view_ieq(key, V("debounce")))
        return w->has_debounce = read_span(value, &w->debounce_ms);
    if (view_ieq(key, V("cap")))
        return w->has_cap = num_u32(value, 1, QUEUE_CAP_MAX, &w->cap, &ignored) == 0;
    if (view_ieq(key, V("drop"))) {
        w->drop = read_word(drops, COUNT_OF(drops), value);
        return w->drop >= 0;
    }
    return false;
}

static int set_number(struct session *s, const char *key, uint32_t v, struct err *e)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", v);
    return session_rest_set(s, key, view_str(text), e);
}

static int apply(struct session *s, const struct wish *w, bool reset, struct err *e)
{
    static const char *const keys[] = {"queueMode", "queueDebounceMs", "queueCap", "queueDrop"};
    int rc = 0;

    for (size_t i = 0; i < COUNT_OF(keys) && reset && rc == 0; i++)
        rc = session_rest_set(s, keys[i], VIEW_EMPTY, e);
    if (rc == 0 && w->mode >= 0)
        rc = session_rest_set_str(s, "queueMode",
                                  view_str(queue_mode_name((enum queue_mode)w->mode)), e);
    if (rc == 0 && w->has_debounce)
        rc = set_number(s, "queueDebounceMs", w->debounce_ms, e);
    if (rc == 0 && w->has_cap)
        rc = set_number(s, "queueCap", w->cap, e);
    if (rc == 0 && w->drop >= 0)
        rc = session_rest_set_str(s, "queueDrop",
                                  view_str(queue_drop_name((enum queue_drop)w->drop)), e);
    return rc;
}

bool queue_command(const json_t *conf, struct session *s, struct view args, struct buf *say)
{
    struct wish w = {.mode = -1, .drop = -1};
    struct err e = ERR_INIT;
    bool reset = false, asked = view_trim(args).n > 0;
    struct queue_set q;

    while ((args = view_trim(args)).n) {
        size_t n = 0;

        while (n < args.n && (unsigned char)args.p[n] > ' ')
            n++;
        if (view_ieq(view_of(args.p, n), V("default")) ||
            view_ieq(view_of(args.p, n), V("reset"))) {
            reset = true;
        } else if (!read_wish(&w, view_of(args.p, n))) {
            buf_printf(say,
                       "\"%.*s\" is not understood. Use: /queue steer|followup|collect|interrupt "
                       "[debounce:500ms] [cap:20] [drop:summarize|old|new], or /queue default",
                       (int)(n < 64 ? n : 64), args.p);
            return false;
        }
        args = view_from(args, n);
    }
    if (apply(s, &w, reset, &e) < 0) {
        buf_printf(say, "The queue was not changed: %s", e.text);
        return false;
    }
    queue_settings(conf, s, VIEW_EMPTY, &q);
    buf_printf(say, "Queue%s: %s, debounce %u ms, at most %u waiting, drop %s.",
               asked ? " is now" : "", queue_mode_name(q.mode), q.debounce_ms, q.cap,
               queue_drop_name(q.drop));
    return true;
}
