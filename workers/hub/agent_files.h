/*
 * workers/hub/agent_files.h - agents.files.*: the hub has no path to a workspace; the supervisor
 * reads and writes the few files of conf/workspace.def for it. Not here: what models are told of
 * them (the supervisor tells the agents' processes).
 */
#ifndef AGENT_FILES_H
#define AGENT_FILES_H

#include "err.h"

#include <stdint.h>

struct hub;
struct ipc_agent_files_done;

enum { AGENT_FILES_ASKED = 8 }; /* under way: the supervisor has other things to do, too */

struct agent_files {
    struct agent_files_call {
        uint64_t req; /* 0: free */
        uint64_t conn_id, call;
        unsigned front, how;
    } call[AGENT_FILES_ASKED];
    uint64_t last;
};

int agent_files_on_done(struct hub *h, const struct ipc_agent_files_done *m,
                        struct err *e) MUST_USE;

#endif
