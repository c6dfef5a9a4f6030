#include "workspace.h"

#include "fd.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const names[] = {
#define WORKSPACE_FILE(name, who, help) name,
#include "workspace.def"
#undef WORKSPACE_FILE
};
_Static_assert(COUNT_OF(names) == WORKSPACE_FILES, "WORKSPACE_FILES");

const char *workspace_name(unsigned i)
{
    return i < WORKSPACE_FILES ? names[i] : NULL;
}

int workspace_find(struct view name)
{
    for (unsigned i = 0; i < WORKSPACE_FILES; i++)
        if (view_eq(name, view_str(names[i])))
            return (int)i;
    return -1;
}

/* -1 when it is not there. The folder itself is the configuration's word: it may be a link. */
static int open_folder(const char *folder)
{
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_below(int folder, const char *name, uint64_t flags, uint64_t mode)
{
    struct open_how how = {.flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                           .mode = mode,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                      RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};

    return (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));
}

/* A second name of a file would lead to one that is somebody else's. */
static bool plain(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_nlink == 1;
}

static void note(struct workspace_file *f, const struct stat *st)
{
    f->there = true;
    f->size = (uint64_t)st->st_size;
    f->ino = st->st_ino;
    f->changed_ns = st->st_mtim.tv_nsec;
    f->changed_ms = (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000;
}

void workspace_look(const char *folder, struct workspace_file out[WORKSPACE_FILES])
{
    int fd = open_folder(folder);
    struct stat st;

    memset(out, 0, WORKSPACE_FILES * sizeof(*out));
    for (unsigned i = 0; i < WORKSPACE_FILES && fd >= 0; i++)
        if (fstatat(fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && plain(&st))
            note(&out[i], &st);
    fd_close(&fd);
}

static void put_hash(struct view text, char out[65])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_Digest(text.p ? text.p : "", text.n, md, &n, EVP_sha256(), NULL) != 1)
        n = 0;
    for (unsigned i = 0; i < n && i < 32; i++)
        (void)snprintf(out + (size_t)i * 2, 3, "%02x", md[i]);
    out[n ? 64 : 0] = 0;
}

static int read_in(int folder, unsigned i, struct workspace_file *f, struct buf *out, struct err *e)
{
    size_t from = out->n;
    struct stat st;
    int fd = open_below(folder, names[i], O_RDONLY, 0), r = 0;

    memset(f, 0, sizeof(*f));
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? err_set(e, ERR_NOT_FOUND, "%s", names[i])
                                                 : err_sys(e, "%s", names[i]);
    if (fstat(fd, &st) < 0 || !plain(&st))
        r = err_set(e, ERR_NOT_FOUND, "%s is no plain file", names[i]);
    else if ((r = fd_read_all(fd, WORKSPACE_FILE_MAX, out, e)) < 0)
        r = err_wrap(e, "%s", names[i]);
    fd_close(&fd);
    if (r < 0)
        return r;
    note(f, &st);
    put_hash(view_from(buf_view(out), from), f->hash);
    return 0;
}

int workspace_read(const char *folder, unsigned i, struct workspace_file *f, struct buf *out,
                   struct err *e)
{
    int fd = open_folder(folder), r;

    if (fd < 0)
        return err_set(e, ERR_NOT_FOUND, "%s is not there", folder);
    r = read_in(fd, i, f, out, e);
    fd_close(&fd);
    return r;
}

static int write_all(int fd, struct view text, struct err *e)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(e, "write");
        text = view_from(text, (size_t)n);
    }
    return fsync(fd) < 0 ? err_sys(e, "fsync") : 0;
}

/* As what it replaces, else as the folder: whoever works there goes on owning it. */
static int dress(int fd, int folder, const char *name, struct err *e)
{
    struct stat dir, old;
    bool there = fstatat(folder, name, &old, AT_SYMLINK_NOFOLLOW) == 0 && plain(&old);

    if (fstat(folder, &dir) < 0 || fchmod(fd, there ? old.st_mode & 0777 : 0600) < 0)
        return err_sys(e, "%s", name);
    if (geteuid() == 0 &&
        fchown(fd, there ? old.st_uid : dir.st_uid, there ? old.st_gid : dir.st_gid) < 0)
        return err_sys(e, "%s", name);
    return 0;
}

static int write_in(int folder, unsigned i, struct view text, struct err *e)
{
    char part[64];
    int fd, r;

    (void)snprintf(part, sizeof(part), ".%s.new", names[i]);
    if (unlinkat(folder, part, 0) < 0 && errno != ENOENT)
        return err_sys(e, "%s", part);
    if ((fd = open_below(folder, part, O_WRONLY | O_CREAT | O_EXCL, 0600)) < 0)
        return err_sys(e, "%s", part);
    if ((r = write_all(fd, text, e)) == 0)
        r = dress(fd, folder, names[i], e);
    fd_close(&fd);
    if (r == 0 && renameat(folder, part, folder, names[i]) < 0)
        r = err_sys(e, "%s", names[i]);
    if (r == 0 && fsync(folder) < 0)
        r = err_sys(e, "the folder of %s", names[i]);
    if (r < 0)
        (void)unlinkat(folder, part, 0);
    return r;
}

int workspace_write(const char *folder, unsigned i, struct view text, struct view expected,
                    struct err *e)
{
    struct buf old = BUF_INIT(WORKSPACE_FILE_MAX);
    struct workspace_file f;
    struct err why = ERR_INIT;
    int fd, r = 0;

    if (text.n > WORKSPACE_FILE_MAX)
        return err_set(e, ERR_LIMIT, "%s: %zu bytes, limit %d", names[i], text.n,
                       WORKSPACE_FILE_MAX);
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return err_sys(e, "%s", folder);
    if ((fd = open_folder(folder)) < 0)
        return err_sys(e, "%s", folder);
    if (expected.n) {
        memset(&f, 0, sizeof(f));
        (void)read_in(fd, i, &f, &old, &why); /* what cannot be read has no hash */
        if (!view_eq(expected, view_str(f.hash)))
            r = err_set(e, ERR_CONFLICT, "%s was changed meanwhile; read it again", names[i]);
    }
    if (r == 0)
        r = write_in(fd, i, text, e);
    buf_fini(&old);
    fd_close(&fd);
    return r;
}
