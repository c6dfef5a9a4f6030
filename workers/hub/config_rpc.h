/*
 * workers/hub/config_rpc.h - the configuration over RPC. The hub has it without secrets and cannot
 * write it: a change is parsed here and goes to the supervisor, who checks it as a start would and
 * writes the file.
 */
#ifndef CONFIG_RPC_H
#define CONFIG_RPC_H

#include "err.h"
#include "roles.h"
#include "view.h"

#include <stdint.h>

struct hub;
struct settings;
struct ipc_config_written;

enum { CONFIG_WRITES_MAX = 8 }; /* under way at once; people change settings one after the other */

struct config_writes {
    struct config_write_call {
        uint64_t req; /* 0: free */
        uint64_t conn_id, call;
        unsigned front;
        enum { CONFIG_CALL_SET, CONFIG_CALL_PATCH, CONFIG_CALL_APPLY } kind;
    } call[CONFIG_WRITES_MAX];
    uint64_t last;
};

/* The supervisor's answer; the hub's own new configuration came before it. */
int config_on_written(struct hub *h, const struct ipc_config_written *m, struct err *e) MUST_USE;
/* {"schema":...,"uiHints":...}: the table of settings, all that the hub knows of it. */
struct view config_schema_json(void);
/* Event config.changed, when the configuration in force is another one than that of `old`. */
void config_announce(struct hub *h, const struct settings *old);

#endif
