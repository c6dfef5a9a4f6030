/* store/store_int.h - what the store's own files share. Nobody else includes it. */
#ifndef STORE_INT_H
#define STORE_INT_H

#include "buf.h"
#include "store.h"

#include <lmdb.h>
#include <pthread.h>

/* Integers in keys are big endian, so that LMDB's order is theirs; i64 with the sign flipped.
 * Row = the encoded record. */
enum db {
    DB_SYS,            /* name -> u64: schema, next sid, next job id */
    DB_META,           /* key -> row */
    DB_SESSION,        /* u32 sid -> row */
    DB_SESSION_KEY,    /* key, a digest when too long -> u32 sid */
    DB_SESSION_TIME,   /* i64 updated_at, u32 sid -> 'a' archived or '-'; empty in older stores */
    DB_SESSION_NAME,   /* 'i' or 'l', id or label, a digest when long, 0, u32 sid -> nothing */
    DB_MESSAGE,        /* u32 sid, u64 seq -> row */
    DB_MESSAGE_ID,     /* id, 16 bytes + tag when it is a UUID -> u32 sid, u64 seq */
    DB_RUN,            /* u64 job_id -> row */
    DB_RUN_ID,         /* run_id -> u64 job_id */
    DB_RUN_OPEN,       /* u64 job_id -> nothing: queued and running */
    DB_RUN_DONE,       /* i64 updated_at, u64 job_id -> nothing: all others */
    DB_DEVICE,         /* id -> row */
    DB_GRAVE,          /* u32 sid -> nothing: deleted sessions whose messages are still there */
    DB_DELIVERY,       /* u64 id -> row delivery_add */
    DB_DELIVERY_KEY,   /* key -> u64 id */
    DB_DELIVERY_STATE, /* u64 id -> row delivery_state */
    DB_DELIVERY_OPEN,  /* u64 id -> nothing: queued and sending */
    DB_DELIVERY_HELD,  /* u64 id -> nothing: unknown and dead */
    DB_DELIVERY_DONE,  /* i64 updated_at, u64 id -> nothing: sent and dropped */
    DB_INBOUND,        /* u64 seq -> row */
    DB_INBOUND_KEY,    /* key -> u64 seq */
    DB_COUNT
};

enum { STORE_SCHEMA = 4, KEY_MAX = 511 };

struct counters {
    uint64_t next_sid, next_job;
};

struct store {
    MDB_env *env;
    MDB_dbi db[DB_COUNT];
    MDB_txn *wtxn; /* this turn's changes, or NULL */
    MDB_txn *rtxn; /* owned snapshot; live or reset */
    bool rtxn_live;
    bool dead;        /* the disk failed: nothing works until reopened */
    bool unsettled;   /* what the last process left may not be on the disk: see store_room.c */
    bool lost;        /* the batch could not be rebuilt: nothing works until commit or rollback */
    int last_rc;      /* what LMDB said when an apply failed half way */
    struct buf batch; /* the encoded records of wtxn, to build it again: first those in the log,
                         then this turn's */
    size_t logged;    /* bytes of batch that are in the log: durable */
    uint64_t batch_n; /* records of this turn */
    int log_fd;
    uint64_t epoch;           /* of the last checkpoint */
    size_t log_at, log_bytes; /* end of the last frame; size of the file */
    uint64_t swept;           /* housekeeping in wtxn that is not in batch */
    size_t pages_guess;       /* how many new pages the batch may need, rather too many */
    bool deletes_only;        /* the batch frees room: try it even when the disk is full */
    struct counters now, committed;
    struct store_opts o;
    int lock_fd; /* of the data file, to read only */
    int fd;      /* LMDB's own of it: its size */
    size_t page, file_bytes;
    bool no_fallocate;
    pthread_mutex_t map_lock; /* held by a backup in its thread: the map must not move */
    struct store_stats st;
};

/* Error code and sentence for an LMDB or errno code. */
int store_err(struct store *s, int rc, const char *what, struct err *e) MUST_USE;
/* The batch's transaction when there is one, otherwise the turn's snapshot. */
int store_read(struct store *s, MDB_txn **out, struct err *e) MUST_USE;
/* Open the batch's transaction, growing the map when it is nearly full. */
int store_write(struct store *s, struct err *e) MUST_USE;
int store_grow(struct store *s, struct err *e) MUST_USE;
/* A cursor of the turn's snapshot; and its end: r from a callback or a row, rc from LMDB. */
int store_cursor(struct store *s, enum db db, MDB_txn **t, MDB_cursor **c, struct err *e) MUST_USE;
int store_walk_end(struct store *s, MDB_cursor *c, int r, int rc, struct err *e) MUST_USE;
/* Decode a stored row of that type.  Errors: ERR_CORRUPT. */
int store_row(const MDB_val *v, enum rec_type type, struct store_rec *out, struct err *e) MUST_USE;
/* *out = value, or ERR_NOT_FOUND with the sentence "no <what>". */
int store_get(struct store *s, MDB_txn *t, enum db db, MDB_val *key, const char *what, MDB_val *out,
              struct err *e) MUST_USE;
