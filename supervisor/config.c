#include "config.h"

#include "channel_keys.h"
#include "config_default.h"
#include "config_int.h"
#include "fd.h"
#include "json.h"
#include "json5.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PATH_BYTES_MAX = 3072 }; /* leaves room below PATH_MAX for the files in it */

static const char *env_of(const struct config_source *src, const char *name)
{
    const char *v = src->env ? src->env(src->env_ctx, name) : getenv(name);

    return v && *v ? v : NULL;
}

static int join(const char *dir, const char *name, char **out, struct err *e)
{
    char path[PATH_BYTES_MAX + 64];
    int n = snprintf(path, sizeof(path), "%s%s", dir, name);

    if (n < 0 || (size_t)n > PATH_BYTES_MAX)
        return err_set(e, ERR_INVALID, "the path %.40s... is too long", dir);
    *out = mem_dup(path, (size_t)n);
    return *out ? 0 : err_set(e, ERR_NOMEM, "out of memory for a path");
}

/* ~/x in the home folder; the rest as it is. */
static int home_path(const struct config_source *src, const char *path, char **out, struct err *e)
{
    const char *home = env_of(src, "HOME");

    if (path[0] != '~' || path[1] != '/')
        return join(path, "", out, e);
    if (!home)
        return err_set(e, ERR_INVALID, "%.64s: HOME is not set", path);
    return join(home, path + 1, out, e);
}

int config_state_dir(const struct config_source *src, char **out, struct err *e)
{
    const char *dir = src->state_dir ? src->state_dir : env_of(src, "OPENCLAW_STATE_DIR");
    const char *home = env_of(src, "HOME");

    if (dir && *dir)
        return home_path(src, dir, out, e);
    if (!home || home[0] != '/')
        return err_set(e, ERR_INVALID,
                       "no state directory: set --state-dir, OPENCLAW_STATE_DIR or HOME");
    return join(home, "/.openclaw", out, e);
}

int config_file_path(const struct config_source *src, char **out, struct err *e)
{
    const char *path = src->path ? src->path : env_of(src, "OPENCLAW_CONFIG_PATH");
    char *dir = NULL;
    int r;

    if (path && *path)
        return home_path(src, path, out, e);
    if ((r = config_state_dir(src, &dir, e)) < 0)
        return r;
    r = join(dir, "/openclaw.json", out, e);
    mem_free(dir);
    return r;
}

/* The file's text, the caller's text, or the embedded one. */
static int read_text(struct config *c, const struct config_source *src, struct err *e)
{
    int r;

    buf_init(&c->raw, JSON5_TEXT_MAX);
    c->raw.secret = true;
    if (!src->text.p) {
        r = fd_read_file(c->path, JSON5_TEXT_MAX, &c->raw, e);
        if (r != ERR_NOT_FOUND || src->must_exist || src->path) {
            c->exists = r == 0;
            return r;
        }
        e->code = 0;
    }
    buf_put_view(&c->raw, src->text.p ? src->text : view_str(CONFIG_DEFAULT_TEXT));
    return buf_check(&c->raw, e);
}

/* A mistake that leaves nothing to check. The place is in the sentence already. */
static int fatal(struct config_report *report, struct err *e)
{
    if (e->code != ERR_NOMEM)
        config_report_add(report, &(struct config_issue){.error = true}, "%s", e->text);
    return e->code;
}

/* "line 3, column 7: text", as json5_parse says it, to a place. */
static int bad_syntax(struct config_report *report, struct err *e)
{
    struct config_issue where = {.error = true};
    int used = 0;

    /* NOLINTNEXTLINE(cert-err34-c): our own sentence, nine digits at most */
    if (sscanf(e->text, "line %9u, column %9u: %n", &where.line, &where.column, &used) == 2 && used)
        config_report_add(report, &where, "%s", e->text + used);
    else
        return fatal(report, e);
    return err_wrap(e, "%s", report->file);
}

struct override {
    const char *path, *origin;
    const char *text;
};

static int override(struct config_walk *w, struct config *c, const struct override *o)
{
    json_t *v = NULL;
    struct err e = ERR_INIT;
    int r;

    if (!o->text)
        return 0;
    w->origin = o->origin;
    r = config_override(w, o->path, view_str(o->text), &v);
    w->origin = NULL;
    if (r == 0)
        r = json_set_at(c->shown, o->path, json_incref(v), &e);
    json_decref(v);
    return r == ERR_INVALID ? 0 : r; /* reported */
}

