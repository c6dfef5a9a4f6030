/* workers/hub/session_usage.c - sessions.usage, and usage.cost, which is the sums alone: what the
 * turns between two days used, by session, model, agent, channel and day (protocol 9.3). It reads
 * every transcript that changed since the first of these days, a piece in each turn of the loop
 * (chore.h). */
#include "chat.h"
#include "chore.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "num.h"
#include "skey.h"
#include "usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    STEP_ROWS = 500,     /* rows looked at for the next session */
    STEP_MESSAGES = 250, /* of a transcript: 0.5 ms */
    LIST_DEFAULT = 50,
    LIST_MAX = 1000,
    DAYS_DEFAULT = 30,
    GROUPS_EACH = 200, /* models, agents, channels: the rest counts in the totals only */
    MODEL_DAYS = 2000,
};
static const int64_t DAY_MS = 86400000;

struct row {
    int64_t updated_at;
    char *text; /* owned: the object */
};

struct report {
    struct chore chore; /* first */
    struct call_ref ref;
    /* what is asked */
    char only[SESSION_KEY_MAX + 1], agent[SESSION_AGENT_MAX + 1];
    int64_t offset_ms, first_day, last_day;
    size_t limit;
    bool sums; /* usage.cost */
    /* the session under way */
    bool busy;
    uint32_t sid;
    uint64_t left;                  /* messages up to this one are not counted yet */
    char *key, *session_id, *label; /* owned */
    int64_t updated_at, began, ended;
    struct usage usage;
    struct usage_counts n;
    struct usage_days days;
    struct usage_sums models;
    /* all of them */
    uint64_t sessions;
    struct usage total;
    struct usage_counts all;
    struct usage_days daily;
    struct usage_sums by_model, by_agent, by_channel, model_daily;
    struct row *rows; /* owned; the newest of them, limit at most */
    size_t row_count;
    bool nomem;
};

/* ---- sums ---- */

static uint64_t times(struct view in, struct view what)
{
    uint64_t n = 0;
    const char *at;

    while (in.n && (at = memmem(in.p, in.n, what.p, what.n))) {
        n++;
        in = view_from(in, (size_t)(at - in.p) + what.n);
    }
    return n;
}

static struct view member(struct view msg, struct view key)
{
    const char *at = msg.n ? memmem(msg.p, msg.n, key.p, key.n) : NULL;
    struct view v;

    if (!at)
        return VIEW_EMPTY;
    v = view_from(msg, (size_t)(at - msg.p) + key.n);
    return view_of(v.p, view_find(v, '"'));
}

static int64_t day_at(const struct report *r, int64_t ts)
{
    int64_t t = ts + r->offset_ms;

    return t / DAY_MS - (t % DAY_MS < 0);
}

/* ---- one message ---- */

static int on_message(void *ctx, const struct rec_message_add *m)
{
    struct report *r = ctx;
    int64_t day = day_at(r, m->ts);
    struct usage_counts n = {.total = 1};
    struct usage u = {.unpriced = 0};
    struct usage_day *d;

    if (day < r->first_day || day > r->last_day)
        return 0;
    n.user = m->role == MESSAGE_USER;
    n.assistant = m->role == MESSAGE_ASSISTANT;
    n.results = m->role == MESSAGE_TOOL;
    if (m->role == MESSAGE_ASSISTANT) {
        n.calls = times(m->text, V("\"type\":\"toolCall\""));
        n.errors = times(m->text, V("\"errorMessage\":")) > 0;
        if (usage_read(m->text, &u)) {
            /* behind the text of the message, which cannot hold an unescaped quote */
            struct view provider = member(m->text, V("\"provider\":\"")),
                        model = member(m->text, V("\"model\":\""));

            usage_sum_add(usage_sum_of(&r->models, provider, model, 0), &u, 1);
            usage_sum_add(usage_sum_of(&r->by_model, provider, model, 0), &u, 1);
            usage_sum_add(usage_sum_of(&r->model_daily, provider, model, day), &u, 1);
        }
    }
    r->began = r->began && r->began < m->ts ? r->began : m->ts;
    r->ended = r->ended > m->ts ? r->ended : m->ts;
    usage_counts_add(&r->n, &n);
    usage_add(&r->usage, &u);
    if ((d = usage_day_of(&r->days, day))) {
        usage_counts_add(&d->n, &n);
        usage_add(&d->usage, &u);
    }
    if ((d = usage_day_of(&r->daily, day))) {
        usage_counts_add(&d->n, &n);
        usage_add(&d->usage, &u);
    }
    return 0;
}

