/*
 * tests/bench/wslimit.c - the least a server can do for wsload's protocol: one epoll thread, no
 * checks, no parsing. What it reaches is the machine's ceiling for the same load. Answers every
 * request with BYTES of payload. wslimit PORT BYTES (less than 1 MiB) build: cc -O2 -o wslimit
 * wslimit.c
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
struct conn {
    int fd, up;
    size_t n;
    char in[65536];
};
static char out[16 << 20];
static size_t on;
static char pay[1 << 20];
static int paylen;
static void frame(const char *p, size_t n)
{
    unsigned char *h = (void *)(out + on);
    int k = 2;
    h[0] = 0x81;
    if (n < 126)
        h[1] = n;
    else if (n < 65536) {
        h[1] = 126;
        h[2] = n >> 8;
        h[3] = n;
        k = 4;
    } else {
        h[1] = 127;
        for (int i = 0; i < 8; i++)
            h[k++] = (uint64_t)n >> (56 - 8 * i);
    }
    memcpy(h + k, p, n);
    on += k + n;
}

/* Waits for room: the load generator always reads. */
static void send_all(int fd)
{
    for (size_t at = 0; at < on;) {
        ssize_t r = write(fd, out + at, on - at);
        if (r < 0 && errno != EAGAIN)
            break;
        if (r < 0)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else
            at += r;
    }
    on = 0;
}

int main(int c, char **v)
{
    int port = atoi(v[1]), bytes = c > 2 ? atoi(v[2]) : 200, one = 1, ep = epoll_create1(0);
    struct rlimit rl = {1000000, 1000000};
    setrlimit(RLIMIT_NOFILE, &rl);
    memset(pay, 'x', sizeof pay);
    paylen = bytes;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, 4);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) {
        perror("wslimit");
        return 1;
    }
    struct epoll_event e = {.events = EPOLLIN}, ev[256];
    epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
    for (;;) {
        int n = epoll_wait(ep, ev, 256, -1);
        for (int i = 0; i < n; i++) {
            struct conn *k = ev[i].data.ptr;
            if (!k) {
                int fd;
                while ((fd = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, 4);
                    k = malloc(sizeof *k);
                    k->fd = fd;
                    k->up = 0;
                    k->n = 0;
                    struct epoll_event x = {.events = EPOLLIN, .data.ptr = k};
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &x);
                }
                continue;
            }
            ssize_t r = read(k->fd, k->in + k->n, sizeof k->in - k->n);
            if (r <= 0) {
                if (r < 0 && errno == EAGAIN)
                    continue;
                close(k->fd);
                free(k);
                continue;
            }
            k->n += r;
            size_t o = 0;
            on = 0;
            if (!k->up) {
                char *q = memmem(k->in, k->n, "\r\n\r\n", 4);
                if (!q)
                    continue;
                o = q + 4 - k->in;
                k->up = 1;
                const char *h =
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                    "Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
                memcpy(out, h, strlen(h));
                on = strlen(h);
                const char *ch = "{\"type\":\"event\",\"event\":\"connect.challenge\",\"payload\":{"
                                 "\"nonce\":\"n\",\"ts\":1}}";
                frame(ch, strlen(ch));
            }
            while (k->n - o >= 6) {
                unsigned char *p = (void *)(k->in + o);
                size_t len = p[1] & 127, h = 6;
                if (len == 126) {
                    if (k->n - o < 8)
                        break;
                    len = p[2] << 8 | p[3];
                    h = 8;
                }
                if (k->n - o < h + len)
                    break;
                o += h + len;
                if ((p[0] & 15) == 8)
                    continue;
                char *id = memmem(p + h, len, "\"id\":\"", 6);
                if (!id)
                    continue;
                static char b[(1 << 20) + 200];
                int m = snprintf(
                    b, sizeof b,
                    "{\"type\":\"res\",\"id\":\"%.*s\",\"ok\":true,\"payload\":{\"x\":\"%.*s\"}}",
                    (int)strcspn(id + 6, "\""), id + 6, paylen, pay);
                frame(b, m);
                if (on > sizeof out - 2 * sizeof b) {
                    send_all(k->fd);
                }
            }
            memmove(k->in, k->in + o, k->n - o);
            k->n -= o;
            if (on)
                send_all(k->fd);
        }
    }
}
