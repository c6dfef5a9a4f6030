#include "blocks.h"

#include "block.h"
#include "chat.h"
#include "deliver_table.h"
#include "draft.h"
#include "json.h"
#include "log.h"
#include "rand.h"
#include "sendpolicy.h"

#include <endian.h>
#include <openssl/sha.h>
#include <stdio.h>

enum {
    MIN_CHARS = 800,
    MAX_CHARS = 1200,
    IDLE_MS = 1000,
    LIMIT_CHARS = 4000,
    CHARS_MAX = 100000, /* of any setting */
    BLOCKS_MAX = 256,   /* of one answer; the rest comes with its end */
    DIGEST_BYTES = 16,  /* of SHA-256 */
    NAME_BYTES = 64,    /* "blk:" and a hash */
    NATURAL_MIN_MS = 800,
    NATURAL_MAX_MS = 2500,
    DELAY_MAX_MS = 60000,
};

/* A block that was said: the text up to `to` had this digest. */
struct mark {
    size_t to;
    unsigned char digest[DIGEST_BYTES];
};

struct blocks {
    json_t *options; /* owned; of which origin is a member */
    const json_t *origin;
    bool on, at_end, kept; /* kept: its marks are on disk */
    bool anyway;           /* what has no room is set aside */
    struct block_conf conf;
    uint32_t gather_min, gather_max, idle_ms; /* what is cut waits for more, so long */
    uint32_t pause_min_ms, pause_max_ms;      /* between two */
    uint64_t next_ms;                         /* when the next may go */
    uint32_t attempt;
    struct mark marks[BLOCKS_MAX];
    unsigned n, agreed;            /* the first so many are in the text as it is now */
    struct block_place said, held; /* what was said; what waits for more */
    uint64_t held_ms;
    struct loop_timer idle;
};

/* ---- settings ---- */

static uint32_t number(const json_t *doc, const char *key, uint32_t least, uint32_t otherwise)
{
    int64_t n = json_i64(doc, key, -1);

    return n >= least && n <= CHARS_MAX ? (uint32_t)n : otherwise;
}

void blocks_wish_read(struct view json, struct blocks_wish *out)
{
    struct err ignored = ERR_INIT;
    json_t *doc = NULL;

    *out = (struct blocks_wish){.enabled = -1};
    if (!json.n || json_parse(json, &doc, &ignored) < 0)
        return;
    if (json_is_boolean(json_object_get(doc, "enabled")))
        out->enabled = json_flag(doc, "enabled", false);
    out->preview = json_flag(doc, "preview", false);
    out->each = json_flag(doc, "each", false);
    out->limit = number(doc, "limit", 1, 0);
    out->min = number(doc, "minChars", 1, 0);
    out->max = number(doc, "maxChars", 1, 0);
    out->idle_ms = number(doc, "idleMs", 0, 0);
    json_decref(doc);
}

static uint32_t at_most(uint32_t n, uint32_t most)
{
    return n < most ? n : most;
}

static void read_sizes(struct blocks *b, const json_t *defaults, const struct blocks_wish *wish)
{
    const json_t *chunk = json_object_get(defaults, "blockStreamingChunk"),
                 *gather = json_object_get(defaults, "blockStreamingCoalesce");
    struct view pref = json_view(chunk, "breakPreference");
    uint32_t limit = wish->limit ? wish->limit : LIMIT_CHARS;

    b->conf.max = at_most(number(chunk, "maxChars", 1, MAX_CHARS), limit);
    b->conf.min = at_most(number(chunk, "minChars", 1, MIN_CHARS), b->conf.max);
    b->conf.pref = view_eq(pref, V("newline"))    ? BLOCK_NEWLINE
                   : view_eq(pref, V("sentence")) ? BLOCK_SENTENCE
                                                  : BLOCK_PARAGRAPH;
    b->conf.each = wish->each;
    b->gather_max = at_most(wish->max ? wish->max : number(gather, "maxChars", 1, limit), limit);
    b->gather_min = wish->min ? wish->min : number(gather, "minChars", 1, b->conf.min);
    b->gather_min = b->conf.each ? 1 : at_most(b->gather_min, b->gather_max);
    b->idle_ms = wish->idle_ms ? wish->idle_ms : number(gather, "idleMs", 0, IDLE_MS);
}

/* The agent's own, else everybody's. */
static const json_t *delay_of(const struct run *r)
{
    const json_t *conf = r->hub->w.conf, *a, *own = NULL;
    size_t i;

    json_array_foreach(json_at(conf, "agents.list"), i, a)
    {
        if (view_ieq(json_view(a, "id"), view_str(r->live->s.agent)))
            own = json_object_get(a, "humanDelay");
    }
    if (!own)
        own = json_object_get(json_object_get(json_at(conf, "agents.entries"), r->live->s.agent),
                              "humanDelay");
    return own ? own : json_at(conf, "agents.defaults.humanDelay");
}

