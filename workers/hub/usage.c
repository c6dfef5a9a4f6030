#include "usage.h"

#include "clock.h"
#include "jscan.h"
#include "json.h"
#include "mem.h"

#include <string.h>

static const int64_t DAY_MS = 86400000;

static const char *const keys[USAGE_PARTS] = {"input", "output", "cacheRead", "cacheWrite"};

static const char *const cost_keys[USAGE_PARTS] = {"inputCost", "outputCost", "cacheReadCost",
                                                   "cacheWriteCost"};

bool usage_read(struct view msg, struct usage *out)
{
    const struct jscan_member *m;
    const json_t *cost;
    struct jscan js;
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    *out = (struct usage){.unpriced = 0};
    if (jscan(msg, &js, &e) < 0 || !(m = jscan_get(&js, V("usage"))) || m->type != JSCAN_OBJECT ||
        json_parse(m->value, &doc, &e) < 0)
        return false;
    cost = json_object_get(doc, "cost");
    for (int i = 0; i < USAGE_PARTS; i++) {
        int64_t n = json_i64(doc, keys[i], 0);
        double price = json_number_value(json_object_get(cost, keys[i]));

        out->tokens[i] = n > 0 && n <= UINT32_MAX ? (uint64_t)n : 0;
        out->cost[i] = price > 0 ? price : 0;
    }
    out->unpriced = usage_tokens(out) > 0 && usage_cost(out) <= 0;
    json_decref(doc);
    return true;
}

void usage_add(struct usage *sum, const struct usage *one)
{
    for (int i = 0; i < USAGE_PARTS; i++) {
        sum->tokens[i] += one->tokens[i];
        sum->cost[i] += one->cost[i];
    }
    sum->unpriced += one->unpriced;
}

uint64_t usage_tokens(const struct usage *u)
{
    uint64_t n = 0;

    for (int i = 0; i < USAGE_PARTS; i++)
        n += u->tokens[i];
    return n;
}

double usage_cost(const struct usage *u)
{
    double n = 0;

    for (int i = 0; i < USAGE_PARTS; i++)
        n += u->cost[i];
    return n;
}

void usage_put(struct jw *w, const struct usage *u)
{
    for (int i = 0; i < USAGE_PARTS; i++)
        jw_ku64(w, keys[i], u->tokens[i]);
    jw_ku64(w, "totalTokens", usage_tokens(u));
    jw_key(w, "totalCost");
    jw_dbl(w, usage_cost(u));
    for (int i = 0; i < USAGE_PARTS; i++) {
        jw_key(w, cost_keys[i]);
        jw_dbl(w, u->cost[i]);
    }
    jw_ku64(w, "missingCostEntries", u->unpriced);
}

/* ---- sums ---- */

static size_t more_room(size_t count, size_t room)
{
    return count < room ? room : room > 0 ? room * 2 : 8;
}

struct usage_sum *usage_sum_of(struct usage_sums *all, struct view name, struct view more,
                               int64_t day)
{
    size_t room = more_room(all->count, all->room);
    struct usage_sum *s;

    for (size_t i = all->count; i-- > 0;) {
        s = &all->s[i];
        if (s->day == day && view_eq(view_str(s->name), name) && view_eq(view_str(s->more), more))
            return s;
    }
    if (all->count == all->max || name.n >= USAGE_NAME_BYTES || more.n >= USAGE_NAME_BYTES)
        return NULL;
    if (room > all->room) {
        if (!(s = mem_realloc(all->s, room * sizeof(*s)))) {
            all->nomem = true;
            return NULL;
        }
        all->s = s;
        all->room = room;
    }
    s = &all->s[all->count++];
    *s = (struct usage_sum){.day = day};
    memcpy(s->name, name.n ? name.p : "", name.n);
    memcpy(s->more, more.n ? more.p : "", more.n);
    return s;
}

void usage_sums_fini(struct usage_sums *all)
{
    mem_free(all->s);
    all->s = NULL;
    all->count = all->room = 0;
}

void usage_sum_add(struct usage_sum *b, const struct usage *u, uint64_t count)
{
    if (!b)
        return;
    b->count += count;
    usage_add(&b->usage, u);
}

