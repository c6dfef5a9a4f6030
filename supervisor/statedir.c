#include "statedir.h"

#include "buf.h"
#include "clock.h"
#include "fd.h"
#include "mem.h"
#include "rand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TOKEN_BYTES = 24,
    TOKEN_MAX = 4096,
    HOLDER_MAX = 256,
    LOCK_WAIT_MS = 10,
    LOCK_TRIES = 10,
};

static int make_dirs(const char *path, struct err *e)
{
    char part[PATH_MAX];

    if ((size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part))
        return err_set(e, ERR_LIMIT, "state folder: path too long");
    for (char *s = part + 1;; s++) {
        char c = *s;

        if (c && c != '/')
            continue;
        *s = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return err_sys(e, "make folder %s", part);
        *s = c;
        if (!c)
            return 0;
    }
}

/* A lock of the process, not of the descriptor: a child between fork and exec, which may outlive
 * us by a moment, does not have it. It would be lost if we closed another descriptor of this file:
 * nobody else in this process opens it. One that is just being killed is waited for. */
static int take_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    for (unsigned i = 0;; i++) {
        if (fcntl(fd, F_SETLK, &lock) == 0)
            return 0;
        if (i == LOCK_TRIES)
            return -1;
        (void)poll(NULL, 0, LOCK_WAIT_MS); /* nothing runs yet */
    }
}

int statedir_open(const char *path, unsigned port, int *out_lock, struct err *e)
{
    char file[PATH_MAX], line[HOLDER_MAX], iso[CLOCK_ISO_MAX];
    struct stat st;
    ssize_t n;
    int fd, r;

    if ((r = make_dirs(path, e)) < 0)
        return r;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(e, ERR_INVALID, "%s is not a folder", path);
    if ((st.st_mode & 077) && st.st_uid == geteuid() && chmod(path, 0700) < 0)
        return err_sys(e, "chmod 700 %s", path);
    if ((size_t)snprintf(file, sizeof(file), "%s/gateway.lock", path) >= sizeof(file))
        return err_set(e, ERR_LIMIT, "state folder: path too long");
    fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, "%s", file);
    if (take_lock(fd) < 0) {
        n = pread(fd, line, sizeof(line) - 1, 0);
        line[n > 0 ? n : 0] = 0;
        line[strcspn(line, "\n")] = 0;
        fd_close(&fd);
        return err_set(
            e, ERR_CONFLICT,
            "another gateway holds %s (%s); stop it first, or use another folder with --state-dir",
            path, line[0] ? line : "unknown");
    }
    clock_iso(clock_wall_ms(), iso);
    n = snprintf(line, sizeof(line), "pid %ld, port %u, since %s\n", (long)getpid(), port, iso);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, line, (size_t)n, 0) != n) {
        r = err_sys(e, "%s", file);
        fd_close(&fd);
        return r;
    }
    *out_lock = fd;
    return 0;
}

int statedir_token(const char *path, struct secret *out, bool *made, struct err *e)
{
    char file[PATH_MAX], token[2 * TOKEN_BYTES + 2];
    struct buf b;
    int r;

    *made = false;
    if ((size_t)snprintf(file, sizeof(file), "%s/gateway.token", path) >= sizeof(file))
        return err_set(e, ERR_LIMIT, "state folder: path too long");
    buf_init(&b, TOKEN_MAX);
    b.secret = true;
    r = fd_read_file(file, TOKEN_MAX, &b, e);
    if (r == 0 && view_trim(buf_view(&b)).n >= 8) {
        r = secret_set(out, view_trim(buf_view(&b)), e);
    } else if (r == 0) {
        r = err_set(e, ERR_INVALID,
                    "%s holds no usable token; delete it and start again for a new one", file);
    } else if (r == ERR_NOT_FOUND) {
        *e = (struct err)ERR_INIT;
        rand_hex(token, TOKEN_BYTES);
        token[2 * TOKEN_BYTES] = '\n';
        token[2 * TOKEN_BYTES + 1] = 0;
        r = fd_write_file(file, view_of(token, 2 * TOKEN_BYTES + 1), 0600, e);
        if (r == 0)
            r = secret_set(out, view_of(token, 2 * TOKEN_BYTES), e);
        *made = r == 0;
        explicit_bzero(token, sizeof(token));
    }
    buf_fini(&b);
    return r;
}

