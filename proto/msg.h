/*
 * proto/msg.h - typed messages over common/ipc.h, all generated from ipc.def.
 *   struct ipc_<id>            the fields; struct view fields point into the frame and are valid
 * until the handler returns struct ipc_handlers        one slot a message; an empty slot refuses it
 *   msg_send_<id>(link, &m, e) encode and queue
 * Before a handler runs the table's rules were checked: known type, right sender and receiver,
 * phase, not a second ONCE, descriptors exactly as declared, every length within its limit, no NUL
 * in a STR, nothing left over. A FD field is the handler's only when it takes it with
 * fd_take(&m->sock); otherwise it is closed after the handler.
 */
#ifndef MSG_H
#define MSG_H

#include "ipc.h"
#include "mem.h"
#include "roles.h"
#include "view.h"

/* -- values of fields in ipc.def -- */
enum {
    CONN_LOCAL = 1,   /* conn.flags: the peer's address is loopback */
    CONN_CROWDED = 2, /* conn.flags: its address holds many that have not authenticated: end the
                         oldest silent one */
};
enum { CONN_PROXIED = 4 }; /* connect.flags: a trusted proxy's headers were present */
/* connect.flags: shaped as tailscale serve on this machine forwards; proves nothing by itself */
enum { CONN_TAILSCALE = 16 };
/* connect.flags: it asked at the canvas's address, its credential is the params: a ticket
 * (canvas.h) or nothing */
enum { CONN_CANVAS = 32 };
enum { CONN_TLS = 64 }; /* connect.flags: its connection to us is encrypted */
enum { FOLDER_CANVAS = 0, FOLDER_A2UI = 1, FOLDER_COUNT = 2 }; /* folder.which */
/* file_answer.result; FILE_FOLDER: a folder, asked for without the "/" at its end */
enum { FILE_FOUND = 0, FILE_MISSING = 1, FILE_FOLDER = 2, FILE_BUSY = 3 };
/* script_answer.result; SCRIPT_NONE: there is no node */
enum { SCRIPT_OK = 0, SCRIPT_FAILED = 1, SCRIPT_NONE = 2, SCRIPT_BUSY = 3 };
/* whois_answer.result */
enum { WHOIS_FOUND = 1, WHOIS_NOBODY = 2, WHOIS_FAILED = 3 };
/* fetch_failed.kind: by our rules never; not at that address; perhaps another time */
enum { FETCH_REFUSED = 1, FETCH_NEVER = 2, FETCH_LATER = 3 };
enum { FETCH_AT_ONCE = 4, FETCH_MB_MAX = 50 };
enum { HTTP_HAS_BODY = 8 };        /* http_ask.flags */
enum { HTTP_WINDOW = 256 * 1024 }; /* of an answer in parts, not yet taken by the client */
/* config_written.result: is in force; is not what a start would take; may not be changed over RPC,
 * is not the state it was made from, or could not be written */
