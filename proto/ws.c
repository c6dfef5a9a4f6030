#include "ws.h"

#include "mem.h"
#include "rand.h"

#include <openssl/evp.h>
#include <string.h>

void ws_dec_init(struct ws_dec *d, bool server, size_t max)
{
    *d = (struct ws_dec){.server = server, .max = max};
    buf_init(&d->message, max);
}

void ws_dec_fini(struct ws_dec *d)
{
    buf_fini(&d->message);
}

void ws_mask(char *p, size_t n, const uint8_t key[4], unsigned at)
{
    uint8_t k[8];
    uint64_t wide, word;

    for (unsigned i = 0; i < 8; i++)
        k[i] = key[(at + i) & 3];
    memcpy(&wide, k, 8);
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        word ^= wide;
        memcpy(p, &word, 8);
    }
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(p[i] ^ (char)k[i]);
}

bool ws_code_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum ws_event bad(struct ws_dec *d, struct ws_out *out, uint16_t code, const char *text)
{
    d->spent = true;
    *out = (struct ws_out){.data = VIEW_EMPTY, .code = code, .text = text};
    return WS_BAD;
}

static bool is_control(const struct ws_dec *d)
{
    return d->op >= WS_OP_CLOSE;
}

/* The first two bytes: everything that can be judged before the length is known. Reserved bits come
 * first: with them the rest has no agreed meaning. */
static enum ws_event judge_start(struct ws_dec *d, struct ws_out *out)
{
    uint8_t len7 = d->head[1] & 0x7f;

    d->fin = d->head[0] & 0x80;
    d->op = d->head[0] & 0x0f;
    if (d->head[0] & 0x70)
        return bad(d, out, WS_PROTOCOL, "reserved bits set");
    if ((d->op > WS_OP_BINARY && d->op < WS_OP_CLOSE) || d->op > WS_OP_PONG)
        return bad(d, out, WS_PROTOCOL, "reserved opcode");
    if (((d->head[1] & 0x80) != 0) != d->server)
        return bad(d, out, WS_PROTOCOL, d->server ? "frame not masked" : "frame masked");
    if (is_control(d)) {
        if (!d->fin)
            return bad(d, out, WS_PROTOCOL, "fragmented control frame");
        if (len7 > WS_CONTROL_MAX)
            return bad(d, out, WS_PROTOCOL, "control frame over 125 bytes");
        return WS_MORE;
    }
    if (d->op == WS_OP_CONT && !d->in_message)
        return bad(d, out, WS_PROTOCOL, "continuation without a message");
    if (d->op != WS_OP_CONT && d->in_message)
        return bad(d, out, WS_PROTOCOL, "new message inside a message");
    if (d->op == WS_OP_BINARY && !d->accept_binary)
        return bad(d, out, WS_UNSUPPORTED, "binary message");
    return WS_MORE;
}

static unsigned head_len(const struct ws_dec *d)
{
    unsigned len7 = d->head[1] & 0x7f;

    return 2u + (len7 == 126 ? 2u : len7 == 127 ? 8u : 0u) + (d->server ? 4u : 0u);
}

/* The whole header: length and what follows from it. */
static enum ws_event judge_length(struct ws_dec *d, struct ws_out *out)
{
    unsigned len7 = d->head[1] & 0x7f, bytes = len7 == 126 ? 2 : len7 == 127 ? 8 : 0;
    uint64_t n = bytes ? 0 : len7;

    for (unsigned i = 0; i < bytes; i++)
        n = n << 8 | d->head[2 + i];
    if (n >> 63)
        return bad(d, out, WS_PROTOCOL, "length with its top bit set");
    if ((bytes == 2 && n < 126) || (bytes == 8 && n < 65536))
        return bad(d, out, WS_PROTOCOL, "length not in its shortest form");
    if (!is_control(d)) {
        size_t have = d->in_message ? d->message.n : 0;

        if (have > d->max || n > d->max - have)
            return bad(d, out, WS_TOO_BIG, "message too big");
        if (d->in_message && d->fragments >= WS_FRAGMENTS_MAX)
            return bad(d, out, WS_TOO_BIG, "too many fragments");
    }
    d->left = n;
    return WS_MORE;
}

