#include "landlock.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of the systems we build on; the numbers are the kernel's interface. */
enum {
    ABI_REFER = 2,
    ABI_TRUNCATE = 3,
    ABI_NET = 4,
    ABI_IOCTL = 5,
    ABI_SCOPE = 6,
    RULE_NET_PORT = 2,
};
#define FS_TRUNCATE  (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define NET_BIND     (1ULL << 0)
#define NET_CONNECT  (1ULL << 1)
#define SCOPE_ALL    (1ULL << 0 | 1ULL << 1) /* abstract sockets, signals */

struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct port_attr {
    uint64_t access, port;
};

static int add_to_read(int set, int fd, struct err *e)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE |
                                                                LANDLOCK_ACCESS_FS_READ_DIR,
                                              .parent_fd = fd};

    if (fd >= 0 && syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return err_sys(e, "sandbox: Landlock, a folder");
    return 0;
}

static int add_path(int set, const char *path, struct err *e)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE};
    struct stat st;
    int r = 0, fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return 0; /* not every machine has it */
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    rule.parent_fd = fd;
    if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        r = err_sys(e, "sandbox: Landlock, %s", path);
    fd_close(&fd);
    return r;
}

static int add_port(int set, uint16_t port, struct err *e)
{
    struct port_attr rule = {.access = NET_CONNECT, .port = port};

    if (syscall(SYS_landlock_add_rule, set, RULE_NET_PORT, &rule, 0) < 0)
        return err_sys(e, "sandbox: Landlock, port %u", port);
    return 0;
}

/* Files right in that folder: no folders, links or devices, no way to run them. */
static int add_folder(int set, int fd, struct err *e)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                          LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE,
        .parent_fd = fd};

    if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return err_sys(e, "sandbox: Landlock, folder");
    return 0;
}

static uint64_t fs_all(int abi)
{
    uint64_t all = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1; /* version 1: every bit up to here */

    if (abi >= ABI_REFER)
        all |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= ABI_TRUNCATE)
        all |= FS_TRUNCATE;
    if (abi >= ABI_IOCTL)
        all |= FS_IOCTL_DEV;
    return all;
}

int landlock_program(bool network, const uint16_t *ports, unsigned port_count)
{
    struct landlock_path_beneath_attr null = {.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE};
    struct ruleset_attr attr = {0};
    size_t size = sizeof(attr.fs);
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int set, ok;

    if (abi < 1)
        return 0;
    attr.fs =
        fs_all((int)abi) & ~(uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                       LANDLOCK_ACCESS_FS_EXECUTE | FS_IOCTL_DEV);
    if (abi >= ABI_NET && (port_count || !network)) {
        attr.net = network ? NET_CONNECT : NET_BIND | NET_CONNECT;
        size = offsetof(struct ruleset_attr, scoped);
    }
    if (abi >= ABI_SCOPE) {
        attr.scoped = SCOPE_ALL;
        size = sizeof(attr);
    }
    if ((set = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0)) < 0)
        return -1;
    null.parent_fd = open("/dev/null", O_PATH | O_CLOEXEC);
    ok = null.parent_fd >= 0 &&
         syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &null, 0) == 0;
    for (unsigned i = 0; network && attr.net && i < port_count && ok; i++) {
        struct port_attr rule = {.access = NET_CONNECT, .port = ports[i]};

        ok = syscall(SYS_landlock_add_rule, set, RULE_NET_PORT, &rule, 0) == 0;
    }
    ok = ok && syscall(SYS_landlock_restrict_self, set, 0) == 0;
    (void)close(null.parent_fd);
    (void)close(set);
    return ok ? (int)abi : -1;
}

int landlock_enter(const struct cage *c, const struct sandbox *s, struct err *e)
{
    struct ruleset_attr attr = {0};
    size_t size = sizeof(attr.fs);
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int set, r = 0;

    if (abi < 1)
        return 0; /* not built in, or not switched on at boot, or kept from us by a container */
    attr.fs = fs_all((int)abi);
    if (abi >= ABI_NET) {
        attr.net = NET_BIND | NET_CONNECT;
        size = offsetof(struct ruleset_attr, scoped);
    }
    if (abi >= ABI_SCOPE) {
        attr.scoped = SCOPE_ALL;
        size = sizeof(attr);
    }
    set = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (set < 0)
        return err_sys(e, "sandbox: Landlock");
    for (unsigned i = 0; c->paths[i] && r == 0; i++)
        r = add_path(set, c->paths[i], e);
    if (r == 0 && (s->allow & SB_FOLDER))
        r = add_folder(set, s->folder, e);
    for (unsigned i = 0; i < s->folder_count && r == 0; i++)
        r = add_to_read(set, s->folders[i], e);
    if (abi >= ABI_NET) {
        for (unsigned i = 0; c->ports[i] && r == 0; i++)
            r = add_port(set, c->ports[i], e);
        for (unsigned i = 0; (s->allow & SB_CONNECT) && i < s->port_count && r == 0; i++)
            r = add_port(set, s->ports[i], e);
    }
    if (r == 0 && syscall(SYS_landlock_restrict_self, set, 0) < 0)
        r = err_sys(e, "sandbox: Landlock");
    fd_close(&set);
    return r < 0 ? r : (int)abi;
}
