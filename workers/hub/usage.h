/*
 * workers/hub/usage.h - what turns used, as their messages in the transcript say: tokens, and costs
 * where the configuration gives prices; sums of that by day and by name, and how clients see them
 * (protocol 6, CostTotals; 9.3, sessions.usage).
 */
#ifndef USAGE_H
#define USAGE_H

#include "jw.h"

#include <stdbool.h>

enum { USAGE_NAME_BYTES = 257, USAGE_DAYS_MAX = 3660 };

enum usage_part { USAGE_IN, USAGE_OUT, USAGE_READ, USAGE_WRITE, USAGE_PARTS };

struct usage {
    uint64_t tokens[USAGE_PARTS];
    double cost[USAGE_PARTS];
    uint64_t unpriced; /* entries whose tokens have no price */
};

/* Of one message of a model, as it is stored; false when it does not say. */
bool usage_read(struct view msg, struct usage *out);
void usage_add(struct usage *sum, const struct usage *one);
uint64_t usage_tokens(const struct usage *u);
double usage_cost(const struct usage *u);
/* CostTotals: its members, into an object that is open. */
void usage_put(struct jw *w, const struct usage *u);

/* -- sums; zeroed at first, their lists are owned -- */
struct usage_counts {
    uint64_t total, user, assistant, calls, results, errors;
};

struct usage_day {
    int64_t day; /* since the epoch, where the asker is */
    struct usage usage;
    struct usage_counts n;
};

struct usage_sum {
    char name[USAGE_NAME_BYTES], more[USAGE_NAME_BYTES]; /* model: provider, model */
    int64_t day;                                         /* of modelDaily */
    uint64_t count;
    struct usage usage;
};

struct usage_sums {
    struct usage_sum *s; /* owned */
    size_t count, room, max;
    bool nomem; /* something is missing in it */
};

struct usage_days {
    struct usage_day *d; /* owned; ascending */
    size_t count, room;
    bool nomem;
};
void usage_days_fini(struct usage_days *all);
void usage_sums_fini(struct usage_sums *all);
void usage_counts_add(struct usage_counts *sum, const struct usage_counts *n);
/* The one of that day, of those names; made when there is none. NULL: there are as many as there
 * may be (what does not fit counts in totals only), or nomem is set. */
struct usage_day *usage_day_of(struct usage_days *all, int64_t day);
struct usage_sum *usage_sum_of(struct usage_sums *all, struct view name, struct view more,
                               int64_t day);
/* s may be NULL. */
void usage_sum_add(struct usage_sum *s, const struct usage *u, uint64_t count);

enum usage_by { USAGE_BY_MODEL, USAGE_BY_PROVIDER, USAGE_BY_AGENT, USAGE_BY_CHANNEL };
void usage_put_date(struct jw *w, const char *key, int64_t day);
void usage_put_counts(struct jw *w, const char *key, const struct usage_counts *n);
void usage_put_sums(struct jw *w, const char *key, const struct usage_sums *all, enum usage_by by);
/* costs: all of CostTotals, otherwise tokens, cost and how many messages. */
void usage_put_days(struct jw *w, const char *key, const struct usage_days *all, bool costs);
void usage_put_model_days(struct jw *w, const struct usage_sums *all);

#endif
