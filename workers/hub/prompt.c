/*
 * workers/hub/prompt.c - pieces of a transcript in one buffer, and which of them a model is told.
 *
 * Calls of tools and what they said are told when the job offers tools; to a model that is offered
 * none they could not be told (interfaces refuse it), so that it hears the words beside them only.
 * The rules about pairs hold either way.
 */
#include "prompt.h"

#include "chat.h"
#include "jscan.h"
#include "json.h"
#include "num.h"
#include "tokens.h"
#include "told.h"

enum { FIRST_ROOM = 16 };

#define SUMMARY_HEAD                                                                               \
    V("\"The conversation before this point was summarised as follows.\\n\\n<summary>\\n")
#define SUMMARY_TAIL V("\\n</summary>\"")
#define CLEARED_N    33 /* "[Old tool result content cleared]" */

struct prompts {
    struct prompt *newest, *oldest;
    unsigned count;
    size_t bytes;
};

/* ---- configuration ---- */

static uint64_t number(const json_t *slice, const char *path, uint64_t otherwise)
{
    const json_t *v = json_at(slice, path);

    return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v)
                                                            : otherwise;
}

void prompt_config(struct prompt_conf *c, const json_t *slice)
{
    struct view model = json_view_of(json_at(slice, "agents.defaults.compaction.model"));
    uint64_t floor = number(slice, "agents.defaults.compaction.reserveTokensFloor", 20000),
             seconds = number(slice, "agents.defaults.compaction.timeoutSeconds", 180);

    *c = (struct prompt_conf){
        .compact = !json_is_false(json_at(slice, "agents.defaults.compaction.enabled")),
        .reserve = number(slice, "agents.defaults.compaction.reserveTokens", 16384),
        .keep_recent = number(slice, "agents.defaults.compaction.keepRecentTokens", 20000),
        .context_max = number(slice, "agents.defaults.contextTokens", 0),
        .keep_tools =
            (unsigned)number(slice, "agents.defaults.contextPruning.keepLastAssistants", 3),
        .timeout_ms = (uint32_t)(seconds > 0 && seconds <= 3600 ? seconds : 180) * 1000u,
    };
    if (c->reserve < floor)
        c->reserve = floor;
    if (model.n < sizeof(c->model))
        memcpy(c->model, model.p, model.n);
}

void prompt_limit(const struct prompt_conf *c, uint64_t context_tokens, struct prompt_limit *out)
{
    uint64_t reserve;

    out->window =
        c->context_max > 0 && c->context_max < context_tokens ? c->context_max : context_tokens;
    /* a small window is not all reserve */
    reserve = c->reserve < out->window / 2 ? c->reserve : out->window / 2;
    out->room = out->window - reserve;
    out->keep = c->keep_recent < out->room / 2 ? c->keep_recent : out->room / 2;
}

/* ---- pieces ---- */

void prompt_clear(struct prompt *p)
{
    mem_free(p->piece);
    buf_fini(&p->text);
    p->piece = NULL;
    p->count = p->room = 0;
    p->tokens = p->told = p->boundary = p->next = 0;
    p->told_at = 0;
}

/* A message of a job up to its content. */
static const struct view heads[] = {
    [PIECE_SUMMARY] = {"{\"role\":\"user\",\"content\":", 25},
    [PIECE_USER] = {"{\"role\":\"user\",\"content\":", 25},
    [PIECE_ASSISTANT] = {"{\"role\":\"assistant\",\"content\":", 30},
};

static struct piece *next_piece(struct prompt *p)
{
    struct piece *more;
    unsigned room;

    if (p->count < p->room)
        return &p->piece[p->count];
    room = p->room ? p->room * 2 : FIRST_ROOM;
    if (p->room >= PROMPT_PIECES_MAX || !(more = mem_realloc(p->piece, room * sizeof(*more))))
        return NULL;
    p->piece = more;
    p->room = room;
    return &p->piece[p->count];
}

static bool put_headed(struct prompt *p, enum piece_kind kind, uint64_t seq, struct view head,
                       struct view content)
{
    struct piece *x = next_piece(p);
    uint64_t tokens = tokens_json(content) + TOKENS_MESSAGE;

