/*
 * common/log.h - log lines as a stable event name and typed fields: log_info("job.done", KV("job",
 * id), KV("ms", n)). Where they go is the sink's business: a worker's lines travel to the
 * supervisor, which stamps name and pid. Bodies, prompts, headers and tokens are never logged; KV
 * has no branch for struct secret.
 */
#ifndef LOG_H
#define LOG_H

#include "buf.h"
#include "view.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVEL_COUNT };

enum {
    LOG_EVENT_MAX = 64,
    LOG_FIELDS_MAX = 4096, /* one line's fields, encoded; more are left out */
    LOG_VALUE_MAX = 512,   /* one value; longer text is cut */
};

struct log_kv {
    const char *key;
    enum { LOG_KV_END, LOG_KV_I, LOG_KV_U, LOG_KV_V, LOG_KV_B } type;
    int64_t i;
    uint64_t u;
    struct view v;
};

struct log_kv log_kv_i(const char *key, int64_t v);
struct log_kv log_kv_u(const char *key, uint64_t v);
struct log_kv log_kv_b(const char *key, bool v);
struct log_kv log_kv_s(const char *key, const char *v);
struct log_kv log_kv_v(const char *key, struct view v);

#define KV(k, v)                                                                                   \
    _Generic((v),                                                                                  \
        char *: log_kv_s,                                                                          \
        const char *: log_kv_s,                                                                    \
        struct view: log_kv_v,                                                                     \
        bool: log_kv_b,                                                                            \
        int: log_kv_i,                                                                             \
        long: log_kv_i,                                                                            \
        long long: log_kv_i,                                                                       \
        unsigned char: log_kv_u,                                                                   \
        unsigned short: log_kv_u,                                                                  \
        unsigned: log_kv_u,                                                                        \
        unsigned long: log_kv_u,                                                                   \
        unsigned long long: log_kv_u)(k, v)

#define LOG_(level, event, ...)                                                                    \
    do {                                                                                           \
        if ((level) >= log_level())                                                                \
            log_write((level), (event),                                                            \
                      (const struct log_kv[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}});           \
    } while (0)
#define log_debug(event, ...) LOG_(LOG_DEBUG, event __VA_OPT__(, ) __VA_ARGS__)
#define log_info(event, ...)  LOG_(LOG_INFO, event __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(event, ...)  LOG_(LOG_WARN, event __VA_OPT__(, ) __VA_ARGS__)
#define log_error(event, ...) LOG_(LOG_ERROR, event __VA_OPT__(, ) __VA_ARGS__)

/* Gets every line at or above the level. fields: the encoding below. */
typedef void log_sink(void *ctx, enum log_level level, struct view event, struct view fields);
void log_set_sink(log_sink *sink, void *ctx);
void log_set_level(enum log_level level);
enum log_level log_level(void);
void log_write(enum log_level level, const char *event, const struct log_kv *kv);

/* Fields as they travel: type ('n' number or boolean, 's' text), key, 0x1f, value, 0x1e, again and
 * again. The text parts hold no control characters. Rendering trusts none of it: numbers are
 * checked, text is escaped. */
void log_render_json(struct buf *out, int64_t wall_ms, enum log_level level, struct view event,
                     const char *proc, int pid, struct view fields);
void log_render_text(struct buf *out, int64_t wall_ms, enum log_level level, struct view event,
                     const char *proc, int pid, struct view fields, bool color);
const char *log_level_name(enum log_level level);

#endif
