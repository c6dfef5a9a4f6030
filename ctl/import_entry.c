#include "import_entry.h"

#include "jw.h"
#include "mem.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <time.h>

enum {
    LINES_MAX = 4 * 1000 * 1000,
    ENTRY_MAX = 24 << 20, /* a request takes 25 MiB */
};

struct transcript_line {
    json_t *doc; /* owned */
    bool active;
};

int transcript_add(struct transcript *t, struct view line, struct err *e)
{
    struct transcript_line *more;
    struct err ignored = ERR_INIT;
    json_t *doc = NULL;

    if (view_trim(line).n == 0)
        return 0;
    if (json_parse(line, &doc, &ignored) < 0 || !json_is_object(doc)) {
        json_decref(doc);
        t->left_broken++; /* the last line of a file that was cut, say */
        return 0;
    }
    if (t->count == LINES_MAX) {
        json_decref(doc);
        return err_set(e, ERR_LIMIT, "more than %d entries", (int)LINES_MAX);
    }
    if (t->count == t->room) {
        t->room = t->room ? t->room * 2 : 256;
        if (!(more = mem_realloc(t->line, t->room * sizeof(*more)))) {
            json_decref(doc);
            return err_set(e, ERR_NOMEM, "out of memory");
        }
        t->line = more;
    }
    t->line[t->count++] = (struct transcript_line){.doc = doc};
    return 0;
}

void transcript_fini(struct transcript *t)
{
    for (size_t i = 0; i < t->count; i++)
        json_decref(t->line[i].doc);
    mem_free(t->line);
    *t = (struct transcript){0};
}

/* ---- the branch ---- */

/* Backwards from the last entry along parentId. Files without these are one branch. */
static void mark(struct transcript *t)
{
    const char *want = NULL;
    bool tree = false, any = false;

    for (size_t i = t->count; i > 0; i--) {
        json_t *doc = t->line[i - 1].doc;
        const char *id = json_string_value(json_object_get(doc, "id"));
        json_t *parent = json_object_get(doc, "parentId");

        if (view_eq(json_view(doc, "type"), V("session")))
            continue;
        if (!parent && !tree) { /* the old format */
            t->line[i - 1].active = true;
        } else if (id && (!any || (want && strcmp(want, id) == 0))) {
            t->line[i - 1].active = tree = any = true;
            want = json_string_value(parent);
        }
    }
}

/* ---- entries ---- */

/* The same for the same entry of the same session, whoever asks. */
static void make_id(struct view session_id, struct view entry_id, char out[ENTRY_ID_LEN + 1])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned n = 0;

    if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(ctx, session_id.p, session_id.n) == 1 &&
        EVP_DigestUpdate(ctx, "", 1) == 1 && EVP_DigestUpdate(ctx, entry_id.p, entry_id.n) == 1)
        (void)EVP_DigestFinal_ex(ctx, hash, &n);
    EVP_MD_CTX_free(ctx);
    out[0] = '\0';
    for (unsigned i = 0; i < ENTRY_ID_LEN / 2 && n > 0; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* A number, or "2026-11-20T11:03:31.822Z". */
static int64_t time_of(const json_t *v)
{
    struct tm tm = {0};
    const char *s = json_string_value(v), *rest;
    int ms = 0;

    if (json_is_number(v))
        return (int64_t)json_number_value(v);
    if (!s || !(rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm)))
        return 0;
    if (rest[0] == '.' && strlen(rest) >= 4)
        for (int i = 1; i <= 3 && rest[i] >= '0' && rest[i] <= '9'; i++)
            ms = ms * 10 + (rest[i] - '0');
    return (int64_t)timegm(&tm) * 1000 + ms;
}

static const char *role_name(const json_t *message)
{
    struct view role = json_view(message, "role");

    if (view_eq(role, V("user")))
        return "user";
    if (view_eq(role, V("assistant"))) /* what failed is not told to models */
        return view_eq(json_view(message, "stopReason"), V("error")) ? "other" : "assistant";
    return view_eq(role, V("toolResult")) || view_eq(role, V("tool")) ? "tool" : "other";
}

/* Role and content first, what the gateway knows of it last: how messages are stored. */
static int put_message(const json_t *entry, const json_t *message, const char *id, int64_t ts,
                       struct buf *out, struct err *e)
{
    static const char *const first[] = {"role", "content"};
    struct jw w = JW_INIT(out);
    json_t *m = json_copy((json_t *)(uintptr_t)message), *v;
    const char *key;
    int rc = 0;

    if (!m)
        return err_set(e, ERR_NOMEM, "out of memory");
    jw_obj(&w);
    for (size_t i = 0; i < COUNT_OF(first) && rc == 0; i++) {
        jw_key(&w, first[i]);
        w.after_key = false;
        w.has_item |= 1u << w.depth;
        v = json_object_get(m, first[i]);
        if (v)
            rc = json_dump(v, out, e);
        else
            buf_put_view(out, V("\"\""));
        (void)json_object_del(m, first[i]);
    }
    (void)json_object_del(m, "__openclaw");
    json_object_foreach(m, key, v)
    {
        if (rc < 0)
            break;
        jw_key_view(&w, view_str(key));
        w.after_key = false;
        w.has_item |= 1u << w.depth;
        rc = json_dump(v, out, e);
    }
    jw_key(&w, "__openclaw");
    jw_obj(&w);
    jw_kcstr(&w, "id", id);
    jw_kstr(&w, "importedId", json_view(entry, "id"));
    jw_ki64(&w, "recordTimestampMs", ts);
    jw_obj_end(&w);
    jw_obj_end(&w);
    json_decref(m);
    return rc < 0 ? rc : buf_check(out, e);
}