static void read_pause(struct blocks *b, const json_t *delay)
{
    struct view mode = json_view(delay, "mode");
    uint32_t least = NATURAL_MIN_MS, most = NATURAL_MAX_MS;

    if (!view_eq(mode, V("natural")) && !view_eq(mode, V("custom")))
        return;
    if (view_eq(mode, V("custom"))) {
        least = at_most(number(delay, "minMs", 0, least), DELAY_MAX_MS);
        most = at_most(number(delay, "maxMs", 0, most), DELAY_MAX_MS);
    }
    b->pause_min_ms = least;
    b->pause_max_ms = most > least ? most : least;
}

static bool wanted(const struct run *r, const struct blocks *b, const struct blocks_wish *wish)
{
    const json_t *defaults = json_at(r->hub->w.conf, "agents.defaults");

    if (!sendpolicy_allows(r->hub->w.conf, &r->live->s, json_view(b->origin, "channel"),
                           json_view(b->origin, "kind")))
        return false;
    if (wish->enabled >= 0)
        return wish->enabled;
    return !wish->preview && view_eq(json_view(defaults, "blockStreamingDefault"), V("on"));
}

static void read_settings(struct run *r)
{
    struct blocks *b = r->blocks;
    const json_t *defaults = json_at(r->hub->w.conf, "agents.defaults");
    const struct account *a = deliver_account(r->hub->deliveries, json_view(b->origin, "channel"),
                                              json_view(b->origin, "account"), false);
    struct blocks_wish none = {.enabled = -1};
    const struct blocks_wish *wish = a ? &a->blocks : &none;

    b->on = wanted(r, b, wish);
    b->at_end = view_eq(json_view(defaults, "blockStreamingBreak"), V("message_end"));
    read_sizes(b, defaults, wish);
    read_pause(b, delay_of(r));
}

/* ---- what was said, on disk ---- */

static void name_of(const struct run *r, char out[NAME_BYTES])
{
    unsigned char md[SHA256_DIGEST_LENGTH];
    int n = snprintf(out, NAME_BYTES, "blk:");

    (void)SHA256((const unsigned char *)r->row_id, strlen(r->row_id), md);
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        n += snprintf(out + n, NAME_BYTES - (size_t)n, "%02x", md[i]);
}

static void digest(struct view text, unsigned char out[DIGEST_BYTES])
{
    unsigned char md[SHA256_DIGEST_LENGTH];

    (void)SHA256((const unsigned char *)text.p, text.n, md);
    memcpy(out, md, DIGEST_BYTES);
}

/* Each mark: u32 little endian, digest. */
static void load(struct run *r)
{
    struct blocks *b = r->blocks;
    struct err ignored = ERR_INIT;
    char name[NAME_BYTES];
    struct view v;

    name_of(r, name);
    if (store_meta_get(r->hub->store, view_str(name), &v, &ignored) < 0)
        return;
    b->kept = true;
    for (; v.n >= 4 + DIGEST_BYTES && b->n < BLOCKS_MAX; v = view_from(v, 4 + DIGEST_BYTES)) {
        uint32_t le;

        memcpy(&le, v.p, sizeof(le));
        b->marks[b->n].to = le32toh(le);
        memcpy(b->marks[b->n++].digest, v.p + 4, DIGEST_BYTES);
    }
}

static int save(struct run *r, unsigned n, struct err *e)
{
    struct blocks *b = r->blocks;
    struct buf value = BUF_INIT(BLOCKS_MAX * (4 + DIGEST_BYTES));
    struct store_rec rec = {.type = REC_meta_set};
    char name[NAME_BYTES];
    int rc;

    for (unsigned i = 0; i < n; i++) {
        uint32_t le = htole32((uint32_t)b->marks[i].to);

        buf_put(&value, &le, sizeof(le));
        buf_put(&value, b->marks[i].digest, DIGEST_BYTES);
    }
    name_of(r, name);
    rec.meta_set.key = view_str(name);
    rec.meta_set.value = buf_view(&value);
    if ((rc = buf_check(&value, e)) == 0)
        rc = hub_put(r->hub, &rec, e);
    if (rc == 0)
        b->kept = n > 0;
    buf_fini(&value);
    return rc;
}

/* ---- the text as it is now ---- */

static void from_the_start(struct run *r)
{
    struct blocks *b = r->blocks;

    b->attempt = r->attempt;
    b->agreed = 0;
    b->said = b->held = (struct block_place){.at = 0};
    loop_timer_clear(&b->idle);
}

