#include "channel_keys.h"
#include "config_int.h"

#include "jw.h"
#include "mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *type_text(const struct config_key *k)
{
    static const char *const names[] = {
        [CT_BOOL] = "true or false",
        [CT_U16] = "number",
        [CT_U32] = "number",
        [CT_U64] = "number",
        [CT_MS] = "milliseconds",
        [CT_NUM] = "number",
        [CT_STR] = "text",
        [CT_ENUM] = "choice",
        [CT_URL] = "address",
        [CT_SECRET] = "secret",
        [CT_STRLIST] = "texts",
        [CT_MODELREF] = "provider/model",
        [CT_MAP] = "map",
        [CT_LIST] = "list",
        [CT_ANY] = "any",
    };

    return names[k->type];
}

static bool is_number(const struct config_key *k)
{
    return k->type == CT_U16 || k->type == CT_U32 || k->type == CT_U64 || k->type == CT_MS ||
           k->type == CT_NUM;
}

/* ---- JSON Schema ---- */

static void put_choices(struct jw *w, const char *list)
{
    struct view choice;

    jw_key(w, "enum");
    jw_arr(w);
    while (config_choice(&list, &choice))
        jw_str(w, choice);
    jw_arr_end(w);
}

/* The members that describe a value of this row; the object is open. */
static void put_type(struct jw *w, const struct config_key *k)
{
    if (is_number(k)) {
        jw_kcstr(w, "type", k->type == CT_NUM ? "number" : "integer");
        jw_ku64(w, "minimum", k->min);
        jw_ku64(w, "maximum", k->max);
    } else if (k->type == CT_BOOL) {
        jw_kcstr(w, "type", "boolean");
    } else if (k->type == CT_ENUM) {
        jw_kcstr(w, "type", "string");
        put_choices(w, k->of);
    } else if (k->type == CT_STRLIST) {
        jw_kcstr(w, "type", "array");
        jw_kraw(w, "items", V("{\"type\":\"string\"}"));
        jw_ku64(w, "maxItems", k->max);
    } else if (k->type == CT_SECRET) {
        jw_kraw(
            w, "anyOf",
            V("[{\"type\":\"string\"},{\"type\":\"object\",\"properties\":{\"source\":{\"enum\":["
              "\"env\",\"file\"]},\"provider\":{\"type\":\"string\"},\"id\":{\"type\":\"string\"}},"
              "\"required\":[\"source\",\"id\"]}]"));
    } else if (k->type == CT_STR || k->type == CT_URL || k->type == CT_MODELREF) {
        jw_kcstr(w, "type", "string");
        if (k->max)
            jw_ku64(w, "maxLength", k->max);
    }
    if (k->def)
        jw_kraw(w, "default", view_str(k->def));
}

/* What follows a prefix in the rows: sorted, so that each name comes once. */
struct tree {
    const struct config_key **row;
    size_t n;
};

/* The end goes before a separator, that before every letter: a subtree stays together. */
static int rank(char c)
{
    return c == '.' || c == '[' ? 1 : (unsigned char)c;
}

static int by_path(const void *a, const void *b)
{
    const struct config_key *const *x = a, *const *y = b;
    const char *p = (*x)->path, *q = (*y)->path;

    while (*p && *p == *q) {
        p++;
        q++;
    }
    return rank(*p) - rank(*q);
}

static size_t step_length(const char *p)
{
    return p[0] == '[' ? 2 : strcspn(p, ".[");
}

static void put_node(struct jw *w, const struct tree *t, size_t from, size_t to, size_t at);

/* The end of the rows from j on that go through the same name at this place. */
static size_t same_name(const struct tree *t, size_t j, size_t to, size_t at)
{
    const char *name = t->row[j]->path + at;
    size_t n = step_length(name);

    do
        j++;
    while (j < to && strncmp(t->row[j]->path + at, name, n) == 0 &&
           rank(t->row[j]->path[at + n]) <= 1);
    return j;
}

