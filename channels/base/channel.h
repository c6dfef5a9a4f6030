/*
 * channels/base/channel.h - what a chat platform has to bring, and what it gets for that. A process
 * serves one account of one platform. The platform knows its wire: how to connect, what an event
 * means, how a message is sent. Everything that is the same everywhere is done once, in this
 * folder: who may speak (access.h), pairing, mentions and groups, waiting for the hub's word before
 * the platform is told "received", chunking and dialects, previews by edits, typing, reactions,
 * retries, reconnecting, rate limits, status. A platform is one folder (channels/<name>/), one row
 * of list.def and one const struct channel_ops; docs/channels.md walks through one.
 *
 * Trusts: the hub and the supervisor. Never: a byte of the platform. One thread, one loop; no
 * function here blocks, no callback may. Views given to a platform live until its function returns;
 * what is under way (struct channel_op) lives until channel_done.
 *
 * How the next platforms fit (facts: their documentation; nothing in here must change for them):
 *   Discord   connect: WebSocket (chan_ws) + heartbeat timer; resume state (session, sequence) with
 *             channel_resume_set; CHANNEL_CAN_CLIENT_IDS by enforced nonces; groups by guild:
 * group_conf. Slack     socket mode: chan_ws, the envelope is acknowledged in the channel_taken
 * callback; events over HTTP: hook with chan_verify_hmac on the raw body; DIALECT_SLACK. Signal
 * signal-cli's HTTP daemon: chan_http POST for RPC, a streamed GET for its events, or its JSON-RPC
 * program through CHANNEL_NEEDS_PROGRAM; DIALECT_PLAIN and style ranges from channel_op.source; its
 * numbers and uuids both through event.sender.id and .alias. Matrix    chan_http long poll;
 * next_batch is the resume state; transaction id = op.client_id, so CHANNEL_CAN_CLIENT_IDS;
 * DIALECT_HTML. WhatsApp  Cloud API: hook (GET challenge, POST signature over the raw body) and
 * chan_http; the web bridge is an external program (channels/external). Teams     hook with a JWT
 * that the platform checks, chan_http out; conversation references in the resume state. iMessage
 * `imsg rpc` as CHANNEL_NEEDS_PROGRAM with rowid as the resume state, or external.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "buf.h"
#include "err.h"
#include "loop.h"
#include "view.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct channel; /* this process's account; opaque */

enum {
    CHANNEL_ID_BYTES = 256,     /* of a message, a person, a thread (ipc.def) */
    CHANNEL_TARGET_BYTES = 512, /* of where a message goes */
    CHANNEL_TEXT_BYTES = 256 << 10,
    CHANNEL_MEDIA_MAX = 16, /* of one message */
    CHANNEL_RESUME_BYTES = 16 << 10,
};

/* What has to be made ready before the sandbox closes; nothing else can be had later. */
enum channel_needs {
    CHANNEL_NEEDS_HTTP = 1,    /* chan_http.h: libcurl, 1.2 MB that others do not pay */
    CHANNEL_NEEDS_TLS = 2,     /* chan_stream.h with TLS, 0.5 MB */
    CHANNEL_NEEDS_PROGRAM = 4, /* a program of the account's configuration: chan_program.h */
};

enum channel_caps {
    CHANNEL_CAN_EDIT = 1,
    CHANNEL_CAN_DELETE = 2,
    CHANNEL_CAN_REACT = 4,
    CHANNEL_CAN_TYPE = 8,
    CHANNEL_CAN_THREAD = 16,
    CHANNEL_CAN_REPLY = 32,
    CHANNEL_CAN_MEDIA = 64,
    CHANNEL_CAN_POLL = 128,
    CHANNEL_CAN_GROUP = 256,
    CHANNEL_CAN_CLIENT_IDS = 512, /* the platform shows a message with a known op.client_id once */
    CHANNEL_CAN_STREAM = 1024,    /* edits are cheap enough for previews */
    CHANNEL_CAN_BUTTONS = 2048,   /* op.extra.buttons; where it cannot, their labels are text */
};

