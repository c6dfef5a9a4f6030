/* store/store_key.c - the keys of the tables, built and read. */
#include "store_int.h"

#include <endian.h>
#include <openssl/evp.h>

enum { KEY_RAW_MAX = KEY_MAX, KEY_CUT = 440, KEY_DIGEST = 32, UUID_TEXT = 36, NAME_RAW_MAX = 128 };

static MDB_val *sized(struct key *k, size_t n)
{
    k->v.mv_data = k->b;
    k->v.mv_size = n;
    return &k->v;
}

static void put32(char *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, 4);
}

static void put64(char *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, 8);
}

static uint64_t time_order(int64_t t)
{
    return (uint64_t)t ^ (uint64_t)1 << 63; /* clocks before 1970 come first */
}

MDB_val *key_u32(struct key *k, uint32_t a)
{
    put32(k->b, a);
    return sized(k, 4);
}

MDB_val *key_u64(struct key *k, uint64_t a)
{
    put64(k->b, a);
    return sized(k, 8);
}

MDB_val *key_u32_u64(struct key *k, uint32_t a, uint64_t b)
{
    put32(k->b, a);
    put64(k->b + 4, b);
    return sized(k, 12);
}

MDB_val *key_time_u32(struct key *k, int64_t t, uint32_t a)
{
    put64(k->b, time_order(t));
    put32(k->b + 8, a);
    return sized(k, 12);
}

MDB_val *key_time_u64(struct key *k, int64_t t, uint64_t a)
{
    put64(k->b, time_order(t));
    put64(k->b + 8, a);
    return sized(k, 16);
}

MDB_val *key_text(struct key *k, struct view v)
{
    size_t n = v.n <= KEY_MAX ? v.n : KEY_MAX;

    memcpy(k->b, v.p, n);
    return sized(k, n);
}

/* LMDB takes 511 bytes, a session key may have 512: then its start, a byte that no UTF-8 has and
 * its digest. Whoever looks one up compares the row's own key (store_find_sid). */
MDB_val *key_session(struct key *k, struct view v)
{
    if (v.n <= KEY_RAW_MAX)
        return key_text(k, v);
    memcpy(k->b, v.p, KEY_CUT);
    k->b[KEY_CUT] = (char)0xff;
    if (!EVP_Q_digest(NULL, "SHA256", NULL, v.p, v.n, (unsigned char *)k->b + KEY_CUT + 1, NULL))
        memset(k->b + KEY_CUT + 1, 0, KEY_DIGEST); /* no digest: a collision, seen by the compare */
    return sized(k, KEY_CUT + 1 + KEY_DIGEST);
}

MDB_val *key_session_name(struct key *k, char tag, struct view v, uint32_t sid)
{
    size_t n = 0;

    k->b[n++] = tag;
    if (v.n <= NAME_RAW_MAX) {
        memcpy(k->b + n, v.p, v.n);
        n += v.n;
    } else {
        k->b[n++] = (char)0xff;
        if (!EVP_Q_digest(NULL, "SHA256", NULL, v.p, v.n, (unsigned char *)k->b + n, NULL))
            memset(k->b + n, 0, KEY_DIGEST); /* as above */
        n += KEY_DIGEST;
    }
    k->b[n++] = '\0';
    if (sid) {
        put32(k->b + n, sid);
        n += 4;
    }
    return sized(k, n);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A lower case UUID in 17 bytes instead of 37: this is the table with the most rows. */
MDB_val *key_message_id(struct key *k, struct view v)
{
    size_t n = 1;

    k->b[0] = 'u';
    if (v.n == UUID_TEXT)
        for (size_t i = 0; i < UUID_TEXT; i++) {
            if (i == 8 || i == 13 || i == 18 || i == 23) {
                if (v.p[i] != '-')
                    break;
                continue;
            }
            if (hex(v.p[i]) < 0 || hex(v.p[i + 1]) < 0) /* groups have even lengths */
                break;
            k->b[n++] = (char)(hex(v.p[i]) << 4 | hex(v.p[i + 1]));
            i++;
        }
    if (n == 17)
        return sized(k, n);
    k->b[0] = 't';
    n = v.n < KEY_MAX ? v.n : KEY_MAX - 1;
    memcpy(k->b + 1, v.p, n);
    return sized(k, n + 1);
}

uint32_t key_get_u32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return be32toh(v);
}

uint64_t key_get_u64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return be64toh(v);
}

int64_t key_get_time(const void *p)
{
    return (int64_t)(key_get_u64(p) ^ (uint64_t)1 << 63);
}
