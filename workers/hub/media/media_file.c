/* media/media_file.c - a file: made whole, read as a mapping, named for people. */
#include "fd.h"
#include "json.h"
#include "log.h"
#include "media.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define URL "media://inbound/"

bool media_is_id(struct view v)
{
    if (v.n != MEDIA_ID)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23
                ? v.p[i] != '-'
                : !((v.p[i] >= '0' && v.p[i] <= '9') || (v.p[i] >= 'a' && v.p[i] <= 'f')))
            return false;
    return true;
}

struct view media_id_of(struct view ref)
{
    struct view id;

    if (view_starts(ref, V(URL)))
        ref = view_from(ref, sizeof(URL) - 1);
    id = view_of(ref.p, ref.n < MEDIA_ID ? ref.n : MEDIA_ID);
    if (!media_is_id(id) || (ref.n > MEDIA_ID && (ref.p[MEDIA_ID] != '.' || ref.n > MEDIA_ID + 8)))
        return VIEW_EMPTY;
    return id;
}

/* ---- bytes ---- */

static int no_room(struct err *e, size_t bytes)
{
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG
               ? err_set(e, ERR_AGAIN, "no room on the disk for a file of %zu bytes", bytes)
               : err_sys(e, "media file");
}

int media_file_begin(const char *id, int *fd, struct err *e)
{
    *fd = openat(MEDIA_FD, id, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return *fd < 0 ? no_room(e, 0) : 0;
}

int media_file_more(int fd, struct view *rest, struct err *e)
{
    ssize_t n = write(fd, rest->p, rest->n < MIB ? rest->n : MIB);

    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0 || fdatasync(fd) < 0)
        return no_room(e, rest->n);
    *rest = view_from(*rest, (size_t)n);
    return 0;
}

int media_file_end(int *fd, struct err *e)
{
    fd_close(fd);
    /* on the file systems there are a new file's own flush brings its name along; this one is for
     * the rest */
    return fdatasync(MEDIA_FD) < 0 && errno != EINVAL ? err_sys(e, "media folder") : 0;
}

void media_file_remove(const char *id)
{
    if (unlinkat(MEDIA_FD, id, 0) < 0 && errno != ENOENT)
        log_warn("media.unlink", KV("id", id), KV("errno", (int64_t)errno));
}

/* Opened, and what it was made: a file of ours. */
static int open_file(struct view id, int *out, size_t *bytes, struct err *e)
{
    char name[MEDIA_ID + 1];
    struct stat st;
    int r = 0;

    *out = -1;
    if (!media_is_id(id))
        return err_set(e, ERR_NOT_FOUND, "no such file");
    (void)snprintf(name, sizeof(name), "%.*s", VIEW_FMT(id));
    if ((*out = openat(MEDIA_FD, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "no such file")
                               : err_sys(e, "media file %s", name);
    if (fstat(*out, &st) < 0)
        r = err_sys(e, "media file %s", name);
    else if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > MEDIA_FILE_MAX)
        r = err_set(e, ERR_INVALID, "media file %s: not as it was written", name);
    else
        *bytes = (size_t)st.st_size;
    if (r < 0)
        fd_close(out);
    return r;
}

int media_fd(struct hub *h, struct view id, int *out, struct err *e)
{
    size_t bytes;

    (void)h;
    return open_file(id, out, &bytes, e);
}

static int map(int fd, size_t bytes, struct view *out, struct err *e)
{
    void *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        return err_sys(e, "file");
    *out = view_of(p, bytes);
    return 0;
}

int media_map_fd(int fd, size_t max, struct view *out, struct err *e)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    *out = VIEW_EMPTY;
    if (fstat(fd, &st) < 0)
        return err_sys(e, "file");
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > max)
        return err_set(e, ERR_INVALID, "a file of %lld bytes: 1 to %zu are taken",
                       (long long)st.st_size, max);
    /* whoever could cut it off could end us in the middle of reading it (SIGBUS) */
    if (seals < 0 || (seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) != (F_SEAL_WRITE | F_SEAL_SHRINK))
        return err_set(e, ERR_INVALID, "a file that is not sealed");
    return map(fd, (size_t)st.st_size, out, e);
}

int media_map(struct hub *h, struct view id, struct view *out, struct err *e)
{
    size_t bytes;
    int fd, r;

    (void)h;
    *out = VIEW_EMPTY;
    if ((r = open_file(id, &fd, &bytes, e)) < 0)
        return r;
    r = map(fd, bytes, out, e);
    fd_close(&fd);
    return r;
}

void media_unmap(struct view *bytes)
{
    void *p;

    memcpy(&p, &bytes->p, sizeof(p)); /* munmap(2) takes no const */
    if (bytes->n)
        (void)munmap(p, bytes->n);
    *bytes = VIEW_EMPTY;
}

/* ---- words ---- */

void media_name(struct view said, char out[MEDIA_NAME_MAX + 1])
{
    size_t n = 0;

    for (size_t i = said.n; i > 0; i--)
        if (said.p[i - 1] == '/' || said.p[i - 1] == '\\') {
            said = view_from(said, i);
            break;
        }
    said = view_trim(said);
    if (!utf8_valid(said))
        said = VIEW_EMPTY;
    for (size_t i = 0; i < said.n && n < MEDIA_NAME_MAX; i++) {
        unsigned char c = (unsigned char)said.p[i];

        out[n++] = c < ' ' || c == 0x7f || c == '"' ? '_' : (char)c;
    }
    while (n && n < said.n && !utf8_valid(view_of(out, n))) /* a character that the end cut */
        n--;
    out[n] = '\0';
}

void media_fact(const struct media *m, struct jw *w)
{
    jw_key(w, "url");
    jw_str_open(w);
    buf_put_str(w->b, URL);
    buf_put_str(w->b, m->id);
    buf_put_str(w->b, m->ext);
    jw_str_close(w);
    jw_kcstr(w, "contentType", m->type);
    jw_kcstr(w, "kind", kind_name(m->kind));
    if (m->name[0])
        jw_kcstr(w, "fileName", m->name);
    jw_ku64(w, "sizeBytes", m->bytes);
    if (m->width) {
        jw_ku64(w, "width", m->width);
        jw_ku64(w, "height", m->height);
    }
}

static void copy(char *out, size_t max, struct view v)
{
    (void)snprintf(out, max, "%.*s", (int)(v.n < max ? v.n : 0), v.p);
}

bool media_fact_read(const json_t *fact, struct media *out)
{
    struct view url = json_view(fact, "url"), id = media_id_of(url), kind = json_view(fact, "kind");
    int64_t bytes = json_i64(fact, "sizeBytes", 0), width = json_i64(fact, "width", 0),
            height = json_i64(fact, "height", 0);

    *out = (struct media){.kind = KIND_UNKNOWN};
    if (!view_starts(url, V(URL)) || !id.n || bytes < 0 || width < 0 || height < 0 ||
        width > UINT32_MAX || height > UINT32_MAX)
        return false;
    copy(out->id, sizeof(out->id), id);
    copy(out->ext, sizeof(out->ext), view_from(url, sizeof(URL) - 1 + MEDIA_ID));
    copy(out->type, sizeof(out->type), json_view(fact, "contentType"));
    copy(out->name, sizeof(out->name), json_view(fact, "fileName"));
    for (int k = KIND_IMAGE; k < KIND_UNKNOWN; k++)
        if (view_eq(kind, view_str(kind_name((enum media_kind)k))))
            out->kind = (enum media_kind)k;
    out->bytes = (uint64_t)bytes;
    out->width = (uint32_t)width;
    out->height = (uint32_t)height;
    return true;
}
