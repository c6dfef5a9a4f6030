/*
 * common/ipc.h - frames and descriptors between two of our processes over a Unix stream socket.
 * Frame: u32 body length, u16 type, u16 number of descriptors, body; little endian (both ends are
 * one machine). Sending queues; everything of one loop turn leaves in one system call. Receiving is
 * bounded per wake-up, so that no peer can keep the loop for itself. A broken frame ends the link,
 * never the process. What the bytes mean is proto/msg.h's business.
 */
#ifndef IPC_H
#define IPC_H

#include "buf.h"
#include "loop.h"

enum {
    IPC_HEADER_BYTES = 8,
    IPC_BODY_MAX =
        34 * 1024 * 1024, /* a client message of 25 MiB, escaped a little, and its envelope */
    IPC_QUEUE_MAX =
        96 * 1024 * 1024, /* two of the largest and some: beyond that the peer is dead for us */
    IPC_QUEUE_HIGH = 4 * 1024 * 1024, /* producers are paused above, ... */
    IPC_QUEUE_LOW = 1 * 1024 * 1024,  /* ... and resumed below */
    IPC_BATCH_MAX = 256,              /* frames handled per wake-up: some 100 us of work */
    IPC_FDS_MAX = 64,                 /* descriptors per system call (the kernel takes 253) */
    IPC_FRAME_FDS_MAX = 4,
};

struct ipc;

struct ipc_events {
    /* A whole frame. body is valid until return; fds that are not set to -1 are closed afterwards.
     * A negative return ends the link with *e. */
    int (*on_frame)(void *ctx, struct ipc *i, uint16_t type, struct view body, int *fds,
                    unsigned nfds, struct err *e);
    /* The link is over (why->code ERR_CLOSED: the peer left). Called once, from the loop; ipc_close
     * may be called here. */
    void (*on_close)(void *ctx, struct ipc *i, const struct err *why);
    /* The queue fell below LOW after it was above HIGH; may be NULL. */
    void (*on_drain)(void *ctx, struct ipc *i);
    void *ctx;
};

/* Owns: takes fd, also on failure. */
int ipc_open(struct ipc **out, struct loop *l, int fd, const struct ipc_events *ev,
             struct err *e) MUST_USE;
/* Frees and leaves NULL; queued frames are flushed as far as the socket takes them. Safe inside
 * callbacks. */
void ipc_close(struct ipc **i);
/* Where a frame's body is to be written: room of exactly n bytes inside the queue. NULL on failure
 * (*e filled). Owns: takes the descriptors on success. Errors: ERR_LIMIT the queue is full,
 * ERR_CLOSED, ERR_NOMEM. */
char *ipc_reserve(struct ipc *i, uint16_t type, size_t n, const int *fds, unsigned nfds,
                  struct err *e) MUST_USE;
/* What is queued now holds a secret: it is wiped as it is sent. (What was received, the body of
 * on_frame, its handler may wipe.) */
void ipc_secret(struct ipc *i);
size_t ipc_queued(const struct ipc *i);
bool ipc_over_high(const struct ipc *i);
/* Stop or resume reading from the peer. */
void ipc_pause(struct ipc *i, bool pause);
/* Read and handle what the socket still holds, to the peer's end if it is there: for a peer that
 * has died. */
void ipc_drain(struct ipc *i);
/* Write now what is queued instead of at the end of the turn (before exit). */
void ipc_flush(struct ipc *i);

#endif
