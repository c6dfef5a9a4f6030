/*
 * tests/bench/hello.c - milliseconds from exec of a server to its first hello-ok.
 *   hello PORT TOKEN COMMAND ...     starts COMMAND, connects as soon as it listens, ends it
 * Prints the milliseconds to the first accepted connection and to hello-ok.
 * Build: cc -O2 -o hello hello.c wsconn.c
 */
#include "wsconn.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_S = 30, RETRY_US = 100 };

static const char *token;
static bool is_hello;

static void on_message(struct conn *c, const char *p, size_t n)
{
    char b[1024];

    if (c->state == S_CHALLENGE) {
        int k =
            snprintf(b, sizeof(b),
                     "{\"type\":\"req\",\"id\":\"c\",\"method\":\"connect\",\"params\":{"
                     "\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"gateway-client\","
                     "\"version\":\"1\",\"platform\":\"linux\",\"mode\":\"backend\"},"
                     "\"role\":\"operator\",\"scopes\":[\"operator.read\"],"
                     "\"auth\":{\"token\":\"%s\"}}}",
                     token);

        c->state = S_HELLO;
        conn_text(c, b, (size_t)k);
    } else if (memmem(p, n, "\"ok\":true", 9)) {
        is_hello = true;
    }
}

/* Until somebody listens; the pauses leave the processor to the server. */
static void wait_listen(const struct peer *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->port)};
    struct timespec pause = {.tv_nsec = RETRY_US * 1000};

    inet_pton(AF_INET, p->host, &a.sin_addr);
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r = connect(fd, (struct sockaddr *)&a, sizeof(a));

        close(fd);
        if (r == 0)
            return;
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    struct peer p = {.host = "127.0.0.1", .path = "/"};
    struct conn c = {0};
    struct epoll_event e;
    uint64_t start_ns, listen_ns;
    pid_t child;

    if (argc < 4)
        return 2;
    p.port = atoi(argv[1]);
    token = argv[2];
    signal(SIGPIPE, SIG_IGN);
    alarm(LIMIT_S);
    conn_epoll = epoll_create1(EPOLL_CLOEXEC);
    start_ns = now_ns();
    child = fork();
    if (child == 0) {
        execv(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    wait_listen(&p);
    listen_ns = now_ns();
    conn_start(&c, &p);
    while (!is_hello && c.fd >= 0 && epoll_wait(conn_epoll, &e, 1, -1) >= 0)
        conn_ready(&c, e.events, &p, on_message);
    printf("listen_ms=%.2f hello_ms=%.2f ok=%d\n", (double)(listen_ns - start_ns) / 1e6,
           (double)(now_ns() - start_ns) / 1e6, is_hello);
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
    return is_hello ? 0 : 1;
}
