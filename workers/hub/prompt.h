/*
 * workers/hub/prompt.h - what of a transcript a model is told: the newest summary, if there is one,
 * and what was said since, as far as it fits the model. Built once and then added to: a turn of a
 * long session costs what is new, not what is old.
 * Invariants: pieces are in the order of the transcript; a tool's result never stands without the
 * call before it; the newest message is always told. Nothing here changes the transcript.
 * Not here: making summaries (compact.h).
 */
#ifndef PROMPT_H
#define PROMPT_H

#include "hub.h"

enum {
    PROMPT_PIECES_MAX = 4096,     /* messages of a transcript that are looked at */
    PROMPT_BYTES_MAX = 4 << 20,   /* and their text: a window of a million tokens */
    PROMPT_TEXT_MAX = 64 << 20,   /* with one message of the largest kind */
    PROMPT_CACHE_BYTES = 8 << 20, /* kept of all sessions together, */
    PROMPT_CACHE_MAX = 256,       /* and of so many */
    PROMPT_BASE_TOKENS = 500,     /* what an agent adds of its own before it is measured */
};

enum piece_kind { PIECE_SUMMARY, PIECE_USER, PIECE_ASSISTANT, PIECE_TOOL };
struct piece {
    uint64_t seq;
    size_t from;  /* in prompt.text: a job's message, */
    size_t at, n; /* its content, JSON text */
    uint32_t tokens;
    uint8_t kind; /* enum piece_kind */
    bool silent;  /* an assistant's message that holds nothing but calls */
    bool files;   /* its content is a list with parts of type media (told.h) */
};

struct prompt {
    struct prompt *newer, *older; /* in the cache */
    uint32_t sid;
    uint64_t next;    /* seq of the first message that is not in here */
    char last_id[64]; /* of the message before that */
    size_t last_id_n;
    uint64_t boundary; /* seq of the summary's record, 0: none */
    struct buf text;
    struct piece *piece; /* owned */
    unsigned count, room;
    uint64_t tokens; /* of all pieces, estimated */
    uint64_t told; /* what a provider said that everything up to piece told_at was, 0: nobody did */
    unsigned told_at;
};

/* agents.defaults.compaction and .contextPruning, contextTokens */
struct prompt_conf {
    bool compact;         /* by ourselves, before it is too late */
    uint64_t reserve;     /* tokens of the window that are left free */
    uint64_t keep_recent; /* newest tokens that are not summarised */
    uint64_t context_max; /* no window is used further; 0: as large as it is */
    unsigned keep_tools;  /* newest tool results that are told whole */
    uint32_t timeout_ms;  /* of one summary */
    char model[257];      /* that makes them; empty: the session's own */
};
void prompt_config(struct prompt_conf *c, const json_t *slice);

/* How much fits: a window made usable. */
struct prompt_limit {
    uint64_t window, room, keep; /* room: window without the reserve */
};
void prompt_limit(const struct prompt_conf *c, uint64_t context_tokens, struct prompt_limit *out);

/* The prompt of a session, brought up to date. Borrowed until the next call.  Errors: ERR_NOMEM,
 * the store's. */
int prompt_of(struct hub *h, uint32_t sid, uint64_t first, struct prompt **out,
              struct err *e) MUST_USE;
/* What a model would count: the provider's number as far as there is one, else estimated. */
uint64_t prompt_tokens(const struct prompt *p);
/* The first piece that is told when room tokens are there. */
unsigned prompt_fit(const struct prompt *p, uint64_t room);
/* Messages of a job, an array's elements, as they lie here: views of *p, at most 2 * p->count.
 * tools: the job offers some, so that calls and results can be told. Returns how many. */
unsigned prompt_parts(const struct prompt *p, const struct prompt_conf *c, uint64_t room,
                      bool tools, struct view *out);
/* Where a summary may end so that keep tokens behind it are left as they are: index of the first
 * piece that stays, 0 when there is nothing to summarise. */
unsigned prompt_cut(const struct prompt *p, uint64_t keep);

/* -- the parts of it, for compact.c and tests -- */
/* A message that follows what is there. false: no room or no memory. */
bool prompt_add(struct prompt *p, const struct rec_message_add *m);
void prompt_clear(struct prompt *p);
static inline struct view prompt_text(const struct prompt *p, unsigned i)
{
    return view_of(buf_view(&p->text).p + p->piece[i].at, p->piece[i].n);
}
/* What a boundary's record says: the summary as JSON text of a string, and the first message it
 * does not cover. false: m is not one. */
bool prompt_boundary(const struct rec_message_add *m, struct view *summary, uint64_t *kept);

struct prompts;
int prompts_new(struct prompts **out, struct err *e) MUST_USE;
void prompts_free(struct prompts **p);

#endif