/* ---- writing ---- */

static void put_tools(struct jw *w, const struct usage_counts *n)
{
    jw_key(w, "tools");
    jw_obj(w);
    jw_ku64(w, "totalCalls", n->calls);
    jw_ku64(w, "uniqueTools", 0);
    jw_kraw(w, "tools", V("[]"));
    jw_obj_end(w);
}

static void put_session(struct jw *w, const struct report *r)
{
    const char *type = skey_chat_type(view_str(r->key));
    const struct usage_sum *m = r->models.count ? &r->models.s[r->models.count - 1] : NULL;

    jw_obj(w);
    jw_kcstr(w, "key", r->key);
    jw_kcstr(w, "sessionId", r->session_id);
    jw_kstr(w, "agentId", session_key_agent(view_str(r->key)));
    jw_ki64(w, "updatedAt", r->updated_at);
    jw_kcstr(w, "scope", "instance");
    if (r->label[0])
        jw_kcstr(w, "label", r->label);
    if (strcmp(type, "unknown") != 0)
        jw_kcstr(w, "chatType", type);
    if (m) {
        jw_kcstr(w, "modelProvider", m->name);
        jw_kcstr(w, "model", m->more);
    }
    jw_key(w, "usage");
    if (r->n.total == 0) {
        jw_null(w);
    } else {
        jw_obj(w);
        usage_put(w, &r->usage);
        jw_ki64(w, "firstActivity", r->began);
        jw_ki64(w, "lastActivity", r->ended);
        jw_ki64(w, "durationMs", r->ended - r->began);
        usage_put_counts(w, "messageCounts", &r->n);
        jw_key(w, "activityDates");
        jw_arr(w);
        for (size_t i = 0; i < r->days.count; i++) {
            char iso[CLOCK_ISO_MAX];

            clock_iso(r->days.d[i].day * DAY_MS, iso);
            jw_str(w, view_of(iso, 10));
        }
        jw_arr_end(w);
        usage_put_days(w, "dailyBreakdown", &r->days, false);
        usage_put_sums(w, "modelUsage", &r->models, USAGE_BY_MODEL);
        jw_obj_end(w);
    }
    jw_obj_end(w);
}

/* ---- sessions, one after the other ---- */

static int by_newest(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return (x->updated_at < y->updated_at) - (x->updated_at > y->updated_at);
}

/* Among the newest: in the place of the oldest of them when there is no other. */
static int keep_row(struct report *r, struct err *e)
{
    struct buf b = BUF_INIT(8 * MIB);
    struct jw w = JW_INIT(&b);
    struct row *at = r->rows;
    int rc;

    if (r->row_count < r->limit) {
        at = &r->rows[r->row_count];
    } else {
        for (size_t i = 1; i < r->row_count; i++)
            if (r->rows[i].updated_at < at->updated_at)
                at = &r->rows[i];
        if (at->updated_at >= r->updated_at)
            return 0;
    }
    put_session(&w, r);
    if ((rc = buf_check(&b, e)) == 0) {
        char *text = mem_dup(buf_view(&b).p, b.n);

        if (!text) {
            rc = err_set(e, ERR_NOMEM, "usage: out of memory");
        } else {
            if (r->row_count < r->limit)
                r->row_count++;
            mem_free(at->text);
            *at = (struct row){.updated_at = r->updated_at, .text = text};
        }
    }
    buf_fini(&b);
    return rc;
}

