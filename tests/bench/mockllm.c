/*
 * tests/bench/mockllm.c - a fast model server for load tests (OpenAI's protocol, HTTP/1.1
 * keep-alive, one epoll thread). POST .../chat/completions with "stream":true: CHUNKS SSE deltas,
 * then usage, then [DONE]; else one JSON body. GET .../models: one model. A body that contains
 * "slow msg" gets 50 ms between chunks; one with "stamp me" 250 ms, and the clock in each. mockllm
 * PORT [CHUNKS=20] [DELAY_MS between chunks=0] [FAULT: none|429|500|cut|stall|garbage] build: cc
 * -O2 -o mockllm mockllm.c
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
struct conn {
    int fd;
    char *in;
    size_t n, cap;
    char *out;
    size_t on, oo, ocap;
    int left, idx;
    long next;
    int delay;
    bool closing, stamp;
    struct conn *nx;
};
static int ep, chunks = 20, delay;
static const char *fault = "none";
static struct conn *slow;
static long served, conns;
static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static void put(struct conn *c, const char *p, size_t n)
{
    if (c->on + n > c->ocap) {
        c->ocap = (c->on + n) * 2;
        c->out = realloc(c->out, c->ocap);
    }
    memcpy(c->out + c->on, p, n);
    c->on += n;
}
static void kill_conn(struct conn *c)
{
    for (struct conn **p = &slow; *p; p = &(*p)->nx)
        if (*p == c) {
            *p = c->nx;
            break;
        }
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
    conns--;
}
static bool flush(struct conn *c)
{
    while (c->oo < c->on) {
        ssize_t r = write(c->fd, c->out + c->oo, c->on - c->oo);
        if (r < 0) {
            if (errno == EAGAIN) {
                struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
                epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
                return true;
            }
            kill_conn(c);
            return false;
        }
        c->oo += r;
    }
    c->on = c->oo = 0;
    if (c->closing) {
        kill_conn(c);
        return false;
    }
    return true;
}
static void sse(struct conn *c, const char *json)
{
    char h[32];
    size_t n = strlen(json) + 8;
    int k = sprintf(h, "%zx\r\n", n);
    put(c, h, k);
    put(c, "data: ", 6);
    put(c, json, n - 8);
    put(c, "\n\n\r\n", 4);
}
static void chunk(struct conn *c)
{
    char b[512];
    if (c->idx == 0)
        sse(c, "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"mock-"
               "1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
               "\"finish_reason\":null}]}");
    if (c->left > 0) {
        char text[32];
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        if (c->stamp)
            snprintf(text, sizeof text, "t%lld", t.tv_sec * 1000000000LL + t.tv_nsec);
        else
            snprintf(text, sizeof text, "word%d", c->idx);
        snprintf(b, sizeof b,
                 "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":"
                 "\"mock-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s "
                 "\"},\"finish_reason\":null}]}",
                 text);
        sse(c, b);
        c->idx++;
        c->left--;
        if (!strcmp(fault, "cut") && c->idx == 3) {
            c->closing = true;
        }
        if (!strcmp(fault, "garbage") && c->idx == 3)
            sse(c, "{\"choices\":[{\"delta\":{\"content\":");
    }
    if (c->left == 0 && !c->closing) {
        sse(c, "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"mock-"
               "1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}");
        sse(c, "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"mock-"
               "1\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":20,"
               "\"total_tokens\":30}}");
        put(c, "e\r\ndata: [DONE]\n\n\r\n", 19);
        put(c, "0\r\n\r\n", 5);
        c->left = -1;
        served++;
    }
}
static bool request(struct conn *c)
{ // true while the connection lives
    for (;;) {
        char *e = memmem(c->in, c->n, "\r\n\r\n", 4);
        if (!e)
            return true;
        size_t hl = e + 4 - c->in, bl = 0;
        e[2] = 0;
        char *cl = strcasestr(c->in, "content-length:");
        if (cl)
            bl = strtoul(cl + 15, NULL, 10);
        if (strcasestr(c->in, "expect: 100-continue") && c->n == hl) {
            e[2] = '\r';
            return true;
        }
        e[2] = '\r';
        if (c->n < hl + bl)
            return true;
        bool stream = memmem(c->in + hl, bl, "\"stream\":true", 13) ||
                      memmem(c->in + hl, bl, "\"stream\": true", 14);
        bool isslow = memmem(c->in + hl, bl, "slow msg", 8) != NULL;
        c->stamp = memmem(c->in + hl, bl, "stamp me", 8) != NULL;
        char path[128] = "";
        sscanf(c->in, "%*s %127s", path);
        char b[1024];
        memmove(c->in, c->in + hl + bl, c->n - hl - bl);
        c->n -= hl + bl;
        if (strstr(path, "/models")) {
            const char *j =
                "{\"object\":\"list\",\"data\":[{\"id\":\"mock-1\",\"object\":\"model\"}]}";
            int k = sprintf(b,
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                            "%zu\r\n\r\n%s",
                            strlen(j), j);
            put(c, b, k);
            if (!flush(c))
                return false;
            continue;
        }
        if (!strcmp(fault, "429") || !strcmp(fault, "500")) {
            const char *j = "{\"error\":{\"message\":\"mock fault\",\"type\":\"mock\"}}";
            int k = sprintf(b,
                            "HTTP/1.1 %s\r\nRetry-After: 1\r\nContent-Type: "
                            "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                            *fault == '4' ? "429 Too Many Requests" : "500 Internal Server Error",
                            strlen(j), j);
            put(c, b, k);
            if (!flush(c))
                return false;
            continue;
        }
        if (!strcmp(fault, "stall"))
            return true;
        if (!stream) {
            const char *j = "{\"id\":\"c1\",\"object\":\"chat.completion\",\"created\":1,\"model\":"
                            "\"mock-1\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
                            "\"assistant\",\"content\":\"hello from "
                            "mock\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,"
                            "\"completion_tokens\":5,\"total_tokens\":15}}";
            int k = sprintf(b,
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                            "%zu\r\n\r\n%s",
                            strlen(j), j);
            put(c, b, k);
            served++;
            if (!flush(c))
                return false;
            continue;
        }
        const char *h = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
                        "chunked\r\n\r\n";
        put(c, h, strlen(h));
        c->left = chunks;
        c->idx = 0;
        c->delay = c->stamp ? 250 : isslow ? 50 : delay;
        if (!c->delay) {
            while (c->left >= 0 && !c->closing)
                chunk(c);
            if (!flush(c))
                return false;
        } else {
            chunk(c);
            c->next = now() + c->delay;
            c->nx = slow;
            slow = c;
            if (!flush(c))
                return false;
        }
    }
}
int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 9999;
    if (argc > 2)
        chunks = atoi(argv[2]);
    if (argc > 3)
        delay = atoi(argv[3]);
    if (argc > 4)
        fault = argv[4];
    signal(SIGPIPE, SIG_IGN);
    struct rlimit rl = {65536, 65536};
    setrlimit(RLIMIT_NOFILE, &rl);
    int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, 4);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) {
        perror("mockllm");
        return 1;
    }
    ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
    fprintf(stderr, "mockllm on %d chunks=%d delay=%d fault=%s\n", port, chunks, delay, fault);
    struct epoll_event ev[256];
    for (;;) {
        int n = epoll_wait(ep, ev, 256, slow ? 2 : 1000);
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            if (!c) {
                int fd;
                while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, 4);
                    c = calloc(1, sizeof *c);
                    c->fd = fd;
                    conns++;
                    struct epoll_event x = {.events = EPOLLIN, .data.ptr = c};
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &x);
                }
                continue;
            }
            if (ev[i].events & EPOLLOUT) {
                if (!flush(c))
                    continue;
                if (c->on == 0) {
                    struct epoll_event x = {.events = EPOLLIN, .data.ptr = c};
                    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &x);
                }
            }
            if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                if (c->cap - c->n < 65536) {
                    c->cap = c->cap ? c->cap * 2 : 131072;
                    c->in = realloc(c->in, c->cap);
                }
                ssize_t r = read(c->fd, c->in + c->n, c->cap - c->n - 1);
                if (r <= 0) {
                    if (r < 0 && errno == EAGAIN)
                        continue;
                    kill_conn(c);
                    continue;
                }
                c->n += r;
                c->in[c->n] = 0;
                char *x = memmem(c->in, c->n, "\r\n\r\n", 4);
                if (x && strcasestr(c->in, "expect: 100-continue") &&
                    (size_t)(x + 4 - c->in) == c->n) {
                    const char *h = "HTTP/1.1 100 Continue\r\n\r\n";
                    if (write(c->fd, h, strlen(h)) < 0) {
                    }
                }
                request(c);
            }
        }
        if (slow) {
            long t = now();
            struct conn *nx;
            for (struct conn **p = &slow; *p;) {
                struct conn *c = *p;
                nx = c->nx;
                if (c->next <= t) {
                    chunk(c);
                    c->next = t + c->delay;
                    if (c->left < 0 || c->closing) {
                        *p = nx;
                        flush(c);
                        continue;
                    }
                    if (!flush(c))
                        continue;
                }
                p = &c->nx;
            }
        }
    }
}