/* How Markdown is written there (render.h), and what its limit counts. */
enum channel_dialect {
    DIALECT_PLAIN, /* marks are taken out */
    DIALECT_MARKDOWN,
    DIALECT_HTML, /* Telegram's subset; Matrix takes it, too */
    DIALECT_DISCORD,
    DIALECT_SLACK,
    DIALECT_WHATSAPP,
    DIALECT_IRC, /* control codes, one line a message */
    DIALECT_COUNT
};
enum channel_unit {
    UNIT_BYTES,
    UNIT_CHARS, /* code points */
    UNIT_UTF16,
};

/* ---- what the platform is asked to do ---- */

enum channel_outcome {
    CHANNEL_SENT,
    CHANNEL_TRANSIENT, /* it did not take it, and may later */
    CHANNEL_PERMANENT, /* it never will: no such chat, blocked, forbidden */
    CHANNEL_UNKNOWN,   /* the request was on its way, no answer came */
    CHANNEL_LATER,     /* it did not take it, for no fault of the message's: too many in too short a
                          time (retry_after_ms), or there is no connection; no failed attempt */
};

struct channel_result {
    enum channel_outcome outcome;
    struct view message_id; /* of what was sent */
    uint32_t retry_after_ms;
    bool all;          /* CHANNEL_LATER: it means every chat of the account */
    struct view error; /* one sentence, without secrets */
};

/* What the platform bears of new messages, 0: no limit. The hub keeps to it before it hands one
 * over (workers/hub/pace.h), so that none waits in this process. */
struct channel_pace {
    uint32_t chat_gap_ms;           /* between two to one chat */
    uint32_t room_per_min;          /* to a chat of several people, in any minute; at most 32 */
    uint32_t account_n, account_ms; /* to all chats together: n in any so many ms; n at most 128 */
    const char *rooms;              /* what targets of such chats begin with: one of these bytes */
};

struct channel_blob { /* a file on its way out */
    int fd;           /* only pread; borrowed until channel_done */
    uint64_t bytes;
    struct view type, name; /* type: sniffed */
    bool voice, document, gif;
};

/* One request to the platform. The platform reads it and calls channel_done exactly once, from here
 * or later; until then it and its views stay. When its account goes down the platform ends each
 * op it has with what it knows of it. */
struct channel_op {
    struct view target;               /* chat, channel or room */
    struct view thread;               /* "" for none */
    struct view reply_to;             /* message id; "" for none */
    struct view text;                 /* rendered in the platform's dialect, within its limit */
    struct view plain;                /* the same without marks, for a platform that refuses text */
    struct view source;               /* the same as Markdown */
    struct view message_id;           /* edit, remove, react */
    struct view emoji;                /* react; "" with remove: all of ours */
    struct view client_id;            /* the same for each attempt of the same send */
    const struct channel_blob *media; /* text, if any, is their caption, within caption_limit */
    unsigned media_n;
    const json_t *poll;  /* {question, options, maxSelections, ...}; send only */
    const json_t *extra; /* {buttons: [[{text, value|command|url|webApp, style}]], channelData};
                          * with the end of a text only; NULL mostly */
    bool silent, remove, preview, on; /* preview: may be edited soon; on: typing begins */
    void *user;                       /* the platform's */
};

void channel_done(struct channel *c, struct channel_op *op, const struct channel_result *r);

/* ---- what the platform tells ---- */

enum channel_peer { PEER_DIRECT, PEER_GROUP, PEER_CHANNEL };
enum channel_mention { MENTION_NONE, MENTION_SELF, MENTION_OTHER };

struct channel_media {      /* fetched only when the message is let in, and for the agent */
    struct view ref;        /* what fetch_media is given; at most CHANNEL_TARGET_BYTES */
    struct view kind;       /* "image", "video", "audio", "voice", "document", "sticker", ... */
    struct view type, name; /* as the platform says; the type is sniffed anyway */
    uint64_t bytes;         /* 0: not known */
};

struct channel_person {
    struct view id;             /* what the platform never gives to another one; "" is nobody */
    struct view alias;          /* a second such id (Signal: uuid) */
    struct view name, username; /* shown; never compared unless dangerouslyAllowNameMatching */
    bool bot, self;
};

