/*
 * supervisor/config.h - the configuration: found, read, checked, filled with defaults, cut into
 * slices. The supervisor is the only process that reads the file; conf/keys.def is the only list of
 * keys. Trusts: whoever can write the file. Does not trust: that they made no mistake. Every
 * mistake is reported with its place, and an invalid configuration is never replaced by a weaker
 * one: the load fails, and whoever has one keeps it.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "buf.h"
#include "config_report.h"
#include "roles.h"
#include "secret.h"

#include <jansson.h>

#define CONFIG_SENTINEL "__OPENCLAW_REDACTED__" /* protocol reference, 9.5 */

struct config; /* one loaded configuration; never changes, but for config_set_token */

/* How a change of a key takes effect. */
enum config_reload {
    CONFIG_HOT,
    CONFIG_RESTART,
    CONFIG_HANDOVER,
    CONFIG_START,
    CONFIG_RELOAD_COUNT
};

/* Values of the ENUM fields below, in the order of their rows. */
enum { CONF_MODE_LOCAL, CONF_MODE_REMOTE };
enum { CONF_BIND_LOOPBACK, CONF_BIND_LAN, CONF_BIND_AUTO, CONF_BIND_CUSTOM, CONF_BIND_TAILNET };
enum { CONF_AUTH_NONE, CONF_AUTH_TOKEN, CONF_AUTH_PASSWORD, CONF_AUTH_PROXY, CONF_AUTH_TAILSCALE };
enum { CONF_SANDBOX_BEST_EFFORT, CONF_SANDBOX_REQUIRED };
enum { CONF_RELOAD_HYBRID, CONF_RELOAD_OFF, CONF_RELOAD_HOT, CONF_RELOAD_RESTART };
enum {
    CONF_LOG_SILENT,
    CONF_LOG_FATAL,
    CONF_LOG_ERROR,
    CONF_LOG_WARN,
    CONF_LOG_INFO,
    CONF_LOG_DEBUG,
    CONF_LOG_TRACE
};
enum { CONF_STYLE_AUTO, CONF_STYLE_PRETTY, CONF_STYLE_COMPACT, CONF_STYLE_JSON };

/* The keys that the supervisor itself reads: the KEY rows of conf/keys.def. Texts and lists are
 * borrowed from the config and NULL when unset. */
struct conf {
#define CONF_BOOL                                                             bool
#define CONF_U16                                                              uint16_t
#define CONF_U32                                                              uint32_t
#define CONF_U64                                                              uint64_t
#define CONF_MS                                                               uint64_t
#define CONF_ENUM                                                             unsigned
#define CONF_STR                                                              const char *
#define CONF_MODELREF                                                         const char *
#define CONF_STRLIST                                                          const json_t *
#define CONF_SECRET                                                           struct secret
#define KEY(path, field, type, def, min, max, of, reload, roles, flags, help) CONF_##type field;
#define ROW(path, type, def, min, max, of, reload, roles, flags, help)
#define LATER(path)
#include "keys.def"
#undef KEY
#undef ROW
#undef LATER
#undef CONF_BOOL
#undef CONF_U16
#undef CONF_U32
#undef CONF_U64
#undef CONF_MS
#undef CONF_ENUM
#undef CONF_STR
#undef CONF_MODELREF
#undef CONF_STRLIST
#undef CONF_SECRET
};

/* Where a configuration comes from. All borrowed; zeroed fields are "not given". */
struct config_source {
    const char *path;      /* --config; else OPENCLAW_CONFIG_PATH; else <state-dir>/openclaw.json */
    const char *state_dir; /* --state-dir; else OPENCLAW_STATE_DIR; else ~/.openclaw */
    const char *port, *bind, *token; /* the command line's, not yet checked */
    struct view text;                /* p set: use this instead of a file (checks before a write) */
    bool must_exist; /* at reload: a file that vanished is no reason to run on defaults */
    const char *(*env)(void *ctx, const char *name); /* instead of getenv */
    void *env_ctx;
};

/* Load and check. The report is filled in any case and says more than *e: every problem, bounded.
 * Owns:   *out is the caller's (config_free). report is initialised by the caller.
 * Errors: ERR_INVALID when the report holds an error, with its first one as sentence; ERR_NOT_FOUND
 * --config names no file, or must_exist; ERR_SYS unreadable; ERR_LIMIT too large; ERR_NOMEM. */
int config_load(struct config **out, const struct config_source *src, struct config_report *report,
                struct err *e) MUST_USE;
void config_free(struct config **c);
/* openclawd --check-config: exactly the answer of the start, as text. Returns what config_load
 * would. */
int config_check(const struct config_source *src, struct buf *out, struct err *e) MUST_USE;

/* The folder of the state and the file as the source says; owned by the caller (mem_free).
 * Errors: ERR_INVALID neither --state-dir nor OPENCLAW_STATE_DIR nor HOME is set, or one is not
 * absolute or too long. */
int config_state_dir(const struct config_source *src, char **out, struct err *e) MUST_USE;
int config_file_path(const struct config_source *src, char **out, struct err *e) MUST_USE;

const struct conf *config_conf(const struct config *c);
/* The whole checked document with defaults. Holds secrets: never log or send it. */
const json_t *config_doc(const struct config *c);
const char *config_path_of(const struct config *c);
bool config_exists(const struct config *c); /* a file was read, it is not the embedded default */

/* The token the supervisor made or found because none is configured. Errors: ERR_CONFLICT there is
 * one. */
int config_set_token(struct config *c, struct view token, struct err *e) MUST_USE;

/* What a worker of this role gets: the document, cut to the keys whose rows name it. The order of
 * keys is fixed: equal slices dump to equal text. *out is the caller's reference. */
int config_slice(const struct config *c, enum role role, json_t **out, struct err *e) MUST_USE;

enum { CONFIG_CHANGES_MAX = 128 }; /* listed; the sums below count all */

struct config_change {
    char *path; /* owned */
    enum config_reload reload;
    unsigned roles; /* bits of the workers that see it */
};

struct config_diff {
    unsigned count; /* listed */
    unsigned total;
    unsigned reloads;       /* bits 1 << enum config_reload */
    unsigned hot_roles;     /* workers that get a new slice */
    unsigned restart_roles; /* workers that restart */
    struct config_change change[CONFIG_CHANGES_MAX];
};

/* Which keys differ. *d is filled by the call; free it with config_diff_fini. */
int config_diff(const struct config *from, const struct config *to, struct config_diff *d,
                struct err *e) MUST_USE;
void config_diff_fini(struct config_diff *d);

/* The payload of config.get (protocol reference, 9.5): every secret and all that is not in the
 * table replaced by the sentinel. hash_key is the process's own random key. */
int config_redacted(const struct config *c, const struct config_report *report,
                    struct view hash_key, json_t **out, struct err *e) MUST_USE;

/* What a later write names as the state it was made from, as a text value. Keyed: the text's hash
 * would let its secrets be guessed. */
int config_hash(const struct config *c, struct view key, json_t **out, struct err *e) MUST_USE;
/* Whether two were made of the same bytes. */
bool config_same_text(const struct config *a, const struct config *b);

/* The payload of config.schema without version and generatedAt; and the table as Markdown. */
int config_schema(struct buf *out, struct err *e) MUST_USE;
int config_docs(struct buf *out, struct err *e) MUST_USE;

#endif
