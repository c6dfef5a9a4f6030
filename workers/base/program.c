#include "program.h"

#include "fd.h"
#include "landlock.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 << 10,
    READS_PER_TURN = 4, /* others want their turn, too */
    LOG_LINE_MAX = 1000,
    FILES_MAX = 256,
};

struct pipe_in {
    struct loop_io io;
    int fd;
    struct buf line;
    bool skip; /* the rest of a line that was too long */
};

struct program {
    pid_t pid;
    struct pipe_in out, err;
    struct loop_io in_io;
    int in;
    struct buf queue;
    struct program_on on;
    void *ctx;
    bool ended;
};

/* ---- in the child: async-signal-safe calls only ---- */

static void child_limits(void)
{
    static const struct {
        int what;
        rlim_t most;
    } rows[] = {{RLIMIT_CORE, 0}, {RLIMIT_NOFILE, FILES_MAX}, {RLIMIT_MEMLOCK, 0}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rlimit l = {rows[i].most, rows[i].most}, now;

        if (getrlimit((__rlimit_resource_t)rows[i].what, &now) == 0 && now.rlim_max < l.rlim_max)
            l.rlim_cur = l.rlim_max = now.rlim_max;
        (void)setrlimit((__rlimit_resource_t)rows[i].what, &l);
    }
}

static void become(char *const argv[], const struct program_conf *conf, int in, int out, int err)
{
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LANG=C.UTF-8",
                home[] = "HOME=/", python[] = "PYTHONDONTWRITEBYTECODE=1";
    char *const env[] = {path, lang, home, python, NULL};

    (void)setpgid(0, 0);
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(126);
    if (close_range(STDERR_FILENO + 1, ~0u, 0) < 0)
        _exit(126); /* what it would inherit is our line to the supervisor */
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        _exit(126);
    child_limits();
    if (landlock_program(!conf->no_network, conf->ports, conf->port_count) < 0)
        _exit(126);
    (void)execve(argv[0], argv, env);
    _exit(errno == ENOENT ? 127 : 126);
}

/* ---- its end ---- */

static void ended(struct program *p)
{
    char why[96];
    int status = 0;

    if (p->ended)
        return;
    p->ended = true;
    loop_io_fini(&p->out.io);
    loop_io_fini(&p->err.io);
    loop_io_fini(&p->in_io);
    /* it may have closed its output only; it ends with us in any case */
    if (waitpid(p->pid, &status, WNOHANG) != p->pid)
        (void)snprintf(why, sizeof(why), "the program closed its output");
    else if (WIFSIGNALED(status))
        (void)snprintf(why, sizeof(why), "the program ended by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == 127)
        (void)snprintf(why, sizeof(why), "the program is not there");
    else if (WEXITSTATUS(status) == 126)
        (void)snprintf(why, sizeof(why), "the program cannot be started");
    else
        (void)snprintf(why, sizeof(why), "the program ended with code %d", WEXITSTATUS(status));
    p->on.on_end(p->ctx, why);
}

/* ---- its words ---- */

static void say_error(struct program *p, struct view line)
{
    if (p->on.on_error)
        p->on.on_error(p->ctx, line);
}

/* Whole lines of what has come. */
static void lines(struct program *p, struct pipe_in *in, size_t max,
                  void (*on_line)(struct program *p, struct view line))
{
    for (;;) {
        struct view have = buf_view(&in->line);
        size_t n = view_find(have, '\n');

        if (n == have.n) {
            if (n > max) { /* cut there; what follows up to the line end is dropped */
                if (!in->skip)
                    on_line(p, view_of(have.p, max));
                in->skip = true;
                buf_eat(&in->line, n);
            }
            return;
        }
        if (in->skip)
            in->skip = false;
        else if (n)
            on_line(p, view_of(have.p, n < max ? n : max));
        if (p->ended)
            return;
        buf_eat(&in->line, n + 1);
    }
}

static void say_line(struct program *p, struct view line)
{
    p->on.on_line(p->ctx, line);
}

static bool fill(struct pipe_in *in)
{
    char *room = buf_room(&in->line, READ_BYTES);
    ssize_t n = room ? read(in->fd, room, READ_BYTES) : -1;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return false;
    buf_added(&in->line, (size_t)n);
    return true;
}

static void on_out(void *ctx, bool readable, bool writable)
{
    struct program *p = ctx;

    (void)writable;
    if (!readable)
        return;
    if (!fill(&p->out)) {
        ended(p);
        return;
    }
    lines(p, &p->out, PROGRAM_LINE_MAX, say_line);
}

static void on_err(void *ctx, bool readable, bool writable)
{
    struct program *p = ctx;

    (void)writable;
    if (!readable)
        return;
    if (!fill(&p->err)) {
        loop_io_want(&p->err.io, false, false);
        return;
    }
    lines(p, &p->err, LOG_LINE_MAX, say_error);
}

/* ---- our words ---- */

static void on_writable(void *ctx, bool readable, bool writable)
{
    struct program *p = ctx;

    (void)readable;
    if (!writable)
        return;
    while (p->queue.n) {
        struct view v = buf_view(&p->queue);
        ssize_t n = send(p->in, v.p, v.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            ended(p);
            return;
        }
        buf_eat(&p->queue, (size_t)n);
    }
    buf_trim(&p->queue, 4096);
    loop_io_want(&p->in_io, false, p->queue.n > 0);
}

int program_write(struct program *p, struct view text, struct err *e)
{
    if (p->ended)
        return err_set(e, ERR_CLOSED, "the program has ended");
    if (text.n + 1 > PROGRAM_QUEUE_MAX - p->queue.n)
        return err_set(e, ERR_LIMIT, "the program does not read: %zu bytes wait", p->queue.n);
    buf_put_view(&p->queue, text);
    buf_put_char(&p->queue, '\n');
    loop_io_want(&p->in_io, false, true);
    return buf_check(&p->queue, e);
}

/* ---- start and stop ---- */

static int make_pipes(int fds[6], struct err *e)
{
    for (int i = 0; i < 6; i++)
        fds[i] = -1;
    for (int i = 0; i < 6; i += 2) /* no pipes: our sandbox writes to sockets only */
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds + i) < 0)
            return err_sys(e, "a line to the program");
    return 0;
}

