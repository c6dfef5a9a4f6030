/*
 * proto/cage.h - what each class of worker may do, from conf/sandbox/<class>.def: the supervisor
 * applies the part that must be done before a program starts (namespaces, uid, limits), the worker
 * the part that it can only do to itself (Landlock, seccomp, the last capabilities).
 */
#ifndef CAGE_H
#define CAGE_H

#include "roles.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

struct cage_limit {
    int resource; /* RLIMIT_* */
    rlim_t value;
};

struct cage {
    const struct sock_filter *filter; /* seccomp program */
    unsigned short filter_len;
    const char *const *paths;    /* readable, ends with NULL */
    const unsigned short *ports; /* TCP connect, ends with 0 */
    const struct cage_limit *limits;
    unsigned limit_count;
    size_t memory;  /* bytes of its own above which it is replaced; ended at twice as much */
    int namespaces; /* CLONE_NEW* */
    bool empty_root;
    bool host_socket; /* the one thing in that root: CAGE_SOCKET */
};

/* NULL for the supervisor, which has none. */
const struct cage *cage_of(enum role r);

/* The supervisor tells a worker in this variable of its environment which part it has applied:
 * "root" when the worker may change into the empty file system that was mounted for it. */
#define CAGE_ENV      "OPENCLAW_CAGE"
#define CAGE_ENV_ROOT "root"
#define CAGE_EMPTY_DIR                                                                             \
    "/proc" /* where it is mounted: a folder that every machine has and no worker needs */

/* A Unix socket of the host, by this name in the otherwise empty root; and where it lies there,
 * unless gateway.tailscale.socket says otherwise. */
#define CAGE_SOCKET     "host"
#define CAGE_TAILSCALED "/var/run/tailscale/tailscaled.sock"

/* What a worker says in READY of the layers that the kernel shows to nobody else. */
enum {
    CAGE_SAID_ABI_MASK = 0xff, /* Landlock's version, 0 without it */
    CAGE_SAID_WX = 1 << 8,     /* memory never becomes executable (PR_SET_MDWE) */
    CAGE_SAID_TEST = 1 << 9,   /* a sanitized build: only watched */
};

#endif
