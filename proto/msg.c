#include "msg.h"

#include "fd.h"

#include <assert.h>
#include <stddef.h>

const char *role_name(enum role r)
{
    static const char *const names[ROLE_COUNT] = {
#define ROLE(id, name) name,
#include "roles.def"
#undef ROLE
    };

    return (unsigned)r < ROLE_COUNT ? names[r] : "?";
}

/* -- the table -- */
#define MSG(id, from, to, phase, how)                                                              \
    static const struct msg_field *fields_##id(unsigned *count, size_t *size)                      \
    {                                                                                              \
        typedef struct ipc_##id T;                                                                 \
        static const struct msg_field f[] = {
#define U8(n)         {#n, MF_U8, 0, offsetof(T, n)},
#define U16(n)        {#n, MF_U16, 0, offsetof(T, n)},
#define U32(n)        {#n, MF_U32, 0, offsetof(T, n)},
#define U64(n)        {#n, MF_U64, 0, offsetof(T, n)},
#define STR(n, max)   {#n, MF_STR, max, offsetof(T, n)},
#define BYTES(n, max) {#n, MF_BYTES, (uint32_t)(max), offsetof(T, n)},
#define FD(n)         {#n, MF_FD, 0, offsetof(T, n)},
#define END(id)                                                                                    \
    }                                                                                              \
    ;                                                                                              \
    *count = (unsigned)COUNT_OF(f);                                                                \
    *size = sizeof(T);                                                                             \
    return f;                                                                                      \
    }
#include "ipc.def"
#undef MSG
#undef U8
#undef U16
#undef U32
#undef U64
#undef STR
#undef BYTES
#undef FD
#undef END

#define U8(n)                         "u8 " #n
#define U16(n)                        "u16 " #n
#define U32(n)                        "u32 " #n
#define U64(n)                        "u64 " #n
#define STR(n, max)                   "str " #n #max
#define BYTES(n, max)                 "bytes " #n #max
#define FD(n)                         "fd " #n
#define END(id)                       ";"
#define MSG(id, from, to, phase, how) #id #from #to #phase #how
static const char schema_text[] =
#include "ipc.def"
    "1"; /* grows when the encoding itself changes */
#undef MSG
#undef U8
#undef U16
#undef U32
#undef U64
#undef STR
#undef BYTES
#undef FD
#undef END

