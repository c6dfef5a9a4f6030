/*
 * workers/hub/metrics.h - what the hub counts, and /metrics, which tells it in the text form that
 * Prometheus reads, with what the supervisor and the fronts say of themselves at that moment.
 * Counts begin anew with each hub, as counters may. Nothing here is kept for nobody: processes are
 * looked at when somebody asks.
 */
#ifndef METRICS_H
#define METRICS_H

#include "hub.h"
#include "msg.h"
#include "routes.h"

enum {
    METRICS_BUCKETS = 9, /* the last one: everything */
    METRICS_PROVIDERS = 32,
    METRICS_WAIT_MS = 1000, /* for the others; what came until then is told */
    METRICS_ASKERS_MAX = 16,
};

struct metrics_hist {
    uint64_t bucket[METRICS_BUCKETS], count;
    double sum_s;
};

struct metrics; /* owned by the hub; counting without one does nothing */

int metrics_open(struct hub *h, struct err *e) MUST_USE;
void metrics_close(struct hub *h);

/* -- counting -- */
void metrics_rpc(struct hub *h, enum rpc_index i, uint64_t took_ns);
void metrics_http(struct hub *h, enum route_id route, unsigned status, uint64_t took_ns);
struct run;
/* A turn ended; a model's answer did, of which a turn has one for each time it asks for tools. */
void metrics_turn(const struct run *r);
void metrics_part(const struct run *r);
void metrics_tool(struct hub *h, unsigned tool, bool ok);
void metrics_delivery(struct hub *h, unsigned outcome);

/* -- what others say -- */
void metrics_on_usage(struct hub *h, const struct ipc_usage *m);
void metrics_on_stats(struct hub *h, struct link *from, const struct ipc_stats *m);

#endif
