#include "workspaces.h"

#include "json.h"
#include "jw.h"
#include "log.h"
#include "mem.h"
#include "workspace.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AGENTS_MAX = 256,        /* as the hub has them */
    TOLD_MAX = 64,           /* agent processes, and their successors */
    TOLD_BYTES = 128 * 1024, /* of one file; a prompt takes less */
};

struct folder {
    char id[65], path[PATH_MAX];
    struct workspace_file was[WORKSPACE_FILES];
    struct buf files; /* for `persona`; empty: none is there */
    uint64_t version; /* of that, from 1 */
    struct {
        uint64_t life, version;
    } told[TOLD_MAX];
};

struct workspaces {
    struct folder *list[AGENTS_MAX]; /* owned */
    unsigned count;
};

static void folder_free(struct folder **f)
{
    if (*f)
        buf_fini(&(*f)->files);
    mem_free(*f);
    *f = NULL;
}

static void clear(struct workspaces *w)
{
    while (w->count)
        folder_free(&w->list[--w->count]);
}

int workspaces_new(struct workspaces **out, struct err *e)
{
    return mem_new(out, sizeof(**out), e);
}

void workspaces_free(struct workspaces **w)
{
    if (*w)
        clear(*w);
    mem_free(*w);
    *w = NULL;
}

/* -------------------------------------------------------------- whose is which */
static int add(struct workspaces *w, struct view id, bool first, const json_t *agent,
               const json_t *doc, const char *state_dir, struct err *e)
{
    const char *own = json_string_value(json_object_get(agent, "workspace")),
               *all = json_string_value(json_at(doc, "agents.defaults.workspace")),
               *home = getenv("HOME"), *path = own ? own : all;
    struct folder *f = NULL;
    int r, n;

    if (!id.n || id.n >= sizeof(f->id) || w->count == AGENTS_MAX)
        return 0;
    if ((r = mem_new(&f, sizeof(*f), e)) < 0)
        return r;
    buf_init(&f->files, WORKSPACE_TEXT_MAX);
    f->files.secret = true;
    f->version = 1;
    memcpy(f->id, id.p, id.n);
    if (path)
        n = snprintf(f->path, sizeof(f->path), "%s%s",
                     path[0] == '~' && path[1] == '/' && home ? home : "",
                     path[0] == '~' && path[1] == '/' && home ? path + 1 : path);
    else
        n = snprintf(f->path, sizeof(f->path), "%s/workspace%s%s", state_dir, first ? "" : "-",
                     first ? "" : f->id);
    if (n < 0 || (size_t)n >= sizeof(f->path))
        folder_free(&f); /* too long for any call: it has no files */
    else
        w->list[w->count++] = f;
    return 0;
}

int workspaces_set(struct workspaces *w, const json_t *doc, const char *state_dir, struct err *e)
{
    const json_t *list = json_at(doc, "agents.list"), *entries = json_at(doc, "agents.entries");
    struct workspaces next = {.count = 0};
    size_t n = json_array_size(list);
    bool named = false;
    const char *id;
    json_t *agent;
    int r = 0;

    for (size_t i = 0; i < n; i++)
        named |= json_is_true(json_object_get(json_array_get(list, i), "default"));
    for (size_t i = 0; i < n && r == 0; i++) {
        agent = json_array_get(list, i);
        r = add(&next, json_view(agent, "id"),
                named ? json_is_true(json_object_get(agent, "default")) : i == 0, agent, doc,
                state_dir, e);
    }
    json_object_foreach((json_t *)(uintptr_t)entries, id, agent)
    {
        if (r == 0)
            r = add(&next, view_str(id), strcmp(id, "main") == 0, agent, doc, state_dir, e);
    }
    if (r == 0 && next.count == 0)
        r = add(&next, V("main"), true, NULL, doc, state_dir, e);
    clear(r == 0 ? w : &next);
    if (r == 0)
        *w = next; /* a folder's content is read again when it is needed */
    return r;
}

static struct folder *find(const struct workspaces *w, struct view id)
{
    for (unsigned i = 0; i < w->count; i++)
        if (view_ieq(id, view_str(w->list[i]->id)))
            return w->list[i];
    return NULL;
}

/* "agent:<id>:..." */
static struct view agent_of(struct view session)
{
    struct view rest = view_starts(session, V("agent:")) ? view_from(session, 6) : VIEW_EMPTY;

    return view_of(rest.p, view_find(rest, ':'));
}

/* -------------------------------------------------------------- what agents are told */
static bool same(const struct workspace_file *a, const struct workspace_file *b)
{
    return a->there == b->there && a->size == b->size && a->ino == b->ino &&
           a->changed_ms == b->changed_ms && a->changed_ns == b->changed_ns;
}

static void put_told(struct jw *w, const char *name, struct view text)
{
    size_t all = text.n;

    if (text.n > TOLD_BYTES) {
        text.n = TOLD_BYTES;
        while (text.n && ((unsigned char)text.p[text.n] & 0xc0) == 0x80)
            text.n--;
    }
    jw_obj(w);
    jw_kcstr(w, "name", name);
    jw_ku64(w, "bytes", all);
    jw_kstr(w, "text", text);
    jw_obj_end(w);
}

/* Reads what is there when it is not what it was. A file that changes between the look and the
 * reading looks different the next time. */