static void pipe_in_init(struct pipe_in *in, int fd, size_t max)
{
    in->fd = fd;
    buf_init(&in->line, max + 2 * READ_BYTES);
}

int program_start(struct loop *l, char *const argv[], const struct program_conf *conf,
                  const struct program_on *on, void *ctx, struct program **out, struct err *e)
{
    struct program *p = NULL;
    int fds[6], r;

    if ((r = make_pipes(fds, e)) < 0 || (r = mem_new(&p, sizeof(*p), e)) < 0)
        goto out;
    p->pid = fork();
    if (p->pid < 0) {
        r = err_sys(e, "start of %s", argv[0]);
        mem_free(p);
        goto out;
    }
    if (p->pid == 0)
        become(argv, conf, fds[0], fds[3], fds[5]);
    p->on = *on;
    p->ctx = ctx;
    p->in = fds[1];
    pipe_in_init(&p->out, fds[2], PROGRAM_LINE_MAX);
    pipe_in_init(&p->err, fds[4], LOG_LINE_MAX);
    buf_init(&p->queue, PROGRAM_QUEUE_MAX);
    (void)fcntl(p->in, F_SETFL, O_NONBLOCK);
    (void)fcntl(p->out.fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(p->err.fd, F_SETFL, O_NONBLOCK);
    fds[1] = fds[2] = fds[4] = -1;
    loop_io_init(&p->out.io, l, p->out.fd, on_out, p);
    loop_io_init(&p->err.io, l, p->err.fd, on_err, p);
    loop_io_init(&p->in_io, l, p->in, on_writable, p);
    loop_io_want(&p->err.io, true, false);
    *out = p;
out:
    for (int i = 0; i < 6; i++)
        fd_close(&fds[i]);
    return r;
}

void program_listen(struct program *p)
{
    loop_io_want(&p->out.io, true, false);
}

void program_stop(struct program **pp)
{
    struct program *p = *pp;

    if (!p)
        return;
    *pp = NULL;
    if (!p->ended) {
        loop_io_fini(&p->out.io);
        loop_io_fini(&p->err.io);
        loop_io_fini(&p->in_io);
    }
    fd_close(&p->in);
    fd_close(&p->out.fd);
    fd_close(&p->err.fd);
    buf_fini(&p->out.line);
    buf_fini(&p->err.line);
    buf_fini(&p->queue);
    mem_free(p);
}