/* --bind takes the names of gateway.bind or an address. */
static int override_bind(struct config_walk *w, struct config *c, const char *text)
{
    struct override mode = {"gateway.bind", "--bind", text};
    struct override host = {"gateway.customBindHost", "--bind", text};
    int r;

    if (!text || config_text_fault("ip", view_str(text)))
        return override(w, c, &mode);
    mode.text = "custom";
    r = override(w, c, &mode);
    return r < 0 ? r : override(w, c, &host);
}

static int overrides(struct config_walk *w, struct config *c)
{
    const struct config_source *s = w->src;
    const struct override rows[] = {
        /* a later row goes before an earlier one */
        {"gateway.port", "OPENCLAW_GATEWAY_PORT", env_of(s, "OPENCLAW_GATEWAY_PORT")},
        {"gateway.auth.token", "OPENCLAW_GATEWAY_TOKEN", env_of(s, "OPENCLAW_GATEWAY_TOKEN")},
        {"gateway.auth.password", "OPENCLAW_GATEWAY_PASSWORD",
         env_of(s, "OPENCLAW_GATEWAY_PASSWORD")},
        {"gateway.handshakeTimeoutMs", "OPENCLAW_HANDSHAKE_TIMEOUT_MS",
         env_of(s, "OPENCLAW_HANDSHAKE_TIMEOUT_MS")},
        {"gateway.limits.preauthPerAddress", "OPENCLAW_MAX_PREAUTH_CONNECTIONS_PER_IP",
         env_of(s, "OPENCLAW_MAX_PREAUTH_CONNECTIONS_PER_IP")},
        {"logging.level", "OPENCLAW_LOG_LEVEL", env_of(s, "OPENCLAW_LOG_LEVEL")},
        {"agents.defaults.workspace", "OPENCLAW_WORKSPACE_DIR", /* the file goes before it */
         json_at(w->doc, "agents.defaults.workspace") ? NULL : env_of(s, "OPENCLAW_WORKSPACE_DIR")},
        {"gateway.port", "--port", s->port},
        {"gateway.auth.token", "--token", s->token},
    };
    int r = 0;

    for (size_t i = 0; i < COUNT_OF(rows) && r == 0; i++)
        r = override(w, c, &rows[i]);
    return r < 0 ? r : override_bind(w, c, s->bind);
}

/* From the parsed text to everything that is served. */
static int build(struct config *c, struct config_walk *w, struct err *e)
{
    int r;

    c->doc = json_deep_copy(c->source);
    c->shown = json_deep_copy(c->source);
    if (!c->doc || !c->shown)
        return err_set(e, ERR_NOMEM, "out of memory for the configuration");
    w->doc = c->doc;
    if (config_walk_doc(w) < 0)
        return err_set(e, ERR_NOMEM, "out of memory for the configuration");
    if (overrides(w, c) < 0)
        return err_set(e, ERR_NOMEM, "out of memory for the configuration");
    if (w->report->errors) /* shapes are not what the steps below take for granted */
        return 0;
    if ((r = config_normalize(c->doc, e)) < 0 || (r = config_normalize(c->shown, e)) < 0 ||
        (r = config_defaults(c->doc, e)) < 0 || (r = config_defaults(c->shown, e)) < 0)
        return r;
    channel_keys_check(w);
    config_channels(w);
    config_rules(w);
    return config_conf_fill(&c->conf, c->doc, e);
}

static bool literal(const json_t *v)
{
    struct view text = json_view_of(v);

    return text.n && !memmem(text.p, text.n, "${", 2);
}

/* Whether the file holds a secret itself, instead of where to find it. */
static bool holds_secret(const json_t *doc)
{
    const char *name;
    json_t *p;
    bool found = literal(json_at(doc, "gateway.auth.token")) ||
                 literal(json_at(doc, "gateway.auth.password"));

    json_object_foreach(json_at(doc, "models.providers"), name, p)
    {
        found |= literal(json_object_get(p, "apiKey"));
    }
    return found;
}

/* What the file is, apart from what is in it. */
static void check_file(struct config_walk *w, const struct config *c)
{
    const char *named = env_of(w->src, "OPENCLAW_CONFIG_PATH");
    struct stat st;

    w->path.n = 0;
    if (!c->exists && !w->src->text.p && named) {
        w->origin = "OPENCLAW_CONFIG_PATH";
        config_warn(w, "%.200s: no such file; the defaults hold", c->path);
        w->origin = NULL;
    }
    if (!c->exists || stat(c->path, &st) < 0)
        return;
    if (st.st_mode & S_IWOTH)
        config_warn(w, "everybody on this machine can change this file; chmod 600 it");
    else if (st.st_mode & S_IROTH && holds_secret(c->source))
        config_warn(w,
                    "everybody on this machine can read this file and its secrets; chmod 600 it");
}

