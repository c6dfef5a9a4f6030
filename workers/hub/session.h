/*
 * workers/hub/session.h - sessions: what a client's key means, the stored row and its parts, the
 * row as clients see it. Invariants: a key in here is full ("agent:<id>:<rest>") and lower case; a
 * row in the store was written whole by session_save. Not here: turns (run.h), which method may
 * change what (session_*.c).
 */
#ifndef SESSION_H
#define SESSION_H

#include "hub.h"
#include "jw.h"

enum {
    SESSION_KEY_MAX = 512,  /* protocol: str(..512) */
    SESSION_AGENT_MAX = 64, /* an agent's id */
    SESSION_REST_MAX = 30,  /* members of the free part of a row: jscan keeps 32 */
};

/* "agent:<id>:<rest>" of what a client asked for ("main", "foo", a full key) into *out.
 * Errors: ERR_INVALID not usable as a key, ERR_NOT_FOUND the agent is not configured (*out is
 * complete all the same). */
struct session_key {
    char s[SESSION_KEY_MAX + 1];
    size_t n;
    char agent[SESSION_AGENT_MAX + 1];
};
int session_key(struct hub *h, struct view asked, struct view agent_id, struct session_key *out,
                struct err *e) MUST_USE;
static inline struct view session_key_view(const struct session_key *k)
{
    return view_of(k->s, k->n);
}
/* The agent id inside a full key, VIEW_EMPTY when there is none. */
struct view session_key_agent(struct view key);
bool session_key_is_main(struct hub *h, struct view key);

/* A row taken out of the store. */
struct session {
    uint32_t sid;                    /* 0: not in the store yet */
    char *key, *last_run_id, *label; /* owned; label may be NULL */
    char id[65];
    char agent[129];
    int64_t created_at, updated_at, started_at, ended_at, interaction_at,
        began_at;   /* of its last reset, 0: created_at */
    uint8_t status; /* enum session_status */
    uint32_t flags; /* enum session_flag */
    uint64_t input_tokens, output_tokens, total_tokens, context_tokens;
    char *rest; /* owned: further members of the row as JSON text without braces, "" for none */
};

/* A new one, not stored. Errors: ERR_NOMEM. */
int session_init(struct session *s, const struct session_key *k, struct err *e) MUST_USE;
void session_fini(struct session *s);
/* Errors: ERR_NOT_FOUND, ... */
int session_load(struct hub *h, struct view key, struct session *out, struct err *e) MUST_USE;
int session_save(struct hub *h, struct session *s, struct err *e) MUST_USE;
/* A member of the free part as JSON text, VIEW_EMPTY when absent; valid until rest changes. */
struct view session_rest(const struct session *s, const char *key);
/* Set (value: JSON text) or remove (VIEW_EMPTY) one. Errors: ERR_LIMIT too many, ERR_NOMEM. */
int session_rest_set(struct session *s, const char *key, struct view value, struct err *e) MUST_USE;
int session_rest_set_str(struct session *s, const char *key, struct view text,
                         struct err *e) MUST_USE;
/* A string of ours among a row's free members, escapes and all; key: with its quotes, the colon and
 * the quote behind it. */
struct view session_member(struct view members, struct view key);
/* Text of a string member of the free part into out (cut to max - 1 bytes). */
bool session_rest_str(const struct session *s, const char *key, char *out, size_t max);

/* A change of the store, made durable at the end of this turn. A full batch is committed first. */
int hub_put(struct hub *h, struct store_rec *r, struct err *e) MUST_USE;

/* -- as clients see it -- */
enum session_row_opts { ROW_TITLE = 1, ROW_LAST = 2 };
/* A row object; from the store's record, or of a session that is not stored (r NULL). */
void session_row(struct hub *h, struct jw *w, struct view key, const struct rec_session_put *r,
                 unsigned opts);
/* The members of that object without braces, for events that repeat them; *off is where they begin
 * in w's buffer. */
void session_defaults(struct hub *h, struct jw *w, bool full);
/* sessions.changed, when anybody listens. extra: further members as JSON text without braces, or
 * VIEW_EMPTY. */
void session_changed(struct hub *h, struct view key, struct view extra);
/* "reason":"..." form of it. */
void session_changed_reason(struct hub *h, struct view key, const char *reason);

/* -- what the configuration says about turns (runs_config reads it once per slice) -- */
struct chat_conf {
    int queue_mode;      /* messages.queue.mode: enum queue_mode */
    char main_key[129];  /* session.mainKey: "main" */
    uint32_t timeout_ms; /* agents.defaults.timeoutSeconds */
    char row_agent[SESSION_AGENT_MAX + 1],
        row_model[1024]; /* session_row.c: one agent's model members */
    size_t row_model_n;
};
const struct chat_conf *chat_conf(const struct hub *h);
/* The model a session's next turn uses: its own choice, else its agent's. */
struct model_pick {
    char provider[129], model[257];
    uint64_t context_tokens;
    bool own; /* the session's choice */
};
void session_model(struct hub *h, const struct session *s, struct model_pick *out);
/* "provider/id" apart; without a slash the model that has this id. */
void model_split(struct hub *h, struct view ref, struct model_pick *out);

#endif
