/*
 * workers/hub/chat.h - turns in memory, for the hub files that make, show and end them (run.c,
 * job.c, chat_*.c, history.c, session_*.c, agent_rpc.c). The rest of the hub sees run.h and job.h.
 *
 * A turn lives in three places. The store has a run row per message (key = run id = idempotency
 * key) until long after it ended; its params say whether it still waits. A struct run exists from
 * acceptance to the end. A struct live holds the session's row and its turns as long as there are
 * any. A steered message becomes part of the run that was under way: that run goes on with a
 * further row (row_id), so that job ids stay unique and clients see one run.
 */
#ifndef CHAT_H
#define CHAT_H

#include "attach.h"
#include "call.h"
#include "event.h"
#include "job.h"
#include "jstr.h"
#include "media_lines.h"
#include "prompt.h"
#include "queue.h"
#include "run.h"
#include "run_watch.h"
#include "session.h"
#include "source.h"
#include "trace.h"

enum {
    RUNS_MAX = 4096,        /* turns that run or wait, in all: some 20 KB each at most when idle */
    RUN_TEXT_MAX = 4 << 20, /* as ipc run_done carries it */
    RUN_SHOWN_MAX = 16 << 20, /* the same, escaped; an event frame takes 32 MiB */
    RUN_ATTEMPTS_MAX = 2,     /* an agent that died twice on a turn gets no third try */
    DELTA_MS = 75,            /* protocol 5.3: rhythm of deltas */
    REPLACE_MS = 1000,        /* how long that takes at most */
    WAITERS_MAX = 1024,       /* agent and agent.wait calls that wait for an end */
    TIMEOUT_GRACE_MS = 5000,  /* the agent ends a turn by itself; later than that we do */
    TIMEOUT_MAX_MS = 24 * 3600 * 1000,
};

enum run_phase {
    RUN_WAITS,   /* behind the session's turn */
    RUN_SENT,    /* with the supervisor */
    RUN_STARTED, /* with an agent */
    RUN_TOOLS,   /* its model asked for tools (tool_turn.h) */
    RUN_ENDING,  /* over, and the store did not take it yet */
};
/* Which preparing events clients see: all; those of stream run_status only (trace
 * chat-queue-followup, a run of our own); none (trace agent-run). */
enum run_quiet { QUIET_NOT, QUIET_CHAT, QUIET_ALL };
/* Whose words it answers: nobody's we know; somebody's who may see other sessions; the owner's. */
enum run_trust { TRUST_NONE, TRUST_INSIDE, TRUST_OWNER };
/* How a turn ended, for clients and the run's row. */
enum run_end { END_OK, END_ERROR, END_ABORTED, END_TIMEOUT };

struct run_result {
    enum run_end end;
    char stop_reason[33];
    char error_kind[33];
    char reason[33]; /* why the agent gave up, in the protocol's words; "" */
    char *error;     /* owned; NULL */
    char *usage;     /* owned JSON text; NULL */
    char *calls;     /* owned JSON text: calls of a client's tools; NULL */
    uint16_t http_status;
    unsigned agent; /* instance to ack, when acks */
    bool ack;
};

struct live;
struct run {
    struct run *id_next, *job_next; /* hash chains */
    struct run *next;               /* among the waiting of a session */
    struct hub *hub;
    struct live *live;
    char *run_id; /* owned; what clients know */
    char *row_id; /* owned; key of the row under way: as run_id, or a further one */
    uint64_t job_id;
    uint32_t attempt;
    enum run_phase phase;
    struct queue_set q;
    char route[SOURCE_NAME], who[SOURCE_NAME]; /* of messages from channels (source_names) */
    uint8_t rank;                              /* enum queue_rank */
    bool gather;                               /* with those of the same person right behind it */
    uint32_t pause_ms;  /* while it waits: how long the queue must have been quiet; 0: no need */
    char *carry;        /* owned; what is told of dropped messages before it, or NULL */
    unsigned carried;   /* how many those are */
    char *context;      /* owned; what is told of a group before it (group.h), or NULL */
    bool announced_end; /* clients saw an empty final: the answer comes under another id */
    uint8_t quiet;      /* enum run_quiet */
    char digest[65];
    char lane[17];       /* "": the session's */
    char message_id[37]; /* of the user's message */
    char answer_id[37];  /* of the answer under way */
    char *text;          /* owned; the user's message while it waits, else NULL */
    char *files;   /* owned; what its message says of its attachments (attach_keep), or NULL */
    char *options; /* owned JSON text: members for the job (thinking, extraSystemPrompt), "" for
                      none */
    int64_t accepted_ms, started_ms, ended_ms;
    uint32_t timeout_ms;
    char device[65], owner[37]; /* who may abort it */
    char trace[TRACE_LEN + 1];  /* of whoever asked for it, or "": then it has one of its own */
    uint8_t trust;              /* enum run_trust: of whoever wrote its message */
    uint8_t hops;               /* sessions that set each other to work before it (tool_send.c) */