static int put_compaction(const json_t *entry, const char *id, int64_t ts, size_t kept,
                          struct buf *out, struct err *e)
{
    struct jw w = JW_INIT(out);

    jw_obj(&w);
    jw_kcstr(&w, "role", "system");
    jw_kraw(&w, "content", V("[{\"type\":\"text\",\"text\":\"Compaction\"}]"));
    jw_ki64(&w, "timestamp", ts);
    jw_kstr(&w, "summary", json_view(entry, "summary"));
    jw_key(&w, "__openclaw");
    jw_obj(&w);
    jw_kcstr(&w, "kind", "compaction");
    jw_kcstr(&w, "id", id);
    jw_ku64(&w, "firstKeptSeq", kept);
    jw_ki64(&w, "tokensBefore", json_i64(entry, "tokensBefore", 0));
    jw_ki64(&w, "recordTimestampMs", ts);
    jw_obj_end(&w);
    jw_obj_end(&w);
    return buf_check(out, e);
}

/* Where the first entry that a summary does not cover came to be. */
static size_t place_of(const json_t *places, struct view id, size_t otherwise)
{
    char key[130];
    const json_t *v;

    if (id.n == 0 || id.n >= sizeof(key))
        return otherwise;
    (void)snprintf(key, sizeof(key), "%.*s", VIEW_FMT(id));
    v = json_object_get(places, key);
    return json_is_integer(v) ? (size_t)json_integer_value(v) : otherwise;
}

static int put_entry(struct transcript *t, const json_t *doc, struct view session_id,
                     const json_t *places, json_t *out, struct err *e)
{
    struct view type = json_view(doc, "type");
    const json_t *message = json_object_get(doc, "message"),
                 *ts = json_object_get(doc, "timestamp");
    struct buf text = BUF_INIT(ENTRY_MAX);
    size_t seq = json_array_size(out) + 1;
    char id[ENTRY_ID_LEN + 1], number[32];
    struct view own = json_view(doc, "id");
    const char *role;
    int rc;

    /* an entry without an id has its place */
    if (own.n == 0)
        own = view_of(number, (size_t)snprintf(number, sizeof(number), "#%zu", seq));
    make_id(session_id, own, id);
    if (view_eq(type, V("message")) && json_is_object(message)) {
        role = role_name(message);
        rc = put_message(doc, message, id, time_of(ts), &text, e);
    } else if (view_eq(type, V("compaction")) && json_view(doc, "summary").n) {
        role = "system";
        rc =
            put_compaction(doc, id, time_of(ts),
                           place_of(places, json_view(doc, "firstKeptEntryId"), seq + 1), &text, e);
    } else {
        t->left_other++;
        return 0;
    }
    if (rc == 0 && json_array_append_new(out, json_pack("{s:s, s:s, s:I, s:s#}", "id", id, "role",
                                                        role, "ts", (json_int_t)time_of(ts), "text",
                                                        buf_view(&text).p, (int)text.n)) < 0)
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_LIMIT) {
        t->left_broken++;
        rc = 0;
    }
    buf_fini(&text);
    return rc;
}

int transcript_messages(struct transcript *t, struct view session_id, json_t **out, struct err *e)
{
    json_t *list = json_array(), *places = json_object();
    int rc = list && places ? 0 : err_set(e, ERR_NOMEM, "out of memory");

    mark(t);
    for (size_t i = 0; i < t->count && rc == 0; i++) {
        const char *id = json_string_value(json_object_get(t->line[i].doc, "id"));

        if (view_eq(json_view(t->line[i].doc, "type"), V("session")))
            continue;
        if (!t->line[i].active) {
            t->left_branch++;
            continue;
        }
        /* what is not taken stands for the next entry */
        if (id &&
            json_object_set_new(places, id, json_integer((json_int_t)json_array_size(list) + 1)))
            rc = err_set(e, ERR_NOMEM, "out of memory");
        if (rc == 0)
            rc = put_entry(t, t->line[i].doc, session_id, places, list, e);
    }
    json_decref(places);
    if (rc < 0)
        json_decref(list);
    else
        *out = list;
    return rc;
}

/* ---- rows ---- */

json_t *import_session_row(struct view key, const json_t *entry)
{
    static const char *const numbers[] = {"createdAt", "updatedAt", "inputTokens", "outputTokens",
                                          "totalTokens"};
    struct view id = json_view(entry, "sessionId"), provider = json_view(entry, "providerOverride"),
                model = json_view(entry, "modelOverride");
    json_t *row = json_pack("{s:s#, s:s#}", "key", key.p, (int)key.n, "sessionId", id.p, (int)id.n),
           *v;
    static const char *const texts[] = {"label", "displayName"};
    char ref[512];

    if (!row)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (json_is_integer(v = json_object_get(entry, numbers[i])))
            (void)json_object_set(row, numbers[i], v);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (json_string_length(v = json_object_get(entry, texts[i])) > 0)
            (void)json_object_set(row, texts[i], v);
    if (json_is_integer(json_object_get(entry, "archivedAt")) ||
        json_flag(entry, "archived", false))
        (void)json_object_set_new(row, "archived", json_true());
    if (json_is_integer(json_object_get(entry, "pinnedAt")) || json_flag(entry, "pinned", false))
        (void)json_object_set_new(row, "pinned", json_true());
    if (provider.n && model.n && provider.n + model.n < sizeof(ref) - 2) {
        (void)snprintf(ref, sizeof(ref), "%.*s/%.*s", VIEW_FMT(provider), VIEW_FMT(model));
        (void)json_object_set_new(row, "modelRef", json_string(ref));
    }
    return row;
}
