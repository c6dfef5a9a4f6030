/*
 * store/record.h - a change of the state as bytes: the unit of the store, of its files and of a
 * replicated log. Pure: no LMDB, no memory of its own, no state.
 *
 * Bytes, little endian: u32 crc32c over all that follows, u32 length of the fields, u16 type,
 * u16 version, then the fields in the order of records.def. STR = u16 length + bytes,
 * BYTES = u32 length + bytes. Records follow each other without gaps.
 */
#ifndef RECORD_H
#define RECORD_H

#include "err.h"
#include "mem.h"
#include "view.h"

#include <stdint.h>

enum session_status {
    SESSION_IDLE = 0, /* has no status on the wire */
    SESSION_QUEUED,
    SESSION_RUNNING,
    SESSION_DONE,
    SESSION_FAILED,
    SESSION_KILLED,
    SESSION_TIMEOUT,
    SESSION_STATUS_COUNT
};
enum session_flag {
    SESSION_ARCHIVED = 1,
    SESSION_PINNED = 2,
    SESSION_UNREAD = 4,
    SESSION_SYSTEM_SENT = 8,
    SESSION_ABORTED_LAST_RUN = 16,
};
enum message_role { MESSAGE_USER, MESSAGE_ASSISTANT, MESSAGE_TOOL, MESSAGE_SYSTEM, MESSAGE_OTHER };
enum run_state { RUN_QUEUED, RUN_RUNNING, RUN_DONE, RUN_FAILED, RUN_STOPPED, RUN_STATE_COUNT };

enum delivery_kind {
    DELIVERY_TEXT,
    DELIVERY_POLL,
    DELIVERY_EDIT,
    DELIVERY_REMOVE,
    DELIVERY_REACT,
    DELIVERY_KIND_COUNT
};
enum delivery_state {
    DELIVERY_QUEUED,
    DELIVERY_SENDING, /* with the channel, no answer yet */
    DELIVERY_SENT,
    DELIVERY_UNKNOWN, /* maybe it was accepted: not repeated unless somebody says so */
    DELIVERY_DEAD,    /* given up */
    DELIVERY_DROPPED, /* by somebody */
    DELIVERY_STATE_COUNT
};
enum delivery_flag { DELIVERY_MAYBE = 1 }; /* an earlier attempt's outcome is not known */

/* enum rec_type: REC_meta_set = 1, ... */
enum rec_type {
#define REC(name, number, version) REC_##name = (number),
#define U8(since, name)
#define U32(since, name)
#define U64(since, name)
#define I64(since, name)
#define STR(since, name, max)
#define BYTES(since, name, max)
#define END(name)
#include "records.def"
#undef REC
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR
#undef BYTES
    REC_TYPE_MAX
};

/* struct rec_meta_set, struct rec_session_put, ...; views are borrowed. */
#define REC(name, number, version) struct rec_##name {
#define U8(since, name)            uint8_t name;
#define U32(since, name)           uint32_t name;
#define U64(since, name)           uint64_t name;
#define I64(since, name)           int64_t name;
#define STR(since, name, max)      struct view name;
#define BYTES(since, name, max)    struct view name;
#undef END
#define END(name)                                                                                  \
    }                                                                                              \
    ;
#include "records.def"
#undef REC
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR
#undef BYTES
#undef END

struct store_rec {
    enum rec_type type;
    union {
#define REC(name, number, version) struct rec_##name name;
#define U8(since, name)
#define U32(since, name)
#define U64(since, name)
#define I64(since, name)
#define STR(since, name, max)
#define BYTES(since, name, max)
#define END(name)
#include "records.def"
#undef REC
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR
#undef BYTES
#undef END
    };
};

enum { REC_HEAD = 12 };          /* bytes before the fields */
#define REC_BYTES_MAX (36 * MIB) /* the largest: two big fields can not both be full */

/* Is it a known type and does every field keep its limit?
 * Errors: ERR_INVALID type, ERR_LIMIT "session_put: key: 513 bytes, limit 512". */
int rec_check(const struct store_rec *r, struct err *e) MUST_USE;
/* Bytes of the encoding of a checked record, head included. */
size_t rec_size(const struct store_rec *r);
/* Write exactly rec_size(r) bytes; the views of *r may lie where they go (encoding again in place).
 */
void rec_encode(const struct store_rec *r, char *out);
/* Read the first record of in; views of *out point into in; *used = its bytes.
 * Errors: ERR_AGAIN in ends before the record does, ERR_CORRUPT checksum, ERR_INVALID breaks the
 * table (unknown type, newer version, field over its limit, bytes left over). */
int rec_decode(struct view in, struct store_rec *out, size_t *used, struct err *e) MUST_USE;
/* "session_put", or "unknown". */
const char *rec_name(enum rec_type t);

#endif
