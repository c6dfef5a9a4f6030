#include "fresh.h"

#include "json.h"

#include <time.h>

enum { AT_HOUR = 4, MINUTE_MS = 60 * 1000 };

static int mode_of(const json_t *o)
{
    struct view v = json_view(o, "mode");

    return view_eq(v, V("none"))    ? FRESH_ALWAYS
           : view_eq(v, V("daily")) ? FRESH_DAILY
           : view_eq(v, V("idle"))  ? FRESH_IDLE
                                    : -1;
}

void fresh_policy(const json_t *conf, enum fresh_type type, struct view channel,
                  struct fresh_policy *out)
{
    static const char *const types[] = {"direct", "group", "thread"};
    const json_t *session = json_object_get(conf, "session"),
                 *base = json_object_get(session, "reset"),
                 *by = json_object_get(session, "resetByChannel"), *of_type = NULL;
    int64_t old = json_i64(session, "idleMinutes", 0), idle;
    int mode;

    by = channel.n ? json_object_getn(by, channel.p, channel.n) : NULL;
    if (by)
        base = by; /* wins outright */
    else
        of_type = json_object_get(json_object_get(session, "resetByType"), types[type]);
    mode = mode_of(of_type);
    if (mode < 0 && of_type)
        mode = mode_of(base) > FRESH_ALWAYS ? mode_of(base) : FRESH_DAILY;
    if (mode < 0)
        mode = mode_of(base);
    if (mode < 0)
        mode = json_object_size(base) ? FRESH_DAILY : old > 0 ? FRESH_IDLE : FRESH_ALWAYS;
    idle = json_i64(of_type, "idleMinutes", json_i64(base, "idleMinutes", old));
    *out = (struct fresh_policy){
        .mode = (enum fresh_mode)mode,
        .at_hour = (unsigned)json_i64(of_type, "atHour", json_i64(base, "atHour", AT_HOUR)) % 24,
        .idle_ms = idle > 0 ? idle * MINUTE_MS : 0};
}

/* The last time that it was this hour. */
static int64_t last_hour_ms(int64_t now_ms, unsigned hour)
{
    time_t now = (time_t)(now_ms / 1000), at;
    struct tm tm;

    if (!localtime_r(&now, &tm))
        return 0;
    tm.tm_hour = (int)hour;
    tm.tm_min = tm.tm_sec = 0;
    tm.tm_isdst = -1;
    at = mktime(&tm);
    if (at > now) {
        tm.tm_mday--; /* mktime puts it in order, over the ends of months, too */
        tm.tm_hour = (int)hour;
        tm.tm_min = tm.tm_sec = 0;
        tm.tm_isdst = -1;
        at = mktime(&tm);
    }
    return (int64_t)at * 1000;
}

bool fresh_is(const struct fresh_policy *p, int64_t began_ms, int64_t interaction_ms,
              int64_t now_ms)
{
    int64_t last = interaction_ms > 0 && interaction_ms <= now_ms ? interaction_ms : began_ms;

    if (p->mode == FRESH_ALWAYS || began_ms <= 0 || began_ms > now_ms)
        return true;
    if (p->mode == FRESH_DAILY && began_ms < last_hour_ms(now_ms, p->at_hour))
        return false;
    return p->idle_ms == 0 || now_ms <= last + p->idle_ms;
}