#define U8(n)
#define U16(n)
#define U32(n)
#define U64(n)
#define STR(n, max)
#define BYTES(n, max)
#define FD(n)
#define END(id)
enum { HOW_MANY, HOW_ONCE };
static struct msg_rule rules[MSG_COUNT] = {
#define MSG(id, from_, to_, phase_, how)                                                           \
    [MSG_##id] = {.name = #id,                                                                     \
                  .from = (from_),                                                                 \
                  .to = (to_),                                                                     \
                  .phase = MSG_PHASE_##phase_,                                                     \
                  .once = HOW_##how},
#include "ipc.def"
#undef MSG
};
static bool rules_made;

static void rules_make(void)
{
#define MSG(id, from, to, phase, how)                                                              \
    rules[MSG_##id].fields = fields_##id(&rules[MSG_##id].count, &rules[MSG_##id].size);
#include "ipc.def"
#undef MSG
    for (unsigned t = 0; t < MSG_COUNT; t++)
        for (unsigned k = 0; k < rules[t].count; k++)
            rules[t].nfds += rules[t].fields[k].kind == MF_FD;
    rules_made = true;
}

const struct msg_rule *msg_rule(unsigned type)
{
    if (!rules_made)
        rules_make();
    return type < MSG_COUNT ? &rules[type] : NULL;
}

uint64_t msg_schema(void)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (const char *p = schema_text; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    return h;
}

/* Of a type that is ours to name: there is a row. */
static const struct msg_rule *own_rule(enum msg_type type)
{
    const struct msg_rule *r = msg_rule(type);

    assert(r);
    return r;
}

/* -- codec -- */
static const void *at(const void *m, const struct msg_field *f)
{
    return (const char *)m + f->offset;
}

size_t msg_size(enum msg_type type, const void *m, struct err *e)
{
    const struct msg_rule *r = own_rule(type);
    size_t n = 0;

    for (unsigned k = 0; k < r->count; k++) {
        const struct msg_field *f = &r->fields[k];
        struct view v;

        switch (f->kind) {
        case MF_U8:
            n += 1;
            break;
        case MF_U16:
            n += 2;
            break;
        case MF_U32:
            n += 4;
            break;
        case MF_U64:
            n += 8;
            break;
        case MF_STR:
        case MF_BYTES:
            memcpy(&v, at(m, f), sizeof(v));
            if (v.n > f->max) {
                (void)err_set(e, ERR_LIMIT, "%s: %s: %zu bytes, limit %u", r->name, f->name, v.n,
                              f->max);
                return 0;
            }
            if (f->kind == MF_STR && v.n && memchr(v.p, 0, v.n)) {
                (void)err_set(e, ERR_INVALID, "%s: %s: holds a NUL", r->name, f->name);
                return 0;
            }
            n += 4 + v.n;
            break;
        case MF_FD:
            break;
        }
    }
    return n;
}

void msg_encode(enum msg_type type, const void *m, char *out)
{
    const struct msg_rule *r = own_rule(type);

    for (unsigned k = 0; k < r->count; k++) {
        const struct msg_field *f = &r->fields[k];
        struct view v;
        uint32_t n;

        switch (f->kind) {
        case MF_U8:
            memcpy(out, at(m, f), 1);
            out += 1;
            break;
        case MF_U16:
            memcpy(out, at(m, f), 2);
            out += 2;
            break;
        case MF_U32:
            memcpy(out, at(m, f), 4);
            out += 4;
            break;
        case MF_U64:
            memcpy(out, at(m, f), 8);
            out += 8;
            break;
        case MF_STR:
        case MF_BYTES:
            memcpy(&v, at(m, f), sizeof(v));
            n = (uint32_t)v.n;
            memcpy(out, &n, 4);
            if (v.n)
                memcpy(out + 4, v.p, v.n);
            out += 4 + v.n;
            break;
        case MF_FD:
            break;
        }
    }
}

/* Bytes of a fixed-size field, or of the length in front of a variable one. */
static size_t head_bytes(enum msg_field_kind kind)
{
    static const unsigned char n[] = {[MF_U8] = 1,  [MF_U16] = 2,   [MF_U32] = 4, [MF_U64] = 8,
                                      [MF_STR] = 4, [MF_BYTES] = 4, [MF_FD] = 0};

    return n[kind];
}

int msg_decode(unsigned type, struct view body, const int *fds, unsigned nfds, void *m,
               struct err *e)
{
    const struct msg_rule *r = msg_rule(type);
    unsigned fd = 0;

    if (!r)
        return err_set(e, ERR_INVALID, "message type %u: unknown", type);
    if (nfds != r->nfds)
        return err_set(e, ERR_INVALID, "%s: %u descriptors, want %u", r->name, nfds, r->nfds);
    for (unsigned k = 0; k < r->count; k++) {
        const struct msg_field *f = &r->fields[k];
        char *to = (char *)m + f->offset;
        size_t head = head_bytes(f->kind);
        uint32_t n;

        if (body.n < head)
            return err_set(e, ERR_INVALID, "%s: %s: cut short", r->name, f->name);
        if (f->kind == MF_FD) {
            memcpy(to, &fds[fd++], sizeof(int));
        } else if (f->kind != MF_STR && f->kind != MF_BYTES) {
            memcpy(to, body.p, head);
        } else {
            struct view v;

            memcpy(&n, body.p, 4);
            if (n > f->max)
                return err_set(e, ERR_LIMIT, "%s: %s: %u bytes, limit %u", r->name, f->name, n,
                               f->max);
            if (n > body.n - 4)
                return err_set(e, ERR_INVALID, "%s: %s: cut short", r->name, f->name);
            v = n ? view_of(body.p + 4, n) : VIEW_EMPTY;
            if (f->kind == MF_STR && n && memchr(v.p, 0, n))
                return err_set(e, ERR_INVALID, "%s: %s: holds a NUL", r->name, f->name);
            memcpy(to, &v, sizeof(v));
            head += n;
        }
        body = view_from(body, head);
    }
    if (body.n)
        return err_set(e, ERR_INVALID, "%s: %zu bytes left over", r->name, body.n);
    return 0;
}

/* -- links -- */
struct link {
    struct ipc *ipc;
    struct link_conf conf;
    void *user;
    bool running;
    uint64_t seen_once[(MSG_COUNT + 63) / 64]; /* a bit for each type that may come only once */
};

static int check_rule(struct link *l, const struct msg_rule *r, unsigned type, struct err *e)
{
    if (!(r->from & (1u << l->conf.peer)) || !(r->to & (1u << l->conf.me)))
        return err_set(e, ERR_DENIED, "%s: %s may not send it to %s", r->name,
                       role_name(l->conf.peer), role_name(l->conf.me));
    if ((r->phase == MSG_PHASE_START && l->running) || (r->phase == MSG_PHASE_RUN && !l->running))
        return err_set(e, ERR_INVALID, "%s: not in this phase", r->name);
    if (r->once) {
        if (l->seen_once[type / 64] & (1ull << type % 64))
            return err_set(e, ERR_INVALID, "%s: sent twice", r->name);
        l->seen_once[type / 64] |= 1ull << type % 64;
    }
    return 0;
}

/* Runs the handler in its slot; a message without one is refused. */
static int dispatch(struct link *l, unsigned type, union msg_any *m, struct err *e)
{
    const struct ipc_handlers *on = l->conf.on;

    switch ((enum msg_type)type) {
#define MSG(id, from, to, phase, how)                                                              \
    case MSG_##id:                                                                                 \
        if (on->id)                                                                                \
            return on->id(l->conf.ctx, l, &m->id, e);                                              \
        break;
#include "ipc.def"
#undef MSG
    case MSG_COUNT:
        break;
    }
    return err_set(e, ERR_DENIED, "%s: %s does not take it", rules[type].name,
                   role_name(l->conf.me));
}
#undef U8
#undef U16
#undef U32
#undef U64
#undef STR
#undef BYTES
#undef FD
#undef END

/* Messages with credentials in them: nothing of them is left in the lines' buffers. */
static bool is_secret(unsigned type)
{
    return type == MSG_connect || type == MSG_connect_ok || type == MSG_config ||
           type == MSG_config_write || type == MSG_tls || type == MSG_http_ask;
}

static int on_frame(void *ctx, struct ipc *i, uint16_t type, struct view body, int *fds,
                    unsigned nfds, struct err *e)
{
    struct link *l = ctx;
    const struct msg_rule *r = msg_rule(type);
    union msg_any m;
    unsigned fd = 0;
    int ret;

    (void)i;
    if (!r)
        return err_set(e, ERR_INVALID, "message type %u: there is none", type);
    if ((ret = msg_decode(type, body, fds, nfds, &m, e)) < 0 ||
        (ret = check_rule(l, r, type, e)) < 0)
        return ret;
    ret = dispatch(l, type, &m, e);
    for (unsigned k = 0; k < r->count && nfds; k++) /* what the handler took is -1 now */
        if (r->fields[k].kind == MF_FD)
            memcpy(&fds[fd++], (const char *)&m + r->fields[k].offset, sizeof(int));
    if (is_secret(type))
        mem_wipe((char *)(uintptr_t)body.p, body.n);
    return ret < 0 ? err_wrap(e, "%s", r->name) : 0;
}

static void on_close(void *ctx, struct ipc *i, const struct err *why)
{
    struct link *l = ctx;

    (void)i;
    l->conf.on_close(l->conf.ctx, l, why);
}

static void on_drain(void *ctx, struct ipc *i)
{
    struct link *l = ctx;

    (void)i;
    if (l->conf.on_drain)
        l->conf.on_drain(l->conf.ctx, l);
}

int link_open(struct link **out, struct loop *loop, int fd, const struct link_conf *conf,
              struct err *e)
{
    struct link *l = NULL;
    struct ipc_events ev = {.on_frame = on_frame, .on_close = on_close, .on_drain = on_drain};
    int r;

    if ((r = mem_new(&l, sizeof(*l), e)) < 0) {
        fd_close(&fd);
        return r;
    }
    l->conf = *conf;
    ev.ctx = l;
    if ((r = ipc_open(&l->ipc, loop, fd, &ev, e)) < 0) {
        mem_free(l);
        return r;
    }
    *out = l;
    return 0;
}

void link_close(struct link **lp)
{
    struct link *l = *lp;

    if (!l)
        return;
    *lp = NULL;
    ipc_close(&l->ipc);
    mem_free(l);
}

enum role link_peer(const struct link *l)
{
    return l->conf.peer;
}

unsigned link_instance(const struct link *l)
{
    return l->conf.instance;
}

uint64_t link_generation(const struct link *l)
{
    return l->conf.generation;
}

void link_set_user(struct link *l, void *user)
{
    l->user = user;
}

void *link_user(const struct link *l)
{
    return l->user;
}

void link_set_running(struct link *l)
{
    l->running = true;
}

bool link_is_running(const struct link *l)
{
    return l->running;
}

void link_drain(struct link *l)
{
    ipc_drain(l->ipc);
}

struct ipc *link_ipc(struct link *l)
{
    return l->ipc;
}

int msg_send(struct link *l, enum msg_type type, const void *m, struct err *e)
{
    const struct msg_rule *r = own_rule(type);
    int fds[IPC_FRAME_FDS_MAX];
    unsigned nfds = 0;
    size_t n;
    char *to;

    n = msg_size(type, m, e);
    if (n == 0 && r->count > r->nfds)
        return e->code;
    for (unsigned k = 0; k < r->count; k++)
        if (r->fields[k].kind == MF_FD)
            memcpy(&fds[nfds++], at(m, &r->fields[k]), sizeof(int));
    to = ipc_reserve(l->ipc, (uint16_t)type, n, fds, nfds, e);
    if (!to)
        return e->code;
    msg_encode(type, m, to);
    if (is_secret(type))
        ipc_secret(l->ipc);
    return 0;
}