    if (!x)
        return false;
    *x = (struct piece){.seq = seq,
                        .from = p->text.n,
                        .at = p->text.n + head.n,
                        .n = content.n,
                        .kind = (uint8_t)kind,
                        .tokens = tokens < UINT32_MAX ? (uint32_t)tokens : UINT32_MAX};
    buf_put_view(&p->text, head);
    buf_put_view(&p->text, content);
    buf_put_view(&p->text, V("},"));
    if (p->text.failed)
        return false;
    p->tokens += x->tokens;
    p->count++;
    return true;
}

static bool put_piece(struct prompt *p, enum piece_kind kind, uint64_t seq, struct view content)
{
    return put_headed(p, kind, seq, heads[kind], content);
}

/* What a tool said, with the call that it answers. */
static bool put_result(struct prompt *p, const struct rec_message_add *m, struct view content)
{
    static const char *const keys[] = {"toolCallId", "toolName"};
    struct buf head = BUF_INIT(64 << 10);
    const struct jscan_member *x;
    struct err e = ERR_INIT;
    struct jscan js;
    bool ok;

    buf_put_str(&head, "{\"role\":\"toolResult\"");
    if (jscan(m->text, &js, &e) == 0)
        for (size_t i = 0; i < COUNT_OF(keys); i++)
            if ((x = jscan_get(&js, view_str(keys[i]))) && x->type == JSCAN_STRING) {
                buf_printf(&head, ",\"%s\":", keys[i]);
                buf_put_view(&head, x->value);
            }
    buf_put_str(&head, ",\"content\":");
    ok = !head.failed && put_headed(p, PIECE_TOOL, m->seq, buf_view(&head), content);
    buf_fini(&head);
    return ok;
}

static bool is_calls_only(struct view content)
{
    static const char call[] = "\"type\":\"toolCall\"", text[] = "\"type\":\"text\"";

    return content.n && content.p[0] == '[' &&
           memmem(content.p, content.n, call, sizeof(call) - 1) &&
           !memmem(content.p, content.n, text, sizeof(text) - 1);
}

static uint64_t count_of(const struct jscan *usage, const char *key)
{
    const struct jscan_member *m = jscan_get(usage, view_str(key));
    struct err e = ERR_INIT;
    uint64_t n = 0;

    return m && m->type == JSCAN_NUMBER && num_u64(m->value, 0, UINT32_MAX, &n, &e) == 0 ? n : 0;
}

/* What the provider said that the prompt of this answer and the answer were, in tokens. */
static uint64_t told_by(struct view msg)
{
    const struct jscan_member *m;
    struct jscan js, usage;
    struct err e = ERR_INIT;

    if (jscan(msg, &js, &e) < 0 || !(m = jscan_get(&js, V("usage"))) || m->type != JSCAN_OBJECT ||
        jscan(m->value, &usage, &e) < 0)
        return 0;
    return count_of(&usage, "input") + count_of(&usage, "cacheRead") +
           count_of(&usage, "cacheWrite") + count_of(&usage, "output");
}

bool prompt_boundary(const struct rec_message_add *m, struct view *summary, uint64_t *kept)
{
    static const char kind[] = "\"kind\":\"compaction\"";
    const struct jscan_member *own, *x;
    struct jscan js, in;
    struct err e = ERR_INIT;

    if (m->role != MESSAGE_SYSTEM || !memmem(m->text.p, m->text.n, kind, sizeof(kind) - 1) ||
        jscan(m->text, &js, &e) < 0 || !(own = jscan_get(&js, V("__openclaw"))) ||
        jscan(own->value, &in, &e) < 0 || !(x = jscan_get(&in, V("firstKeptSeq"))) ||
        num_u64(x->value, 1, UINT64_MAX, kept, &e) < 0 || !(x = jscan_get(&js, V("summary"))) ||
        x->type != JSCAN_STRING)
        return false;
    *summary = x->value;
    return true;
}

