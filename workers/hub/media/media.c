/*
 * media/media.c - which files there are and whose: a table in memory, made of the store's settings
 * at the start.
 */
#include "media.h"

#include "clock.h"
#include "fd.h"
#include "json.h"
#include "log.h"
#include "num.h"
#include "rand.h"
#include "session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUCKETS = 4096,
    LOOK_MS = 60 * 1000, /* whether owners are gone; a second after somebody says so */
    LOOK_SOON_MS = 1000,
    LOOK_STEP = 2000, /* entries of one look: a millisecond or two */
    /* from media_put to media_keep: a message of 16 slow addresses may wait for its turn and theirs
     * for hours. Whoever puts a file drops it; this is for what nobody did. */
    FRESH_MS = 48 * 3600 * 1000,
    PATH_BYTES_MAX = 4096,
    KEY_BYTES = 128, /* records.def: meta_set */
};
#define KEYS "media/"

/* A file and one owner. Those of one file follow each other in its chain. */
struct entry {
    struct entry *next;
    char id[MEDIA_ID + 1];
    uint8_t of;     /* enum media_owner; 0: nobody's yet */
    bool here;      /* at the start: its file is there */
    uint64_t owner; /* session: sid; delivery: id; nobody's: since when, in ms */
    uint64_t bytes;
};

struct medias {
    struct entry *bucket[BUCKETS];
    uint64_t files, bytes, quota;
    unsigned look_at; /* the next bucket that is looked at */
    struct loop_timer look;
};

/* ---- entries ---- */