static int end_session(struct report *r, struct err *e)
{
    struct skey_target t;

    r->busy = false;
    r->sessions++;
    usage_sum_add(usage_sum_of(&r->by_agent, session_key_agent(view_str(r->key)), VIEW_EMPTY, 0),
                  &r->usage, 1);
    if (skey_target(view_str(r->key), &t))
        usage_sum_add(usage_sum_of(&r->by_channel, t.channel, VIEW_EMPTY, 0), &r->usage, 1);
    usage_add(&r->total, &r->usage);
    usage_counts_add(&r->all, &r->n);
    if (r->models.nomem || r->by_model.nomem || r->by_agent.nomem || r->by_channel.nomem ||
        r->model_daily.nomem || r->days.nomem || r->daily.nomem)
        return err_set(e, ERR_NOMEM, "usage: out of memory");
    return keep_row(r, e);
}

static void drop_session(struct report *r)
{
    mem_free(TAKE(r->key));
    mem_free(TAKE(r->session_id));
    mem_free(TAKE(r->label));
}

static int on_row(void *ctx, const struct rec_session_put *row)
{
    struct report *r = ctx;

    r->sid = row->sid;
    if (day_at(r, row->updated_at) < r->first_day ||
        (r->only[0] && !view_eq(row->key, view_str(r->only))) ||
        (r->agent[0] && !view_eq(session_key_agent(row->key), view_str(r->agent))))
        return 0;
    drop_session(r);
    r->key = mem_dup(row->key.p, row->key.n);
    r->session_id = mem_dup(row->session_id.n ? row->session_id.p : "", row->session_id.n);
    r->label = mem_dup(row->label.n ? row->label.p : "", row->label.n);
    r->nomem = r->nomem || !r->key || !r->session_id || !r->label;
    r->updated_at = row->updated_at;
    r->usage = (struct usage){.unpriced = 0};
    r->n = (struct usage_counts){.total = 0};
    r->days.count = r->models.count = 0;
    r->began = r->ended = 0;
    r->busy = true;
    return 1;
}

static int on_step(struct chore *c, struct err *e)
{
    struct report *r = (struct report *)c;
    struct store *db = c->hub->store;
    uint32_t before = r->sid;
    uint64_t first;
    int rc;

    if (!r->busy) {
        if ((rc = store_sessions_from(db, r->sid, STEP_ROWS, on_row, r, e)) < 0)
            return rc;
        if (r->nomem)
            return err_set(e, ERR_NOMEM, "usage: out of memory");
        if (!r->busy)
            return r->sid != before;
        if ((rc = store_history_count(db, r->sid, &r->left, e)) < 0)
            return rc;
    }
    first = r->left > STEP_MESSAGES ? r->left - STEP_MESSAGES + 1 : 1;
    if (r->left > 0 && (rc = store_history_range(db, r->sid, first, r->left, on_message, r, e)) < 0)
        return rc;
    r->left = first - 1;
    if (r->left == 0 && (rc = end_session(r, e)) < 0)
        return rc;
    return 1;
}

/* ---- the answer ---- */

static void put_providers(struct jw *w, struct report *r)
{
    struct usage_sums by = {.max = GROUPS_EACH};

    for (size_t i = 0; i < r->by_model.count; i++) {
        const struct usage_sum *m = &r->by_model.s[i];

        usage_sum_add(usage_sum_of(&by, view_str(m->name), VIEW_EMPTY, 0), &m->usage, m->count);
    }
    usage_put_sums(w, "byProvider", &by, USAGE_BY_PROVIDER);
    usage_sums_fini(&by);
}

/* usage.cost: every day on which something was used, and all of them. */
static int answer_sums(struct report *r)
{
    struct call c = {.hub = r->chore.hub, .ref = r->ref};
    struct jw *w = call_ok(&c);

    jw_obj(w);
    jw_ki64(w, "updatedAt", clock_wall_ms());
    jw_ki64(w, "days", r->last_day - r->first_day + 1);
    usage_put_days(w, "daily", &r->daily, true);
    jw_key(w, "totals");
    jw_obj(w);
    usage_put(w, &r->total);
    jw_obj_end(w);
    jw_obj_end(w);
    return call_end(&c);
}