static bool put_summary(struct prompt *p, uint64_t seq, struct view summary)
{
    struct buf b = BUF_INIT(PROMPT_BYTES_MAX);
    bool ok;

    buf_put_view(&b, SUMMARY_HEAD);
    buf_put_view(&b, view_of(summary.p + 1, summary.n - 2));
    buf_put_view(&b, SUMMARY_TAIL);
    ok = !b.failed && put_piece(p, PIECE_SUMMARY, seq, buf_view(&b));
    buf_fini(&b);
    return ok;
}

/* A message of the user with files: its text, and what they are. */
static bool put_files(struct prompt *p, const struct rec_message_add *m, struct view content)
{
    struct buf parts = BUF_INIT(PROMPT_TEXT_MAX);
    uint64_t tokens;
    bool has = told_parts(m->text, content, &parts, &tokens),
         ok = !parts.failed && put_piece(p, PIECE_USER, m->seq, has ? buf_view(&parts) : content);

    buf_fini(&parts);
    if (!ok || !has)
        return ok;
    p->piece[p->count - 1].files = true;
    p->piece[p->count - 1].tokens += (uint32_t)tokens;
    p->tokens += tokens;
    return true;
}

bool prompt_add(struct prompt *p, const struct rec_message_add *m)
{
    struct view role, content;
    uint64_t told;

    if (m->role != MESSAGE_USER && m->role != MESSAGE_ASSISTANT && m->role != MESSAGE_TOOL)
        return true; /* the gateway's own words and failures are not for the model */
    if (!chat_msg_split(m->text, &role, &content))
        return true;
    if (m->role == MESSAGE_USER)
        return put_files(p, m, content);
    if (m->role == MESSAGE_TOOL)
        return put_result(p, m, content);
    if (!put_piece(p, PIECE_ASSISTANT, m->seq, content))
        return false;
    p->piece[p->count - 1].silent = is_calls_only(content);
    if (m->seq > p->boundary && (told = told_by(m->text)) > 0) {
        p->told = told;
        p->told_at = p->count - 1;
    }
    return true;
}

/* ---- out of the store ---- */

static void remember(struct prompt *p, const struct rec_message_add *m)
{
    size_t n = m->id.n < sizeof(p->last_id) ? m->id.n : sizeof(p->last_id);

    memcpy(p->last_id, m->id.p, n);
    p->last_id_n = n;
}

struct walk {
    uint64_t oldest, first; /* seq of the oldest message that is wanted; none before first */
    uint64_t boundary;
    size_t bytes;
    unsigned count;
    struct buf summary;
};

/* Newest first: how far back it goes. */
static int on_back(void *ctx, const struct rec_message_add *m)
{
    struct walk *w = ctx;
    struct view summary;
    uint64_t kept;

    if (m->seq < w->first || w->count == PROMPT_PIECES_MAX - 1 ||
        (w->count > 0 && (w->bytes > PROMPT_BYTES_MAX || m->text.n > PROMPT_BYTES_MAX - w->bytes)))
        return 1; /* the newest message is told however long it is */
    if (w->boundary == 0 && prompt_boundary(m, &summary, &kept)) {
        w->boundary = m->seq;
        buf_put_view(&w->summary, summary);
        if (kept > w->first)
            w->first = kept;
        return 0;
    }
    w->oldest = m->seq;
    w->bytes += m->text.n;
    w->count++;
    return 0;
}

struct more {
    struct prompt *p;
    bool again; /* a boundary came, it does not fit any more, or what was here is not the store's */
};

static int on_forth(void *ctx, const struct rec_message_add *m)
{
    struct more *x = ctx;

    x->again = !prompt_add(x->p, m);
    return x->again;
}

static int on_last(void *ctx, const struct rec_message_add *m)
{
    remember(ctx, m);
    return 1;
}

