/*
 * workers/agent/models.h - the model providers of the configuration, made ready to be asked.
 * Invariants: keys live in struct secret, as whole header lines, and nowhere else: they are wiped
 * from the document they came in. A provider that is configured wrongly is kept with its problem,
 * which is what its runs then fail with; it disturbs no other.
 * Shared: a run keeps the table it began with when a reload brings a new one.
 */
#ifndef MODELS_H
#define MODELS_H

#include "circuit.h"
#include "http.h"
#include "provider.h"
#include "secret.h"

enum {
    PROVIDERS_MAX = 128,
    PROVIDER_MODELS_MAX = 1024,
    HEADERS_MAX = 32,
    MODEL_REF_MAX = 384, /* "provider/model" */
    BASE_URL_MAX = 2048,
};

/* How patient we are: models.timeouts and models.retry, with these defaults (robustness 2.7). */
struct patience {
    uint32_t connect_ms, first_byte_ms, idle_ms;
    uint32_t attempts;             /* of one model */
    uint32_t wait_ms, wait_max_ms; /* before the second attempt at most, and ever */
    uint32_t retry_after_max_ms;   /* a provider that asks for more is taken as unavailable */
};
#define PATIENCE_DEFAULT                                                                           \
    ((struct patience){.connect_ms = 10000,                                                        \
                       .first_byte_ms = 60000,                                                     \
                       .idle_ms = 60000,                                                           \
                       .attempts = 4,                                                              \
                       .wait_ms = 500,                                                             \
                       .wait_max_ms = 30000,                                                       \
                       .retry_after_max_ms = 120000})

struct models;

/* Builds the table and wipes every key from conf.  Errors: ERR_NOMEM, ERR_LIMIT. */
int models_new(struct models **out, json_t *conf, struct err *e) MUST_USE;
struct models *models_ref(struct models *m);
void models_unref(struct models **m);
/* Whether any provider is on the network: then libcurl is needed. */
bool models_need_network(const struct models *m);
/* The TCP ports of the providers that can be asked, each once; returns how many. For the sandbox.
 */
unsigned models_ports(const struct models *m, uint16_t out[PROVIDERS_MAX]);
const struct patience *models_patience(const struct models *m);

/* One model, found. Borrowed from the table. */
struct model_route {
    const struct provider_ops *ops; /* NULL: the built-in demo */
    struct model_spec spec;
    struct patience patience;
    struct circuit *circuit;           /* of the provider, shared by all runs; NULL: the demo */
    const char *lines[HTTP_LINES_MAX]; /* headers, the key's among them */
    unsigned line_count;
    struct view key; /* to keep it out of what people read; empty without one */
};

/* ref is "provider/model"; spec's views point into ref and the table.
 * Returns false with *why filled when it cannot be asked. */
bool models_route(const struct models *m, struct view ref, struct model_route *out,
                  struct failure *why);

#endif