struct usage_day *usage_day_of(struct usage_days *all, int64_t day)
{
    size_t at = all->count, room = more_room(all->count, all->room);
    struct usage_day *d;

    while (at > 0 && all->d[at - 1].day > day)
        at--;
    if (at > 0 && all->d[at - 1].day == day)
        return &all->d[at - 1];
    if (all->count == USAGE_DAYS_MAX)
        return NULL;
    if (room > all->room) {
        if (!(d = mem_realloc(all->d, room * sizeof(*d)))) {
            all->nomem = true;
            return NULL;
        }
        all->d = d;
        all->room = room;
    }
    memmove(all->d + at + 1, all->d + at, (all->count - at) * sizeof(*all->d));
    all->count++;
    all->d[at] = (struct usage_day){.day = day};
    return &all->d[at];
}

void usage_days_fini(struct usage_days *all)
{
    mem_free(all->d);
    all->d = NULL;
    all->count = all->room = 0;
}

void usage_counts_add(struct usage_counts *sum, const struct usage_counts *n)
{
    sum->total += n->total;
    sum->user += n->user;
    sum->assistant += n->assistant;
    sum->calls += n->calls;
    sum->results += n->results;
    sum->errors += n->errors;
}

/* ---- as clients see them ---- */

void usage_put_date(struct jw *w, const char *key, int64_t day)
{
    char iso[CLOCK_ISO_MAX];

    clock_iso(day * DAY_MS, iso);
    jw_kstr(w, key, view_of(iso, 10));
}

void usage_put_counts(struct jw *w, const char *key, const struct usage_counts *n)
{
    jw_key(w, key);
    jw_obj(w);
    jw_ku64(w, "total", n->total);
    jw_ku64(w, "user", n->user);
    jw_ku64(w, "assistant", n->assistant);
    jw_ku64(w, "toolCalls", n->calls);
    jw_ku64(w, "toolResults", n->results);
    jw_ku64(w, "errors", n->errors);
    jw_obj_end(w);
}

static void put_kdbl(struct jw *w, const char *key, double v)
{
    jw_key(w, key);
    jw_dbl(w, v);
}

void usage_put_sums(struct jw *w, const char *key, const struct usage_sums *all, enum usage_by by)
{
    static const char *const names[] = {"provider", "provider", "agentId", "channel"};

    jw_key(w, key);
    jw_arr(w);
    for (size_t i = 0; i < all->count; i++) {
        const struct usage_sum *b = &all->s[i];

        jw_obj(w);
        jw_kcstr(w, names[by], b->name);
        if (by == USAGE_BY_MODEL)
            jw_kcstr(w, "model", b->more);
        if (by <= USAGE_BY_PROVIDER)
            jw_ku64(w, "count", b->count);
        jw_key(w, "totals");
        jw_obj(w);
        usage_put(w, &b->usage);
        jw_obj_end(w);
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

void usage_put_days(struct jw *w, const char *key, const struct usage_days *all, bool costs)
{
    jw_key(w, key);
    jw_arr(w);
    for (size_t i = 0; i < all->count; i++) {
        const struct usage_day *d = &all->d[i];

        jw_obj(w);
        usage_put_date(w, "date", d->day);
        if (costs) {
            usage_put(w, &d->usage);
        } else {
            jw_ku64(w, "tokens", usage_tokens(&d->usage));
            put_kdbl(w, "cost", usage_cost(&d->usage));
            jw_ku64(w, "messages", d->n.total);
            jw_ku64(w, "toolCalls", d->n.calls);
            jw_ku64(w, "errors", d->n.errors);
        }
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

void usage_put_model_days(struct jw *w, const struct usage_sums *all)
{
    jw_key(w, "modelDaily");
    jw_arr(w);
    for (size_t i = 0; i < all->count; i++) {
        const struct usage_sum *b = &all->s[i];

        jw_obj(w);
        usage_put_date(w, "date", b->day);
        jw_kcstr(w, "provider", b->name);
        jw_kcstr(w, "model", b->more);
        jw_ku64(w, "tokens", usage_tokens(&b->usage));
        put_kdbl(w, "cost", usage_cost(&b->usage));
        jw_ku64(w, "count", b->count);
        jw_obj_end(w);
    }
    jw_arr_end(w);
}
