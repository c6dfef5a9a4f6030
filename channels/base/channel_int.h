/* channels/base/channel_int.h - what the files of this folder share about the one account of this
 * process. Platforms see channel.h only. */
#ifndef CHANNEL_INT_H
#define CHANNEL_INT_H

#include "backoff.h"
#include "channel.h"
#include "worker.h"

enum {
    CHANNEL_PORTS_MAX = 32,
    CHANNEL_WHY_BYTES = 320,
};

enum channel_life {
    LIFE_NEW, /* the hub has not said channel_begin */
    LIFE_CONNECTING,
    LIFE_UP,
    LIFE_WAITING, /* for the next attempt */
    LIFE_FATAL,   /* for another configuration */
};

struct out;        /* what is to be sent (out.h) */
struct in;         /* what came in (in.h) */
struct drafts;     /* answers in the making (draft.h) */
struct media_room; /* files on their way in (media.h) */
struct media_out;  /* files on their way out (media.h) */
struct chan_fetch; /* files that come over HTTP (chan_fetch.h) */

struct channel {
    struct worker w; /* first */
    const struct channel_ops *ops;
    json_t *conf; /* borrowed from the slice */
    const char *id, *account;
    void *user;
    bool prepared;
    enum channel_life life;
    struct backoff backoff;
    struct loop_timer again, stale;
    struct loop_task tell;       /* the hub hears of changes at the end of the turn */
    char why[CHANNEL_WHY_BYTES]; /* the last error */
    int64_t started_at, connected_at, lost_at, inbound_at, outbound_at; /* wall clock */
    unsigned reconnects;
    uint64_t boot; /* drawn at the start: what an older process was given is not ours */
    json_t *notes; /* owned */
    uint16_t ports[CHANNEL_PORTS_MAX];
    unsigned port_n;
    json_t *paired; /* owned: ids that a person let in */
    struct {
        struct buf value;
        uint64_t seq, saved; /* given, and on the hub's disk */
    } resume;
    struct http *http; /* owned; NULL: not needed */
    struct out *out;
    struct in *in;
    struct drafts *drafts;
    struct errors *errors;      /* owned; what errorPolicy "once" has said (errors.h) */
    struct media_room *media;   /* owned; NULL until a file comes */
    struct media_out *blobs;    /* owned; NULL until a file goes */
    struct chan_fetch *fetches; /* owned */
};

/* The hub that has begun with us, or NULL. */
struct link *channel_hub(const struct channel *c);

/* ---- life.c ---- */
int life_open(struct channel *c, struct err *e) MUST_USE;
void life_close(struct channel *c);
void life_on_peer(void *ctx, struct link *l, bool up);
int life_on_begin(void *ctx, struct link *from, struct ipc_channel_begin *m, struct err *e);
int life_on_resume_ack(void *ctx, struct link *from, struct ipc_resume_ack *m, struct err *e);
int life_on_do(void *ctx, struct link *from, struct ipc_channel_do *m, struct err *e);
/* Something that channels.status shows has changed. */
void life_changed(struct channel *c);
/* Say again what was not saved. */
void life_resume_again(struct channel *c);

/* ---- hook.c ---- */
int hook_on_message(void *ctx, struct link *from, struct ipc_hook *m, struct err *e);

/* ---- out.c: what the hub wants to be said ---- */
void out_close(struct channel *c);
int out_on_deliver(void *ctx, struct link *from, struct ipc_deliver *m, struct err *e);
int out_on_ack(void *ctx, struct link *from, struct ipc_deliver_ack *m, struct err *e);
/* Append what goes in front of an answer, and a space behind it. vars: what stands for its braces,
 * NULL when it is not known yet. false: nothing goes there. */
bool out_prefix(const struct channel *c, const json_t *vars, struct view text, struct buf *out);
/* A key of the account, else the same of messages. NULL: neither says it. */
const json_t *channel_setting(const struct channel *c, const char *key);
/* A new hub: it is told the results that no hub has acknowledged. */
void out_tell(struct channel *c, struct link *hub);
/* The same to the hub that is there, when it has not acknowledged them for a while (a timer's). */
void out_repeat(void *channel);
/* Everything under way, DELIVER_UNDER_WAY bytes each (ipc.def), appended. */
void out_under_way(const struct channel *c, struct buf *ids);
bool out_idle(const struct channel *c); /* nothing is with the platform */

/* ---- in.c: what people write ---- */
int in_open(struct channel *c, struct err *e) MUST_USE;
void in_close(struct channel *c);
int in_on_ack(void *ctx, struct link *from, struct ipc_inbound_ack *m, struct err *e);
int in_on_want(void *ctx, struct link *from, struct ipc_inbound_want *m, struct err *e);
void in_tell(struct channel *c); /* a hub that is new: all that is not safe, in order */
bool in_all_safe(const struct channel *c);
/* The hub that is there has not said a word of what it was offered: once more (a timer's). */
void in_repeat(void *channel);

#endif
