/*
 * supervisor/config_write.h - a change of the configuration that came over RPC, before it is
 * written: made from the file's own text, of which all stays that does not change, checked as a
 * start would check it, and held to what RPC may set (K_NO_RPC of conf/keys.def). Trusts: the hub
 * that the caller is an administrator. Does not trust: what it asks for. The text was parsed by the
 * hub before it came here.
 */
#ifndef CONFIG_WRITE_H
#define CONFIG_WRITE_H

#include "config.h"

enum config_write_how {
    CONFIG_WRITE_SET, /* given is the whole, JSON5; what a machine wrote counts as document only */
    CONFIG_WRITE_PATCH, /* given is a merge patch (RFC 7396); lists of {id} merge by id */
};

struct config_write {
    enum config_write_how how;
    struct view given;
    struct view replace; /* paths of lists that a patch replaces or takes from, a line each */
    struct view hash,
        hash_key; /* what config.get named as the state, and the key it was made with */
};

/* What the file would hold, into *text, which is secret.
 * A value that is the sentinel of config.get keeps what the file has at its place (in a list: of
 * the element with the same id, else of the same place in a list as long). details:
 * {"changedPaths":[...]}, or for ERR_INVALID {"issues":[{"path","message"}]}. Errors: ERR_CONFLICT
 * the hash is not that of *now, or the file on disk is another one; ERR_INVALID as a start would
 * say it; ERR_DENIED it changes what only who can write the file may change; ERR_NOMEM. */
int config_write(const struct config *now, const struct config_source *src,
                 const struct config_write *w, struct buf *text, struct buf *details,
                 struct err *e) MUST_USE;

#endif