static void begin_payload(struct ws_dec *d)
{
    if (d->server)
        memcpy(d->key, d->head + head_len(d) - 4, 4);
    d->key_at = 0;
    d->head_n = 0;
    d->in_payload = true;
    if (is_control(d)) {
        d->control_n = 0;
        return;
    }
    if (!d->in_message) {
        d->in_message = true;
        d->binary = d->op == WS_OP_BINARY;
        d->fragments = 0;
        d->utf8 = (struct utf8){0};
    }
    d->fragments++;
}

/* Collect the header; it may arrive byte by byte and is judged as early as it can be. */
static enum ws_event take_head(struct ws_dec *d, char **p, size_t *n, struct ws_out *out)
{
    while (*n) {
        d->head[d->head_n++] = (uint8_t) * (*p)++;
        (*n)--;
        if (d->head_n == 2 && judge_start(d, out) == WS_BAD)
            return WS_BAD;
        if (d->head_n >= 2 && d->head_n == head_len(d)) {
            if (judge_length(d, out) == WS_BAD)
                return WS_BAD;
            begin_payload(d);
            return WS_MORE;
        }
        /* a length over the limit is refused without waiting for the mask */
        if (d->server && d->head_n >= 2 && d->head_n == head_len(d) - 4 &&
            judge_length(d, out) == WS_BAD)
            return WS_BAD;
    }
    return WS_MORE;
}

static enum ws_event end_control(struct ws_dec *d, struct ws_out *out)
{
    const uint8_t *c = (const uint8_t *)d->control;

    d->in_payload = false;
    *out = (struct ws_out){.data = view_of(d->control, d->control_n)};
    if (d->op == WS_OP_PING)
        return WS_PING;
    if (d->op == WS_OP_PONG)
        return WS_PONG;
    if (d->control_n == 1)
        return bad(d, out, WS_PROTOCOL, "close payload of one byte");
    out->code = WS_NO_CODE;
    if (d->control_n >= 2) {
        out->code = (uint16_t)(c[0] << 8 | c[1]);
        if (!ws_code_valid(out->code))
            return bad(d, out, WS_PROTOCOL, "close code that may not be sent");
        out->data = view_from(out->data, 2);
        if (!utf8_valid(out->data))
            return bad(d, out, WS_BAD_DATA, "close reason is not UTF-8");
    }
    d->spent = true;
    return WS_CLOSE;
}

static enum ws_event end_message(struct ws_dec *d, struct view data, struct ws_out *out)
{
    d->in_payload = d->in_message = false;
    if (!utf8_done(&d->utf8))
        return bad(d, out, WS_BAD_DATA, "text ends inside a character");
    *out = (struct ws_out){.data = data, .binary = d->binary};
    return WS_MESSAGE;
}

static enum ws_event take_control(struct ws_dec *d, char **p, size_t *n, struct ws_out *out)
{
    size_t part = d->left < *n ? (size_t)d->left : *n;

    if (part) /* at most 125 in all: judge_start */
        memcpy(d->control + d->control_n, *p, part);
    if (d->server && part)
        ws_mask(d->control + d->control_n, part, d->key, d->key_at);
    d->key_at = (uint8_t)((d->key_at + part) & 3);
    d->control_n = (uint8_t)(d->control_n + part);
    d->left -= part;
    *p += part;
    *n -= part;
    return d->left ? WS_MORE : end_control(d, out);
}

static enum ws_event take_data(struct ws_dec *d, char **p, size_t *n, struct ws_out *out)
{
    size_t part = d->left < *n ? (size_t)d->left : *n;
    struct view piece = view_of(*p, part);
    bool whole = d->fin && d->fragments == 1 && d->message.n == 0;

    if (part) {
        if (d->server)
            ws_mask(*p, part, d->key, d->key_at);
        if (!utf8_feed(&d->utf8, piece))
            return bad(d, out, WS_BAD_DATA, "text is not UTF-8");
    }
    d->key_at = (uint8_t)((d->key_at + part) & 3);
    d->left -= part;
    *p += part;
    *n -= part;
    if (whole && d->left == 0)
        return end_message(d, piece, out);
    buf_put_view(&d->message, piece);
    if (d->message.failed)
        return bad(d, out, WS_INTERNAL, "out of memory for a message");
    if (d->left)
        return WS_MORE;
    d->in_payload = false;
    return d->fin ? end_message(d, buf_view(&d->message), out) : WS_MORE;
}

