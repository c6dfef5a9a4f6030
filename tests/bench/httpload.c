/*
 * tests/bench/httpload.c - HTTP/1.1 load, one epoll thread.
 *   httpload load PORT CONNS SECONDS DEPTH TOKEN PATH [BODY]   keep-alive, DEPTH requests on their
 *       way on each connection; POST when there is a BODY
 *   httpload streams PORT CONNS TOKEN                          CONNS chat completions, streamed at
 *       the same time; the model (mockllm, "stamp me") writes its clock into each delta
 * Prints per_s=, done=, bad= and latency_ms p50= p99= max= (streams: how late deltas are).
 * build: cc -O2 -D_GNU_SOURCE -o httpload httpload.c
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IN = 256 * 1024,
    DEPTH_MAX = 256,
    NEW = 16 /* streams without a byte yet: a gateway ends strangers that crowd */
};

struct conn {
    int fd;
    char in[IN + 1];
    size_t n;
    size_t left; /* of a body */
    bool ended, heard;
    long sent[DEPTH_MAX]; /* when, oldest first */
    unsigned first, count;
};

static int ep;
static unsigned *took; /* us */
static size_t took_n, took_cap, done, bad, quiet;
static char request[4096];
static size_t request_n;

static long now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void note(long ns)
{
    if (took_n == took_cap) {
        took_cap = took_cap ? took_cap * 2 : 65536;
        took = realloc(took, took_cap * sizeof(*took));
    }
    took[took_n++] = (unsigned)(ns / 1000);
}

static struct conn *dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct conn *c = calloc(1, sizeof(*c));
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        perror("connect");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
    return c;
}

static void say(struct conn *c, unsigned n)
{
    char all[64 * 1024];
    size_t len = 0;

    for (unsigned i = 0; i < n && len + request_n <= sizeof(all); i++) {
        memcpy(all + len, request, request_n);
        len += request_n;
        c->sent[(c->first + c->count++) % DEPTH_MAX] = now_ns();
    }
    if (write(c->fd, all, len) != (ssize_t)len) {
        fprintf(stderr, "a request did not fit into the socket\n");
        exit(1);
    }
}

/* Whole answers in the buffer; how many. */
static unsigned answers(struct conn *c)
{
    size_t at = 0;
    unsigned got = 0;

    for (;;) {
        char *end, *length;
        size_t body, head;

        if (c->left) {
            size_t part = c->left < c->n - at ? c->left : c->n - at;

            at += part;
            if (c->left -= part)
                break;
            got++;
            continue;
        }
        c->in[c->n] = 0;
        if (!(end = memmem(c->in + at, c->n - at, "\r\n\r\n", 4)))
            break;
        length = strcasestr(c->in + at, "content-length:");
        body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
        head = (size_t)(end + 4 - c->in) - at;
        if (strncmp(c->in + at, "HTTP/1.1 200", 12) != 0 && !bad++)
            fprintf(stderr, "%.60s\n", c->in + at);
        at += head;
        note(now_ns() - c->sent[c->first]);
        c->first = (c->first + 1) % DEPTH_MAX;
        c->count--;
        c->left = body;
        if (!body)
            got++;
    }
    memmove(c->in, c->in + at, c->n - at);
    c->n -= at;
    return got;
}

/* Deltas that carry the model's clock: "t<ns> ". */
static void stamps(struct conn *c)
{
    size_t at = 0;

    c->in[c->n] = 0;
    for (;;) {
        char *p = memmem(c->in + at, c->n - at, "\"content\":\"t", 12), *end;

        if (!p || !(end = memchr(p + 12, ' ', c->n - (size_t)(p + 12 - c->in))))
            break;
        note(now_ns() - strtol(p + 12, NULL, 10));
        at = (size_t)(end - c->in);
    }
    if (memmem(c->in + at, c->n - at, "[DONE]", 6)) {
        done += !c->ended;
        c->ended = true;
    } else if (at == 0 && c->n > 64 * 1024) {
        at = c->n - 1024;
    }
    memmove(c->in, c->in + at, c->n - at);
    c->n -= at;
}

static int by_size(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

static void report(double seconds)
{
    qsort(took, took_n, sizeof(*took), by_size);
    printf("result per_s=%.1f done=%zu bad=%zu\n", (double)done / seconds, done, bad);
    if (took_n)
        printf("latency_ms p50=%.3f p99=%.3f max=%.3f n=%zu\n", took[took_n / 2] / 1e3,
               took[took_n * 99 / 100] / 1e3, took[took_n - 1] / 1e3, took_n);
}

int main(int argc, char **argv)
{
    bool streams = argc == 5 && strcmp(argv[1], "streams") == 0;
    int conns, port;
    unsigned depth;
    long begun, end;

    if (!streams && (argc < 8 || strcmp(argv[1], "load") != 0)) {
        fprintf(stderr, "usage: see the head of httpload.c\n");
        return 2;
    }
    port = atoi(argv[2]);
    conns = atoi(argv[3]);
    depth = streams ? 1 : (unsigned)atoi(argv[5]);
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (depth > DEPTH_MAX || depth < 1)
        depth = 1;
    {
        const char *body = streams    ? "{\"stream\":true,\"messages\":[{\"role\":\"user\","
                                        "\"content\":\"stamp me\"}]}"
                           : argc > 8 ? argv[8]
                                      : "";

        request_n =
            (size_t)snprintf(request, sizeof(request),
                             "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
                             "%s\r\nContent-Length: %zu\r\n\r\n%s",
                             *body ? "POST" : "GET", streams ? "/v1/chat/completions" : argv[7],
                             streams ? argv[4] : argv[6], strlen(body), body);
    }
    begun = now_ns();
    end = begun + (streams ? 120 : atol(argv[4])) * 1000000000L;
    int dialed = 0;
    while (now_ns() < end && !(streams && done + bad == (size_t)conns)) {
        struct epoll_event ev[256];

        for (; dialed < conns && (!streams || quiet < NEW); dialed++, quiet++)
            say(dial(port), depth);
        int n = epoll_wait(ep, ev, 256, 100);

        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            ssize_t r = read(c->fd, c->in + c->n, IN - c->n);

            if (r <= 0 && errno == EAGAIN)
                continue;
            if (r <= 0) {
                if (!c->ended && !bad++)
                    fprintf(stderr, "ended early: %.300s\n", c->in);
                close(c->fd);
                continue;
            }
            c->n += (size_t)r;
            quiet -= !c->heard;
            c->heard = true;
            if (streams) {
                stamps(c);
            } else {
                unsigned got = answers(c);

                done += got;
                if (got)
                    say(c, got);
            }
        }
    }
    report((double)(now_ns() - begun) / 1e9);
    return bad || !done;
}
