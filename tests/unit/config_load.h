/* tests/unit/config_load.h - loads a configuration text with an environment of its own, for the
 * suites about it. */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "ck.h"
#include "config.h"
#include "json.h"
#include "mem.h"

#include <stdio.h>

/* An environment of our own: "NAME=value" rows. */
struct vars {
    const char *const *row;
};

static const char *env_in(void *ctx, const char *name)
{
    const struct vars *v = ctx;
    size_t n = strlen(name);

    for (const char *const *r = v->row; r && *r; r++)
        if (strncmp(*r, name, n) == 0 && (*r)[n] == '=')
            return *r + n + 1;
    return NULL;
}

static const char *const usual[] = {"HOME=/home/someone", "MOCK_KEY=sk-mock-canary", "SPACE=a b",
                                    "EMPTY=", NULL};

struct loaded {
    struct config *c;
    struct config_report report;
    struct err e;
    int r;
};

__attribute__((unused)) static void load_with(struct loaded *l, struct config_source *src,
                                              const char *text, const char *const *env)
{
    struct vars v = {env};

    memset(l, 0, sizeof(*l));
    config_report_init(&l->report);
    if (text)
        src->text = view_str(text);
    src->env = env_in;
    src->env_ctx = &v;
    l->r = config_load(&l->c, src, &l->report, &l->e);
}

__attribute__((unused)) static void load(struct loaded *l, const char *text)
{
    load_with(l, &(struct config_source){.port = NULL}, text, usual);
}

__attribute__((unused)) static void unload(struct loaded *l)
{
    config_free(&l->c);
    config_report_fini(&l->report);
}

/* The report's text, for messages and searches. */
__attribute__((unused)) static const char *words(struct loaded *l)
{
    static char text[65536];
    struct buf b = BUF_INIT(sizeof(text) - 1);

    config_report_print(&l->report, &b);
    (void)snprintf(text, sizeof(text), "%.*s", VIEW_FMT(buf_view(&b)));
    buf_fini(&b);
    return text;
}

/* Word for word what the documentation shows and what the first users have. */
static const char real_input[] =
    "{ gateway: { mode: \"local\", port: 18789, bind: \"loopback\",\n"
    "             auth: { mode: \"token\", token: \"\xe2\x80\xa6\" },\n"
    "             http: { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: "
    "true } } } },\n"
    "  agents: { defaults: { model: { primary: \"mock/mock-1\", fallbacks: [] }, maxConcurrent: 4, "
    "timeoutSeconds: 600 } },\n"
    "  models: { providers: { mock: { baseUrl: \"http://127.0.0.1:9999/v1\", apiKey: "
    "\"${MOCK_KEY}\", api: \"openai-completions\",\n"
    "                                 models: [{ id: \"mock-1\", name: \"Mock\" }] } } } }\n";

#endif
