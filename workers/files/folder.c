#include "folder.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INDEX "index.html"

bool folder_path_good(struct view path)
{
    while (path.n) {
        size_t n = view_find(path, '/');

        if (n == 0 || path.p[0] == '.' || memchr(path.p, 0, n) || memchr(path.p, '\\', n))
            return false;
        path = view_from(path, n + 1);
    }
    return true;
}

static int open_below(int folder, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd = -1;

    for (int tries = 0; tries < 8; tries++) { /* EAGAIN: something was renamed on the way */
        fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd;
}

int folder_below(int folder, const char *path)
{
    return open_below(folder, *path ? path : ".", O_DIRECTORY);
}

enum folder_found folder_open(int folder, struct view path, int *ret_fd, uint64_t *size)
{
    char name[FOLDER_PATH_MAX + sizeof(INDEX)];
    bool whole = !path.n || path.p[path.n - 1] == '/';
    enum folder_found found = FOLDER_MISSING;
    struct stat st;
    int fd;

    if (path.n > FOLDER_PATH_MAX || !folder_path_good(path))
        return FOLDER_MISSING;
    if (path.n)
        memcpy(name, path.p, path.n);
    memcpy(name + path.n, whole ? INDEX : "", whole ? sizeof(INDEX) : 1);
    if ((fd = open_below(folder, name, 0)) < 0)
        return FOLDER_MISSING;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 0) {
        found = FOLDER_FILE;
        *size = (uint64_t)st.st_size;
        *ret_fd = fd_take(&fd);
    } else if (S_ISDIR(st.st_mode) && !whole) {
        found = FOLDER_IS_ONE;
    }
    fd_close(&fd);
    return found;
}