/* Pass over what was said already, as far as the text is the same. true: all of it is known. */
static bool catch_up(struct blocks *b, struct view text, bool done)
{
    unsigned char now[DIGEST_BYTES];

    while (b->agreed < b->n && b->marks[b->agreed].to <= text.n) {
        const struct mark *m = &b->marks[b->agreed];

        digest(view_of(text.p, m->to), now);
        if (memcmp(now, m->digest, DIGEST_BYTES) != 0) {
            b->n = b->agreed; /* it says something else now */
            break;
        }
        block_go(text, m->to, &b->said);
        b->held = b->said;
        b->agreed++;
    }
    if (done)
        b->n = b->agreed;
    return b->agreed == b->n;
}

/* ---- saying it ---- */

static uint32_t pause_ms(struct blocks *b, uint64_t now)
{
    uint32_t spread = b->pause_max_ms - b->pause_min_ms, more = 0, wait;

    if (!b->pause_max_ms || !b->n)
        return 0;
    rand_bytes(&more, sizeof(more));
    wait = b->next_ms > now ? (uint32_t)(b->next_ms - now) : 0;
    return wait + b->pause_min_ms + (spread ? more % spread : 0);
}

static int deliver(struct run *r, struct view text, const struct mark *m, struct err *e)
{
    struct blocks *b = r->blocks;
    uint64_t now = loop_now_ms(r->hub->w.loop), tag;
    struct deliver_order o = {.digest = "", .kind = DELIVERY_TEXT};
    struct buf vars = BUF_INIT(4 * KIB);
    char key[384];
    int rc;

    memcpy(&tag, m->digest, sizeof(tag)); /* the same words are the same message */
    (void)snprintf(key, sizeof(key), "block:%s:%zu:%016llx", r->row_id, m->to,
                   (unsigned long long)tag);
    o.key = view_str(key);
    o.text = text;
    o.channel = json_view(b->origin, "channel");
    o.account = json_view(b->origin, "account");
    o.target = json_view(b->origin, "to");
    o.thread = json_view(b->origin, "thread");
    o.reply_to = json_view(b->origin, "replyTo");
    o.session_key = view_str(r->live->s.key);
    o.options = DELIVER_ANSWER | (b->n || r->spoke ? DELIVER_LATER : 0);
    o.wait_ms = pause_ms(b, now);
    deliver_vars(r, &vars);
    o.extra = vars.failed ? VIEW_EMPTY : buf_view(&vars);
    rc = deliver_said(r->hub, &o, b->anyway, e);
    buf_fini(&vars);
    if (rc == 0)
        b->next_ms = now + o.wait_ms;
    return rc == ERR_CONFLICT || rc == ERR_INVALID ? 0
                                                   : rc; /* it was said; there is nothing in it */
}

/* All up to `to` is said: the delivery and the mark are one batch. */
static int say(struct run *r, struct view text, const struct block_place *to, struct err *e)
{
    struct blocks *b = r->blocks;
    struct mark m = {.to = to->at};
    struct buf body = BUF_INIT(64 * MIB);
    int rc = 0;

    block_put(text, &b->said, to, &body);
    digest(view_of(text.p, to->at), m.digest);
    if ((rc = buf_check(&body, e)) == 0 && body.n)
        rc = deliver(r, buf_view(&body), &m, e);
    if (rc == 0 && body.n) {
        b->marks[b->n++] = m;
        b->agreed = b->n;
        rc = save(r, b->n, e);
    }
    buf_fini(&body);
    if (rc == 0) {
        b->said = *to;
        if (b->held.at < to->at)
            b->held = *to;
    }
    return rc;
}

static void failed(struct run *r, const struct err *e)
{
    r->blocks->on = false; /* the rest comes with the end */
    log_warn("blocks.stopped", KV("run", r->run_id), KV("why", e->text));
}

/* More of it is to be held: what does not fit beside it goes. */
static int hold(struct run *r, struct view text, size_t to, struct err *e)
{
    struct blocks *b = r->blocks;
    struct block_place p = b->held, old = b->held;
    int rc = 0;

    block_go(text, to, &p);
    if (old.at > b->said.at &&
        block_chars(view_of(text.p + b->said.at, to - b->said.at)) > b->gather_max)
        rc = say(r, text, &old, e);
    b->held = p;
    b->held_ms = loop_now_ms(r->hub->w.loop);
    return rc;
}

static void step(struct run *r, struct view text)
{
    struct blocks *b = r->blocks;
    uint64_t now = loop_now_ms(r->hub->w.loop);
    struct err e = ERR_INIT;
    size_t to, chars;
    int rc = 0;

    while (rc == 0 && b->n < BLOCKS_MAX && (to = block_cut(text, &b->held, &b->conf, false)))
        rc = hold(r, text, to, &e);
    if (rc == 0 && b->n < BLOCKS_MAX && b->held.at > b->said.at) {
        chars = block_chars(view_of(text.p + b->said.at, b->held.at - b->said.at));
        if (chars >= b->gather_max || (chars >= b->gather_min && now >= b->held_ms + b->idle_ms))
            rc = say(r, text, &b->held, &e);
        else if (chars >= b->gather_min)
            loop_timer_set(&b->idle, b->held_ms + b->idle_ms - now);
    }
    if (rc < 0)
        failed(r, &e);
}

