/*
 * workers/hub/api.h - OpenAI's interfaces: a request becomes a turn of an agent, its answer the
 * answer. What is common to chat completions and responses: which agent and session, a
 * conversation that the client brings, tools that the client has, the stream, how it ends.
 * A turn is a run like any other: accepted means on disk; who disconnects stops it.
 * Not here: the bytes of either interface (api_chat.c, api_responses.c).
 */
#ifndef API_H
#define API_H

#include "chat.h"
#include "http.h"
#include "json.h"

enum {
    API_TURNS_MAX = 4096,
    API_HELD_MAX = 32 * 1024 * 1024, /* conversations that clients brought, in memory */
    API_TOOLS_MAX = 128,
    API_IMAGES_MAX = 8,                     /* of the newest message */
    API_IMAGE_BYTES_MAX = 20 * 1024 * 1024, /* of all, decoded */
    API_NAME_MAX = 64,
    API_STOPS_MAX = 4,
    API_PIECE = 8 * 1024, /* text of one event: escaped it fits in any room */
};

struct api_turn;

/* One interface. out is a buffer for what goes to the client. */
struct api_form {
    void (*begin)(struct api_turn *t, struct buf *out); /* of a stream, when it is accepted */
    void (*text)(struct api_turn *t, struct view piece, struct buf *out);
    void (*end)(struct api_turn *t, struct buf *out); /* it went well */
    void (*failed)(struct api_turn *t, const char *type, struct view message, struct buf *out);
    void (*whole)(struct api_turn *t, struct buf *out); /* the answer of one that is no stream */
};

/* What the request asks for, read by the interface. Texts are JSON. */
struct api_ask {
    const struct api_form *form;
    const json_t *body;
    struct view user;                 /* stable session, or empty */
    struct view session;              /* one that exists: of an earlier response; or empty */
    struct buf system;                /* text */
    struct buf messages;              /* of a job, comma separated */
    struct buf images;                /* of the only message, when there are */
    unsigned entries;                 /* of messages */
    struct buf last;                  /* text of the last message of the user */
    bool last_is_user;                /* and it is the last of all */
    struct buf tools;                 /* [..] or empty */
    char choice[API_NAME_MAX + 16];   /* JSON of toolChoice, or "" */
    bool must_call;                   /* the answer has to be a call ... */
    char must_name[API_NAME_MAX + 1]; /* ... of this one, when not empty */
    struct buf limits;                /* members */
    bool stream, usage;
    unsigned image_count;
    size_t image_bytes;
    char why[192]; /* what is wrong with it */
};

struct api_turn {
    struct hub *hub;
    struct http_request *r; /* NULL: its client left */
    struct run_watch watch;
    const struct api_form *form;
    char id[37];
    char model[160];
    int64_t created;
    bool stream, usage, must_call, begun, over;
    char must_name[API_NAME_MAX + 1];
    size_t held;      /* of API_HELD_MAX */
    size_t sent;      /* bytes of the text that went out */
    bool torn;        /* what went out is not the beginning of the text any more */
    struct buf rest;  /* text, once the run is gone */
    char *calls;      /* owned JSON text, or NULL */
    char *usage_json; /* owned, or NULL */
    char stop[33];
    uint64_t seq; /* of responses' events */
    struct api_turn *next, **at;
};

/* Reads what both have in common; false: why says what is wrong. */
void api_ask_init(struct api_ask *a, const struct api_form *form, const json_t *body);
void api_ask_fini(struct api_ask *a);
bool api_fault(struct api_ask *a, const char *fmt, ...) PRINTF(2, 3); /* false, with why set */

/* -- conversation (api_input.c) -- */
bool api_system(struct api_ask *a, const json_t *content);
bool api_message(struct api_ask *a, const char *role, const json_t *content, const json_t *calls);
bool api_result(struct api_ask *a, struct view id, const json_t *content);
/* A data: URL of an image into out as a part; false with why. */
bool api_image(struct api_ask *a, struct view url, struct buf *out);
/* -- tools and limits (api_tools.c) -- */
bool api_tools_are_list(struct api_ask *a,
                        const json_t *list); /* and no longer than API_TOOLS_MAX */
bool api_tool(struct api_ask *a, struct view name, struct view description,
              const json_t *parameters, bool strict);
bool api_choice(struct api_ask *a, const json_t *choice, struct view pinned);
bool api_limits(struct api_ask *a, const char *max_key, const char *max_key_2);

/* -- the two interfaces' requests, without a hub -- */
bool api_chat_read(struct api_ask *a);
bool api_responses_read(struct api_ask *a);

/* -- images by their address (api_fetch.c) -- */
/* go on with the request's document, now or when its images are here; the document stays the
 * caller's. allowed: the setting that lets addresses be fetched at all. */
typedef void api_go(struct http_request *r, json_t *doc);
void api_with_images(struct http_request *r, json_t *doc, const char *allowed, api_go *go);

/* Takes the turn up and answers r, now or later; the ask stays the caller's. */
void api_take(struct http_request *r, struct api_ask *a);
/* 400 with a->why. */
void api_refuse(struct http_request *r, const struct api_ask *a);
/* The body as an object; NULL: r has its answer. */
json_t *api_body(struct http_request *r, struct view body);
/* Whether the endpoint is on; false: r has its answer. */
bool api_on(struct http_request *r, const char *key);
bool api_any_on(struct http_request *r); /* any of the two that models belong to */
struct agent_conf;
/* The agent that a model's name or the header x-openclaw-agent-id means; NULL: nobody of that
 * name. */
const struct agent_conf *api_agent(const struct http_request *r, struct view model);

/* prompt, completion and all tokens of a run's usage; zeros without one. */
struct api_usage {
    uint64_t in, cached, out;
};
struct api_usage api_usage(const struct api_turn *t);
void api_close(struct hub *h);

#endif
