#include "persona.h"

#include "json.h"
#include "mem.h"

#include <string.h>

enum who { EVERYBODY, OWN, PRIVATE };

static const struct {
    const char *name, *help;
    enum who who;
} rows[] = {
#define WORKSPACE_FILE(name, who, help) {name, help, who},
#include "workspace.def"
#undef WORKSPACE_FILE
};

void personas_config(struct personas *p, const json_t *conf)
{
    struct view when = json_view_of(json_at(conf, "agents.defaults.contextInjection"));
    const json_t *file = json_at(conf, "agents.defaults.bootstrapMaxChars"),
                 *all = json_at(conf, "agents.defaults.bootstrapTotalMaxChars");

    p->when = view_eq(when, V("never"))               ? PERSONA_NEVER
              : view_eq(when, V("continuation-skip")) ? PERSONA_FIRST
                                                      : PERSONA_ALWAYS;
    p->file_max = json_is_integer(file) ? (uint64_t)json_integer_value(file) : 20000;
    p->all_max = json_is_integer(all) ? (uint64_t)json_integer_value(all) : 60000;
}

void personas_fini(struct personas *p)
{
    for (unsigned i = 0; i < p->count; i++)
        json_decref(p->list[i].files);
    mem_free(p->list);
    *p = (struct personas){.count = 0};
}

static struct persona *find(const struct personas *p, struct view agent)
{
    for (unsigned i = 0; i < p->count; i++)
        if (view_ieq(agent, view_str(p->list[i].id)))
            return &p->list[i];
    return NULL;
}

int personas_put(struct personas *p, struct view agent, struct view files, struct err *e)
{
    struct persona *one = find(p, agent), *more;
    json_t *doc = NULL;
    int r;

    if (files.n && (r = json_parse(files, &doc, e)) < 0)
        return r;
    if (!one && (p->count == PERSONAS_MAX || agent.n >= sizeof(one->id))) {
        json_decref(doc);
        return err_set(e, ERR_LIMIT, "persona: %u agents", p->count);
    }
    if (!one) {
        if (!(more = mem_realloc(p->list, (p->count + 1) * sizeof(*more)))) {
            json_decref(doc);
            return err_set(e, ERR_NOMEM, "persona: no memory");
        }
        p->list = more;
        one = &p->list[p->count++];
        *one = (struct persona){.files = NULL};
        memcpy(one->id, agent.p, agent.n);
    }
    json_decref(one->files);
    one->files = doc;
    return 0;
}

/* Bytes of at most `chars` characters. */
static size_t room_for(struct view text, uint64_t chars, uint64_t *ret_chars)
{
    size_t n = 0;

    *ret_chars = 0;
    while (n < text.n) {
        bool begins = ((unsigned char)text.p[n] & 0xc0) != 0x80;

        if (begins && *ret_chars == chars)
            break;
        *ret_chars += begins;
        n++;
    }
    return n;
}

static bool told(enum who who, struct view session)
{
    bool sub = memmem(session.p, session.n, ":subagent:", 10) != NULL,
         group = memmem(session.p, session.n, ":group:", 7) != NULL ||
                 memmem(session.p, session.n, ":channel:", 9) != NULL;

    return who == EVERYBODY || (!sub && (who == OWN || !group));
}

static const json_t *file_of(const json_t *files, const char *name)
{
    for (size_t i = 0; i < json_array_size(files); i++)
        if (view_eq(json_view(json_array_get(files, i), "name"), view_str(name)))
            return json_array_get(files, i);
    return NULL;
}

static uint64_t put_file(const char *name, const char *help, const json_t *file, uint64_t max,
                         struct buf *out)
{
    struct view text = view_trim(json_view(file, "text"));
    uint64_t chars;
    size_t n = room_for(text, max, &chars);
    bool cut = n < text.n || (uint64_t)json_i64(file, "bytes", 0) > json_view(file, "text").n;

    buf_printf(out, "\n\n## %s (%s)\n\n%.*s", name, help, VIEW_FMT(view_of(text.p, n)));
    if (cut)
        buf_printf(out, "\n\n[The rest of %s was left out here: read the file.]", name);
    return chars;
}

void persona_text(const struct personas *p, struct view session, struct view lane, struct buf *out)
{
    struct view rest = view_starts(session, V("agent:")) ? view_from(session, 6) : VIEW_EMPTY;
    const struct persona *one = find(p, view_of(rest.p, view_find(rest, ':')));
    uint64_t left = p->all_max;
    bool any = false;

    if (!one || !one->files || p->when == PERSONA_NEVER || view_eq(lane, V("nested")))
        return;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const json_t *file = file_of(one->files, rows[i].name);

        if (!file || !told(rows[i].who, session) || !view_trim(json_view(file, "text")).n || !left)
            continue;
        if (!any)
            buf_put_str(out, "# Your workspace\n\nThese files say who you are and how you work.");
        any = true;
        left -= put_file(rows[i].name, rows[i].help, file, left < p->file_max ? left : p->file_max,
                         out);
    }
}

static bool continued(const json_t *job)
{
    const json_t *messages = json_object_get(job, "messages");

    for (size_t i = 0; i < json_array_size(messages); i++)
        if (view_eq(json_view(json_array_get(messages, i), "role"), V("assistant")))
            return true;
    return false;
}

int persona_join(json_t *job, struct view text, enum persona_when when, struct err *e)
{
    struct view own = json_view(job, "system");
    struct buf b = BUF_INIT(64 << 20);
    json_t *joined = NULL;
    int r;

    if (!text.n || (when == PERSONA_FIRST && continued(job)))
        return 0;
    buf_put_view(&b, text);
    buf_put_str(&b, own.n ? "\n\n" : "");
    buf_put_view(&b, own);
    if ((r = buf_check(&b, e)) == 0 && (!(joined = json_stringn(buf_view(&b).p, b.n)) ||
                                        json_object_set_new(job, "system", joined) < 0))
        r = err_set(e, ERR_NOMEM, "job: no memory for the workspace's files");
    buf_fini(&b);
    return r;
}
