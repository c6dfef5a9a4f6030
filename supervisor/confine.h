/*
 * supervisor/confine.h - the part of a worker's cage that is built before its program starts, what
 * the supervisor gives up itself, and a look at what is really in force. confine_child runs between
 * fork and exec: async-signal-safe calls only. Every layer is applied if the kernel lets us;
 * confine_look reads from /proc what came of it, sandbox.mode decides.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include "cage.h"
#include "jw.h"

#include <stdint.h>
#include <sys/types.h>

enum {
    CONFINE_UID_BASE = 64000, /* + role: 64001 front, 64002 hub, 64003 agent, 64004 channels, 64005
                                 whois, 64006 fetch; conf/systemd/openclaw.sysusers */
    CONFINE_FD_SLACK = 256,   /* of a front: beyond its clients' connections */
};

struct confine {
    bool required; /* sandbox.mode: a missing layer stops the start */
    bool own_uids; /* a uid for each class: we are root */
    unsigned uid_base;
    rlim_t front_files;
    uint64_t memory[ROLE_COUNT]; /* bytes, sandbox.memory.*; 0: as the profile says */
    const char *store;           /* the hub's folder: its working directory; borrowed */
    const char *socket; /* of the host, for the class with HOST_SOCKET; borrowed; may be NULL */
};

/* Layers of a cage, in the order of the table that people see. */
enum confine_layer {
    LAYER_UID,
    LAYER_GROUPS,
    LAYER_CAPS,
    LAYER_NO_NEW_PRIVS,
    LAYER_SECCOMP,
    LAYER_LANDLOCK,
    LAYER_LANDLOCK_NET,
    LAYER_NS_USER, /* only as a plain user; brings the others */
    LAYER_NS_MNT,
    LAYER_NS_NET,
    LAYER_NS_IPC,
    LAYER_NS_UTS,
    LAYER_EMPTY_ROOT,
    LAYER_NO_CORE,
    LAYER_NO_DUMP,
    LAYER_WX,
    LAYER_MEMORY,
    LAYER_COUNT
};

struct confine_view {
    uint32_t in_force, wanted; /* bits: 1 << enum confine_layer */
    uid_t uid;
    unsigned seccomp_mode, filters, landlock_abi, threads;
    bool looked, test_build;
};

const char *confine_layer_name(enum confine_layer l);
/* What we are able to do here, for the uids: needs root and programs that everybody may run. */
void confine_init(struct confine *c, const char *exe_dir);
uid_t confine_uid(const struct confine *c, enum role role);
/* In the child. Returns 0, or an exit code: a step failed half way. *root_ready: CAGE_ENV_ROOT. */
int confine_child(const struct confine *c, enum role role, bool *root_ready);
/* Of a process that said READY with these CAGE_SAID_* bits. copied: it has its fork server's filter
 * beneath its own. */
void confine_look(struct confine_view *v, const struct confine *c, enum role role, pid_t pid,
                  uint32_t said, bool copied);
/* Names of the layers in the set, joined by spaces. */
const char *confine_names(uint32_t set, char out[256]);
/* An object with what was seen. */
void confine_write(struct jw *w, const struct confine_view *v);
/* The supervisor's own part: no_new_privs, not dumpable; as root, only the capabilities it needs.
 */
int confine_self(struct err *e) MUST_USE;

#endif