struct channel_event {
    struct view update_id;  /* the same when the platform says it again: what dedupe goes by */
    struct view message_id; /* to reply and react to */
    struct channel_person from;
    enum channel_peer kind;
    struct view peer;      /* who or what the conversation is with; a person's id in PEER_DIRECT */
    struct view peer_name; /* untrusted */
    struct view parent;    /* the chat a topic or thread belongs to; "" when peer is it */
    enum channel_peer parent_kind;
    struct view guild, team; /* Discord, Slack and Teams */
    struct view thread;      /* where in the conversation; answers go there */
    struct view key_thread;  /* the same when what is said there is a session of its own */
    struct view target;      /* where an answer goes when that is not peer */
    struct view text;
    struct view reply_to, reply_text, reply_sender; /* what it quotes; untrusted */
    bool reply_to_self;
    enum channel_mention mention; /* as the platform marks it; patterns are looked for here */
    bool event;                   /* no message: something that happened; it wakes nobody */
    bool command;                 /* from the platform's own command menu */
    int64_t sent_ms;              /* wall clock; 0: not known */
    const struct view *roles;     /* of the sender, for allow lists by role */
    unsigned role_n;
    const struct channel_media *media;
    unsigned media_n;
    struct view extra; /* a JSON object of more for the hub, or "" */
};

/* How a message fared: it is on disk (or will never be wanted), so the platform may forget it.
 * Not called from inside channel_inbound. */
typedef void channel_taken(void *ctx, uint64_t tag);

/* A message. Copies what it needs. When it is safe `taken` is called with ctx and tag; until then
 * the platform must not acknowledge it, and after a lost connection may say it again.
 * Errors: ERR_AGAIN too many are not safe yet: stop reading until resume_reading; ERR_INVALID an id
 * is empty or too long: acknowledge and forget it. */
int channel_inbound(struct channel *c, const struct channel_event *ev, channel_taken *taken,
                    void *ctx, uint64_t tag, struct err *e) MUST_USE;
/* Room for more? */
bool channel_has_room(const struct channel *c);

/* The account works now / not any more. channel_down: everything of the connection is gone; connect
 * is called again after a backoff (or retry_after_ms when the platform asked for that). */
void channel_up(struct channel *c);
void channel_down(struct channel *c, uint32_t retry_after_ms, const char *fmt, ...) PRINTF(3, 4);
/* It makes no sense to try again before the configuration changes: token refused, logged out. */
void channel_fatal(struct channel *c, const char *fmt, ...) PRINTF(2, 3);
/* The transport lives: a poll returned, a pong came. Silence for ops->stale_ms is channel_down. */
void channel_alive(struct channel *c);

/* State that must outlive the process (a session to resume, a position). Saved by the hub behind
 * everything that was given to channel_inbound before, never ahead of it. */
struct view channel_resume(const struct channel *c); /* as saved last; "" at first */
int channel_resume_set(struct channel *c, struct view state, struct err *e) MUST_USE;

/* ---- a request that came to the gateway's port for this account (webhooks) ---- */
struct channel_hook {
    struct view method, path, query; /* path below the account's own */
    struct view headers;             /* "name: value\r\n" lines, names in small letters */
    struct view body;                /* raw: what signatures cover */
    void *reply;                     /* for channel_hook_answer */
};
struct view channel_hook_header(const struct channel_hook *h, const char *name);
/* Exactly once for each hook, at once or later (keep reply, nothing else). */
void channel_hook_answer(struct channel *c, void *reply, unsigned status, const char *type,
                         struct view body);

