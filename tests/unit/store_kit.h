/* tests/unit/store_kit.h - what the store's tests share: a temporary folder and short records. */
#ifndef STORE_KIT_H
#define STORE_KIT_H

#include "ck.h"
#include "store.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct kit {
    char dir[64], path[80], lock[96];
};

static inline void kit_init(struct kit *k)
{
    /* in memory where there is such a folder: these tests bring their own broken disk */
    (void)snprintf(k->dir, sizeof(k->dir), "%s/store-test-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(k->dir));
    (void)snprintf(k->path, sizeof(k->path), "%s/db", k->dir);
    (void)snprintf(k->lock, sizeof(k->lock), "%s/db-lock", k->dir);
}

static inline void kit_fini(struct kit *k)
{
    (void)unlink(k->path);
    char log[96];

    (void)snprintf(log, sizeof(log), "%s-log", k->path);
    (void)unlink(log);
    (void)unlink(k->lock);
    ck_assert_int_eq(rmdir(k->dir), 0);
}

static inline struct store_rec kit_session(const char *key, int64_t updated_at)
{
    return (struct store_rec){
        .type = REC_session_put,
        .session_put = {.key = view_str(key),
                        .session_id = V("00000000-0000-4000-8000-000000000000"),
                        .agent_id = V("main"),
                        .updated_at = updated_at,
                        .extra = V("{}")}};
}

static inline struct store_rec kit_message(uint32_t sid, const char *id, const char *text)
{
    return (struct store_rec){
        .type = REC_message_add,
        .message_add = {.sid = sid, .id = view_str(id), .text = view_str(text)}};
}

static inline struct store_rec kit_run(const char *id, uint8_t state, int64_t updated_at)
{
    return (struct store_rec){
        .type = REC_run_put,
        .run_put = {.run_id = view_str(id), .state = state, .updated_at = updated_at}};
}

#define OK(expr)                                                                                   \
    do {                                                                                           \
        int ok_ = (expr);                                                                          \
        ck_assert_msg(ok_ == 0, "%s: %s (%s)", #expr, err_name(ok_), e.text);                      \
    } while (0)
#define FAILS(expr, code)                                                                          \
    do {                                                                                           \
        int ok_ = (expr);                                                                          \
        ck_assert_msg(ok_ == (code), "%s: %s (%s)", #expr, err_name(ok_), e.text);                 \
    } while (0)

#endif
