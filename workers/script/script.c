#include "script.h"

#include "json.h"
#include "log.h"
#include "mem.h"
#include "program.h"

#include <stdio.h>
#include <unistd.h>

struct open_ask {
    uint64_t req; /* 0: free */
    uint64_t due_ms;
};

struct scripts {
    struct loop *loop;
    struct program *node; /* NULL: there is none */
    struct open_ask ask[SCRIPTS_MAX];
    struct loop_timer time;
    struct buf answer;
    struct scripts_on on;
    void *ctx;
};

/* What node runs. Lines in: {"n", "dir", "module", "export", "each", "path", "url", "headers",
 * "payload"}; lines out: {"n", "actions"} or {"n", "error"}. A module is read again when its file
 * is another one. */
static const char driver[] =
    "'use strict';\n"
    "const fs = require('node:fs'), path = require('node:path');\n"
    "const { pathToFileURL } = require('node:url');\n"
    "const say = process.stdout.write.bind(process.stdout);\n"
    "globalThis.console = new console.Console(process.stderr, process.stderr);\n"
    "const seen = new Map();\n"
    "async function load(dir, module, name) {\n"
    "  if (typeof module !== 'string' || !module || path.isAbsolute(module) ||\n"
    "      /[\\0\\\\:]/.test(module) || module.split('/').includes('..'))\n"
    "    throw new Error('transform.module must be a relative path below hooks.transformsDir');\n"
    "  const root = fs.realpathSync(dir), file = fs.realpathSync(path.join(root, module));\n"
    "  if (!file.startsWith(root + path.sep))\n"
    "    throw new Error('transform.module leads out of hooks.transformsDir');\n"
    "  const url = pathToFileURL(file);\n"
    "  url.search = 'v=' + fs.statSync(file).mtimeMs;\n"
    "  if (seen.get(file) !== url.search) delete require.cache[file];\n"
    "  seen.set(file, url.search);\n"
    "  const all = await import(url.href), old = all.default;\n"
    "  const fn = (name ? [all[name], old?.[name]] : [old, all.transform, old?.default, "
    "old?.transform])\n"
    "    .find((f) => typeof f === 'function');\n"
    "  if (!fn)\n"
    "    throw new Error('the module has no function ' + (name || 'default or transform'));\n"
    "  return fn;\n"
    "}\n"
    "async function run(q) {\n"
    "  const fn = await load(q.dir, q.module, q.export);\n"
    "  const list = q.each ? q.payload[q.each] : null, actions = [];\n"
    "  const payloads = !q.each ? [q.payload]\n"
    "    : Array.isArray(list) ? list.slice(0, q.most).map((x) => ({ ...q.payload, [q.each]: [x] "
    "})) : [];\n"
    "  for (const payload of payloads) {\n"
    "    const url = new URL(q.url, 'http://localhost');\n"
    "    const got = await fn({ payload, headers: q.headers, url, path: q.path });\n"
    "    if (got !== null && got !== undefined && (typeof got !== 'object' || "
    "Array.isArray(got)))\n"
    "      throw new Error('a transform returns an object, or null');\n"
    "    actions.push(got === null ? null : got ?? {});\n"
    "  }\n"
    "  return actions;\n"
    "}\n"
    "const answer = (doc) => say(JSON.stringify(doc) + '\\n');\n"
    "let rest = '';\n"
    "process.stdin.setEncoding('utf8');\n"
    "process.stdin.on('end', () => process.exit(0));\n"
    "process.stdin.on('data', (text) => {\n"
    "  const lines = (rest + text).split('\\n');\n"
    "  rest = lines.pop();\n"
    "  for (const line of lines) {\n"
    "    const q = JSON.parse(line);\n"
    "    run(q).then((actions) => answer({ n: q.n, actions }),\n"
    "      (e) => answer({ n: q.n, error: String(e?.message ?? e).slice(0, 500) }));\n"
    "  }\n"
    "});\n"
    "process.on('uncaughtException', (e) => { console.error(e); process.exit(1); });\n"
    "process.on('unhandledRejection', (e) => console.error(e));\n";

bool script_read(struct view line, uint64_t *req, unsigned *result, struct buf *out)
{
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    const json_t *actions, *error, *n;
    bool good = false;

    if (json_parse(line, &doc, &e) < 0)
        return false;
    n = json_object_get(doc, "n");
    actions = json_object_get(doc, "actions");
    error = json_object_get(doc, "error");
    if (json_is_integer(n) && json_integer_value(n) > 0) {
        *req = (uint64_t)json_integer_value(n);
        if (json_is_array(actions) && !error) {
            *result = SCRIPT_OK;
            good = json_dump(actions, out, &e) == 0;
        } else if (json_is_string(error) && !actions) {
            *result = SCRIPT_FAILED;
            buf_put_view(out, json_view_of(error));
            good = !out->failed;
        }
    }
    json_decref(doc);
    return good;
}

static struct open_ask *slot(struct scripts *s, uint64_t req)
{
    for (unsigned i = 0; i < SCRIPTS_MAX; i++)
        if (s->ask[i].req == req)
            return &s->ask[i];
    return NULL;
}

