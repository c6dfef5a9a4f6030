#include "http.h"

static enum http_result refuse(struct http_refusal *why, unsigned status, const char *text)
{
    *why = (struct http_refusal){status, text};
    return HTTP_BAD;
}

enum {
    B_SIZE,
    B_EXT,
    B_SIZE_LF,
    B_DATA,
    B_DATA_CR,
    B_DATA_LF,
    B_TRAILER,
    B_LINE,
    B_LINE_LF,
    B_END
};

enum http_result http_body_start(struct http_body *b, const struct http_req *req, size_t max,
                                 struct http_refusal *why)
{
    *b = (struct http_body){.max = max, .chunked = req->chunked};
    if (!req->has_body)
        return HTTP_DONE;
    if (req->chunked)
        return HTTP_MORE;
    if (req->length > max)
        return refuse(why, 413, "body too large");
    b->left = req->length;
    b->at = B_DATA;
    return HTTP_MORE;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static enum http_result chunk_size(struct http_body *b, unsigned char c, struct http_refusal *why)
{
    int digit = hex_digit(c);

    if (digit >= 0) {
        if (++b->digits > 16)
            return refuse(why, 400, "malformed chunk size");
        b->left = b->left << 4 | (unsigned)digit;
        return HTTP_MORE;
    }
    if (b->digits == 0 || (c != '\r' && c != ';'))
        return refuse(why, 400, "malformed chunk size");
    b->at = c == '\r' ? B_SIZE_LF : B_EXT;
    b->line = 0;
    return HTTP_MORE;
}

/* One byte of the framing between the data. */
static enum http_result chunk_step(struct http_body *b, unsigned char c, struct http_refusal *why)
{
    bool text = (c >= ' ' && c != 0x7f) || c == '\t';

    switch (b->at) {
    case B_SIZE:
        return chunk_size(b, c, why);
    case B_EXT:
        if (c == '\r')
            b->at = B_SIZE_LF;
        else if (!text)
            return refuse(why, 400, "malformed chunk extension");
        else if (b->line++ >= HTTP_CHUNK_EXT_MAX)
            return refuse(why, 413, "chunk extension too long");
        return HTTP_MORE;
    case B_SIZE_LF:
        if (c != '\n')
            return refuse(why, 400, "malformed chunk size");
        if (b->left > b->max - b->got)
            return refuse(why, 413, "body too large");
        b->at = b->left ? B_DATA : B_TRAILER;
        b->line = 0;
        return HTTP_MORE;
    case B_DATA_CR:
    case B_DATA_LF:
        if (c != (b->at == B_DATA_CR ? '\r' : '\n'))
            return refuse(why, 400, "chunk longer than its size");
        b->at = b->at == B_DATA_CR ? B_DATA_LF : B_SIZE;
        b->digits = 0;
        b->left = 0;
        return HTTP_MORE;
    case B_TRAILER:
        if (c == '\r') {
            b->at = B_END;
            return HTTP_MORE;
        }
        if (!http_is_token(c))
            return refuse(why, 400, "malformed trailer");
        b->at = B_LINE;
        return HTTP_MORE;
    case B_LINE:
        if (c == '\r')
            b->at = B_LINE_LF;
        else if (!text)
            return refuse(why, 400, "malformed trailer");
        else if (b->line++ >= HTTP_TRAILER_MAX)
            return refuse(why, 431, "trailers too long");
        return HTTP_MORE;
    case B_LINE_LF:
        if (c != '\n')
            return refuse(why, 400, "malformed trailer");
        b->at = B_TRAILER;
        return HTTP_MORE;
    default:
        if (c != '\n')
            return refuse(why, 400, "malformed end of the body");
        return HTTP_DONE;
    }
}

enum http_result http_body_take(struct http_body *b, struct view in, size_t *used, struct buf *out,
                                struct http_refusal *why)
{
    size_t i = 0;

    while (i < in.n) {
        if (b->at == B_DATA) {
            size_t part = b->left < in.n - i ? (size_t)b->left : in.n - i;

            if (out) {
                buf_put(out, in.p + i, part);
                if (out->failed)
                    return refuse(why, 503, "out of memory for a body");
            }
            b->left -= part;
            b->got += part;
            i += part;
            if (b->left)
                break;
            if (!b->chunked) {
                *used = i;
                return HTTP_DONE;
            }
            b->at = B_DATA_CR;
        } else {
            enum http_result r = chunk_step(b, (unsigned char)in.p[i++], why);

            if (r == HTTP_DONE)
                *used = i;
            if (r != HTTP_MORE)
                return r;
        }
    }
    *used = i;
    return HTTP_MORE;
}
