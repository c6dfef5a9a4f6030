/*
 * tests/fake/h2_bytes.h - frames of HTTP/2 as a client writes them, for tests and fuzzers: heads,
 * and header blocks without Huffman codes and without memory.
 */
#ifndef H2_BYTES_H
#define H2_BYTES_H

#include "buf.h"

enum {
    H2B_DATA,
    H2B_HEADERS,
    H2B_PRIORITY,
    H2B_RST,
    H2B_SETTINGS,
    H2B_PUSH,
    H2B_PING,
    H2B_GOAWAY,
    H2B_WINDOW,
    H2B_CONTINUATION,
};
enum { H2B_END_STREAM = 1, H2B_ACK = 1, H2B_END_HEADERS = 4 };

#define H2B_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

static inline void h2b_frame(struct buf *b, unsigned type, unsigned flags, uint32_t stream,
                             struct view payload)
{
    const unsigned char head[9] = {(unsigned char)(payload.n >> 16),
                                   (unsigned char)(payload.n >> 8),
                                   (unsigned char)payload.n,
                                   (unsigned char)type,
                                   (unsigned char)flags,
                                   (unsigned char)(stream >> 24),
                                   (unsigned char)(stream >> 16),
                                   (unsigned char)(stream >> 8),
                                   (unsigned char)stream};

    buf_put(b, head, sizeof(head));
    buf_put_view(b, payload);
}

static inline void h2b_field(struct buf *b, struct view name, struct view value)
{
    buf_put_char(b, 0x10); /* RFC 7541, 6.2.3 */
    buf_put_char(b, (char)(name.n & 0x7f));
    buf_put_view(b, name);
    buf_put_char(b, (char)(value.n & 0x7f));
    buf_put_view(b, value);
}

struct h2b_request {
    const char *method, *path, *protocol, *more, *value;
};

static inline void h2b_request(struct buf *b, const struct h2b_request *r, unsigned flags,
                               uint32_t stream)
{
    struct buf block = BUF_INIT(4096);

    h2b_field(&block, V(":method"), view_str(r->method));
    h2b_field(&block, V(":scheme"), V("http"));
    h2b_field(&block, V(":path"), view_str(r->path));
    h2b_field(&block, V(":authority"), V("localhost"));
    if (r->protocol)
        h2b_field(&block, V(":protocol"), view_str(r->protocol));
    h2b_field(&block, V("authorization"), V("Bearer x"));
    if (r->more)
        h2b_field(&block, view_str(r->more), view_str(r->value));
    h2b_frame(b, H2B_HEADERS, flags, stream, buf_view(&block));
    buf_fini(&block);
}

#endif