static unsigned hex_of(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

/* Its first digits are random. */
static struct entry **chain(struct medias *ms, struct view id)
{
    return &ms->bucket[(hex_of(id.p[0]) << 8 | hex_of(id.p[1]) << 4 | hex_of(id.p[2])) % BUCKETS];
}

/* The first entry of that file, or the place where there is none. */
static struct entry **find(struct medias *ms, struct view id)
{
    struct entry **at = chain(ms, id);

    while (*at && !view_eq(view_str((*at)->id), id))
        at = &(*at)->next;
    return at;
}

static struct entry *owned_by(struct medias *ms, struct view id, enum media_owner of,
                              uint64_t owner)
{
    struct entry *x = *find(ms, id);

    for (; x && view_eq(view_str(x->id), id); x = x->next)
        if (x->of == (uint8_t)of && x->owner == owner)
            return x;
    return NULL;
}

static int add(struct medias *ms, struct view id, uint8_t of, uint64_t owner, uint64_t bytes,
               struct err *e)
{
    struct entry **at = find(ms, id), *x;
    bool known = *at;
    int r = mem_new(&x, sizeof(*x), e);

    if (r < 0)
        return r;
    memcpy(x->id, id.p, MEDIA_ID);
    x->of = of;
    x->owner = owner;
    x->bytes = bytes;
    x->next = *at;
    x->here = known && (*at)->here;
    *at = x;
    if (!known) {
        ms->files++;
        ms->bytes += bytes;
    }
    return 0;
}

/* The entry goes, and with the last one the file. */
static void remove_entry(struct hub *h, struct entry **at)
{
    struct medias *ms = h->medias;
    struct entry *x = *at;

    *at = x->next;
    if (!*find(ms, view_str(x->id))) {
        media_file_remove(x->id);
        ms->files--;
        ms->bytes -= x->bytes;
    }
    mem_free(x);
}

static void remove_one(struct hub *h, const struct entry *x)
{
    struct entry **at = chain(h->medias, view_str(x->id));

    while (*at != x)
        at = &(*at)->next;
    remove_entry(h, at);
}

/* ---- settings of the store ---- */

static struct view key_of(char out[KEY_BYTES], struct view id, char of, uint64_t owner)
{
    int n =
        snprintf(out, KEY_BYTES, KEYS "%.*s/%c%llu", VIEW_FMT(id), of, (unsigned long long)owner);

    return view_of(out, (size_t)n);
}

/* "media/<id>/s12" apart. */
static bool key_read(struct view key, struct view *id, char *of, uint64_t *owner)
{
    struct err e = ERR_INIT;
    size_t head = sizeof(KEYS) - 1;

    *id = view_of(key.p + head, key.n > head + MEDIA_ID + 2 ? MEDIA_ID : 0);
    if (!media_is_id(*id) || key.p[head + MEDIA_ID] != '/')
        return false;
    *of = key.p[head + MEDIA_ID + 1];
    return (*of == MEDIA_OF_SESSION || *of == MEDIA_OF_DELIVERY) &&
           num_u64(view_from(key, head + MEDIA_ID + 2), 0, UINT64_MAX, owner, &e) == 0;
}

static int forget(struct hub *h, const struct entry *x, struct err *e)
{
    char key[KEY_BYTES];
    struct store_rec rec = {.type = REC_meta_set};

    rec.meta_set.key = key_of(key, view_str(x->id), (char)x->of, x->owner);
    rec.meta_set.value = VIEW_EMPTY;
    return hub_put(h, &rec, e);
}

struct reading {
    struct hub *h;
    unsigned bad;
};

static int on_setting(void *ctx, struct view key, struct view value)
{
    struct reading *r = ctx;
    struct err e = ERR_INIT;
    struct view id;
    json_t *doc = NULL;
    uint64_t owner;
    char of;
    int rc = 0;

    if (!key_read(key, &id, &of, &owner) || json_parse(value, &doc, &e) < 0) {
        r->bad++;
        return 0;
    }
    rc = add(r->h->medias, id, (uint8_t)of, owner, (uint64_t)json_i64(doc, "sizeBytes", 0), &e);
    json_decref(doc);
    return rc;
}

/* ---- the start ---- */

/* Files that nobody names were on their way when a hub died. */
static int sweep_folder(struct hub *h, struct err *e)
{
    DIR *dir;
    struct dirent *d;
    unsigned orphans = 0, missing = 0;
    int fd = openat(MEDIA_FD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || !(dir = fdopendir(fd))) {
        fd_close(&fd);
        return err_sys(e, "media folder");
    }
    while ((d = readdir(dir))) {
        struct view name = view_str(d->d_name);
        struct entry *x = media_is_id(name) ? *find(h->medias, name) : NULL;

        if (d->d_name[0] == '.')
            continue;
        for (; x && view_eq(view_str(x->id), name); x = x->next)
            x->here = true;
        if (media_is_id(name) && !*find(h->medias, name)) {
            media_file_remove(d->d_name);
            orphans++;
        }
    }
    (void)closedir(dir);
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct entry *x = h->medias->bucket[i]; x; x = x->next)
            missing += !x->here;
    if (orphans || missing)
        log_info("media.swept", KV("orphans", orphans), KV("missing", missing));
    return 0;
}

/* The folder under the one number that the sandbox knows. */
static int open_folder(struct hub *h, const char *store_path, struct err *e)
{
    char path[PATH_BYTES_MAX];
    const char *slash = strrchr(store_path, '/');
    int fd, n = snprintf(path, sizeof(path), "%.*s/media", slash ? (int)(slash - store_path) : 1,
                         slash ? store_path : ".");

    (void)h;
    if (n < 0 || (size_t)n >= sizeof(path))
        return err_set(e, ERR_LIMIT, "media folder: path too long");
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_sys(e, "make folder %s", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "media folder %s", path);
    n = dup3(fd, MEDIA_FD, O_CLOEXEC);
    fd_close(&fd);
    return n < 0 ? err_sys(e, "media folder %s", path) : 0;
}

static void on_look(void *ctx);

int media_open(struct hub *h, const char *store_path, struct err *e)
{
    struct reading r = {.h = h};
    int rc;

    if ((rc = mem_new(&h->medias, sizeof(*h->medias), e)) < 0)
        return rc;
    loop_timer_init(&h->medias->look, h->w.loop, on_look, h);
    media_config(h);
    if ((rc = open_folder(h, store_path, e)) < 0 ||
        (rc = store_meta_page(h->store, V(KEYS), on_setting, &r, e)) < 0 ||
        (rc = sweep_folder(h, e)) < 0)
        return rc;
    if (r.bad)
        log_warn("media.settings", KV("unreadable", r.bad));
    loop_timer_set(&h->medias->look, LOOK_MS);
    return 0;
}

