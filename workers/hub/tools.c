#include "tools.h"

#include "json.h"
#include "log.h"
#include "metrics.h"
#include "params.h"

#include <stdarg.h>
#include <stdio.h>

struct tools {
    struct params *params[TOOLS_SERVED];
    struct buf offers; /* one after the other */
    size_t from[TOOLS_SERVED + 1];
    unsigned under_way;
};

static tool_fn *const hub_tools[TOOLS_SERVED] = {
#define TOOL(name, section, profiles, flags, owner, params, help) [TOOL_##name] = tool_##name,
#define KNOWN(name, section, profiles, flags)
#include "tools.def"
#undef TOOL
#undef KNOWN
};

static void write_offer(struct tools *t, enum tool_index i)
{
    struct buf schema = BUF_INIT(64 * KIB);
    struct jw w = JW_INIT(&t->offers), sw = JW_INIT(&schema);

    t->from[i] = t->offers.n;
    jw_obj(&w);
    jw_kstr(&w, "name", tool_row(i)->name);
    jw_kcstr(&w, "description", tool_row(i)->help);
    params_schema(t->params[i], &sw); /* as a text: it is passed on as it is, never read again */
    jw_kstr(&w, "parameters", buf_view(&schema));
    jw_obj_end(&w);
    buf_fini(&schema);
    t->from[i + 1] = t->offers.n;
}

int tools_open(struct hub *h, struct err *e)
{
    struct tools *t;
    int r;

    if ((r = mem_new(&t, sizeof(*t), e)) < 0)
        return r;
    h->tools = t;
    buf_init(&t->offers, 256 * KIB);
    for (unsigned i = 0; i < TOOLS_SERVED; i++) {
        const struct tool_row *row = tool_row((enum tool_index)i);

        if ((r = params_compile(&t->params[i], row->params, e)) < 0)
            return err_wrap(e, "parameters of %.*s", VIEW_FMT(row->name));
        write_offer(t, (enum tool_index)i);
    }
    return buf_check(&t->offers, e);
}

void tools_close(struct hub *h)
{
    struct tools *t = TAKE(h->tools);

    if (!t)
        return;
    for (unsigned i = 0; i < TOOLS_SERVED; i++)
        params_free(&t->params[i]);
    buf_fini(&t->offers);
    mem_free(t);
}

struct view tools_offer(const struct hub *h, enum tool_index i)
{
    const struct tools *t = h->tools;

    return view_of(buf_view(&t->offers).p + t->from[i], t->from[i + 1] - t->from[i]);
}

/* ---- calls ---- */

void tool_start(struct tool_call *c)
{
    struct tools *t = c->hub->tools;
    enum tool_index i = tool_find(c->row->name);
    struct buf why = BUF_INIT(PARAMS_TEXT_MAX);

    t->under_way++;
    if (c->row->owner != TOOL_OF_HUB)
        tool_endf(c, TOOL_FAILED, "nobody serves this tool");
    else if (t->under_way > TOOL_CALLS_MAX)
        tool_endf(c, TOOL_FAILED, "%d calls of tools are under way; try again later",
                  (int)TOOL_CALLS_MAX);
    else if (!params_check(t->params[i], c->args, &why))
        tool_endf(c, TOOL_BAD_INPUT, "invalid arguments: %.*s", VIEW_FMT(buf_view(&why)));
    else
        hub_tools[i](c);
    buf_fini(&why);
}

/* What it holds is given back; it may be freed. */
static void over(struct tool_call *c)
{
    c->hub->tools->under_way--;
    c->stop = NULL;
    json_decref(TAKE(c->args));
}

void tool_end(struct tool_call *c, enum tool_end end, struct view text)
{
    static const char *const names[] = {"ok", "bad input", "forbidden", "failed"};

    log_debug("tool.end", KV("tool", c->row->name), KV("call", c->id), KV("end", names[end]),
              KV("bytes", text.n));
    metrics_tool(c->hub, (unsigned)tool_find(c->row->name), end == TOOL_DONE);
    over(c);
    c->on_end(c, end, text);
}

void tool_endf(struct tool_call *c, enum tool_end end, const char *fmt, ...)
{
    char text[PARAMS_TEXT_MAX + 256];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    tool_end(c, end,
             view_of(text, n < 0                      ? 0
                           : (size_t)n < sizeof(text) ? (size_t)n
                                                      : sizeof(text) - 1));
}

void tool_drop(struct tool_call *c)
{
    if (c->stop)
        c->stop(c);
    over(c);
}
