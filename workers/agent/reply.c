#include "reply.h"

#include "jw.h"
#include "mem.h"

void reply_init(struct reply *r)
{
    *r = (struct reply){0};
    buf_init(&r->text, REPLY_TEXT_MAX);
}

static void tools_fini(struct reply *r)
{
    for (unsigned i = 0; i < r->tools; i++) {
        buf_fini(&r->tool[i].id);
        buf_fini(&r->tool[i].name);
        buf_fini(&r->tool[i].args);
    }
    mem_free(r->tool);
}

void reply_fini(struct reply *r)
{
    tools_fini(r);
    buf_fini(&r->text);
    reply_init(r);
}

void reply_reset(struct reply *r)
{
    struct buf text = r->text;

    tools_fini(r);
    buf_reset(&text, 4 * KIB);
    *r = (struct reply){.text = text};
}

static void added(struct reply *r, const struct buf *b, const char *what)
{
    if (b->failed && r->fail.reason == FAIL_NONE)
        fail_set(&r->fail, FAIL_TOO_LARGE, "%s is over %zu bytes", what, b->max);
}

void reply_text(struct reply *r, struct view text)
{
    buf_put_view(&r->text, text);
    added(r, &r->text, "the model's answer");
}

struct reply_tool *reply_tool_at(struct reply *r, uint32_t index)
{
    struct reply_tool *t;

    for (unsigned i = r->tools; i > 0; i--) /* the last one with that number: pieces follow it */
        if (r->tool[i - 1].index == index)
            return &r->tool[i - 1];
    t = reply_tool_new(r);
    if (t)
        t->index = index;
    return t;
}

struct reply_tool *reply_tool_new(struct reply *r)
{
    struct reply_tool *t;

    if (!r->tool)
        r->tool = mem_calloc(REPLY_TOOLS_MAX, sizeof(*r->tool));
    if (!r->tool || r->tools == REPLY_TOOLS_MAX) {
        fail_set(&r->fail, FAIL_TOO_LARGE, "the model made over %d tool calls in one answer",
                 REPLY_TOOLS_MAX);
        return NULL;
    }
    t = &r->tool[r->tools];
    t->index = r->tools++;
    buf_init(&t->id, REPLY_ID_MAX);
    buf_init(&t->name, REPLY_ID_MAX);
    buf_init(&t->args, REPLY_ARGS_MAX);
    return t;
}

void reply_tool_args(struct reply *r, struct reply_tool *t, struct view piece)
{
    buf_put_view(&t->args, piece);
    added(r, &t->args, "a tool call");
}

bool reply_complete(struct reply *r)
{
    if (r->fail.reason != FAIL_NONE)
        return false;
    if (!r->done) {
        fail_set(&r->fail, FAIL_INTERRUPTED, "the model's answer was interrupted after %zu bytes",
                 r->text.n);
        return false;
    }
    if (r->text.n == 0 && r->tools == 0 && r->stop != STOP_LENGTH) {
        fail_set(&r->fail, FAIL_EMPTY, "the model gave an empty answer");
        return false;
    }
    return true;
}

const char *reply_stop_name(enum reply_stop stop)
{
    static const char *const names[] = {
        [STOP_NONE] = "stop",
        [STOP_END] = "stop",
        [STOP_LENGTH] = "length",
        [STOP_TOOLS] = "toolUse",
    };

    return names[stop];
}

void reply_usage_json(const struct reply *r, const struct reply_cost *cost, struct buf *out)
{
    const struct reply_usage *u = &r->usage;
    double in = cost->input * (double)u->input / 1e6, o = cost->output * (double)u->output / 1e6;
    double cr = cost->cache_read * (double)u->cache_read / 1e6;
    double cw = cost->cache_write * (double)u->cache_write / 1e6;
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_ku64(&w, "input", u->input);
    jw_ku64(&w, "output", u->output);
    jw_ku64(&w, "cacheRead", u->cache_read);
    jw_ku64(&w, "cacheWrite", u->cache_write);
    jw_ku64(&w, "totalTokens", u->input + u->output + u->cache_read + u->cache_write);
    jw_key(&w, "cost");
    jw_obj(&w);
    jw_key(&w, "input");
    jw_dbl(&w, in);
    jw_key(&w, "output");
    jw_dbl(&w, o);
    jw_key(&w, "cacheRead");
    jw_dbl(&w, cr);
    jw_key(&w, "cacheWrite");
    jw_dbl(&w, cw);
    jw_key(&w, "total");
    jw_dbl(&w, in + o + cr + cw);
    jw_obj_end(&w);
    jw_obj_end(&w);
}