enum { CONFIG_WRITTEN_OK = 0, CONFIG_WRITTEN_INVALID = 1, CONFIG_WRITTEN_REFUSED = 2 };
enum { AGENT_FILES_LIST = 0, AGENT_FILES_GET = 1, AGENT_FILES_SET = 2 }; /* agent_files.how */
/* http_part.how: another follows; the last one; the answer will never be whole */
enum { HTTP_PART_MORE = 0, HTTP_PART_LAST = 1, HTTP_PART_BROKEN = 2 };
enum { CONN_STATE_AUTH = 1, CONN_STATE_CLOSED = 2 };                        /* conn_state.state */
enum { JOB_STARTED = 1, JOB_LOST = 2, JOB_REFUSED = 3, JOB_CANCELLED = 4 }; /* job_state.state */
enum { RUN_OK = 0, RUN_ERROR = 1, RUN_ABORTED = 2, RUN_TIMEOUT = 3 };       /* run_done.outcome */
enum {
    CHANNEL_CONNECTED = 1,  /* channel_state.flags: the platform is there */
    CHANNEL_CLIENT_IDS = 2, /* the platform knows client ids: a repeated message is shown once */
    CHANNEL_POLLS = 4,
    CHANNEL_BASE = 8,    /* it is made with channels/base: channel_begin and all that follows */
    CHANNEL_CHUNKS = 16, /* it cuts text itself */
    CHANNEL_DRAFTS = 32, /* it shows answers in the making, or that somebody types */
    CHANNEL_EDITS = 64,
    CHANNEL_DELETES = 128,
    CHANNEL_REACTS = 256,
    CHANNEL_FATAL = 512, /* waits for another configuration */
};
enum {
    DRAFT_TEXT = 1,
    DRAFT_END = 2,
    DRAFT_GROUP = 4,
    DRAFT_NEW = 8,      /* a new message may be made of it now: nothing waits for its chat */
    DRAFT_MENTION = 32, /* it names us, or replies to us */
    DRAFT_SAID = 16     /* with DRAFT_END: the answer was sent, in blocks */
};                      /* draft.flags; no DRAFT_TEXT: only that it is begun */
enum { CHANNEL_DO_PROBE = 1, CHANNEL_DO_LOGOUT = 2 }; /* channel_do.command */
/* deliver.kind, as enum delivery_kind of the store */
enum {
    DELIVER_KIND_TEXT = 0,
    DELIVER_KIND_POLL = 1,
    DELIVER_KIND_EDIT = 2,   /* text: {messageId, text} */
    DELIVER_KIND_REMOVE = 3, /* {messageId} */
    DELIVER_KIND_REACT = 4,  /* {messageId, emoji, remove} */
};
enum {
    DELIVER_SILENT = 1,
    DELIVER_DOCUMENT = 2,
    DELIVER_HTML = 4,
    DELIVER_ANSWER = 8,
    DELIVER_LAST = 16,   /* what belongs to all of it goes here */
    DELIVER_ACTION = 32, /* channels.<id>.actions counts */
    DELIVER_ERROR = 128, /* it only says what went wrong */
    DELIVER_LATER = 64,  /* its beginning was said already */
};                       /* deliver.options */
enum { MEDIA_VOICE = 1, MEDIA_DOCUMENT = 2, MEDIA_GIF = 4 }; /* deliver_media.flags */
enum { DELIVER_UNDER_WAY = 20 }; /* bytes of one in channel_state.under_way */
/* deliver_result.outcome. LATER: the platform did not take it and says when it will; no failure. */
enum {
    OUTCOME_OK = 0,
    OUTCOME_TRANSIENT = 1,
    OUTCOME_PERMANENT = 2,
    OUTCOME_UNKNOWN = 3,
    OUTCOME_LATER = 4,
};
enum { EVENT_DROPPABLE = 1, EVENT_SEQ = 2 }; /* event.flags */
/* Audience bits: what a connection may hear. Set by the hub at connect, matched by the front. */
enum {
    AUD_OPERATOR = 1 << 0, /* any operator */
    AUD_NODE = 1 << 1,
    AUD_READ = 1 << 2,
    AUD_PAIRING = 1 << 3,
    AUD_APPROVALS = 1 << 4,
    AUD_ADMIN = 1 << 5,
    AUD_QUESTIONS = 1 << 6,
    AUD_TALK = 1 << 7,
    AUD_TOOL = 1 << 8,     /* read and cap tool-events */
    AUD_SESSIONS = 1 << 9, /* read and subscribed to sessions.changed */
    AUD_RUNS = 1 << 10,    /* read and not cap session-scoped-events: runs of every session */
    AUD_RUNS_4 = 1 << 11,  /* of those: clients of protocol 4, which has more run events */
    AUD_RUNS_3 = 1 << 12,  /* and those of protocol 3, where some look different */
    AUD_CANVAS = 1 << 13,  /* pages of the canvas: they hear nothing else, AUD_ALL neither */
};
#define AUD_ALL 0xffffffffu

#define U8(n)
#define U16(n)
#define U32(n)
#define U64(n)
#define STR(n, max)
#define BYTES(n, max)
#define FD(n)
#define END(id)

enum msg_type {
#define MSG(id, from, to, phase, how) MSG_##id,
#include "ipc.def"
#undef MSG
    MSG_COUNT
};

#undef U8
#undef U16
#undef U32
#undef U64
#undef STR
#undef BYTES
#undef FD
#undef END
#define MSG(id, from, to, phase, how) struct ipc_##id {
#define U8(n)                         uint8_t n;
#define U16(n)                        uint16_t n;
#define U32(n)                        uint32_t n;
#define U64(n)                        uint64_t n;
#define STR(n, max)                   struct view n;
#define BYTES(n, max)                 struct view n;
#define FD(n)                         int n;
#define END(id)                                                                                    \
    }                                                                                              \
    ;
