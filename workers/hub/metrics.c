#include "metrics.h"

#include "chat.h"
#include "deliver_table.h"
#include "http.h"
#include "json.h"
#include "log.h"
#include "tool_policy.h"

#include <stdarg.h>
#include <stdio.h>

/* Seconds; from a memory's speed to a turn's. */
static const double bounds[METRICS_BUCKETS - 1] = {0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2.5, 10};

struct provider_count {
    char name[129];
    uint64_t calls, failed;
};

struct metrics {
    struct metrics_hist rpc[RPC_COUNT], http[ROUTE_COUNT], turn;
    uint64_t status[6]; /* of HTTP answers, by hundreds */
    uint64_t ends[4];   /* enum run_end */
    uint64_t tokens[4]; /* input, output, cache read, cache write */
    double cost;
    uint64_t delivery[5];           /* OUTCOME_* */
    uint64_t tool[TOOLS_SERVED][2]; /* calls that went well, and others */
    struct provider_count provider[METRICS_PROVIDERS];
    unsigned providers;

    /* somebody asks */
    struct http_request *askers[METRICS_ASKERS_MAX];
    unsigned asker_n, waits;
    uint64_t seq;
    json_t *usage, *stats; /* owned: of the supervisor; array of the fronts' */
    struct loop_timer timer;
};

/* -------------------------------------------------------------- counting */
static void count(struct metrics_hist *x, double s)
{
    unsigned i = 0;

    while (i < METRICS_BUCKETS - 1 && s > bounds[i])
        i++;
    x->bucket[i]++;
    x->count++;
    x->sum_s += s;
}

void metrics_rpc(struct hub *h, enum rpc_index i, uint64_t took_ns)
{
    if (h->metrics)
        count(&h->metrics->rpc[i], (double)took_ns / 1e9);
}

void metrics_http(struct hub *h, enum route_id route, unsigned status, uint64_t took_ns)
{
    if (!h->metrics)
        return;
    count(&h->metrics->http[route], (double)took_ns / 1e9);
    if (status / 100 < COUNT_OF(h->metrics->status))
        h->metrics->status[status / 100]++;
}

void metrics_tool(struct hub *h, unsigned tool, bool ok)
{
    if (h->metrics && tool < TOOLS_SERVED)
        h->metrics->tool[tool][!ok]++;
}

void metrics_delivery(struct hub *h, unsigned outcome)
{
    if (h->metrics && outcome < COUNT_OF(h->metrics->delivery))
        h->metrics->delivery[outcome]++;
}

static struct provider_count *provider(struct metrics *m, const char *name)
{
    for (unsigned i = 0; i < m->providers; i++)
        if (strcmp(m->provider[i].name, name) == 0)
            return &m->provider[i];
    if (m->providers == METRICS_PROVIDERS)
        return NULL;
    (void)snprintf(m->provider[m->providers].name, sizeof(m->provider[0].name), "%s", name);
    return &m->provider[m->providers++];
}

void metrics_turn(const struct run *r)
{
    struct metrics *m = r->hub->metrics;

    if (!m)
        return;
    m->ends[r->result.end]++;
    count(&m->turn, (double)(r->ended_ms - r->accepted_ms) / 1e3);
}

void metrics_part(const struct run *r)
{
    static const char *const keys[] = {"input", "output", "cacheRead", "cacheWrite"};
    struct metrics *m = r->hub->metrics;
    struct provider_count *p;
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    if (!m)
        return;
    if (r->provider[0] && (p = provider(m, r->provider))) {
        p->calls++;
        p->failed += r->result.end == END_ERROR || r->result.end == END_TIMEOUT;
    }
    if (!r->result.usage || json_parse(view_str(r->result.usage), &doc, &e) < 0)
        return;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        int64_t n = json_i64(doc, keys[i], 0);

        m->tokens[i] += n > 0 ? (uint64_t)n : 0;
    }
    m->cost += json_number_value(json_at(doc, "cost.total"));
    json_decref(doc);
}

/* -------------------------------------------------------------- telling */
static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP openclaw_%s %s\n# TYPE openclaw_%s %s\n", name, help, name, type);
}

