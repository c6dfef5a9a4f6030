/*
 * workers/hub/api_embed.h - POST /v1/embeddings: texts become vectors, as OpenAI's interface has
 * it (protocol, 10.2). The hub reads the request and picks the model; an agent, which has keys and
 * network, asks the provider. Nothing is kept: no session, no record; who disconnects ends it.
 * Not here: a provider's bytes (the agent's embed.h).
 */
#ifndef API_EMBED_H
#define API_EMBED_H

#include "api.h"

enum {
    API_EMBEDS_MAX = 32,       /* under way at one agent: the agent's EMBEDS_MAX */
    API_EMBED_TEXTS_MAX = 128, /* these three as the reference has them */
    API_EMBED_CHARS_MAX = 8192,
    API_EMBED_ALL_CHARS_MAX = 65536,
    API_EMBED_DIMENSIONS_MAX = 8192,
    API_EMBED_WAIT_MS = 180 * 1000,
};

/* What is asked for. Pure; false: why says what is wrong with it. */
struct api_embed_ask {
    struct view model; /* as the client called it */
    struct buf texts;  /* JSON array */
    unsigned count;
    uint32_t dimensions; /* 0: none asked for */
    bool base64;
    char why[192];
};
bool api_embed_read(struct api_embed_ask *a, const json_t *body);
void api_embed_fini(struct api_embed_ask *a);
/* The answer's document; vectors are 32-bit floats. Pure. */
void api_embed_write(struct buf *out, struct view model, struct view vectors, uint32_t count,
                     uint32_t dims, uint64_t tokens, bool base64);

int api_embed_on_done(struct hub *h, struct link *from, const struct ipc_embed_done *m,
                      struct err *e);
/* An agent is gone: what it worked on is answered with 503. */
void api_embed_agent_gone(struct hub *h, const struct link *l);
void api_embed_close(struct hub *h);

#endif
