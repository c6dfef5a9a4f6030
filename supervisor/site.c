#include "site.h"

#include "buf.h"
#include "fd.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct pack {
    int out, root;
    uint64_t files, bytes, size;
    char path[SITE_PATH_MAX + 1];
    struct buf file;
};

static int put(struct pack *p, const void *data, size_t n, struct err *e)
{
    const char *at = data;

    while (n) {
        ssize_t w = write(p->out, at, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return err_sys(e, "the pack of the control page");
        at += w;
        n -= (size_t)w;
        p->size += (size_t)w;
    }
    return 0;
}

/* Below the root, whatever anybody does to the folder meanwhile. */
static int open_below(const struct pack *p, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, p->root, path, &how, sizeof(how));
}

static int add_file(struct pack *p, size_t path_n, struct err *e)
{
    uint64_t head[2];
    int fd = open_below(p, p->path, O_RDONLY), r;

    if (fd < 0)
        return errno == ELOOP || errno == ENOENT ? 0 : err_sys(e, "%s", p->path);
    buf_reset(&p->file, p->file.max);
    r = fd_read_all(fd, SITE_FILE_MAX, &p->file, e);
    fd_close(&fd);
    if (r == ERR_INVALID) /* a pipe, a socket */
        return 0;
    if (r < 0)
        return err_wrap(e, "%s", p->path);
    if (++p->files > SITE_FILES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d files", SITE_FILES_MAX);
    if ((p->bytes += p->file.n) > SITE_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d bytes", SITE_BYTES_MAX);
    head[0] = path_n;
    head[1] = p->file.n;
    if ((r = put(p, head, sizeof(head), e)) < 0 || (r = put(p, p->path, path_n, e)) < 0)
        return r;
    return put(p, buf_view(&p->file).p, p->file.n, e);
}

/* The folder whose name is the first path_n bytes of p->path. */
static int add_folder(struct pack *p, size_t path_n, unsigned depth, struct err *e)
{
    int fd = open_below(p, path_n ? p->path : ".", O_RDONLY | O_DIRECTORY), r = 0;
    const struct dirent *d;
    DIR *dir;

    if (fd < 0)
        return errno == ELOOP || errno == ENOENT ? 0 : err_sys(e, "%s", p->path);
    if (depth >= SITE_DEPTH_MAX || !(dir = fdopendir(fd))) {
        fd_close(&fd);
        return err_set(e, ERR_LIMIT, "%s: deeper than %d folders", p->path, SITE_DEPTH_MAX);
    }
    while (r == 0 && (d = readdir(dir))) {
        size_t n = strlen(d->d_name), at = path_n ? path_n + 1 : 0;
        struct stat st;

        if (d->d_name[0] == '.')
            continue;
        if (n > SITE_PATH_MAX - at) {
            r = err_set(e, ERR_LIMIT, "%s/%s: the name is too long", p->path, d->d_name);
            break;
        }
        if (path_n)
            p->path[path_n] = '/';
        memcpy(p->path + at, d->d_name, n + 1);
        if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            if (S_ISDIR(st.st_mode))
                r = add_folder(p, at + n, depth + 1, e);
            else if (S_ISREG(st.st_mode))
                r = add_file(p, at + n, e);
        }
        p->path[path_n] = 0;
    }
    (void)closedir(dir);
    return r;
}

int site_pack(const char *root, int *fd, unsigned *files, uint64_t *size, struct err *e)
{
    struct pack p = {.out = -1, .root = -1};
    int r;

    buf_init(&p.file, SITE_FILE_MAX);
    p.root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    p.out = memfd_create("control-ui", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (p.root < 0 || p.out < 0) {
        r = err_sys(e, "%s", root);
        goto out;
    }
    if ((r = put(&p, &p.files, sizeof(p.files), e)) < 0 || (r = add_folder(&p, 0, 0, e)) < 0)
        goto out;
    if (pwrite(p.out, &p.files, sizeof(p.files), 0) != sizeof(p.files) ||
        fcntl(p.out, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
        r = err_sys(e, "the pack of the control page");
        goto out;
    }
    *fd = fd_take(&p.out);
    *files = (unsigned)p.files;
    *size = p.size;
out:
    if (r < 0)
        r = err_wrap(e, "gateway.controlUi.root");
    buf_fini(&p.file);
    fd_close(&p.out);
    fd_close(&p.root);
    return r;
}