static int answer(struct report *r)
{
    struct call c = {.hub = r->chore.hub, .ref = r->ref};
    struct jw *w;

    if (r->sums)
        return answer_sums(r);
    w = call_ok(&c);
    qsort(r->rows, r->row_count, sizeof(*r->rows), by_newest);
    jw_obj(w);
    jw_ki64(w, "updatedAt", clock_wall_ms());
    usage_put_date(w, "startDate", r->first_day);
    usage_put_date(w, "endDate", r->last_day);
    jw_key(w, "sessions");
    jw_arr(w);
    for (size_t i = 0; i < r->row_count; i++)
        jw_raw(w, view_str(r->rows[i].text));
    jw_arr_end(w);
    jw_key(w, "totals");
    jw_obj(w);
    usage_put(w, &r->total);
    jw_obj_end(w);
    jw_key(w, "aggregates");
    jw_obj(w);
    jw_ku64(w, "sessionCount", r->sessions);
    usage_put_counts(w, "messages", &r->all);
    put_tools(w, &r->all);
    usage_put_sums(w, "byModel", &r->by_model, USAGE_BY_MODEL);
    put_providers(w, r);
    usage_put_sums(w, "byAgent", &r->by_agent, USAGE_BY_AGENT);
    usage_put_sums(w, "byChannel", &r->by_channel, USAGE_BY_CHANNEL);
    jw_kraw(w, "byCreator", V("[]"));
    usage_put_days(w, "costDaily", &r->daily, true);
    jw_kraw(w, "dailyLatency", V("[]"));
    usage_put_model_days(w, &r->model_daily);
    usage_put_days(w, "daily", &r->daily, false);
    jw_obj_end(w);
    jw_obj_end(w);
    return call_end(&c);
}

static void report_free(struct report *r)
{
    struct usage_sums *b[] = {&r->models, &r->by_model, &r->by_agent, &r->by_channel,
                              &r->model_daily};

    drop_session(r);
    for (size_t i = 0; i < COUNT_OF(b); i++)
        usage_sums_fini(b[i]);
    usage_days_fini(&r->days);
    usage_days_fini(&r->daily);
    for (size_t i = 0; r->rows && i < r->row_count; i++)
        mem_free(r->rows[i].text);
    mem_free(r->rows);
    mem_free(r);
}

static void on_end(struct chore *c, int rc, const struct err *why)
{
    struct report *r = (struct report *)c;
    struct call call = {.hub = c->hub, .ref = r->ref};

    if (rc != ERR_CLOSED) {
        rc = rc < 0 ? call_error_full(&call, RPC_UNAVAILABLE, why->text, VIEW_EMPTY, 1, 1000)
                    : answer(r);
        if (rc < 0)
            log_warn("usage.answer_lost", KV("sessions", r->sessions));
    }
    report_free(r);
}

/* ---- the question ---- */

/* "YYYY-MM-DD" */
static bool date_of(struct view v, int64_t *out)
{
    struct err e = ERR_INIT;
    uint32_t y, m, d;
    struct tm tm;

    if (v.n != 10 || v.p[4] != '-' || v.p[7] != '-' ||
        num_u32(view_of(v.p, 4), 1970, 9999, &y, &e) < 0 ||
        num_u32(view_of(v.p + 5, 2), 1, 12, &m, &e) < 0 ||
        num_u32(view_of(v.p + 8, 2), 1, 31, &d, &e) < 0)
        return false;
    tm = (struct tm){.tm_year = (int)y - 1900, .tm_mon = (int)m - 1, .tm_mday = (int)d};
    *out = (int64_t)timegm(&tm) / 86400;
    return tm.tm_mday == (int)d; /* there is no 31 February */
}

/* "UTC+5:30"; how many minutes east. */
static bool offset_of(struct view v, int64_t *out)
{
    struct view hours = v.n > 4 ? view_from(v, 4) : VIEW_EMPTY, minutes = VIEW_EMPTY;
    size_t colon = view_find(hours, ':');
    struct err e = ERR_INIT;
    uint32_t h, m = 0;

    if (v.n < 5 || !view_eq(view_of(v.p, 3), V("UTC")) || (v.p[3] != '+' && v.p[3] != '-'))
        return false;
    if (colon < hours.n) {
        minutes = view_from(hours, colon + 1);
        hours = view_of(hours.p, colon);
    }
    if (num_u32(hours, 0, 14, &h, &e) < 0 || (minutes.n && num_u32(minutes, 0, 59, &m, &e) < 0))
        return false;
    *out = (int64_t)(h * 60 + m) * (v.p[3] == '-' ? -1 : 1);
    return true;
}