/* The next one that is due. */
static void set_time(struct scripts *s)
{
    uint64_t now = loop_now_ms(s->loop), first = UINT64_MAX;

    for (unsigned i = 0; i < SCRIPTS_MAX; i++)
        if (s->ask[i].req && s->ask[i].due_ms < first)
            first = s->ask[i].due_ms;
    if (first == UINT64_MAX)
        loop_timer_clear(&s->time);
    else
        loop_timer_set(&s->time, first > now ? first - now : 1);
}

static void on_time(void *ctx)
{
    struct scripts *s = ctx;
    uint64_t now = loop_now_ms(s->loop);
    bool any = false;

    for (unsigned i = 0; i < SCRIPTS_MAX; i++)
        if (s->ask[i].req && s->ask[i].due_ms <= now) {
            s->on.answer(s->ctx, s->ask[i].req, SCRIPT_FAILED,
                         V("the transform takes too long: it has 10 s"));
            any = true;
        }
    if (!any) { /* a timer may be a millisecond early */
        set_time(s);
        return;
    }
    s->on.broken(s->ctx, "a transform takes too long");
}

static void on_line(void *ctx, struct view line)
{
    struct scripts *s = ctx;
    struct open_ask *a = NULL;
    unsigned result;
    uint64_t req;

    buf_reset(&s->answer, PROGRAM_LINE_MAX);
    if (script_read(line, &req, &result, &s->answer))
        a = slot(s, req);
    if (!a) {
        log_warn("script.no_answer", KV("bytes", line.n));
        return; /* its time ends it */
    }
    a->req = 0;
    set_time(s);
    s->on.answer(s->ctx, req, result, buf_view(&s->answer));
}

static void on_error(void *ctx, struct view line)
{
    (void)ctx;
    log_info("script.says", KV("text", line));
}

static void on_end(void *ctx, const char *why)
{
    struct scripts *s = ctx;

    s->on.broken(s->ctx, why);
}

static const char *find_node(const char *asked)
{
    static const char *const places[] = {"/usr/local/bin/node", "/usr/bin/node", "/bin/node"};

    if (asked && *asked)
        return access(asked, X_OK) == 0 ? asked : NULL;
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

int scripts_new(struct scripts **out, struct loop *l, const char *node, const struct scripts_on *on,
                void *ctx, struct err *e)
{
    static const struct program_on ours = {
        .on_line = on_line, .on_error = on_error, .on_end = on_end};
    static const struct program_conf conf = {.no_network = true};
    const char *path = find_node(node);
    char heap[] = "--max-old-space-size=256", quiet[] = "--no-warnings", run[] = "-e";
    char *argv[] = {NULL, heap, quiet, run, NULL, NULL};
    struct scripts *s = NULL;
    int r;

    if ((r = mem_new(&s, sizeof(*s), e)) < 0)
        return r;
    *s = (struct scripts){.loop = l, .on = *on, .ctx = ctx};
    loop_timer_init(&s->time, l, on_time, s);
    buf_init(&s->answer, PROGRAM_LINE_MAX);
    if (path) {
        argv[0] = mem_dup(path, strlen(path));
        argv[4] = mem_dup(driver, sizeof(driver) - 1);
        r = argv[0] && argv[4] ? program_start(l, argv, &conf, &ours, s, &s->node, e)
                               : err_set(e, ERR_NOMEM, "out of memory");
        mem_free(argv[0]);
        mem_free(argv[4]);
    }
    if (r < 0)
        scripts_free(&s);
    *out = s;
    return r;
}

void scripts_listen(struct scripts *s)
{
    if (s->node)
        program_listen(s->node);
}

void scripts_free(struct scripts **sp)
{
    struct scripts *s = TAKE(*sp);

    if (!s)
        return;
    program_stop(&s->node);
    loop_timer_fini(&s->time);
    buf_fini(&s->answer);
    mem_free(s);
}

int scripts_ask(struct scripts *s, uint64_t req, struct view ask, struct err *e)
{
    struct open_ask *a;
    struct buf line = BUF_INIT(PROGRAM_QUEUE_MAX);
    int r;

    if (!s->node) {
        s->on.answer(s->ctx, req, SCRIPT_NONE, VIEW_EMPTY);
        return 0;
    }
    if (!(a = slot(s, 0)))
        return err_set(e, ERR_LIMIT, "%d questions", SCRIPTS_MAX);
    if (ask.n < 2 || ask.p[0] != '{' || memchr(ask.p, '\n', ask.n))
        return err_set(e, ERR_INVALID, "script: no line of JSON");
    buf_printf(&line, "{\"n\":%llu,", (unsigned long long)req);
    buf_put_view(&line, view_from(ask, 1));
    if ((r = buf_check(&line, e)) == 0 && (r = program_write(s->node, buf_view(&line), e)) == 0) {
        *a = (struct open_ask){.req = req, .due_ms = loop_now_ms(s->loop) + SCRIPT_TIME_MS};
        set_time(s);
    }
    buf_fini(&line);
    return r;
}