/* Last seq of a transcript, 0 when empty. */
int store_last_seq(struct store *s, MDB_txn *t, uint32_t sid, uint64_t *out,
                   struct err *e) MUST_USE;
/* A counter into wtxn; an LMDB code. */
int store_sys_put(struct store *s, const char *name, uint64_t value) MUST_USE;
/* Is there a session or a transcript under this key?  0 when not. */
int store_find_sid(struct store *s, MDB_txn *t, struct view key, uint32_t *out,
                   struct err *e) MUST_USE;
int store_find_job(struct store *s, MDB_txn *t, struct view run_id, uint64_t *out,
                   struct err *e) MUST_USE;
/* Bring an older schema up to date, inside wtxn. */
int store_migrate(struct store *s, uint64_t from, struct err *e) MUST_USE;
int store_check_quick(struct store *s, struct err *e) MUST_USE;
/* The names of a session into the index, of one that was not in it; an LMDB code. */
int store_put_names(struct store *s, const struct rec_session_put *r) MUST_USE;
/* Validate *r against what is stored and fill in its zeros; reads only. */
int store_prepare(struct store *s, struct store_rec *r, struct err *e) MUST_USE;
/* Write a prepared record (row = its encoding) into all its tables. On failure the transaction is
 * spoilt and s->last_rc says why. */
int store_put(struct store *s, const struct store_rec *r, struct view row, struct err *e) MUST_USE;

/* After a failure that spoilt wtxn (s->last_rc): the batch as it was before, in a new transaction;
 * returns the code r of that failure, or another when the batch is lost. */
int store_recover(struct store *s, int r, struct err *e) MUST_USE;

/* Neither dead nor lost. */
int store_alive(const struct store *s, struct err *e) MUST_USE;

/* store_room.c */
enum {
    STORE_PAGES_PER_RECORD = 6, /* two leaves of its own (random keys), splits, a share of the
                                   branches */
    STORE_PAGES_PER_COMMIT = 64,
};
size_t store_pages_for(const struct store *s, size_t record_bytes);
/* Does a record of this type give room back?  Then it is tried although the disk is full. */
bool rec_frees(enum rec_type t);
/* Disk space for the batch, one more record of that size (0: none) and some to spare, in both
 * files.  Errors: ERR_AGAIN no room, nothing is changed. */
int store_take_room(struct store *s, size_t record_bytes, size_t spare_bytes,
                    struct err *e) MUST_USE;
/* store_log.c: bytes for the frame of what is in the batch and spare_bytes more are there. */
int store_log_room(struct store *s, size_t spare_bytes, struct err *e) MUST_USE;
/* The log of a store that was closed in good order says so. */
void store_log_clean(struct store *s);

/* store_log.c.  Append what of the batch is not in the log yet, and flush it.  Errors: ERR_AGAIN no
 * room, ERR_CLOSED the disk failed. */
int store_log_open(struct store *s, const char *path, struct err *e) MUST_USE;
int store_log_replay(struct store *s, struct err *e) MUST_USE;
int store_log_append(struct store *s, struct err *e) MUST_USE;
/* It is time for a checkpoint. */
bool store_log_full(const struct store *s);
/* The whole batch into a new transaction. */
int store_rebuild(struct store *s, struct err *e) MUST_USE;
int store_sync_folder(const char *path, struct err *e) MUST_USE;

/* store_delivery.c: the same for the records of deliveries and of what channels sent. put: an LMDB
 * code. */
int store_prepare_delivery(struct store *s, struct store_rec *r, struct err *e) MUST_USE;
int store_put_delivery(struct store *s, const struct store_rec *r, struct view row) MUST_USE;

/* Keys are built in place. */
struct key {
    char b[KEY_MAX + 1];
    MDB_val v;
};
MDB_val *key_u32(struct key *k, uint32_t a);
MDB_val *key_u64(struct key *k, uint64_t a);
MDB_val *key_u32_u64(struct key *k, uint32_t a, uint64_t b);
MDB_val *key_time_u32(struct key *k, int64_t t, uint32_t a);
MDB_val *key_time_u64(struct key *k, int64_t t, uint64_t a);
MDB_val *key_text(struct key *k, struct view v); /* at most KEY_MAX bytes */
MDB_val *key_session(struct key *k, struct view v);
MDB_val *key_message_id(struct key *k, struct view v);
/* sid 0: the beginning that the keys of all sessions of that name share. */
MDB_val *key_session_name(struct key *k, char tag, struct view v, uint32_t sid);
uint32_t key_get_u32(const void *p);
uint64_t key_get_u64(const void *p);
int64_t key_get_time(const void *p);

static inline bool run_is_open(uint8_t state)
{
    return state == RUN_QUEUED || state == RUN_RUNNING;
}

static inline bool delivery_is_open(uint8_t state)
{
    return state == DELIVERY_QUEUED || state == DELIVERY_SENDING;
}

#endif