/* A label's value: only what needs no escape is in ours. */
static void label(struct buf *b, struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '"' || v.p[i] == '\\' || v.p[i] == '\n')
            buf_put_char(b, '_');
        else
            buf_put_char(b, v.p[i]);
    }
}

static void put_hist(struct buf *b, const char *name, const char *key, struct view value,
                     const struct metrics_hist *x)
{
    uint64_t sum = 0;

    if (x->count == 0)
        return;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        sum += x->bucket[i];
        buf_printf(b, "openclaw_%s_bucket{%s=\"", name, key);
        label(b, value);
        if (i < METRICS_BUCKETS - 1)
            buf_printf(b, "\",le=\"%g\"} %llu\n", bounds[i], (unsigned long long)sum);
        else
            buf_printf(b, "\",le=\"+Inf\"} %llu\n", (unsigned long long)sum);
    }
    buf_printf(b, "openclaw_%s_sum{%s=\"", name, key);
    label(b, value);
    buf_printf(b, "\"} %.6f\nopenclaw_%s_count{%s=\"", x->sum_s, name, key);
    label(b, value);
    buf_printf(b, "\"} %llu\n", (unsigned long long)x->count);
}

static void put_hists(const struct metrics *m, struct buf *b)
{
    head(b, "rpc_seconds", "histogram", "Time in the hub's handler of a WebSocket method.");
    for (unsigned i = 0; i < RPC_COUNT; i++)
        put_hist(b, "rpc_seconds", "method", rpc_row((enum rpc_index)i)->name, &m->rpc[i]);
    head(b, "http_seconds", "histogram", "From an HTTP request's arrival at the hub to its end.");
    for (unsigned i = 0; i < ROUTE_COUNT; i++)
        put_hist(b, "http_seconds", "route", view_str(route_row((enum route_id)i)->name),
                 &m->http[i]);
    head(b, "turn_seconds", "histogram", "From a message's acceptance to the end of its turn.");
    put_hist(b, "turn_seconds", "lane", V("main"), &m->turn);
}

static void row(struct buf *b, const char *name, const char *key, const char *value, double n)
{
    buf_printf(b, "openclaw_%s{%s=\"", name, key);
    label(b, view_str(value));
    buf_printf(b, "\"} %.10g\n", n);
}

static void put_counts(struct hub *h, struct buf *b)
{
    static const char *const statuses[] = {"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"};
    static const char *const ends[] = {"ok", "error", "aborted", "timeout"};
    static const char *const tokens[] = {"input", "output", "cache_read", "cache_write"};
    static const char *const outcomes[] = {"ok", "transient", "permanent", "unknown", "later"};
    const struct metrics *m = h->metrics;
    uint64_t files, bytes;

    head(b, "http_answers_total", "counter", "Answers of the hub to HTTP requests.");
    for (unsigned i = 2; i < COUNT_OF(statuses); i++)
        row(b, "http_answers_total", "status", statuses[i], (double)m->status[i]);
    head(b, "http_requests_open", "gauge", "HTTP requests the hub works on.");
    buf_printf(b, "openclaw_http_requests_open %u\n", http_under_way(h));
    head(b, "turns_total", "counter", "Turns that ended.");
    for (unsigned i = 0; i < COUNT_OF(ends); i++)
        row(b, "turns_total", "end", ends[i], (double)m->ends[i]);
    head(b, "turns_open", "gauge", "Turns that run or wait.");
    buf_printf(b, "openclaw_turns_open %u\n", runs_count(h));
    head(b, "provider_calls_total", "counter", "Answers that were asked of this provider last.");
    for (unsigned i = 0; i < m->providers; i++)
        row(b, "provider_calls_total", "provider", m->provider[i].name,
            (double)m->provider[i].calls);
    head(b, "provider_failures_total", "counter", "Of those, the ones that failed.");
    for (unsigned i = 0; i < m->providers; i++)
        row(b, "provider_failures_total", "provider", m->provider[i].name,
            (double)m->provider[i].failed);
    head(b, "tokens_total", "counter", "Tokens as providers counted them.");
    for (unsigned i = 0; i < COUNT_OF(tokens); i++)
        row(b, "tokens_total", "kind", tokens[i], (double)m->tokens[i]);
    head(b, "cost_total", "counter", "Cost by the configured prices.");
    buf_printf(b, "openclaw_cost_total %.6f\n", m->cost);
    head(b, "delivery_results_total", "counter", "What channels said of parts they were given.");
    for (unsigned i = 0; i < COUNT_OF(outcomes); i++)
        row(b, "delivery_results_total", "outcome", outcomes[i], (double)m->delivery[i]);
    head(b, "tool_calls_total", "counter", "Calls of tools that ended.");
    for (unsigned i = 0; i < TOOLS_SERVED; i++)
        for (unsigned bad = 0; bad < 2; bad++)
            buf_printf(b, "openclaw_tool_calls_total{tool=\"%.*s\",end=\"%s\"} %llu\n",
                       VIEW_FMT(tool_row((enum tool_index)i)->name), bad ? "error" : "ok",
                       (unsigned long long)m->tool[i][bad]);
    head(b, "deliveries_open", "gauge", "Outgoing messages that are not sent yet.");
    buf_printf(b, "openclaw_deliveries_open %u\n", h->deliveries ? h->deliveries->count : 0);
    media_totals(h, &files, &bytes);
    head(b, "media_files", "gauge", "Files of messages.");
    buf_printf(b, "openclaw_media_files %llu\n", (unsigned long long)files);
    head(b, "media_bytes", "gauge", "What they take on the disk.");
    buf_printf(b, "openclaw_media_bytes %llu\n", (unsigned long long)bytes);
    head(b, "connections", "gauge", "WebSocket connections that said hello.");
    buf_printf(b, "openclaw_connections %u\n", conns_count(h));
}