static void refresh(struct folder *f)
{
    struct workspace_file now[WORKSPACE_FILES], read;
    struct buf text = BUF_INIT(WORKSPACE_FILE_MAX);
    struct jw w = JW_INIT(&f->files);
    bool changed = false, any = false;
    struct err e = ERR_INIT;

    workspace_look(f->path, now);
    for (unsigned i = 0; i < WORKSPACE_FILES; i++) {
        changed |= !same(&now[i], &f->was[i]);
        any |= now[i].there;
    }
    if (!changed)
        return;
    text.secret = true;
    memcpy(f->was, now, sizeof(now));
    f->version++;
    buf_reset(&f->files, 0);
    jw_arr(&w);
    for (unsigned i = 0; i < WORKSPACE_FILES && any; i++) {
        buf_reset(&text, WORKSPACE_FILE_MAX);
        if (!now[i].there)
            continue;
        if (workspace_read(f->path, i, &read, &text, &e) == 0)
            put_told(&w, workspace_name(i), buf_view(&text));
        else
            log_warn("workspace.not_read", KV("agent", f->id), KV("file", workspace_name(i)),
                     KV("why", e.text));
    }
    jw_arr_end(&w);
    if (buf_check(&f->files, &e) < 0) {
        log_warn("workspace.not_told", KV("agent", f->id), KV("why", e.text));
        buf_reset(&f->files, 0);
    }
    buf_fini(&text);
}

int workspaces_tell(struct workspaces *w, struct link *agent, unsigned instance, uint64_t life,
                    struct view session, struct err *e)
{
    struct folder *f = find(w, agent_of(session));
    unsigned slot = instance % TOLD_MAX;
    int r;

    if (!f)
        return 0;
    refresh(f);
    if (f->told[slot].life == life && f->told[slot].version == f->version)
        return 0;
    r = msg_send_persona(
        agent, &(struct ipc_persona){.agent = view_str(f->id), .files = buf_view(&f->files)}, e);
    if (r == 0) {
        f->told[slot].life = life;
        f->told[slot].version = f->version;
    }
    return r;
}

/* -------------------------------------------------------------- what the hub asks */
static void put_file(struct jw *w, const struct folder *f, unsigned i,
                     const struct workspace_file *at, const struct buf *text)
{
    char path[PATH_MAX + 32];

    (void)snprintf(path, sizeof(path), "%s/%s", f->path, workspace_name(i));
    jw_obj(w);
    jw_kcstr(w, "name", workspace_name(i));
    jw_kcstr(w, "path", path);
    jw_kbool(w, "missing", !at->there);
    if (at->there) {
        jw_ku64(w, "size", at->size);
        jw_ku64(w, "updatedAtMs", at->changed_ms);
    }
    if (at->there && at->hash[0])
        jw_kcstr(w, "hash", at->hash);
    if (at->there && text)
        jw_kstr(w, "content", buf_view(text));
    jw_obj_end(w);
}

static int answer_list(const struct folder *f, struct jw *w)
{
    struct workspace_file now[WORKSPACE_FILES];

    workspace_look(f->path, now);
    jw_key(w, "files");
    jw_arr(w);
    for (unsigned i = 0; i < WORKSPACE_FILES; i++)
        put_file(w, f, i, &now[i], NULL);
    jw_arr_end(w);
    return 0;
}

static int answer_file(const struct folder *f, unsigned i, struct jw *w, struct err *e)
{
    struct buf text = BUF_INIT(WORKSPACE_FILE_MAX);
    struct workspace_file at = {.there = false};
    int r = workspace_read(f->path, i, &at, &text, e);

    if (r == ERR_NOT_FOUND)
        r = 0; /* missing: true */
    if (r == 0) {
        jw_key(w, "file");
        put_file(w, f, i, &at, &text);
    }
    buf_fini(&text);
    return r;
}

static int answer(const struct workspaces *w, const struct ipc_agent_files *m, struct jw *out,
                  struct err *e)
{
    const struct folder *f = find(w, m->agent);
    int i = workspace_find(m->name), r = 0;

    if (!f)
        return err_set(e, ERR_NOT_FOUND, "agent \"%.*s\" not found", VIEW_FMT(m->agent));
    if (m->how != AGENT_FILES_LIST && i < 0)
        return err_set(e, ERR_INVALID, "unsupported file \"%.*s\"", VIEW_FMT(m->name));
    jw_obj(out);
    jw_kcstr(out, "agentId", f->id);
    jw_kcstr(out, "workspace", f->path);
    if (m->how == AGENT_FILES_LIST)
        r = answer_list(f, out);
    else if (m->how == AGENT_FILES_SET &&
             (r = workspace_write(f->path, (unsigned)i, m->text, m->hash, e)) == 0)
        log_info("workspace.written", KV("agent", f->id), KV("file", workspace_name((unsigned)i)),
                 KV("bytes", m->text.n));
    if (r == 0 && m->how != AGENT_FILES_LIST)
        r = answer_file(f, (unsigned)i, out, e);
    jw_obj_end(out);
    return r < 0 ? r : buf_check(out->b, e);
}

int workspaces_on_ask(struct workspaces *w, struct link *from, const struct ipc_agent_files *m,
                      struct err *e)
{
    struct buf doc = BUF_INIT(2 * MIB);
    struct jw out = JW_INIT(&doc);
    struct ipc_agent_files_done said = {.req = m->req};
    struct err why = ERR_INIT;
    int r = answer(w, m, &out, &why);

    if (r < 0)
        buf_reset(&doc, 0);
    said.ok = r == 0;
    said.message = r < 0 ? view_str(why.text) : VIEW_EMPTY;
    said.doc = buf_view(&doc);
    r = msg_send_agent_files_done(from, &said, e);
    buf_fini(&doc);
    return r;
}