static int first_error(const struct config_report *report, struct err *e)
{
    struct buf b = BUF_INIT(4096);
    int r;

    for (unsigned i = 0; i < report->count; i++)
        if (report->issue[i].error) {
            struct config_report one = *report;

            one.issue[0] = report->issue[i];
            one.count = one.errors = 1;
            one.warnings = 0;
            config_report_print(&one, &b);
            break;
        }
    r = err_set(e, ERR_INVALID, "%.*s", VIEW_FMT(view_trim(buf_view(&b))));
    if (report->errors > 1)
        (void)snprintf(e->text + strlen(e->text), sizeof(e->text) - strlen(e->text),
                       " (and %u more)", report->errors - 1);
    buf_fini(&b);
    return r;
}

int config_load(struct config **out, const struct config_source *src, struct config_report *report,
                struct err *e)
{
    struct config_walk w = {.src = src, .report = report};
    struct config *c = NULL;
    int r;

    if ((r = mem_new(&c, sizeof(*c), e)) < 0)
        goto out;
    if ((r = config_file_path(src, &c->path, e)) < 0 || (r = read_text(c, src, e)) < 0) {
        (void)fatal(report, e);
        goto out;
    }
    mem_free(report->file);
    report->file = c->exists || src->text.p ? mem_dup(c->path, strlen(c->path))
                                            : mem_dup("embedded defaults", 17);
    if (!report->file) {
        r = err_set(e, ERR_NOMEM, "out of memory for a report");
        goto out;
    }
    w.text = buf_view(&c->raw);
    if ((r = json5_parse(w.text, &c->source, e)) < 0) {
        (void)bad_syntax(report, e);
        goto out;
    }
    if (!json_is_object(c->source)) {
        r = err_set(e, ERR_INVALID, "%s: must be a map {...}", c->path);
        (void)fatal(report, e);
        goto out;
    }
    check_file(&w, c);
    if ((r = build(c, &w, e)) < 0)
        goto out;
    if (report->failed)
        r = err_set(e, ERR_NOMEM, "out of memory for a report");
    else if (report->errors)
        r = first_error(report, e);
    else
        *out = TAKE(c);
out:
    config_free(&c);
    return r;
}

void config_free(struct config **cp)
{
    struct config *c = TAKE(*cp);

    if (!c)
        return;
    config_conf_fini(&c->conf);
    json_decref(c->source);
    json_decref(c->shown);
    json_decref(c->doc);
    buf_fini(&c->raw);
    mem_free(c->path);
    mem_free(c);
}

int config_check(const struct config_source *src, struct buf *out, struct err *e)
{
    struct config_report report;
    struct config *c = NULL;
    int r;

    config_report_init(&report);
    r = config_load(&c, src, &report, e);
    config_report_print(&report, out);
    if (r == 0)
        buf_printf(out, "%s: good%s\n", report.file ? report.file : "configuration",
                   report.warnings ? ", with warnings" : "");
    else if (report.errors == 0)
        buf_printf(out, "%s\n", e->text);
    config_free(&c);
    config_report_fini(&report);
    return r;
}

const struct conf *config_conf(const struct config *c)
{
    return &c->conf;
}

const json_t *config_doc(const struct config *c)
{
    return c->doc;
}

const char *config_path_of(const struct config *c)
{
    return c->path;
}

bool config_same_text(const struct config *a, const struct config *b)
{
    return a->exists == b->exists && view_eq(buf_view(&a->raw), buf_view(&b->raw));
}

bool config_exists(const struct config *c)
{
    return c->exists;
}

int config_set_token(struct config *c, struct view token, struct err *e)
{
    struct secret s = {.p = NULL};
    int r;

    if (c->conf.gateway_auth_token.n)
        return err_set(e, ERR_CONFLICT, "gateway.auth.token is configured");
    if (!token.n || token.n > 4096)
        return err_set(e, ERR_INVALID, "a token is 1 to 4096 bytes");
    if ((r = secret_set(&s, token, e)) < 0)
        return r;
    if ((r = json_set_at(c->doc, "gateway.auth.token", json_stringn(token.p, token.n), e)) < 0) {
        secret_fini(&s);
        return r;
    }
    c->conf.gateway_auth_token = s;
    return 0;
}