/* One number of each element of a list. */
static void each(struct buf *b, const json_t *list, const char *name, const char *type,
                 const char *help, const char *key, double unit)
{
    const json_t *p;
    size_t i;

    head(b, name, type, help);
    json_array_foreach(list, i, p)
    {
        const json_t *v = json_object_get(p, key);

        if (!json_is_number(v))
            continue;
        buf_printf(b, "openclaw_%s{role=\"", name);
        label(b, json_view(p, "role").n ? json_view(p, "role") : V("front"));
        buf_printf(b, "\",instance=\"%lld\"} %.10g\n", (long long)json_i64(p, "instance", 0),
                   json_number_value(v) * unit);
    }
}

/* The supervisor names lanes that hold something; the others are empty, not unknown. */
static void put_lanes(const json_t *lanes, struct buf *b, const char *name, const char *key,
                      const char *help)
{
    static const char *const all[] = {"main", "cron", "subagent", "nested"};
    const json_t *l;
    size_t i;

    head(b, name, "gauge", help);
    for (size_t k = 0; k < COUNT_OF(all); k++) {
        int64_t n = 0;

        json_array_foreach(lanes, i, l)
        {
            if (view_eq(json_view(l, "lane"), view_str(all[k])))
                n = json_i64(l, key, 0);
        }
        row(b, name, "lane", all[k], (double)n);
    }
}

static void put_processes(struct hub *h, struct buf *b)
{
    const json_t *used = json_object_get(h->metrics->usage, "processes");
    const json_t *lanes = json_object_get(h->fleet, "lanes");

    each(b, used, "process_cpu_seconds_total", "counter", "Processor time.", "cpuMs", 1e-3);
    each(b, used, "process_pss_bytes", "gauge", "Memory, shared pages divided.", "pssKib", 1024);
    each(b, used, "process_resident_bytes", "gauge", "Memory, shared pages included.", "rssKib",
         1024);
    each(b, used, "process_restarts_total", "counter", "Times it was started again.", "restarts",
         1);
    each(b, used, "process_up", "gauge", "1 while it works.", "up", 1);
    each(b, h->metrics->stats, "front_connections", "gauge", "Connections, before hello too.",
         "conns", 1);
    each(b, h->metrics->stats, "front_bytes_in_total", "counter", "Bytes of clients.", "bytesIn",
         1);
    each(b, h->metrics->stats, "front_bytes_out_total", "counter", "Bytes to clients.", "bytesOut",
         1);
    each(b, h->metrics->stats, "front_http_requests_total", "counter", "HTTP requests.", "http", 1);
    each(b, h->metrics->stats, "front_requests_open", "gauge", "Requests at the hub.", "requests",
         1);
    put_lanes(lanes, b, "lane_waiting", "waiting", "Turns that wait for an agent.");
    put_lanes(lanes, b, "lane_running", "running", "Turns with an agent.");
}