/* Files of the hub keep their owner when it changes from one start to the next: root with and
 * without uids for the classes. Nothing is followed: the hub may have put anything there. */
static int own_files(int dir, uid_t uid, struct err *e)
{
    static const char *const files[] = {"state.mdb", "state.mdb-log", "state.mdb-lock"};

    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        struct stat st;
        int fd = openat(dir, files[i], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r = 0;

        if (fd < 0)
            continue; /* not there yet, or not a file: the hub will say so */
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid != uid &&
            fchown(fd, uid, (gid_t)uid) < 0)
            r = err_sys(e, "give %s to uid %u", files[i], uid);
        fd_close(&fd);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The files of messages, likewise: the hub alone made them. */
static int own_media(int dir, uid_t uid, struct err *e)
{
    int fd, r = 0;
    struct stat st;
    struct dirent *d;
    DIR *list;

    if (mkdirat(dir, "media", 0700) < 0 && errno != EEXIST)
        return err_sys(e, "make folder media");
    if ((fd = openat(dir, "media", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        return err_sys(e, "folder media");
    if (fstat(fd, &st) < 0)
        r = err_sys(e, "folder media");
    if (r < 0 || (st.st_uid == uid && !(st.st_mode & 077))) {
        fd_close(&fd);
        return r;
    }
    if (!(list = fdopendir(fd))) {
        fd_close(&fd);
        return err_sys(e, "folder media");
    }
    while (r == 0 && (d = readdir(list))) {
        int file = openat(fd, d->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (file >= 0 && fstat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
            st.st_uid != uid && fchown(file, uid, (gid_t)uid) < 0)
            r = err_sys(e, "give a file of messages to uid %u", uid);
        fd_close(&file);
    }
    /* the folder last: whoever is interrupted begins again */
    if (r == 0 && fstat(fd, &st) == 0 && st.st_uid != uid && fchown(fd, uid, (gid_t)uid) < 0)
        r = err_sys(e, "give folder media to uid %u", uid);
    if (r == 0 && fchmod(fd, 0700) < 0)
        r = err_sys(e, "chmod 700 media");
    (void)closedir(list);
    return r;
}

static void move_in(const char *path, int dir)
{
    char old[PATH_MAX];
    static const char *const files[] = {"state.mdb-lock", "state.mdb-log", "state.mdb"};

    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        if ((size_t)snprintf(old, sizeof(old), "%s/%s", path, files[i]) < sizeof(old) &&
            faccessat(dir, files[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            (void)renameat(AT_FDCWD, old, dir, files[i]);
    }
}

int statedir_store(const char *path, bool own_uid, unsigned uid, char **out, struct err *e)
{
    char store[PATH_MAX];
    struct stat st;
    char *copy;
    int dir, r = 0;

    if ((size_t)snprintf(store, sizeof(store), "%s/store", path) >= sizeof(store))
        return err_set(e, ERR_LIMIT, "state folder: path too long");
    if (mkdir(store, 0700) < 0 && errno != EEXIST)
        return err_sys(e, "make folder %s", store);
    dir = open(store, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return err_sys(e, "%s", store);
    if (fstat(dir, &st) < 0)
        r = err_sys(e, "%s", store);
    if (!own_uid)
        uid = geteuid();
    if (r == 0 && st.st_uid != uid && fchown(dir, uid, own_uid ? (gid_t)uid : getegid()) < 0)
        r = err_sys(e, "give %s to uid %u", store, uid);
    if (r == 0 && (st.st_mode & 077) && fchmod(dir, 0700) < 0)
        r = err_sys(e, "chmod 700 %s", store);
    if (r == 0) {
        move_in(path, dir);
        if ((r = own_files(dir, uid, e)) == 0)
            r = own_media(dir, uid, e);
    }
    fd_close(&dir);
    if (r < 0)
        return r;
    copy = mem_dup(store, strlen(store));
    if (!copy)
        return err_set(e, ERR_NOMEM, "no memory");
    *out = copy;
    return 0;
}