    /* what clients saw */
    char *ids; /* owned: "runId":…,"sessionKey":…,"agentId":… */
    size_t ids_n;
    uint32_t seq;
    bool began, replace;
    uint64_t replace_until_ms; /* after a start of the hub: fronts come back one after the other */
    char provider[129], model[257];
    char item[37]; /* of the assistant stream */
    unsigned segment;
    struct buf said;   /* the answer so far */
    size_t said_seg;   /* where the part of this row begins */
    size_t said_tools; /* where what was said after the last tools begins: that is the answer */
    struct buf shown;  /* what of it was made visible, escaped */
    size_t shown_raw;  /* bytes of said in it */
    struct media_filter lines; /* how said becomes shown: lines that name files leave */
    struct buf hold;           /* blanks that are shown once something follows */
    size_t shown_seg, shown_agent,
        shown_chat;    /* where its segment, the next agent and the next chat delta begin */
    uint64_t delta_ms; /* when the last one went */

    struct loop_timer limit, flush, again;
    uint32_t again_ms;
    bool restored;    /* out of the store, and not with the lanes again yet */
    bool resubmitted; /* after a start of ours: the agent may have finished it meanwhile */
    struct {
        uint64_t job_id;
        uint32_t attempt;
        uint8_t state;
    } late; /* what the supervisor said of it while fronts were awaited; state 0: nothing */
    unsigned compactions, overflows; /* summaries that this turn waited for, compact.h */
    bool pruned;                     /* none came: go on with what fits */
    struct run_result result;
    struct run_watch *watch; /* who follows it */
    char *calls;             /* owned JSON text: of tools, while they are done; or NULL */
    struct tool_turn *tools; /* owned; the same under way, or NULL */
    unsigned rounds;         /* answers that asked for tools */
    struct draft *draft;     /* owned; what its channel shows of it, or NULL */
    struct blocks *blocks;   /* owned; paragraphs that its channel says already, or NULL */
    bool spoke;              /* some were said before tools were called */
    struct run_sends *sends; /* owned; files that its answer sends along, or NULL */
};

/* A session with turns. */
struct live {
    struct hub *hub;
    struct live *next; /* hash chain */
    struct session s;
    struct run *active;
    struct run *waiting, *last; /* in order of arrival */
    unsigned waiting_count;
    struct compact *compact; /* a summary is being made */
    struct loop_timer due;   /* the queue was not quiet long enough yet */
    bool hold;               /* nothing starts and nothing is forgotten just now */
    bool restored;           /* with turns out of the store that nobody took up yet */
};

struct runs {
    struct hub *hub;
    struct run **by_id, **by_job;
    struct live **lives;
    unsigned count;  /* of runs */
    unsigned active; /* of those: not waiting */
    struct jstr_key hash;
    struct chat_conf conf;
    struct prompt_conf prompt;
    struct prompts *prompts;
    struct compact *compacts;
    unsigned compact_count;
    struct waiter *waiters;
    unsigned waiter_count;
    void (*on_idle)(struct hub *h);
    struct loop_timer prune;
    struct {                                    /* run_back.c */
        struct link *awaited[WORKER_PEERS_MAX]; /* fronts that did not name all connections yet */
        unsigned count;
        bool settled; /* nobody is awaited any more */
        bool resumed; /* what the store had is under way again */
        struct loop_timer resume, patience;
    } back;
    struct loop_task idle_task;
};

