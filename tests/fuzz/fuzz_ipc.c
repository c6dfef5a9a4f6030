/*
 * tests/fuzz/fuzz_ipc.c - a worker that was taken over writes bytes to a peer. Byte 0 chooses who
 * listens, byte 1 who writes and whether it said READY; the rest is the stream, as it comes out of
 * the socket: frames, rules, decoding, handlers. What decodes must encode to the same bytes.
 */
#include "fd.h"
#include "msg.h"

#include <stdlib.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same_again(enum msg_type type, const void *m)
{
    struct err e = ERR_INIT;
    union msg_any again;
    const struct msg_rule *r = msg_rule(type);
    size_t n = msg_size(type, m, &e);
    int fds[IPC_FRAME_FDS_MAX] = {-1, -1, -1, -1};
    char *a, *b;

    if (e.code)
        abort(); /* what was within the limits must stay so */
    a = mem_alloc(n);
    b = mem_alloc(n);
    if (a && b) {
        msg_encode(type, m, a);
        if (msg_decode(type, view_of(a, n), fds, r->nfds, &again, &e) < 0)
            abort();
        msg_encode(type, &again, b);
        if (n && memcmp(a, b, n) != 0)
            abort();
    }
    mem_free(a);
    mem_free(b);
}

#define U8(n)
#define U16(n)
#define U32(n)
#define U64(n)
#define STR(n, max)
#define BYTES(n, max)
#define FD(n)
#define END(id)
#define MSG(id, from, to, phase, how)                                                              \
    static int on_##id(void *ctx, struct link *l, struct ipc_##id *m, struct err *e)               \
    {                                                                                              \
        (void)ctx;                                                                                 \
        (void)l;                                                                                   \
        (void)e;                                                                                   \
        same_again(MSG_##id, m);                                                                   \
        return 0;                                                                                  \
    }
#include "ipc.def"
#undef MSG
#define MSG(id, from, to, phase, how) .id = on_##id,
static const struct ipc_handlers all = {
#include "ipc.def"
};
#undef MSG

static void on_close(void *ctx, struct link *l, const struct err *why)
{
    (void)l;
    (void)why;
    *(bool *)ctx = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct loop *loop = NULL;
    struct link *l = NULL;
    struct err e = ERR_INIT;
    bool closed = false;
    struct link_conf conf = {.on = &all, .ctx = &closed, .on_close = on_close};
    int s[2];

    if (n < 2 || n > 60000 || loop_new(&loop, &e) < 0)
        return 0;
    conf.me = (enum role)(data[0] % ROLE_COUNT);
    conf.peer = (enum role)((data[1] & 0x7f) % ROLE_COUNT);
    if (fd_pair(s, 0, &e) == 0 && link_open(&l, loop, s[0], &conf, &e) == 0) {
        if (data[1] & 0x80)
            link_set_running(l);
        if (send(s[1], data + 2, n - 2, MSG_NOSIGNAL) > 0)
            link_drain(l);
        fd_close(&s[1]);
        link_drain(l);
        link_close(&l);
    }
    loop_free(&loop);
    return 0;
}