void media_close(struct hub *h)
{
    struct medias *ms = h->medias;

    if (!ms)
        return;
    loop_timer_fini(&ms->look);
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct entry *x = ms->bucket[i], *next; x; x = next) {
            next = x->next;
            mem_free(x);
        }
    mem_free(ms);
    h->medias = NULL;
    (void)close(MEDIA_FD);
}

void media_config(struct hub *h)
{
    json_t *v = json_at(h->w.conf, "gateway.media.maxBytes");

    h->medias->quota = json_is_integer(v) && json_integer_value(v) > 0
                           ? (uint64_t)json_integer_value(v)
                           : (uint64_t)4 << 30;
}

/* ---- coming ---- */

int media_write_begin(struct hub *h, struct view bytes, struct view type, struct view name,
                      struct media_write *w, struct err *e)
{
    struct medias *ms = h->medias;
    struct kind k;

    *w = (struct media_write){.m = {.bytes = bytes.n}, .rest = bytes, .fd = -1};
    if (bytes.n > MEDIA_FILE_MAX)
        return err_set(e, ERR_LIMIT, "a file of %zu bytes: %d at most", bytes.n, MEDIA_FILE_MAX);
    if (bytes.n > ms->quota || ms->bytes > ms->quota - bytes.n || ms->files >= MEDIA_FILES_MAX)
        return err_set(e, ERR_LIMIT,
                       "the store of files is full (%llu files, %llu of %llu bytes): delete "
                       "sessions, or raise gateway.media.maxBytes",
                       (unsigned long long)ms->files, (unsigned long long)ms->bytes,
                       (unsigned long long)ms->quota);
    kind_look(bytes, type, name, &k);
    rand_uuid(w->m.id);
    (void)snprintf(w->m.type, sizeof(w->m.type), "%s", k.type);
    (void)snprintf(w->m.ext, sizeof(w->m.ext), "%s%.*s", k.ext.n ? "." : "", VIEW_FMT(k.ext));
    media_name(name, w->m.name);
    w->m.kind = k.kind;
    w->m.width = k.width;
    w->m.height = k.height;
    return media_file_begin(w->m.id, &w->fd, e);
}

int media_write_step(struct hub *h, struct media_write *w, struct err *e)
{
    int r = w->rest.n ? media_file_more(w->fd, &w->rest, e) : 0;

    if (r == 0 && w->rest.n)
        return 1;
    if (r == 0 && (r = media_file_end(&w->fd, e)) == 0)
        r = add(h->medias, view_str(w->m.id), 0, (uint64_t)clock_wall_ms(), w->m.bytes, e);
    if (r < 0)
        media_write_stop(w);
    return r;
}

void media_write_stop(struct media_write *w)
{
    fd_close(&w->fd);
    if (w->m.id[0])
        media_file_remove(w->m.id);
    w->m.id[0] = '\0';
}

int media_put(struct hub *h, struct view bytes, struct view type, struct view name,
              struct media *out, struct err *e)
{
    struct media_write w;
    int r = media_write_begin(h, bytes, type, name, &w, e);

    if (r < 0)
        return r;
    while ((r = media_write_step(h, &w, e)) > 0)
        ;
    if (r == 0)
        *out = w.m;
    return r;
}

/* ---- owners ---- */

int media_keep(struct hub *h, const struct media *m, enum media_owner of, uint64_t owner,
               struct err *e)
{
    struct medias *ms = h->medias;
    struct view id = view_str(m->id);
    struct store_rec rec = {.type = REC_meta_set};
    struct buf b = BUF_INIT(8 * KIB);
    struct jw w = JW_INIT(&b);
    struct entry *x = media_is_id(id) ? *find(ms, id) : NULL;
    char key[KEY_BYTES];
    int r;

