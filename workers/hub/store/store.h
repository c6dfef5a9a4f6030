/*
 * store/store.h - all state that must survive: one LMDB file, and beside it the log (-log) of the
 * changes that are not in it yet; changed by records only. Invariants: what store_commit returned 0
 * for is on the disk, whole, in order; what it did not is not acknowledged by anybody. A record is
 * applied whole or not at all. Not here: what a session or a run means (hub), when it is worth a
 * commit (the hub's loop turn).
 *
 * A loop turn: any number of store_apply and queries (which see what was applied), one
 * store_commit before anything is acknowledged, store_turn_end before the loop sleeps.
 * Views that a query returns point into the file's map: valid until the next store_apply,
 * store_commit, store_rollback, store_sweep or store_turn_end. One process opens the file at a time
 * (store_open holds a lock on it).
 *
 * Errors everywhere: ERR_AGAIN no room (disk or store_opts.map_max_bytes): try later, reads go on.
 * ERR_CORRUPT stored bytes do not check out. ERR_CLOSED the store is unusable (the disk failed, see
 * store_commit) or its batch is lost: see store_usable.
 */
#ifndef STORE_H
#define STORE_H

#include "record.h"

struct store;

struct store_opts {         /* 0 = the default */
    size_t map_bytes;       /* address space at first; grows by doubling. 256 MiB */
    size_t map_max_bytes;   /* the store grows no further. 64 GiB */
    size_t batch_max_bytes; /* encoded records of one commit. 64 MiB */
    size_t prealloc_bytes;  /* disk space is taken in steps of this. 1 MiB */
};

/* Open or create (mode 0600), migrate an older schema, make a quick check.
 * Errors: ERR_CONFLICT another process has it open, ERR_INVALID made by a newer program or no
 * store at all, ERR_CORRUPT the quick check failed, ERR_SYS. */
int store_open(struct store **out, const char *path, const struct store_opts *o,
               struct err *e) MUST_USE;
/* Drops what is not committed. */
void store_close(struct store **s);

/* Add one change to the batch of this turn. Zeros that the store assigns are filled in: session_put
 * sid; message_add seq; run_put job_id. The views of *r then point into the batch (store_pending).
 * The views of an earlier record may be given again; after a failure those of *r that point into
 * the batch are void. Errors, each leaving the batch as it was: ERR_INVALID, ERR_LIMIT a field
 * (rec_check) or the batch is full (commit first), ERR_NOT_FOUND session or run, ERR_CONFLICT seq
 * is not the next one, message id exists, sid or job_id belongs to another key; ERR_AGAIN,
 * ERR_NOMEM. After ERR_AGAIN and ERR_NOMEM the whole batch may be lost: then store_commit fails too
 * and begins afresh. */
int store_apply(struct store *s, struct store_rec *r, struct err *e) MUST_USE;
/* Is there room for that many bytes of new records, and beyond them for what must still be said of
 * work under way?  Takes the disk space, so that what is applied later does not fail for want of
 * it.  For the door: refuse new work while there is none, keep the rest for the end of the old.
 * Errors: ERR_AGAIN no room, try later. */
int store_room(struct store *s, size_t bytes, struct err *e) MUST_USE;
/* The same for a stream of whole encoded records, all or none of it: what store_pending gave on
 * another machine. */
int store_apply_bytes(struct store *s, struct view batch, struct err *e) MUST_USE;
/* The encoded batch so far; valid until the next change. */
struct view store_pending(const struct store *s);
/* Make the batch durable: 0 means it is on the disk. Nothing to do when it is empty.
 * On failure the whole batch is gone: refuse what depended on it. ERR_AGAIN no room, ERR_NOMEM,
 * ERR_SYS: the store goes on. ERR_CLOSED the disk failed: whether the batch is there is known after
 * reopening only, and until then every call fails. */
