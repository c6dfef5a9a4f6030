/* channels/telegram/tg_int.h - what the files of this folder share about the one bot. */
#ifndef TG_INT_H
#define TG_INT_H

#include "chan_http.h"
#include "channel.h"
#include "jw.h"
#include "tg_media.h"
#include "tg_reply.h"
#include "tg_sent.h"
#include "tg_state.h"
#include "tg_update.h"

enum {
    TG_ROOT_BYTES = 512,
    TG_TOKEN_BYTES = 128,
    TG_NAMES_BYTES = 64,
    TG_POLL_S = 30,
    TG_CALL_MS = 30 * 1000,
    TG_STALE_MS = 120 * 1000,
    TG_ALBUMS_MAX = 16,
    TG_ALBUM_MS = 500,
    TG_HOOKS_MAX = 256, /* Telegram has at most 100 connections */
};

struct telegram;

enum tg_notify { TG_NOTIFY_OWN, TG_NOTIFY_OFF, TG_NOTIFY_ALL }; /* reactionNotifications */

enum tg_scope { /* capabilities.inlineButtons */
                TG_BUTTONS_OFF,
                TG_BUTTONS_DM,
                TG_BUTTONS_GROUP,
                TG_BUTTONS_ALL, /* and allowlist: who may write may press */
};

struct tg_conf {
    enum tg_notify notify;
    const char *token; /* borrowed from the section */
    char root[TG_ROOT_BYTES];
    const char *hook_url; /* NULL: polling */
    struct view hook_secret;
    uint32_t call_ms;
    bool no_preview; /* of links */
    enum tg_scope buttons;
    const json_t *commands;
    bool no_native; /* the menu without the gateway's own */
};

/* Something that is told when the update it is of is safe. */
struct tg_ticket {
    channel_taken *taken;
    void *ctx;
    uint64_t tag;
};

struct tg_call;
struct tg_send;
struct tg_fetch;

/* A request of Telegram's that waits for its update to be safe. */
struct tg_hook {
    uint64_t seq; /* 0: free */
    void *reply;
};

/* Messages of an album, until there are no more: one message to the agent. */
struct tg_album {
    struct telegram *x;
    bool used, offered;
    char id[64];
    int64_t chat;
    json_t *docs[TG_ALBUM_MAX]; /* owned */
    struct tg_ticket tickets[TG_ALBUM_MAX];
    unsigned n;
    struct loop_timer timer;
};

struct telegram {
    struct tg_sent sent;
    struct channel *c;
    struct channel_ops ops; /* with the account's own limits */
    struct tg_conf conf;
    struct tg_bot bot;
    char username[TG_NAMES_BYTES];
    bool up, menu_told;
    bool taking;           /* an answer of getUpdates is being worked through */
    struct tg_call *calls; /* all that are under way */
    struct tg_state state;
    struct loop_task save;
    json_t *topic; /* owned: the section of the last event's topic, with its group's */

    struct tg_call *begin; /* getMe and so on */
    struct tg_call *poll, *menu, *watch;
    struct loop_timer poll_timer, watch_timer;
    bool doubt; /* the next watch is a moment away (tg_hook_doubt) */
    unsigned poll_failures;
    uint32_t poll_wait_ms; /* until we look whether more came, while something is not safe */

    struct tg_album albums[TG_ALBUMS_MAX];
    struct tg_send *sends;
    struct tg_fetch *fetches; /* files whose place is being asked for */
    struct tg_hook hooks[TG_HOOKS_MAX];
    uint64_t hook_seq;
};

/* ---- tg_conf.c ---- */
int tg_conf_read(struct telegram *x, struct err *e) MUST_USE;
/* The section of the event's group, its topic's members before the group's own. */
const json_t *tg_group_conf(struct channel *c, const struct channel_event *ev);

/* ---- tg_api.c: one call of the Bot API ---- */
/* r: NULL when what came is none of its replies; the ctx's to keep until it returns. */
typedef void tg_called(void *ctx, const struct chan_http_answer *a, const struct tg_reply *r);
/* *out: until on_end, for tg_cancel. parts: instead of body. */
int tg_call(struct telegram *x, const char *method, struct view body,
            const struct chan_http_part *parts, unsigned part_n, uint32_t timeout_ms,
            tg_called *on_end, void *ctx, struct tg_call **out, struct err *e) MUST_USE;
void tg_cancel(struct tg_call **k);    /* no callback follows */
void tg_calls_end(struct telegram *x); /* all that are left hear that there was no answer */
/* "getMe: Unauthorized": for people. */
void tg_words(char out[240], const char *method, const struct chan_http_answer *a,
              const struct tg_reply *r);
/* The address of a file; false: it is too long. */
bool tg_file_url(const struct telegram *x, const char *path, struct buf *out);

/* ---- telegram.c ---- */
/* The connection is of no use: try again, or never. */
void tg_lost(struct telegram *x, uint32_t retry_after_ms, const char *why);
void tg_never(struct telegram *x, const char *why);
/* A group became another chat. */
void tg_moved(struct telegram *x, int64_t from, int64_t to);
void tg_save_soon(struct telegram *x);
/* allowed_updates of getUpdates and setWebhook. */
void tg_put_allowed(struct jw *w);

/* ---- tg_poll.c ---- */
void tg_poll_begin(struct telegram *x);
void tg_poll_end(struct telegram *x);
void tg_on_poll_timer(void *ctx);

/* ---- tg_hook.c ---- */
void tg_hook(struct channel *c, const struct channel_hook *h);
void tg_hook_begin(struct telegram *x);
/* A call had no answer of the API: nothing is polled that would show an outage, so it is looked
 * soon. */
void tg_hook_doubt(struct telegram *x);
void tg_hook_end(struct telegram *x);
void tg_on_watch(void *ctx);

/* ---- tg_in.c: updates become messages ---- */
void tg_in_init(struct telegram *x);
/* 0: t is called when it is safe (maybe at once). Errors: ERR_AGAIN not now. */
int tg_in_update(struct telegram *x, json_t *doc, const struct tg_ticket *t,
                 struct err *e) MUST_USE;
void tg_in_drop(struct telegram *x, bool all); /* albums that were not offered; or all */

/* ---- tg_fetch.c: files of messages ---- */
void tg_fetch(struct channel *c, struct view ref, uint64_t max_bytes, void *ticket);
void tg_fetch_end(struct telegram *x);

/* ---- tg_out.c ---- */
void tg_send(struct channel *c, struct channel_op *op);
void tg_edit(struct channel *c, struct channel_op *op);
void tg_remove(struct channel *c, struct channel_op *op);
void tg_react(struct channel *c, struct channel_op *op);
void tg_typing(struct channel *c, struct channel_op *op);
void tg_out_drop(struct telegram *x); /* what waits; calls that are under way end by themselves */

#endif