static int64_t local_offset_ms(void)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    return localtime_r(&now, &tm) ? (int64_t)tm.tm_gmtoff * 1000 : 0;
}

/* NULL, or what is wrong. */
static const char *read_days(struct report *r, const json_t *p)
{
    static const struct {
        const char *name;
        int64_t days;
    } ranges[] = {{"7d", 7}, {"30d", 30}, {"90d", 90}, {"1y", 365}, {"all", USAGE_DAYS_MAX}};
    struct view mode = json_view(p, "mode"), offset = json_view(p, "utcOffset"),
                start = json_view(p, "startDate"), end = json_view(p, "endDate"),
                range = json_view(p, "range");
    int64_t minutes = 0, days = json_i64(p, "days", DAYS_DEFAULT);

    if (offset.n && !offset_of(offset, &minutes))
        return "utcOffset: must be like UTC+2 or UTC-5:30";
    if (view_eq(mode, V("specific")) && offset.n)
        r->offset_ms = minutes * 60000;
    else if (!view_eq(mode, V("utc")))
        r->offset_ms = local_offset_ms();
    for (size_t i = 0; i < COUNT_OF(ranges); i++)
        if (view_eq(range, view_str(ranges[i].name)))
            days = ranges[i].days;
    r->last_day = day_at(r, clock_wall_ms());
    if (end.n && !date_of(end, &r->last_day))
        return "endDate: no such day";
    days = days < 1 ? 1 : days > USAGE_DAYS_MAX ? USAGE_DAYS_MAX : days;
    r->first_day = r->last_day - days + 1;
    if (start.n && !date_of(start, &r->first_day))
        return "startDate: no such day";
    return r->first_day > r->last_day ? "startDate: must not be after endDate" : NULL;
}

static int ask(struct call *c, bool sums)
{
    int64_t limit = json_i64(c->params, "limit", LIST_DEFAULT);
    struct view asked = json_view(c->params, "key"), agent = json_view(c->params, "agentId");
    struct session_key key;
    struct report *r;
    struct err e = ERR_INIT;
    const char *wrong;

    if (asked.n && session_key(c->hub, asked, agent, &key, &e) == ERR_INVALID)
        return call_error(c, RPC_INVALID_REQUEST, "%s", e.text);
    if (mem_new(&r, sizeof(*r), &e) < 0)
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    r->chore = (struct chore){.step = on_step, .end = on_end};
    r->ref = c->ref;
    r->sums = sums;
    r->limit = (size_t)(limit < 1 ? 1 : limit > LIST_MAX ? LIST_MAX : limit);
    r->models.max = r->by_model.max = r->by_agent.max = r->by_channel.max = GROUPS_EACH;
    r->model_daily.max = MODEL_DAYS;
    if (asked.n)
        (void)snprintf(r->only, sizeof(r->only), "%s", key.s);
    else if (agent.n && agent.n < sizeof(r->agent))
        memcpy(r->agent, agent.p, agent.n);
    if ((wrong = read_days(r, c->params))) {
        report_free(r);
        return call_error(c, RPC_INVALID_REQUEST, "%s", wrong);
    }
    if (mem_new(&r->rows, r->limit * sizeof(*r->rows), &e) < 0 ||
        chore_add(c->hub, &r->chore, &e) < 0) {
        report_free(r);
        return call_error_full(c, RPC_UNAVAILABLE, e.text, VIEW_EMPTY, 1, 1000);
    }
    return 0;
}

int rpc_sessions_usage(struct call *c)
{
    return ask(c, false);
}

int rpc_usage_cost(struct call *c)
{
    return ask(c, true);
}

/* Quotas that a provider tells for an account that signed in there. Ours have keys, which have
 * none. */
int rpc_usage_status(struct call *c)
{
    struct jw *w = call_ok(c);

    jw_obj(w);
    jw_ki64(w, "updatedAt", clock_wall_ms());
    jw_kraw(w, "providers", V("[]"));
    jw_obj_end(w);
    return call_end(c);
}