    if (!x)
        return err_set(e, ERR_NOT_FOUND, "no such file");
    if (owned_by(ms, id, of, owner))
        return 0;
    jw_obj(&w);
    media_fact(m, &w);
    jw_obj_end(&w);
    rec.meta_set.key = key_of(key, id, (char)of, owner);
    rec.meta_set.value = buf_view(&b);
    if ((r = buf_check(&b, e)) == 0 && (x->of == 0 || (r = add(ms, id, 0, 0, x->bytes, e)) == 0)) {
        x = *find(ms, id);
        if ((r = hub_put(h, &rec, e)) == 0) {
            x->of = (uint8_t)of;
            x->owner = owner;
        }
    }
    buf_fini(&b);
    return r;
}

void media_leave(struct hub *h, struct view id, enum media_owner of, uint64_t owner)
{
    struct entry *x = media_is_id(id) ? owned_by(h->medias, id, of, owner) : NULL;
    struct err e = ERR_INIT;

    if (!x)
        return;
    if (forget(h, x, &e) < 0)
        log_warn("media.forget", KV("id", x->id), KV("why", e.text)); /* the next look does it */
    else
        remove_one(h, x);
}

void media_drop(struct hub *h, struct view id)
{
    struct entry *x;

    for (x = media_is_id(id) ? *find(h->medias, id) : NULL; x && view_eq(view_str(x->id), id);
         x = x->next)
        if (x->of == 0) {
            remove_one(h, x);
            return;
        }
}

/* Its owner is not there any more. */
static bool is_left(struct hub *h, const struct entry *x)
{
    struct rec_session_put row;
    struct store_delivery d;
    struct err e = ERR_INIT;

    if (x->of == MEDIA_OF_SESSION)
        return store_session_by_sid(h->store, (uint32_t)x->owner, &row, &e) == ERR_NOT_FOUND;
    if (x->of == MEDIA_OF_DELIVERY)
        return store_delivery_get(h->store, x->owner, &d, &e) == ERR_NOT_FOUND;
    return clock_wall_ms() - (int64_t)x->owner > FRESH_MS;
}

/* A part of the table in one step; the whole of it again and again. */
static void on_look(void *ctx)
{
    struct hub *h = ctx;
    struct medias *ms = h->medias;
    struct err e = ERR_INIT;
    unsigned seen = 0;

    while (store_usable(h->store) && seen < LOOK_STEP && ms->look_at < BUCKETS) {
        struct entry **at = &ms->bucket[ms->look_at++];

        while (*at) {
            seen++;
            if (!is_left(h, *at))
                at = &(*at)->next;
            else if ((*at)->of && forget(h, *at, &e) < 0)
                break; /* another time */
            else
                remove_entry(h, at);
        }
    }
    if (ms->look_at < BUCKETS) {
        loop_timer_set(&ms->look, 10);
        return;
    }
    ms->look_at = 0;
    loop_timer_set(&ms->look, LOOK_MS);
}

void media_look(struct hub *h)
{
    if (!h->medias)
        return;
    h->medias->look_at = 0;
    loop_timer_set(&h->medias->look, LOOK_SOON_MS);
}

bool media_find(struct hub *h, struct view id, struct media *out)
{
    struct entry *x = media_is_id(id) ? *find(h->medias, id) : NULL;
    struct err e = ERR_INIT;
    char key[KEY_BYTES];
    json_t *doc = NULL;
    struct view v;
    bool ok = false;

    for (; x && x->of == 0 && view_eq(view_str(x->id), id); x = x->next)
        ;
    if (!x || !view_eq(view_str(x->id), id))
        return false;
    if (store_meta_get(h->store, key_of(key, id, (char)x->of, x->owner), &v, &e) == 0 &&
        json_parse(v, &doc, &e) == 0)
        ok = media_fact_read(doc, out);
    json_decref(doc);
    return ok;
}

void media_totals(const struct hub *h, uint64_t *files, uint64_t *bytes)
{
    *files = h->medias ? h->medias->files : 0;
    *bytes = h->medias ? h->medias->bytes : 0;
}