/* -- the tables (run_table.c) -- */
int run_table_init(struct runs *rs, struct err *e) MUST_USE;
void run_table_fini(struct runs *rs);
struct run *run_find(const struct hub *h, struct view run_id);
struct run *run_find_job(const struct hub *h, uint64_t job_id);
struct live *live_find(const struct hub *h, struct view key);
/* The session's live entry, loaded or (create) made new. Errors: ERR_NOT_FOUND, ERR_NOMEM, store's.
 */
int live_get(struct hub *h, const struct session_key *key, bool create, struct live **out,
             struct err *e) MUST_USE;
/* Forget it when it has no turns. */
void live_put(struct hub *h, struct live *l);
/* A run that is in the tables. Errors: ERR_LIMIT, ERR_NOMEM. */
int run_new(struct hub *h, struct live *l, struct view run_id, struct run **out,
            struct err *e) MUST_USE;
void run_free(struct run *r);
void run_set_job(struct run *r, uint64_t job_id);
void live_push(struct live *l, struct run *r);
void live_remove(struct live *l, struct run *r);

/* -- rows and turns (run.c, run_turn.c) -- */
/* Write the row of a run as it is now; summary: JSON text, for a state that is an end. */
int run_save(struct run *r, enum run_state state, struct view summary, struct err *e) MUST_USE;
/* The run goes on with another row: this one has ended. */
int run_row_over(struct run *r, struct err *e) MUST_USE;
/* A message that starts a turn at once: transcript, row and session in one batch (an empty one is
 * in the transcript already). Then answer the client, then run_start. On failure nothing was
 * accepted and r is still the caller's. */
int run_accept(struct run *r, struct view message, struct err *e) MUST_USE;
/* One that waits for the session's turn to end; its text stays in its row until then. */
int run_accept_waiting(struct run *r, struct view message, struct err *e) MUST_USE;
/* A message with r->q set, as its queue's mode says. On failure nothing was accepted and r is still
 * the caller's. TAKEN_NOW: answer the client, then run_start. TAKEN_WAITING: answer the client,
 * then live_next. TAKEN_DROPPED: r is gone. */
enum taken { TAKEN_NOW, TAKEN_WAITING, TAKEN_DROPPED };
int live_take(struct live *l, struct run *r, struct view message, enum taken *out,
              bool *interrupted, struct err *e) MUST_USE;
/* Tell clients, hand it to the lanes. */
void run_start(struct run *r);
/* Put its message into the transcript. */
int run_consume(struct run *r, struct view message, struct err *e) MUST_USE;
/* session.message for the user's message, once it is in the transcript. */
void run_show_message(struct run *r);
/* The session's title, when it has none yet. */
void live_title(struct live *l, struct view message);
/* End it now, agent or not, waiting or not. The run, and its live entry when that was the last, are
 * gone afterwards. */
void run_abort(struct run *r, const char *stop_reason);
/* All turns of a session; ids (may be NULL) gets the run ids. Returns how many. */
unsigned live_abort(struct hub *h, struct live *l, const char *stop_reason, struct jw *ids);
/* It is over with r->result filled: store, clients, ack, what comes next. Gone afterwards as with
 * run_abort. */
void run_finish(struct run *r);
void run_fail(struct run *r, const char *kind, const char *text);
/* The traceparent of its present part: what it was asked with, or one that follows from its name.
 */
void run_trace(const struct run *r, char out[TRACE_LEN + 1]);
/* It was asked for with that one. */
void run_traced(struct run *r, struct view trace);
/* An agent has it. */
void run_started(struct run *r);
/* The agent may forget it. */
void run_acked(struct run *r);
/* A row of the store that is not finished: back into the tables. run_back.c then starts what may
 * run. */
int run_restore(struct hub *h, const struct rec_run_put *row);
uint32_t run_seq_after(const struct run *r);
/* What waits next in the session, if it may start now. l may be gone afterwards. */
void live_next(struct hub *h, struct live *l);
/* Whether messages that wait are part of the turn that just ended well; they are then under way as
 * its next part. */
