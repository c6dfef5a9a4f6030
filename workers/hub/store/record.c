#include "record.h"

#include "crc32c.h"

#include <endian.h>

enum op { OP_SIZE, OP_PUT, OP_GET };

/* One pass over the fields of a record, for whatever is done with them. */
struct pass {
    enum op op;
    unsigned version; /* of the bytes read */
    size_t n;         /* SIZE: sum so far; GET: bytes left */
    char *out;
    const char *in;
    const char *rec; /* for the sentence */
    struct err *e;
    int r; /* the first error stays */
};

static void fail(struct pass *p, const char *field, const char *why)
{
    if (p->r == 0)
        p->r = err_set(p->e, ERR_INVALID, "%s: %s: %s", p->rec, field, why);
}

/* Little endian from or to a local of the same width. */
static void num(struct pass *p, const char *name, unsigned since, void *le, size_t width)
{
    switch (p->op) {
    case OP_SIZE:
        p->n += width;
        break;
    case OP_PUT:
        memcpy(p->out, le, width);
        p->out += width;
        break;
    case OP_GET:
        if (since > p->version || p->r < 0)
            break;
        if (p->n < width) {
            fail(p, name, "cut short");
            break;
        }
        memcpy(le, p->in, width);
        p->in += width;
        p->n -= width;
        break;
    }
}

static void f_u8(struct pass *p, const char *name, unsigned since, uint8_t *v)
{
    num(p, name, since, v, 1);
}

static void f_u32(struct pass *p, const char *name, unsigned since, uint32_t *v)
{
    uint32_t le = htole32(*v);

    num(p, name, since, &le, 4);
    *v = le32toh(le);
}

static void f_u64(struct pass *p, const char *name, unsigned since, uint64_t *v)
{
    uint64_t le = htole64(*v);

    num(p, name, since, &le, 8);
    *v = le64toh(le);
}

static void f_i64(struct pass *p, const char *name, unsigned since, int64_t *v)
{
    uint64_t u = (uint64_t)*v;

    f_u64(p, name, since, &u);
    *v = (int64_t)u;
}

static void f_blob(struct pass *p, const char *name, unsigned since, struct view *v, size_t max,
                   bool wide)
{
    uint32_t n32 = (uint32_t)v->n;
    uint16_t n16 = htole16((uint16_t)v->n);
    size_t n;

    if (p->op != OP_GET && v->n > max) {
        if (p->r == 0)
            p->r =
                err_set(p->e, ERR_LIMIT, "%s: %s: %zu bytes, limit %zu", p->rec, name, v->n, max);
        return;
    }
    if (wide)
        f_u32(p, name, since, &n32);
    else
        num(p, name, since, &n16, 2);
    switch (p->op) {
    case OP_SIZE:
        p->n += v->n;
        break;
    case OP_PUT:
        if (v->n && v->p != p->out) /* encoding again in place */
            memcpy(p->out, v->p, v->n);
        p->out += v->n;
        break;
    case OP_GET:
        *v = VIEW_EMPTY;
        if (since > p->version || p->r < 0)
            break;
        n = wide ? n32 : le16toh(n16);
        if (n > max || n > p->n) {
            fail(p, name, n > max ? "over its limit" : "cut short");
            break;
        }
        *v = view_of(p->in, n);
        p->in += n;
        p->n -= n;
        break;
    }
}