static void tell(struct hub *h)
{
    struct metrics *m = h->metrics;
    struct buf b = BUF_INIT(4 << 20);

    loop_timer_clear(&m->timer);
    put_counts(h, &b);
    put_processes(h, &b);
    put_hists(m, &b);
    while (m->asker_n) {
        struct http_request *r = m->askers[--m->asker_n];

        r->work = NULL;
        http_reply(r, &(struct http_reply){.status = b.failed ? 500 : 200,
                                           .type = "text/plain; version=0.0.4; charset=utf-8",
                                           .body = buf_view(&b)});
    }
    buf_fini(&b);
    json_decref(TAKE(m->usage));
    json_decref(TAKE(m->stats));
}

/* -------------------------------------------------------------- asking */
static void on_gone(struct http_request *r)
{
    struct metrics *m = r->hub->metrics;

    for (unsigned i = 0; i < m->asker_n; i++)
        if (m->askers[i] == r)
            m->askers[i] = m->askers[--m->asker_n];
}

static void on_time(void *ctx)
{
    tell(ctx);
}

static void heard(struct hub *h)
{
    if (h->metrics->waits && --h->metrics->waits == 0)
        tell(h);
}

void metrics_on_usage(struct hub *h, const struct ipc_usage *u)
{
    struct metrics *m = h->metrics;
    struct err e = ERR_INIT;

    if (!m || u->seq != m->seq || m->usage || !m->asker_n)
        return;
    if (json_parse(u->doc, &m->usage, &e) < 0)
        log_warn("metrics.usage", KV("why", e.text));
    heard(h);
}

void metrics_on_stats(struct hub *h, struct link *from, const struct ipc_stats *s)
{
    struct metrics *m = h->metrics;
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    if (!m || s->seq != m->seq || !m->asker_n)
        return;
    if (json_parse(s->doc, &doc, &e) == 0 &&
        json_object_set_new(doc, "instance", json_integer(link_instance(from))) == 0)
        (void)json_array_append(m->stats, doc);
    json_decref(doc);
    heard(h);
}

void http_metrics(struct http_request *r, struct view body)
{
    static const struct http_work work = {.on_gone = on_gone};
    struct hub *h = r->hub;
    struct metrics *m = h->metrics;
    struct err e = ERR_INIT;

    (void)body;
    if (m->asker_n == METRICS_ASKERS_MAX) {
        http_reply_text(r, 503, "Service Unavailable");
        return;
    }
    r->work = &work;
    m->askers[m->asker_n++] = r;
    if (m->asker_n > 1)
        return; /* under way already */
    m->seq++;
    m->waits = 0;
    m->stats = json_array();
    if (h->w.sup && msg_send_usage_ask(h->w.sup, &(struct ipc_usage_ask){.seq = m->seq}, &e) == 0)
        m->waits++;
    for (unsigned i = 0; i < h->w.peer_count; i++)
        if (link_peer(h->w.peers[i]) == ROLE_FRONT &&
            msg_send_stats_ask(h->w.peers[i], &(struct ipc_stats_ask){.seq = m->seq}, &e) == 0)
            m->waits++;
    loop_timer_set(&m->timer, METRICS_WAIT_MS);
}

int metrics_open(struct hub *h, struct err *e)
{
    int r = mem_new(&h->metrics, sizeof(*h->metrics), e);

    if (r == 0)
        loop_timer_init(&h->metrics->timer, h->w.loop, on_time, h);
    return r;
}

void metrics_close(struct hub *h)
{
    if (!h->metrics)
        return;
    loop_timer_fini(&h->metrics->timer);
    json_decref(h->metrics->usage);
    json_decref(h->metrics->stats);
    mem_free(TAKE(h->metrics));
}
