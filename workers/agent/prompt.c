#include "prompt.h"

#include "fd.h"
#include "mem.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In this order, as OpenClaw has them. */
static const char *const names[] = {"AGENTS.md", "SOUL.md",      "TOOLS.md",     "IDENTITY.md",
                                    "USER.md",   "HEARTBEAT.md", "BOOTSTRAP.md", "MEMORY.md"};

struct stamp {
    ino_t ino;
    off_t size;
    struct timespec changed;
};

struct place {
    char *agent, *path; /* owned; agent NULL: everybody else's */
    int dir;            /* -1: not there (yet) */
    bool read;
    uint64_t checked_ms;
    struct stamp stamp[COUNT_OF(names)];
    struct buf text;
};

struct prompt {
    struct place *place;
    unsigned places;
    size_t file_max, total_max; /* characters as configured, counted as bytes */
    bool never;
};

static void open_dir(struct place *p)
{
    if (p->dir < 0)
        p->dir = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int add_place(struct prompt *p, struct view agent, struct view path, struct err *e)
{
    struct place *at = &p->place[p->places];

    if (path.n == 0 || path.p[0] != '/')
        return 0;
    at->dir = -1;
    at->path = mem_dup(path.p, path.n);
    at->agent = agent.n ? mem_dup(agent.p, agent.n) : NULL;
    buf_init(&at->text, PROMPT_TEXT_MAX + 64 * KIB);
    p->places++;
    if (!at->path || (agent.n && !at->agent))
        return err_set(e, ERR_NOMEM, "no memory for the agents' folders");
    open_dir(at);
    return 0;
}

static size_t limit(const json_t *defaults, const char *key, int64_t fallback)
{
    int64_t v = json_i64(defaults, key, fallback);

    return v < 0 ? 0 : v > PROMPT_TEXT_MAX ? PROMPT_TEXT_MAX : (size_t)v;
}

int prompt_new(struct prompt **out, const json_t *conf, struct err *e)
{
    const json_t *defaults = json_at(conf, "agents.defaults"), *list = json_at(conf, "agents.list");
    struct prompt *p = NULL;
    const json_t *row;
    size_t i;
    int r;

    if ((r = mem_new(&p, sizeof(*p), e)) < 0)
        return r;
    p->file_max = limit(defaults, "bootstrapMaxChars", 20000);
    p->total_max = limit(defaults, "bootstrapTotalMaxChars", 60000);
    p->never = view_eq(json_view(defaults, "contextInjection"), V("never"));
    p->place = mem_calloc(PROMPT_PLACES_MAX, sizeof(*p->place));
    if (!p->place) {
        r = err_set(e, ERR_NOMEM, "no memory for the agents' folders");
        goto out;
    }
    r = add_place(p, VIEW_EMPTY, json_view(defaults, "workspace"), e);
    json_array_foreach(list, i, row)
    {
        if (r == 0 && p->places < PROMPT_PLACES_MAX && json_view(row, "id").n)
            r = add_place(p, json_view(row, "id"), json_view(row, "workspace"), e);
    }
    if (r == 0)
        *out = TAKE(p);
out:
    prompt_free(&p);
    return r;
}

void prompt_free(struct prompt **pp)
{
    struct prompt *p = TAKE(*pp);

    if (!p)
        return;
    for (unsigned i = 0; i < p->places; i++) {
        mem_free(p->place[i].agent);
        mem_free(p->place[i].path);
        fd_close(&p->place[i].dir);
        buf_fini(&p->place[i].text);
    }
    mem_free(p->place);
    mem_free(p);
}

/* ---- reading ---- */

static bool changed(struct place *p)
{
    bool any = !p->read;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct stamp now = {0};
        struct stat st;

        if (fstatat(p->dir, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            now = (struct stamp){.ino = st.st_ino, .size = st.st_size, .changed = st.st_mtim};
        if (now.ino != p->stamp[i].ino || now.size != p->stamp[i].size ||
            now.changed.tv_sec != p->stamp[i].changed.tv_sec ||
            now.changed.tv_nsec != p->stamp[i].changed.tv_nsec)
            any = true;
        p->stamp[i] = now;
    }
    return any;
}

/* Not a device, not a pipe, not through a link. */
static int open_file(int dir, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

static bool inside_char(struct view v, size_t at)
{
    return at < v.n && ((unsigned char)v.p[at] & 0xc0) == 0x80;
}

/* Of a file that is too long the beginning and the end. */
static void put_cut(struct buf *out, struct view text, size_t max, const char *name)
{
    size_t head = max / 10 * 7, tail = max / 10 * 2;
    size_t from = text.n - tail;

    while (head && inside_char(text, head))
        head--;
    while (inside_char(text, from))
        from++;
    buf_put_view(out, view_of(text.p, head));
    buf_printf(out, "\n\n[... %zu bytes of %s are left out here ...]\n\n", from - head, name);
    buf_put_view(out, view_from(text, from));
}

static void put_file(const struct prompt *p, struct place *at, size_t i, size_t *left)
{
    struct buf file = BUF_INIT(PROMPT_FILE_MAX);
    struct err ignored = ERR_INIT;
    int fd = open_file(at->dir, names[i]);
    size_t max = p->file_max < *left ? p->file_max : *left;
    struct view text;

    if (fd < 0 || fd_read_all(fd, PROMPT_FILE_MAX, &file, &ignored) < 0)
        goto out;
    text = view_trim(buf_view(&file));
    if (text.n == 0 || max == 0)
        goto out;
    if (at->text.n == 0)
        buf_put_str(&at->text,
                    "# Project Context\n\nThe following files of your workspace are part "
                    "of your instructions.\n");
    buf_printf(&at->text, "\n## %s\n\n", names[i]);
    if (text.n <= max)
        buf_put_view(&at->text, text);
    else
        put_cut(&at->text, text, max, names[i]);
    buf_put_char(&at->text, '\n');
    *left -= text.n < max ? text.n : max;
out:
    buf_fini(&file);
    fd_close(&fd);
}

static void look(const struct prompt *p, struct place *at)
{
    size_t left = p->total_max;

    open_dir(at);
    if (at->dir < 0 || !changed(at))
        return;
    at->read = true;
    buf_reset(&at->text, 64 * KIB);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        put_file(p, at, i, &left);
    if (at->text.failed)
        buf_reset(&at->text, 0);
}

struct view prompt_text(struct prompt *p, struct view agent, uint64_t now_ms)
{
    struct place *at = NULL;

    for (unsigned i = 0; i < p->places; i++) {
        struct place *q = &p->place[i];

        if (q->agent ? view_eq(view_str(q->agent), agent) : !at)
            at = q;
    }
    if (!at || p->never)
        return VIEW_EMPTY;
    if (!at->read || now_ms - at->checked_ms >= PROMPT_CHECK_MS) {
        look(p, at);
        at->checked_ms = now_ms;
    }
    return buf_view(&at->text);
}