bool run_continue(struct run *r);
/* The next part of the same run, with what waits to be told: a further row. run_start follows. */
int run_next_part(struct run *r, struct err *e) MUST_USE;
/* What was said before tools is done with: clients see what comes behind it alone. */
void run_tools_segment(struct run *r);
/* Its timer: it ends, agent or not. */
void run_limit(struct run *r);
/* Of its time: all, or what is left when tools took some. */
uint32_t run_left_ms(const struct run *r);
/* The answer so far of the row under way into the transcript, once. */
int run_part(struct run *r, struct err *e) MUST_USE;
/* To the lanes again, after a start of the hub. */
void run_resume(struct run *r);
/* How an agent says it ended. */
void run_take_result(struct run *r, const struct ipc_run_done *m);
/* All that waits goes into the transcript, to be answered by a turn that is about to start. */
int live_merge(struct live *l, struct run *into, struct err *e) MUST_USE;
/* The part of the answer that is shown of the row under way starts anew. */
void run_text_reset(struct run *r);
/* Who may stop it: its device or connection, or an admin. */
bool run_owned(const struct run *r, const struct conn *c);
void run_own(struct run *r, const struct conn *c);

/* -- a hub that comes back (run_back.c) -- */
void runs_back_open(struct hub *h);
void runs_back_close(struct hub *h);
/* Some front has not named its connections yet: they would not hear. */
bool runs_awaiting(const struct hub *h);
/* A result of a run that a hub before us ended: if that one died before it could say so, we do. */
void run_unheard(struct hub *h, const struct ipc_run_done *m);

/* -- lanes (job.c) -- */
/* How options may begin: with the model of this run, then with messages of its own, which are all
 * of its prompt, or with more of them, which come behind the session's. */
#define RUN_PICK     "\"pick\":\""
#define RUN_MESSAGES "\"messages\":["
#define RUN_APPEND   "\"append\":["
/* Its prompt is not the session's: no summary would make it fit. */
bool run_given(const struct run *r);
/* The model it asks first: its own, else the session's. */
void run_model(const struct run *r, struct model_pick *out);
void job_submit(struct run *r);
void job_cancel(struct run *r);
/* A lane of that name. */
bool job_lane_known(struct view name);
/* Members model and fallbacks of a job. */
int job_put_model(struct hub *h, const struct session *s, const struct model_pick *pick,
                  struct jw *w, struct err *e) MUST_USE;
/* The prompt of a session, without what was cut off. Borrowed as prompt_of says. */
int job_prompt(struct hub *h, const struct session *s, struct prompt **out, struct err *e) MUST_USE;

/* -- messages of a transcript (chat_msg.c) -- */
/* JSON text as history serves it, without the part __openclaw.seq, which is added when it is read.
 */
void chat_msg_user(struct buf *out, const struct run *r, struct view text, int64_t ts);
/* stop_reason "error" and "aborted" included; error may be NULL. */
void chat_msg_assistant(struct buf *out, const struct run *r, const char *id, struct view text,
                        int64_t ts);
/* What a tool said to a call. */
void chat_msg_tool(struct buf *out, const struct run *r, const char *id, struct view call,
                   struct view name, struct view text, bool error, int64_t ts);
/* Content of a stored message as the JSON text of a string or an array; role as stored. false: not
 * one of ours. */
bool chat_msg_split(struct view msg, struct view *role, struct view *content);
/* The first text of a content, as JSON; empty when there is none. */
struct view chat_msg_first(struct view content);
/* The first text in the content, unescaped and cut to max bytes (whole characters), spaces folded
 * when fold. */
void chat_msg_text(struct view content, size_t max, bool fold, struct buf *out);
/* A stored message as a value, its place in the transcript added. */
void chat_msg_numbered(struct jw *w, struct view msg, uint64_t seq);
/* Length of v without a character that is cut at its end. */
size_t chat_whole(struct view v);
/* Append it to the session's transcript. */
int chat_msg_add(struct hub *h, struct live *l, const char *id, enum message_role role,
                 struct view run_id, struct view text, int64_t ts, uint64_t *seq,
                 struct err *e) MUST_USE;