enum ws_event ws_decode(struct ws_dec *d, char **p, size_t *n, struct ws_out *out)
{
    if (!d->in_message && d->message.cap) /* the message given by the last call */
        buf_reset(&d->message, 0);
    d->message.max = d->max;
    while (!d->spent) {
        enum ws_event ev;

        if (!d->in_payload && *n)
            ev = take_head(d, p, n, out);
        else if (d->in_payload && (*n || d->left == 0))
            ev = is_control(d) ? take_control(d, p, n, out) : take_data(d, p, n, out);
        else
            break;
        if (ev != WS_MORE)
            return ev;
    }
    *p += *n;
    *n = 0;
    return WS_MORE;
}

size_t ws_head(uint8_t out[WS_HEAD_MAX], enum ws_op op, uint64_t n, const uint8_t key[4])
{
    unsigned bytes = n < 126 ? 0 : n < 65536 ? 2 : 8;
    uint8_t masked = key ? 0x80 : 0;
    size_t len = 2;

    out[0] = (uint8_t)(0x80 | op);
    out[1] = (uint8_t)(masked | (bytes == 0 ? n : bytes == 2 ? 126 : 127));
    for (unsigned i = 0; i < bytes; i++)
        out[len++] = (uint8_t)(n >> (8 * (bytes - 1 - i)));
    if (key) {
        memcpy(out + len, key, 4);
        len += 4;
    }
    return len;
}

void ws_put(struct buf *b, enum ws_op op, struct view payload, bool client)
{
    uint8_t head[WS_HEAD_MAX], key[4];
    size_t head_n;
    char *to;

    if (client)
        rand_bytes(key, sizeof(key));
    head_n = ws_head(head, op, payload.n, client ? key : NULL);
    if (payload.n > SIZE_MAX - head_n || !(to = buf_room(b, head_n + payload.n)))
        return;
    memcpy(to, head, head_n);
    if (payload.n)
        memcpy(to + head_n, payload.p, payload.n);
    if (client)
        ws_mask(to + head_n, payload.n, key, 0);
    buf_added(b, head_n + payload.n);
}

void ws_put_close(struct buf *b, uint16_t code, struct view reason, bool client)
{
    char payload[2 + WS_REASON_MAX];
    size_t n = reason.n;

    if (code == WS_NO_CODE) {
        ws_put(b, WS_OP_CLOSE, VIEW_EMPTY, client);
        return;
    }
    if (n > WS_REASON_MAX)
        for (n = WS_REASON_MAX; n && ((unsigned char)reason.p[n] & 0xc0) == 0x80;)
            n--;
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    if (n)
        memcpy(payload + 2, reason.p, n);
    ws_put(b, WS_OP_CLOSE, view_of(payload, n + 2), client);
}

bool ws_key_valid(struct view key)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (key.n != WS_KEY_LEN || key.p[22] != '=' || key.p[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++)
        if (key.p[i] == '\0' || !strchr(alphabet, key.p[i]))
            return false;
    /* 22 digits hold 132 bits, 4 more than 16 bytes: those must be zero */
    return strchr("AQgw", key.p[21]) != NULL;
}

int ws_accept(struct view key, char out[WS_ACCEPT_LEN + 1], struct err *e)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
    unsigned char text[WS_KEY_LEN + sizeof(guid) - 1], digest[EVP_MAX_MD_SIZE];
    unsigned digest_n = 0;

    if (!ws_key_valid(key))
        return err_set(e, ERR_INVALID, "websocket key is not 16 bytes in base64");
    memcpy(text, key.p, WS_KEY_LEN);
    memcpy(text + WS_KEY_LEN, guid, sizeof(guid) - 1);
    if (EVP_Digest(text, sizeof(text), digest, &digest_n, EVP_sha1(), NULL) != 1 || digest_n != 20)
        return err_set(e, ERR_SYS, "SHA-1 failed");
    (void)EVP_EncodeBlock((unsigned char *)out, digest, (int)digest_n);
    return 0;
}

void ws_key_new(char out[WS_KEY_LEN + 1])
{
    unsigned char raw[16];

    rand_bytes(raw, sizeof(raw));
    (void)EVP_EncodeBlock((unsigned char *)out, raw, sizeof(raw));
}