/* What lies below a map: either its wildcard or its names. */
static void put_names(struct jw *w, const struct tree *t, size_t from, size_t to, size_t at,
                      bool star)
{
    for (size_t j = from, end; j < to; j = end) {
        struct view name = view_of(t->row[j]->path + at, step_length(t->row[j]->path + at));

        end = same_name(t, j, to, at);
        if (view_eq(name, V("*")) != star)
            continue;
        if (star)
            jw_key(w, "additionalProperties");
        else
            jw_key_view(w, name);
        put_node(w, t, j, end, at + name.n);
    }
}

/* rows[from, to) share the first `at` bytes; writes the schema for that place. */
static void put_node(struct jw *w, const struct tree *t, size_t from, size_t to, size_t at)
{
    const struct config_key *self = at && t->row[from]->path[at] == 0 ? t->row[from++] : NULL;

    jw_obj(w);
    if (from == to) {
        assert(self); /* a place without anything below it is a row */
        put_type(w, self);
    } else if (t->row[from]->path[at] == '[') {
        jw_kcstr(w, "type", "array");
        jw_key(w, "items");
        put_node(w, t, from, to, at + 2);
    } else {
        at += t->row[from]->path[at] == '.';
        if (self && self->type == CT_MODELREF) /* "a/b" or {primary, fallbacks} */
            jw_kraw(w, "type", V("[\"string\",\"object\"]"));
        else if (self && (self->type == CT_ENUM || self->type == CT_STRLIST)) /* an older form */
            jw_kraw(w, "type", V("[\"string\",\"boolean\",\"array\",\"object\"]"));
        else
            jw_kcstr(w, "type", "object");
        put_names(w, t, from, to, at, true);
        jw_key(w, "properties");
        jw_obj(w);
        put_names(w, t, from, to, at, false);
        jw_obj_end(w);
    }
    jw_obj_end(w);
}

/* In the reference's words: what is taken without effect changes nothing, whatever its row says. */
static const char *reload_kind(const struct config_key *k)
{
    if (k->flags & (K_LATER | K_QUIET | K_GONE))
        return "none";
    return k->reload == CONFIG_HOT ? "hot" : "restart";
}

static void put_hints(struct jw *w, const struct tree *t)
{
    jw_obj(w);
    for (size_t i = 0; i < t->n; i++) {
        const struct config_key *k = t->row[i];

        jw_key_view(w, view_str(k->path));
        jw_obj(w);
        jw_kcstr(w, "help", k->help);
        if (k->flags & K_SECRET)
            jw_kbool(w, "sensitive", true);
        if (k->flags & (K_LATER | K_QUIET | K_GONE))
            jw_kbool(w, "advanced", true);
        if (k->flags & K_NO_RPC)
            jw_kbool(w, "readOnly", true);
        jw_kcstr(w, "reloadKind", reload_kind(k));
        jw_obj_end(w);
    }
    jw_obj_end(w);
}

int config_schema(struct buf *out, struct err *e)
{
    size_t of_channels;
    const struct config_key *more = channel_keys(&of_channels);
    struct tree t = {.n = config_key_count() + of_channels};
    struct jw w = JW_INIT(out);

    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers */
    if (!(t.row = mem_calloc(t.n, sizeof(*t.row))))
        return err_set(e, ERR_NOMEM, "out of memory for the schema");
    for (size_t i = 0; i < t.n; i++)
        t.row[i] = i < config_key_count() ? &config_keys[i] : &more[i - config_key_count()];
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the same */
    qsort(t.row, t.n, sizeof(*t.row), by_path);
    jw_obj(&w);
    jw_key(&w, "schema");
    put_node(&w, &t, 0, t.n, 0);
    jw_key(&w, "uiHints");
    put_hints(&w, &t);
    jw_obj_end(&w);
    mem_free(t.row);
    return buf_check(out, e);
}

/* ---- Markdown ---- */

static const char *reload_text(const struct config_key *k)
{
    static const char *const names[] = {[CONFIG_HOT] = "at once",
                                        [CONFIG_RESTART] = "its workers restart",
                                        [CONFIG_HANDOVER] = "sockets are handed over",
                                        [CONFIG_START] = "next start"};

    return names[k->reload];
}

