/*
 * ctl/import_entry.h - one line of an OpenClaw transcript as an entry of ours. Pure: text in,
 * documents out.
 * Trusts nothing: a line that is not what it should be is left, with a reason.
 */
#ifndef IMPORT_ENTRY_H
#define IMPORT_ENTRY_H

#include "buf.h"
#include "json.h"

enum { ENTRY_ID_LEN = 32 };

/* A transcript while it is read. Entries form a tree (id, parentId); what counts is the branch that
 * ends with the last one. */
struct transcript {
    struct transcript_line *line; /* owned, in the order of the file */
    size_t count, room;
    size_t left_broken, left_other, left_branch; /* lines that were not taken, and why */
};
/* One line, JSON text.  Errors: ERR_NOMEM, ERR_LIMIT. */
int transcript_add(struct transcript *t, struct view line, struct err *e) MUST_USE;
/* The messages of the branch for the RPC import.session, oldest first; the caller's reference. */
int transcript_messages(struct transcript *t, struct view session_id, json_t **out,
                        struct err *e) MUST_USE;
void transcript_fini(struct transcript *t);

/* The row for the RPC import.session out of a session's entry; the caller's reference, or NULL. */
json_t *import_session_row(struct view key, const json_t *entry);

#endif
