/*
 * workers/agent/provider.h - what differs between model interfaces: one row of functions each.
 * A new interface is one file that exports its provider_ops, and one row in provider.c.
 * Not here: connections, retries, keys (http.h, run.h, models.h): a provider only turns a request
 * into bytes and bytes into a reply.
 */
#ifndef PROVIDER_H
#define PROVIDER_H

#include "json.h"
#include "reply.h"

/* One model as configured. Strings are borrowed from whoever made it. */
struct model_spec {
    struct view provider, id, base_url;
    struct view max_tokens_field; /* compat.maxTokensField, empty: the interface's own */
    uint32_t max_tokens;          /* 0: leave it to the provider */
    bool native;                  /* the maker's own service, not one that is compatible with it */
    bool reasoning;
    bool no_stream_usage; /* compat.supportsUsageInStreaming is false */
    bool images,
        documents; /* it reads them: input, and what is taken when that is not configured */
    struct reply_cost cost;
    /* Sampling, as configured; below 0: leave it to the provider. */
    double temperature, top_p;
};

/* What is asked. The document's rules are checked while the body is built. */
struct model_request {
    const struct model_spec *model;
    const json_t *job; /* {system, messages, thinking?, …}: borrowed */
};

enum { BODY_MAX = 32 << 20 }; /* the largest any provider takes (Anthropic: 32 MB) */

enum provider_framing { FRAMING_SSE, FRAMING_LINES };

struct provider_ops {
    const char *api; /* "openai-completions" */
    /* The address of a request, made of the model's base URL. */
    void (*url)(const struct model_spec *m, struct buf *out);
    const char *auth_name; /* header that carries the key */
    const char *auth_prefix;
    const char *const *lines; /* further request headers, NULL at the end; or NULL */
    enum provider_framing framing;
    size_t image_bytes; /* the largest image in base64; 0: no such limit */
    bool documents; /* PDF is taken by whoever speaks this, not by the maker's own service only */
    /* The request's JSON.  Errors: ERR_INVALID the job is not what it should be, ERR_LIMIT. */
    int (*body)(const struct model_request *q, struct buf *out, struct err *e);
    /* One event of the stream; everything it means, failures too, goes into *r. Not called again
     * once r->done or r->fail is set. */
    void (*event)(struct reply *r, struct view name, struct view data);
};

extern const struct provider_ops openai_ops, anthropic_ops;

/* Base URL without slashes at its end, then path: what most interfaces use for url. */
void provider_url(const struct model_spec *m, const char *path, struct buf *out);
/* A document out of a stream; escapes of half a surrogate pair become U+FFFD, which servers send
 * when they cut a character in two. On failure r->fail is set and NULL returned. */
json_t *provider_json(struct reply *r, struct view data);
struct jw;
/* The most tokens an answer may have: what the job asks for, else what is configured; 0: neither.
 * A job's wishes are in its member limits {maxTokens, temperature, topP, frequencyPenalty,
 * presencePenalty, seed, stop}. */
uint64_t provider_max_tokens(const struct model_request *q);
/* temperature and top_p, which most interfaces call so. */
void provider_sampling(const struct model_request *q, struct jw *w);
/* A number of limits under the interface's name, when it is there. */
void provider_number(const struct model_request *q, const char *from, const char *to, struct jw *w);
/* Texts that end the answer. */
void provider_stops(const struct model_request *q, const char *to, struct jw *w);
/* The row of an interface, or NULL. */
const struct provider_ops *provider_find(struct view api);

#endif