static int build(struct hub *h, struct prompt *p, uint64_t first, uint64_t last, struct err *e)
{
    struct walk w = {.oldest = last + 1, .first = first, .summary = BUF_INIT(PROMPT_BYTES_MAX / 2)};
    struct more x = {.p = p};
    int rc;

    prompt_clear(p);
    rc = store_history_page(h->store, p->sid, 0, SIZE_MAX, on_back, &w, e);
    p->boundary = w.boundary;
    if (rc == 0 && w.boundary &&
        (w.summary.failed || !put_summary(p, w.boundary, buf_view(&w.summary))))
        rc = err_set(e, ERR_NOMEM, "prompt: out of memory");
    if (rc == 0)
        rc = store_history_range(h->store, p->sid, w.oldest, last, on_forth, &x, e);
    if (rc == 0 && x.again)
        rc = err_set(e, ERR_NOMEM, "prompt: out of memory");
    if (rc == 0)
        rc = store_history_page(h->store, p->sid, 0, 1, on_last, p, e);
    buf_fini(&w.summary);
    p->next = last + 1;
    return rc;
}

static int on_more(void *ctx, const struct rec_message_add *m)
{
    struct more *x = ctx;
    struct view summary;
    uint64_t kept;

    if (m->seq <
        x->p->next) { /* the newest one that is in here: a lost batch takes messages along */
        x->again = !view_eq(m->id, view_of(x->p->last_id, x->p->last_id_n));
        return x->again;
    }
    remember(x->p, m);
    x->again = prompt_boundary(m, &summary, &kept) || !prompt_add(x->p, m);
    return x->again;
}

static void unlist(struct prompts *c, struct prompt *p)
{
    *(p->newer ? &p->newer->older : &c->newest) = p->older;
    *(p->older ? &p->older->newer : &c->oldest) = p->newer;
    p->newer = p->older = NULL;
    c->count--;
}

static void list(struct prompts *c, struct prompt *p)
{
    p->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = p;
    c->newest = p;
    c->count++;
}

static size_t weight(const struct prompt *p)
{
    return p->text.cap + p->room * sizeof(struct piece) + sizeof(*p);
}

static void forget(struct prompts *c, struct prompt *p)
{
    unlist(c, p);
    prompt_clear(p);
    mem_free(p);
}

/* Those not used for longest go, this one stays. */
static void make_room(struct prompts *c, const struct prompt *keep)
{
    size_t bytes = 0;

    for (const struct prompt *i = c->newest; i; i = i->older)
        bytes += weight(i);
    while (c->oldest != keep && (bytes > PROMPT_CACHE_BYTES || c->count > PROMPT_CACHE_MAX)) {
        bytes -= weight(c->oldest);
        forget(c, c->oldest);
    }
}

int prompt_of(struct hub *h, uint32_t sid, uint64_t first, struct prompt **out, struct err *e)
{
    struct prompts *c = h->runs->prompts;
    struct prompt *p = c->newest;
    struct more x;
    uint64_t last;
    int rc;

    while (p && p->sid != sid)
        p = p->older;
    if ((rc = store_history_count(h->store, sid, &last, e)) < 0)
        return rc;
    if (p) {
        unlist(c, p);
    } else {
        if ((rc = mem_new(&p, sizeof(*p), e)) < 0)
            return rc;
        buf_init(&p->text, PROMPT_TEXT_MAX);
        p->sid = sid;
    }
    list(c, p);
    x = (struct more){
        .p = p,
        .again = p->next == 0 || p->next > last + 1 ||
                 (p->count > 0 && p->piece[0].kind != PIECE_SUMMARY && p->piece[0].seq < first)};
    if (!x.again)
        rc = store_history_range(h->store, sid, p->next - 1, last, on_more, &x, e);
    p->next = last + 1;
    if (rc == 0 && x.again)
        rc = build(h, p, first, last, e);
    if (rc < 0) {
        forget(c, p);
        return rc;
    }
    make_room(c, p);
    *out = p;
    return 0;
}

int prompts_new(struct prompts **out, struct err *e)
{
    return mem_new(out, sizeof(**out), e);
}

void prompts_free(struct prompts **pp)
{
    while (*pp && (*pp)->newest)
        forget(*pp, (*pp)->newest);
    mem_free(*pp);
    *pp = NULL;
}

/* ---- what fits ---- */

uint64_t prompt_tokens(const struct prompt *p)
{
    uint64_t sum = p->told, half = (PROMPT_BASE_TOKENS + p->tokens) / 2;

    if (p->told == 0)
        return PROMPT_BASE_TOKENS + p->tokens;
    for (unsigned i = p->told_at + 1; i < p->count; i++)
        sum += p->piece[i].tokens;
    /* no estimate is twice too much: a number below half of it is not a count of this prompt */
    return sum > half ? sum : half;
}