int store_commit(struct store *s, struct err *e) MUST_USE;
void store_rollback(struct store *s);
/* Move what is only in the log into LMDB, so that the log and the memory for it start anew. Done by
 * commits when it is time; for an idle timer.  Errors: the log goes on being the truth, unless
 * ERR_CLOSED. */
int store_checkpoint(struct store *s, struct err *e) MUST_USE;
/* Let go of the read snapshot, so that no old pages stay pinned while the loop sleeps. */
void store_turn_end(struct store *s);
bool store_usable(const struct store *s);
/* Free up to max messages of deleted sessions; part of the batch. *left = there are more. For an
 * idle timer: deleting a session is at once, giving back its room is not. */
int store_sweep(struct store *s, unsigned max, bool *left, struct err *e) MUST_USE;

/* Called for each row: 0 go on, 1 enough, negative = error (the query returns it). Must not change
 * the store. */
typedef int store_on_session(void *ctx, const struct rec_session_put *r);
typedef int store_on_message(void *ctx, const struct rec_message_add *m);
typedef int store_on_run(void *ctx, const struct rec_run_put *r);

/* Single rows.  Errors: ERR_NOT_FOUND. */
int store_meta_get(struct store *s, struct view key, struct view *out, struct err *e) MUST_USE;
int store_session_get(struct store *s, struct view key, struct rec_session_put *out,
                      struct err *e) MUST_USE;
int store_session_by_sid(struct store *s, uint32_t sid, struct rec_session_put *out,
                         struct err *e) MUST_USE;
/* The session of that id or label, of several the one that changed last. */
int store_session_by_id(struct store *s, struct view session_id, struct rec_session_put *out,
                        struct err *e) MUST_USE;
int store_session_by_label(struct store *s, struct view label, struct rec_session_put *out,
                           struct err *e) MUST_USE;
int store_message_by_id(struct store *s, struct view id, struct rec_message_add *out,
                        struct err *e) MUST_USE;
int store_run_get(struct store *s, struct view run_id, struct rec_run_put *out,
                  struct err *e) MUST_USE;
int store_run_by_job(struct store *s, uint64_t job_id, struct rec_run_put *out,
                     struct err *e) MUST_USE;

int store_device_get(struct store *s, struct view id, struct rec_device_put *out,
                     struct err *e) MUST_USE;
/* Every device, in the order of their ids. */
typedef int store_on_device(void *ctx, const struct rec_device_put *d);
int store_devices(struct store *s, store_on_device *on, void *ctx, struct err *e) MUST_USE;
int store_devices_count(struct store *s, uint64_t *out, struct err *e) MUST_USE;

/* -- deliveries and what channels sent (store_delivery.c) -- */
struct store_delivery {
    struct rec_delivery_add add;
    struct rec_delivery_state state;
};
typedef int store_on_delivery(void *ctx, const struct store_delivery *d);
enum delivery_list { DELIVERIES_OPEN, DELIVERIES_HELD, DELIVERIES_DONE };
int store_delivery_get(struct store *s, uint64_t id, struct store_delivery *out,
                       struct err *e) MUST_USE;
int store_delivery_by_key(struct store *s, struct view key, struct store_delivery *out,
                          struct err *e) MUST_USE;
/* Those with an id > after, in the order of their ids; DELIVERIES_DONE: all (after is not looked
 * at), the one that ended first first. */
int store_deliveries(struct store *s, enum delivery_list list, uint64_t after,
                     store_on_delivery *on, void *ctx, struct err *e) MUST_USE;
int store_deliveries_count(struct store *s, enum delivery_list list, uint64_t *out,
                           struct err *e) MUST_USE;
/* Remove at most limit that ended (DELIVERIES_DONE) before before_ms or beyond the keep newest;
 * part of the batch. */
int store_deliveries_prune(struct store *s, int64_t before_ms, uint64_t keep, size_t limit,
                           size_t *dropped, struct err *e) MUST_USE;
/* Was it taken up already?  Errors: ERR_NOT_FOUND no. */
int store_inbound_get(struct store *s, struct view key, struct rec_inbound_add *out,
                      struct err *e) MUST_USE;