static void put_range(struct buf *b, const struct config_key *k)
{
    if (is_number(k))
        buf_printf(b, "%" PRIu64 " to %" PRIu64, k->min, k->max);
    else if (k->type == CT_ENUM)
        for (const char *c = k->of; *c; c++)
            buf_put(b, *c == '|' ? ", " : c, *c == '|' ? 2 : 1);
    else if (k->max && (k->type == CT_STRLIST || k->type == CT_MAP || k->type == CT_LIST))
        buf_printf(b, "at most %" PRIu64, k->max);
    else if (k->max)
        buf_printf(b, "at most %" PRIu64 " bytes", k->max);
}

static void put_row(struct buf *b, const struct config_key *k)
{
    buf_printf(b, "| `%s` | %s | ", k->path, type_text(k));
    if (k->def)
        buf_printf(b, "`%s`", k->def);
    buf_put_str(b, " | ");
    put_range(b, k);
    buf_printf(b, " | %s | %s%s |\n", reload_text(k), k->help,
               k->flags & K_NO_RPC ? " (file only)" : "");
}

static const char intro[] =
    "# Configuration\n\n"
    "<!-- made from conf/keys.def by scripts/gen-docs; do not edit -->\n\n"
    "The file is `--config FILE`, else `OPENCLAW_CONFIG_PATH`, else `openclaw.json` in the state\n"
    "directory (`--state-dir`, else `OPENCLAW_STATE_DIR`, else `~/.openclaw`). It is JSON5. "
    "Without a file\n"
    "the defaults below hold and the built-in model `demo/demo` answers. `openclawd "
    "--check-config` says what\n"
    "the start would say.\n\n"
    "- The command line goes before the environment, the environment before the file:\n"
    "  `--port` and `OPENCLAW_GATEWAY_PORT`, `--token` and `OPENCLAW_GATEWAY_TOKEN`, `--bind`,\n"
    "  `OPENCLAW_HANDSHAKE_TIMEOUT_MS`, `OPENCLAW_MAX_PREAUTH_CONNECTIONS_PER_IP`, "
    "`OPENCLAW_LOG_LEVEL`;\n"
    "  `OPENCLAW_WORKSPACE_DIR` only when the file names no workspace.\n"
    "- `${NAME}` in any text is the variable of the environment, else of `env.vars`; a missing or "
    "empty one\n"
    "  stops the start. `$${NAME}` is the text `${NAME}`.\n"
    "- A secret is a text or a reference: `{source: \"env\", id: \"NAME\"}`, `{source: \"file\", "
    "id:\n"
    "  \"/run/secrets/x\"}`, or with `provider: \"p\"` a name in a file of `secrets.providers`.\n"
    "- Unknown keys are warned about with the nearest known one; below `gateway.auth` they stop "
    "the start.\n"
    "  A value of the wrong type or out of range stops the start, or the reload, which keeps what "
    "was.\n"
    "- *file only*: cannot be set over RPC, because it names a program or file or opens the "
    "gateway.\n\n";

int config_docs(struct buf *out, struct err *e)
{
    buf_put_str(out, intro);
    buf_put_str(out, "| key | type | default | range | a change works | meaning |\n"
                     "| --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < config_key_count(); i++)
        if (!(config_keys[i].flags & (K_LATER | K_QUIET | K_GONE)))
            put_row(out, &config_keys[i]);
    buf_put_str(out, "\n## Taken without effect\n\n");
    for (size_t i = 0; i < config_key_count(); i++)
        if (config_keys[i].flags & (K_QUIET | K_GONE))
            buf_printf(out, "- `%s`: %s\n", config_keys[i].path, config_keys[i].help);
    buf_put_str(out, "\n## Known, not supported yet\n\n"
                     "Each is accepted with a warning, with everything below it.\n\n");
    for (size_t i = 0; i < config_key_count(); i++)
        if (config_keys[i].flags & K_LATER)
            buf_printf(out, "- `%s`\n", config_keys[i].path);
    return buf_check(out, e);
}
