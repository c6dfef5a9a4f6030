#include "pulse.h"

#include "call.h"
#include "clock.h"
#include "json.h"

enum { MINUTE_MS = 60000, MINUTES_DEFAULT = 60 };

static struct pulse_minute *minute_of(struct pulse *p, int64_t now_ms)
{
    int64_t minute = (now_ms > 0 ? now_ms : 0) / MINUTE_MS;
    struct pulse_minute *m = &p->ring[minute % PULSE_MINUTES];

    if (m->minute != minute)
        *m = (struct pulse_minute){.minute = minute};
    return m;
}

void pulse_turn(struct pulse *p, int64_t now_ms, bool ok, int64_t took_ms)
{
    struct pulse_minute *m = minute_of(p, now_ms);
    uint64_t ms = took_ms > 0 ? (uint64_t)took_ms : 0; /* the wall clock may have been set back */

    if (!ok) {
        m->failed++;
        return;
    }
    m->ok++;
    m->ms_sum += ms;
    if (ms > m->ms_max)
        m->ms_max = ms;
}

void pulse_tokens(struct pulse *p, int64_t now_ms, uint64_t in, uint64_t out)
{
    struct pulse_minute *m = minute_of(p, now_ms);

    m->tokens_in += in;
    m->tokens_out += out;
}

void pulse_write(const struct pulse *p, int64_t now_ms, unsigned minutes, struct jw *w)
{
    int64_t last = (now_ms > 0 ? now_ms : 0) / MINUTE_MS;
    int64_t count = minutes < PULSE_MINUTES ? minutes : PULSE_MINUTES;

    jw_arr(w);
    for (int64_t at = last >= count ? last - count + 1 : 0; at <= last; at++) {
        const struct pulse_minute *m = &p->ring[at % PULSE_MINUTES];
        struct pulse_minute none = {.minute = at};

        if (m->minute != at)
            m = &none;
        jw_obj(w);
        jw_ki64(w, "at", at * MINUTE_MS);
        jw_ku64(w, "ok", m->ok);
        jw_ku64(w, "failed", m->failed);
        jw_ku64(w, "msSum", m->ms_sum);
        jw_ku64(w, "msMax", m->ms_max);
        jw_ku64(w, "tokensIn", m->tokens_in);
        jw_ku64(w, "tokensOut", m->tokens_out);
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

int rpc_stats_turns(struct call *c)
{
    int64_t now = clock_wall_ms();
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_ki64(w, "now", now);
    jw_ki64(w, "since", c->hub->started_ms);
    jw_ku64(w, "bucketMs", MINUTE_MS);
    jw_key(w, "buckets");
    pulse_write(&c->hub->pulse, now, (unsigned)json_i64(c->params, "minutes", MINUTES_DEFAULT), w);
    jw_obj_end(w);
    return call_end(c);
}