#include "ipc.def"
#undef MSG
#undef U8
#undef U16
#undef U32
#undef U64
#undef STR
#undef BYTES
#undef FD
#undef END

struct link;

/* A handler: ctx is the receiver's, from the line it came on. A negative return ends the line with
 * *e. */
#define U8(n)
#define U16(n)
#define U32(n)
#define U64(n)
#define STR(n, max)
#define BYTES(n, max)
#define FD(n)
#define END(id)
struct ipc_handlers {
#define MSG(id, from, to, phase, how)                                                              \
    int (*id)(void *ctx, struct link *from_, struct ipc_##id *m, struct err *e);
#include "ipc.def"
#undef MSG
};

/* One end of a line between two processes. */
struct link_conf {
    enum role me, peer;
    unsigned instance;   /* of the peer */
    uint64_t generation; /* of the peer */
    const struct ipc_handlers *on;
    void *ctx;
    /* The line is over; link_close may be called here. */
    void (*on_close)(void *ctx, struct link *l, const struct err *why);
    void (*on_drain)(void *ctx, struct link *l); /* may be NULL: the queue fell below LOW again */
};

/* Owns: takes fd, also on failure. */
int link_open(struct link **out, struct loop *loop, int fd, const struct link_conf *conf,
              struct err *e) MUST_USE;
void link_close(struct link **l);
enum role link_peer(const struct link *l);
unsigned link_instance(const struct link *l);
uint64_t link_generation(const struct link *l);
/* A pointer of the owner's. */
void link_set_user(struct link *l, void *user);
void *link_user(const struct link *l);
/* After READY the peer may no longer send START messages. */
void link_set_running(struct link *l);
bool link_is_running(const struct link *l);
/* See ipc_drain. */
void link_drain(struct link *l);
struct ipc *link_ipc(struct link *l); /* for queue marks, pause and flush */

/* Encode and queue. Owns: takes the message's descriptors on success, and only then.
 * Errors: ERR_LIMIT a field is over its limit or the queue is full, ERR_CLOSED. */
int msg_send(struct link *l, enum msg_type type, const void *m, struct err *e) MUST_USE;
#define MSG(id, from, to, phase, how)                                                              \
    static inline MUST_USE int msg_send_##id(struct link *l, const struct ipc_##id *m,             \
                                             struct err *e)                                        \
    {                                                                                              \
        return msg_send(l, MSG_##id, m, e);                                                        \
    }
#include "ipc.def"
#undef MSG
#undef U8
#undef U16
#undef U32
#undef U64
#undef STR
#undef BYTES
#undef FD
#undef END

/* -- the table itself, for tests, fuzzing and docs -- */
enum msg_field_kind { MF_U8, MF_U16, MF_U32, MF_U64, MF_STR, MF_BYTES, MF_FD };
struct msg_field {
    const char *name;
    enum msg_field_kind kind;
    uint32_t max; /* bytes, for STR and BYTES */
    size_t offset;
};
enum msg_phase { MSG_PHASE_START, MSG_PHASE_RUN, MSG_PHASE_ANY };
struct msg_rule {
    const char *name;
    unsigned from, to; /* role bits */
    enum msg_phase phase;
    bool once;
    const struct msg_field *fields;
    unsigned count, nfds;
    size_t size; /* of the struct */
};
/* NULL when there is no such type. */
const struct msg_rule *msg_rule(unsigned type);
/* Bytes of the encoded body, or 0 with *e filled: a field is over its limit. */
size_t msg_size(enum msg_type type, const void *m, struct err *e);
void msg_encode(enum msg_type type, const void *m, char *out);
/* Fill the struct of this type from body and fds.  Errors: ERR_INVALID, ERR_LIMIT with message and
 * field named. */
int msg_decode(unsigned type, struct view body, const int *fds, unsigned nfds, void *m,
               struct err *e) MUST_USE;
/* Hash of ipc.def: two builds that differ refuse each other. */
uint64_t msg_schema(void);
/* Room for any message struct. */
union msg_any {
    uint64_t align;
#define U8(n)
#define U16(n)
#define U32(n)
#define U64(n)
#define STR(n, max)
#define BYTES(n, max)
#define FD(n)
#define END(id)
#define MSG(id, from, to, phase, how) struct ipc_##id id;
#include "ipc.def"
#undef MSG
#undef U8
#undef U16
#undef U32
#undef U64
#undef STR
#undef BYTES
#undef FD
#undef END
};

#endif