/* void walk_<name>(struct pass *, struct rec_<name> *): every field once, in order. */
#define REC(name, number, version)                                                                 \
    static void walk_##name(struct pass *p, struct rec_##name *r)                                  \
    {
#define U8(since, name)         f_u8(p, #name, since, &r->name);
#define U32(since, name)        f_u32(p, #name, since, &r->name);
#define U64(since, name)        f_u64(p, #name, since, &r->name);
#define I64(since, name)        f_i64(p, #name, since, &r->name);
#define STR(since, name, max)   f_blob(p, #name, since, &r->name, (max), false);
#define BYTES(since, name, max) f_blob(p, #name, since, &r->name, (max), true);
#define END(name)               }
#include "records.def"
#undef REC
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR
#undef BYTES
#undef END

#define U8(since, name)
#define U32(since, name)
#define U64(since, name)
#define I64(since, name)
#define STR(since, name, max)
#define BYTES(since, name, max)
#define END(name)

static const char *const names[REC_TYPE_MAX] = {
#define REC(name, number, version) [number] = #name,
#include "records.def"
#undef REC
};

static const uint16_t versions[REC_TYPE_MAX] = {
#define REC(name, number, version) [number] = (version),
#include "records.def"
#undef REC
};

const char *rec_name(enum rec_type t)
{
    return (unsigned)t < REC_TYPE_MAX && names[t] ? names[t] : "unknown";
}

static void walk(struct pass *p, struct store_rec *r)
{
    p->rec = rec_name(r->type);
    switch (r->type) {
#define REC(name, number, version)                                                                 \
    case REC_##name:                                                                               \
        walk_##name(p, &r->name);                                                                  \
        return;
#include "records.def"
#undef REC
    case REC_TYPE_MAX:
        break;
    }
    p->r = err_set(p->e, ERR_INVALID, "unknown record type %u", (unsigned)r->type);
}

int rec_check(const struct store_rec *r, struct err *e)
{
    struct store_rec copy = *r;
    struct pass p = {.op = OP_SIZE, .e = e};

    walk(&p, &copy);
    if (p.r == 0 && p.n > REC_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "%s: %zu bytes, limit %zu", p.rec, p.n, REC_BYTES_MAX);
    return p.r;
}

size_t rec_size(const struct store_rec *r)
{
    struct store_rec copy = *r;
    struct err e;
    struct pass p = {.op = OP_SIZE, .e = &e};

    walk(&p, &copy);
    return REC_HEAD + p.n;
}

static uint32_t get32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return le32toh(v);
}

static unsigned get16(const char *p)
{
    uint16_t v;

    memcpy(&v, p, 2);
    return le16toh(v);
}

void rec_encode(const struct store_rec *r, char *out)
{
    struct store_rec copy = *r;
    struct err e;
    struct pass p = {.op = OP_PUT, .out = out + REC_HEAD, .e = &e};
    uint32_t v32;
    uint16_t v16;

    walk(&p, &copy);
    v32 = htole32((uint32_t)(p.out - out) - REC_HEAD);
    memcpy(out + 4, &v32, 4);
    v16 = htole16((uint16_t)r->type);
    memcpy(out + 8, &v16, 2);
    v16 = htole16(versions[r->type]);
    memcpy(out + 10, &v16, 2);
    v32 = htole32(crc32c(out + 4, (size_t)(p.out - out) - 4));
    memcpy(out, &v32, 4);
}

int rec_decode(struct view in, struct store_rec *out, size_t *used, struct err *e)
{
    struct store_rec r = {0};
    struct pass p = {.op = OP_GET, .e = e};
    unsigned type;
    size_t whole;

    if (in.n < REC_HEAD)
        return err_set(e, ERR_AGAIN, "record cut in its head: %zu bytes", in.n);
    p.n = get32(in.p + 4);
    type = get16(in.p + 8);
    p.version = get16(in.p + 10);
    if (p.n > REC_BYTES_MAX)
        return err_set(e, ERR_INVALID, "record of %zu bytes, limit %zu", p.n, REC_BYTES_MAX);
    if (p.n > in.n - REC_HEAD)
        return err_set(e, ERR_AGAIN, "record cut: %zu of %zu bytes", in.n - REC_HEAD, p.n);
    if (crc32c(in.p + 4, REC_HEAD - 4 + p.n) != get32(in.p))
        return err_set(e, ERR_CORRUPT, "record with a wrong checksum");
    if (type >= REC_TYPE_MAX || !names[type])
        return err_set(e, ERR_INVALID, "unknown record type %u", type);
    if (p.version == 0 || p.version > versions[type])
        return err_set(e, ERR_INVALID, "%s: version %u, this program knows up to %u", names[type],
                       p.version, versions[type]);
    r.type = (enum rec_type)type;
    p.in = in.p + REC_HEAD;
    whole = REC_HEAD + p.n;
    walk(&p, &r);
    if (p.r == 0 && p.n)
        fail(&p, "end", "bytes left over");
    if (p.r < 0)
        return p.r;
    *used = whole;
    *out = r;
    return 0;
}