/* An agent that keeps silent says so in a word that is nobody else's. */
static bool may_be_silent(struct view text)
{
    text = view_trim(text);
    return view_starts(V("NO_REPLY"), text);
}

void blocks_text(struct run *r)
{
    struct blocks *b = r->blocks;
    struct view text = view_from(buf_view(&r->said), r->said_seg);

    if (!b || !b->on || b->at_end)
        return;
    text.n = chat_whole(text);
    if (r->attempt != b->attempt || text.n < b->held.at)
        from_the_start(r);
    if (!may_be_silent(text) && catch_up(b, text, false))
        step(r, text);
}

static void on_idle(void *ctx)
{
    blocks_text(ctx);
}

/* ---- begin and end ---- */

static int make(struct run *r, struct err *e)
{
    struct buf b = BUF_INIT(128 * KIB);
    int rc;

    if ((rc = mem_new(&r->blocks, sizeof(*r->blocks), e)) < 0)
        return rc;
    loop_timer_init(&r->blocks->idle, r->hub->w.loop, on_idle, r);
    buf_printf(&b, "{%s}", r->options);
    if ((rc = buf_check(&b, e)) == 0)
        rc = json_parse(buf_view(&b), &r->blocks->options, e);
    buf_fini(&b);
    r->blocks->origin = json_object_get(r->blocks->options, "origin");
    if (rc == 0 && !r->blocks->origin)
        rc = err_set(e, ERR_NOT_FOUND, "no origin");
    if (rc < 0)
        blocks_free(r);
    return rc;
}

void blocks_begin(struct run *r)
{
    struct err e = ERR_INIT;

    if (r->blocks || !strstr(r->options, "\"origin\""))
        return;
    if (make(r, &e) < 0) {
        log_warn("blocks.none", KV("run", r->run_id), KV("why", e.text));
        return;
    }
    read_settings(r);
    load(r);
    from_the_start(r);
}

bool blocks_on(const struct run *r)
{
    return r->blocks && r->blocks->on;
}

int blocks_rest(struct run *r, struct view text, struct buf *rest, bool *ret_later, struct err *e)
{
    const struct block_place all = {.at = text.n};
    struct block_place to;
    struct blocks *b;
    size_t end;
    int rc = 0;

    *ret_later = r->spoke;
    blocks_begin(r);
    if (!(b = r->blocks)) {
        buf_put_view(rest, text);
        return buf_check(rest, e);
    }
    from_the_start(r); /* the last word may be another one than what came in pieces */
    (void)catch_up(b, text, true);
    while (rc == 0 && b->on && !may_be_silent(text) && b->n < BLOCKS_MAX &&
           (end = block_cut(text, &b->said, &b->conf, true)) && end < text.n) {
        to = b->said;
        block_go(text, end, &to);
        rc = say(r, text, &to, e);
        if (rc == ERR_LIMIT) { /* too much waits: the rest is one message, which may wait longer */
            rc = 0;
            break;
        }
    }
    *ret_later = b->n > 0 || r->spoke;
    if (rc == 0 && b->n)
        block_put(text, &b->said, &all, rest);
    else if (rc == 0)
        buf_put_view(rest, text);
    return rc < 0 ? rc : buf_check(rest, e);
}

int blocks_part(struct run *r, struct view text, struct err *e)
{
    struct buf rest = BUF_INIT(32 * MIB);
    struct block_place to;
    struct blocks *b;
    bool later;
    int rc;

    blocks_begin(r); /* a new hub may hear of nothing but its end */
    if (!(b = r->blocks) || !(b->on || b->n) || may_be_silent(text))
        return 0;
    b->anyway = true;
    if ((rc = blocks_rest(r, text, &rest, &later, e)) == 0 && view_trim(buf_view(&rest)).n) {
        b->n -= b->n == BLOCKS_MAX; /* the last one's mark takes the place of the one before */
        to = b->said;
        block_go(text, text.n, &to);
        rc = say(r, text, &to, e);
    }
    if (rc == 0)
        r->spoke = r->spoke || b->n;
    buf_fini(&rest);
    return rc;
}

int blocks_over(struct run *r, struct err *e)
{
    int rc = r->blocks && r->blocks->kept ? save(r, 0, e) : 0;

    if (rc == 0)
        blocks_free(r);
    return rc;
}

void blocks_free(struct run *r)
{
    struct blocks *b = r->blocks;

    if (!b)
        return;
    loop_timer_fini(&b->idle);
    json_decref(b->options);
    mem_free(b);
    r->blocks = NULL;
}