/* Forget at most limit of the oldest that are older than before_ms or beyond the keep newest. */
int store_inbound_prune(struct store *s, int64_t before_ms, uint64_t keep, size_t limit,
                        size_t *dropped, struct err *e) MUST_USE;

/* Newest updated_at first, without the first offset rows, at most limit. */
int store_sessions_page(struct store *s, size_t offset, size_t limit, store_on_session *on,
                        void *ctx, struct err *e) MUST_USE;
/* From the newest on, until count of those that are archived (1), are not (0), or any (-1) are
 * behind: how many rows were passed, how many of them counted. Looks at the index only. */
int store_sessions_skip(struct store *s, uint64_t count, int archived, uint64_t *passed,
                        uint64_t *found, struct err *e) MUST_USE;
/* In the order of their sids, which never changes: those with a sid > after, at most limit. A new
 * session, and one whose transcript began anew, is behind all others. */
int store_sessions_from(struct store *s, uint32_t after, size_t limit, store_on_session *on,
                        void *ctx, struct err *e) MUST_USE;
int store_sessions_count(struct store *s, uint64_t *out, struct err *e) MUST_USE;
/* Settings whose key starts with prefix, in key order. */
typedef int store_on_meta(void *ctx, struct view key, struct view value);
int store_meta_page(struct store *s, struct view prefix, store_on_meta *on, void *ctx,
                    struct err *e) MUST_USE;

/* Newest first. A transcript that does not exist is empty. */
int store_history_page(struct store *s, uint32_t sid, uint64_t offset, size_t limit,
                       store_on_message *on, void *ctx, struct err *e) MUST_USE;
/* Oldest first: first <= seq <= last. */
int store_history_range(struct store *s, uint32_t sid, uint64_t first, uint64_t last,
                        store_on_message *on, void *ctx, struct err *e) MUST_USE;
/* Entries of the transcript = its last seq. */
int store_history_count(struct store *s, uint32_t sid, uint64_t *out, struct err *e) MUST_USE;

/* Queued and running runs with job_id > after, in order of arrival: for resubmission. */
int store_runs_open(struct store *s, uint64_t after, store_on_run *on, void *ctx,
                    struct err *e) MUST_USE;
/* Finished runs, oldest updated_at first, that are older than before_ms or beyond the keep newest.
 */
int store_runs_expired(struct store *s, int64_t before_ms, uint64_t keep, store_on_run *on,
                       void *ctx, struct err *e) MUST_USE;
/* Remove at most limit of them; part of the batch. */
int store_runs_prune(struct store *s, int64_t before_ms, uint64_t keep, size_t limit,
                     size_t *dropped, struct err *e) MUST_USE;
/* The job_id that the next new run gets. */
uint64_t store_next_job_id(const struct store *s);

/* A consistent, compacted copy of what is committed: to a descriptor, or to a file made new (mode
 * 0600) and synced.  Errors: ERR_CONFLICT it exists already. Blocks. */
int store_backup_fd(struct store *s, int fd, struct err *e) MUST_USE;
int store_backup(struct store *s, const char *path, struct err *e) MUST_USE;
/* Read every record, compare every index with it.  Errors: ERR_CORRUPT what is wrong. */
int store_check(struct store *s, struct err *e) MUST_USE;

enum { STORE_BATCH_BUCKETS = 16 }; /* [i] counts batches of 2^i .. 2^(i+1)-1 records */
struct store_stats {
    uint64_t commits, commits_failed, records, checkpoints;
    uint64_t commit_last_us, commit_max_us;
    uint64_t batch_hist[STORE_BATCH_BUCKETS];
    uint64_t sessions, messages, runs, runs_open; /* as of the last commit or in this turn */
    uint64_t file_bytes, used_bytes, map_bytes;
};
int store_stats(struct store *s, struct store_stats *out, struct err *e) MUST_USE;

#endif