/* -- events (chat_event.c) -- */
void chat_ids(struct run *r);
void chat_status(struct run *r, const char *phase);
void chat_retrying(struct run *r, const char *reason, uint32_t attempt, uint64_t delay_ms);
void chat_begin(struct run *r);
void chat_model(struct run *r);
/* New text in r->said: maybe a delta now, maybe later. */
void chat_text(struct run *r);
void chat_text_now(struct run *r, bool agent, bool chat);
/* Its text begins anew, or another part of it: nothing of it is held back any more. */
void chat_text_again(struct run *r);
void chat_final_empty(struct run *r);
/* The end as r->result says it. */
void chat_end(struct run *r);
/* session.message to those who subscribed to the session. */
void chat_message(struct hub *h, const struct live *l, const char *id, uint64_t seq,
                  struct view msg);
/* A run event of any stream: data is JSON text of an object. */
void chat_agent_event(struct run *r, const char *stream, struct view data);
/* One of stream tool, to clients that asked for these. */
void chat_tool_event(struct run *r, struct view data);

/* -- a message comes in (chat_send.c) -- */
enum send_form {
    FORM_CHAT,
    FORM_AGENT,
    FORM_SESSIONS,
    FORM_CREATE
}; /* chat.send, agent, sessions.send, .create */
struct chat_input {
    enum send_form form;
    const struct session_key *key;
    struct view message, run_id;
    struct view mode;          /* as the request names it; empty: the session's */
    uint32_t timeout_ms;       /* 0: the configured one */
    struct view lane;          /* as mode */
    struct view options;       /* members for the job as JSON text without braces */
    struct attachments *files; /* may be NULL */
    bool plain;                /* not a command, whatever it looks like */
};
/* Takes it up and answers the call. */
int chat_take(struct call *c, struct chat_input *in);
/* The same with the attachments of the request. */
int chat_take_with(struct call *c, struct chat_input *in);
/* For a handler that does more than that: whether it runs again when its attachments are on the
 * disk. */
bool chat_later(struct call *c, int *rc);

/* Same key, other request: a hash of what the answer depends on. */
void chat_digest(const struct chat_input *in, char out[65]);
/* A stop word: answers the call. */
int chat_stop(struct call *c, const struct session_key *key);

/* -- commands in messages (chat_command.c) -- */
bool chat_is_stop(struct view message);
/* Answers the call when the message is a command of ours; false: an ordinary message, maybe what
 * stood behind the command. */
bool chat_command(struct call *c, struct chat_input *in, int *rc);

/* -- sessions (session_list.c, session_change.c) -- */
/* The session that carries this label. */
bool session_labelled(struct hub *h, struct view label, struct session_key *out);
/* The answer of sessions.create. */
int session_created(struct call *c, const struct session *s, const char *run_id);
/* Begin it anew when session.reset says that it is time, and nothing is under way. */
int session_refresh(struct hub *h, const struct session_key *key, struct view channel,
                    struct err *e) MUST_USE;
/* An empty transcript under the same key and id; turns are stopped. */
int session_reset(struct hub *h, const struct session_key *key, struct err *e) MUST_USE;

/* -- waiting callers (agent_rpc.c) -- */
/* The answer to `agent` when r ends. Errors: ERR_LIMIT. */
int waiter_agent(struct call *c, struct run *r, struct err *e) MUST_USE;
/* r was not accepted after all. */
void waiters_drop(struct run *r);
/* The final answer to `agent` out of a finished row. */
int agent_answer(struct call *c, const struct rec_run_put *row);
void waiters_ended(struct run *r);
void waiters_free(struct runs *rs);
/* How it ended: the JSON text that its row keeps. */
void run_summary(const struct run *r, struct buf *out);
struct run_summary {
    char status[16], stop_reason[33], message_id[37], error[1025];
    int64_t started_ms, ended_ms;
};
void run_summary_read(struct view summary, struct run_summary *out);

/* run_heard.c: text cut at a character border; a result may be forgotten by its agent; the line to
 * an agent, or NULL. */
void run_cut(char *out, size_t max, struct view v);
void run_ack(struct link *to, uint64_t job_id, uint32_t attempt);
struct link *run_agent(struct hub *h, unsigned instance);

#endif