/* ---- the platform ---- */
struct channel_ops {
    const char *id, *label;
    unsigned needs, caps;
    enum channel_dialect dialect;
    enum channel_unit unit;
    uint32_t text_limit, caption_limit;   /* in units of the rendered text; caption 0: as a text */
    uint32_t media_max_mb;                /* of one file, unless the account's mediaMaxMb says */
    uint32_t fetch_max_mb, upload_max_mb; /* what the platform lets through; 0: any */
    uint8_t album;                        /* files that one send takes; 0: one */
    uint32_t typing_ms;                   /* how long the platform shows it: repeated before */
    uint32_t edit_ms;                     /* between two edits of a preview */
    uint32_t stale_ms; /* no channel_alive for so long: the connection is dead; 0: never */
    struct channel_pace pace;
    bool groups_own_list;           /* groupAllowFrom does not fall back on allowFrom */
    const char *const *id_prefixes; /* stripped from configured ids ("tg:"); NULL or NULL-ended */

    /* Before the sandbox: read channel_conf, refuse what cannot work, say channel_port for each
     * port of the platform. No network. An error is shown and waits for another configuration. */
    int (*prepare)(struct channel *c, struct err *e);
    /* Begin to connect; ends in channel_up, channel_down or channel_fatal. */
    void (*connect)(struct channel *c);
    /* Drop the connection and all that belongs to it, without a word; open ops are ended. */
    void (*disconnect)(struct channel *c);
    /* Free what prepare made. */
    void (*close)(struct channel *c);

    void (*send)(struct channel *c, struct channel_op *op);
    /* Each may be NULL when its CHANNEL_CAN bit is not set. */
    void (*edit)(struct channel *c, struct channel_op *op);
    void (*remove)(struct channel *c, struct channel_op *op);
    void (*react)(struct channel *c, struct channel_op *op);
    void (*typing)(struct channel *c, struct channel_op *op);
    /* Bring the bytes of channel_media.ref: channel_fetch_put as they come, channel_fetched at the
     * end, exactly once, also when the account is closed before. */
    void (*fetch_media)(struct channel *c, struct view ref, uint64_t max_bytes, void *ticket);
    void (*hook)(struct channel *c, const struct channel_hook *h);
    /* Does the account work? End with channel_probed. NULL: connected or not. */
    void (*probe)(struct channel *c, void *ticket);
    /* Give the credential back (a person asked). NULL: nothing to do there. */
    void (*logout)(struct channel *c);

    /* Optional. An id in its one spelling, for allow lists: appended to out. Default: trimmed. */
    void (*normal_id)(struct view id, struct buf *out);
    /* Optional. The group's section where that is not groups.<peer>; borrowed, NULL for none. */
    const json_t *(*group_conf)(struct channel *c, const struct channel_event *ev);
    /* Optional. What the owner recognises the sender by in the pairing notice. */
    void (*id_line)(const struct channel_event *ev, struct buf *out);
};

/* The next bytes of a file. false: no more of it is wanted (too large, no memory). */
bool channel_fetch_put(struct channel *c, void *ticket, struct view piece);
/* What came so far is void: it comes again from its beginning. */
void channel_fetch_again(struct channel *c, void *ticket);
/* why NULL: this was all of it. Else a sentence without secrets. */
void channel_fetched(struct channel *c, void *ticket, const char *why);
/* details: a JSON object of what was learnt (bot name, ...), or "". */
void channel_probed(struct channel *c, void *ticket, bool ok, struct view details, const char *why);

/* ---- what every platform may use ---- */
struct loop *channel_loop(const struct channel *c);
const json_t *
channel_conf(const struct channel *c);           /* the account's keys, its channel's merged in */
const char *channel_id(const struct channel *c); /* "telegram", or an external one's own id */
const char *channel_account(const struct channel *c);
void channel_set_user(struct channel *c, void *user); /* the platform's one struct */
void *channel_user(const struct channel *c);
/* prepare only: the sandbox lets us connect to this TCP port. Errors: ERR_LIMIT. */
int channel_port(struct channel *c, unsigned port, struct err *e) MUST_USE;
/* prepare or connect: a platform that learns only then what it can do. Borrowed for good. */
void channel_set_ops(struct channel *c, const struct channel_ops *ops);
/* We cannot go on (a program ended): the supervisor starts us again. */
void channel_leave(struct channel *c, const char *why);
/* A member of the account's status ("mode", "botUsername"): shown by channels.status. */
void channel_note(struct channel *c, const char *key, struct view value);

extern const struct channel_ops channel_platform; /* the one this program is made with */

#endif