static bool may_begin(const struct prompt *p, unsigned i)
{
    return p->piece[i].kind != PIECE_TOOL;
}

/* The newest message of the user, or what stands for it where there is none. */
static unsigned last_user(const struct prompt *p)
{
    unsigned i = p->count;

    while (i > 0 && p->piece[i - 1].kind != PIECE_USER)
        i--;
    if (i > 0)
        return i - 1;
    for (i = p->count; i > 1 && !may_begin(p, i - 1);)
        i--;
    return i > 0 ? i - 1 : 0;
}

unsigned prompt_fit(const struct prompt *p, uint64_t room)
{
    unsigned from = p->count > 0 && p->piece[0].kind == PIECE_SUMMARY ? 1 : 0, last = last_user(p);
    uint64_t all = prompt_tokens(p), cut = 0, over = all > room ? all - room : 0;
    unsigned i = from;

    /* what the provider counts is more or less than we do by some factor: the same for the part */
    if (over > 0 && all > 0)
        over = over * (p->tokens + PROMPT_BASE_TOKENS) / all;
    while (i < last && (cut < over || !may_begin(p, i)))
        cut += p->piece[i++].tokens;
    while (i < last && p->piece[i].kind != PIECE_USER && (i > from || from == 0))
        i++; /* a conversation begins with the user */
    return i;
}

unsigned prompt_cut(const struct prompt *p, uint64_t keep)
{
    unsigned from = p->count > 0 && p->piece[0].kind == PIECE_SUMMARY ? 1 : 0, last = last_user(p),
             i = p->count, at;
    uint64_t kept = 0;

    while (i > from && kept + p->piece[i - 1].tokens <= keep)
        kept += p->piece[--i].tokens;
    if (i > last)
        i = last; /* never the message that waits for its answer */
    for (at = i; at < last && p->piece[at].kind != PIECE_USER; at++)
        ;
    return at > from ? at : 0;
}

/* ---- the messages of a job ---- */

/* last: calls of a client's tools, whose results come right behind the prompt. */
static bool is_told(const struct piece *x, bool tools, bool last)
{
    return tools || (x->kind != PIECE_TOOL && (!x->silent || last));
}

static bool is_cleared(const struct piece *x, bool whole)
{
    return x->kind == PIECE_TOOL && !whole && x->n > CLEARED_N + 2;
}

/* One more run of bytes, joined to the one before when it lies behind it. */
static unsigned add_part(struct view *out, unsigned n, struct view v)
{
    if (n > 0 && out[n - 1].p + out[n - 1].n == v.p) {
        out[n - 1].n += v.n;
        return n;
    }
    out[n] = v;
    return n + 1;
}

unsigned prompt_parts(const struct prompt *p, const struct prompt_conf *c, uint64_t room,
                      bool tools, struct view *out)
{
    static const struct view marker = {"\"[Old tool result content cleared]\"},", 37};
    unsigned from = prompt_fit(p, room), older = 0, n = 0, turn = last_user(p);
    const char *text = buf_view(&p->text).p;

    for (unsigned i = from; i < turn; i++) /* those of the present turn are told whole */
        older += p->piece[i].kind == PIECE_TOOL;
    for (unsigned i = 0; i < p->count; i++) {
        const struct piece *x = &p->piece[i];
        bool whole = i >= turn || older <= c->keep_tools;

        if (i < from && x->kind != PIECE_SUMMARY)
            continue;
        if (is_told(x, tools, i + 1 == p->count) && is_cleared(x, whole)) {
            n = add_part(out, n, view_of(text + x->from, x->at - x->from));
            n = add_part(out, n, marker);
        } else if (is_told(x, tools, i + 1 == p->count)) {
            n = add_part(out, n, view_of(text + x->from, x->at + x->n + 2 - x->from));
        }
        if (x->kind == PIECE_TOOL && i < turn)
            older--;
    }
    if (n > 0)
        out[n - 1].n--; /* no comma behind the last one */
    return n;
}
