#include "device.h"

#include "b64.h"
#include "buf.h"
#include "json.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

enum { KEY_BYTES = 32, SIGNATURE_BYTES = 64, SPKI_BYTES = 44, PAYLOAD_MAX = 128 * 1024 };

static const struct device_fault faults[] = {
    {"device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch"},
    {"device signature expired", "DEVICE_AUTH_SIGNATURE_EXPIRED", "device-signature-stale"},
    {"device nonce required", "DEVICE_AUTH_NONCE_REQUIRED", "device-nonce-missing"},
    {"device nonce mismatch", "DEVICE_AUTH_NONCE_MISMATCH", "device-nonce-mismatch"},
    {"device signature invalid", "DEVICE_AUTH_SIGNATURE_INVALID", "device-signature"},
    {"device public key invalid", "DEVICE_AUTH_PUBLIC_KEY_INVALID", "device-public-key"},
};
enum { FAULT_ID, FAULT_TIME, FAULT_NO_NONCE, FAULT_NONCE, FAULT_SIGNATURE, FAULT_KEY };

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-' || c == '+')
        return 62;
    return c == '_' || c == '/' ? 63 : -1;
}

/* Both alphabets, padding and line ends optional. Bytes written, or -1. */
static int decode(struct view v, unsigned char *out, size_t room)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;

    while (v.n && v.p[v.n - 1] == '=')
        v.n--;
    for (size_t i = 0; i < v.n; i++) {
        int d;

        if (v.p[i] == '\n' || v.p[i] == '\r')
            continue;
        if ((d = digit(v.p[i])) < 0)
            return -1;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (n == room)
                return -1;
            out[n++] = (unsigned char)(bits >> have);
        }
    }
    return (int)n;
}

static bool read_key(struct view text, unsigned char key[KEY_BYTES])
{
    static const struct view head = {"-----BEGIN PUBLIC KEY-----", 26},
                             foot = {"-----END PUBLIC KEY-----", 24};
    static const unsigned char spki[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                         0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    unsigned char der[SPKI_BYTES];

    text = view_trim(text);
    if (!view_starts(text, head))
        return decode(text, key, KEY_BYTES) == KEY_BYTES;
    if (!view_ends(text, foot) || text.n < head.n + foot.n)
        return false;
    text = view_trim(view_of(text.p + head.n, text.n - head.n - foot.n));
    if (decode(text, der, sizeof(der)) != SPKI_BYTES || memcmp(der, spki, sizeof(spki)) != 0)
        return false;
    memcpy(key, der + sizeof(spki), KEY_BYTES);
    return true;
}

void device_key_text(struct view text, char out[DEVICE_KEY_LEN + 1])
{
    unsigned char key[KEY_BYTES];

    out[0] = '\0';
    if (read_key(text, key))
        b64url(key, sizeof(key), out);
}

/* Points of order 8 and less, the sign left out: under such a key anything is signed. (The list is
 * arithmetic: y = 0, 1, -1, the two of order 8, and p, p + 1 which mean 0 and 1.) */
static bool small_order(const unsigned char key[KEY_BYTES])
{
    static const unsigned char eighth[2][KEY_BYTES] = {
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
         0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
         0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
         0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
         0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}};
    unsigned char y[KEY_BYTES];
    bool zeros = true, ones = true;

    memcpy(y, key, sizeof(y));
    y[31] &= 0x7f;
    if (memcmp(y, eighth[0], sizeof(y)) == 0 || memcmp(y, eighth[1], sizeof(y)) == 0)
        return true;
    for (size_t i = 1; i < 31; i++) {
        zeros &= y[i] == 0;
        ones &= y[i] == 0xff;
    }
    return (zeros && y[31] == 0 && y[0] <= 1) ||
           (ones && y[31] == 0x7f && y[0] >= 0xec && y[0] <= 0xee);
}

static bool id_matches(struct view id, const unsigned char key[KEY_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char sum[SHA256_DIGEST_LENGTH];

    if (id.n != DEVICE_ID_LEN || !SHA256(key, KEY_BYTES, sum))
        return false;
    for (size_t i = 0; i < sizeof(sum); i++)
        if (id.p[2 * i] != hex[sum[i] >> 4] || id.p[2 * i + 1] != hex[sum[i] & 15])
            return false;
    return true;
}

static void put_folded(struct buf *b, struct view v)
{
    v = view_trim(v);
    for (size_t i = 0; i < v.n; i++)
        buf_put_char(b, v.p[i] >= 'A' && v.p[i] <= 'Z' ? (char)(v.p[i] + 32) : v.p[i]);
}

/* What was signed: version 3 adds platform and device family behind the nonce. */
static void put_payload(struct buf *b, const json_t *params, int version)
{
    const json_t *device = json_object_get(params, "device"),
                 *client = json_object_get(params, "client");
    const json_t *auth = json_object_get(params, "auth"),
                 *scopes = json_object_get(params, "scopes");
    struct view role = json_view(params, "role"), secret = json_view(auth, "token");

    if (secret.n == 0)
        secret = json_view(auth, "deviceToken");
    if (secret.n == 0)
        secret = json_view(auth, "bootstrapToken");
    buf_put_view(b, version == 3 ? V("v3|") : V("v2|"));
    buf_put_view(b, json_view(device, "id"));
    buf_put_char(b, '|');
    buf_put_view(b, json_view(client, "id"));
    buf_put_char(b, '|');
    buf_put_view(b, json_view(client, "mode"));
    buf_put_char(b, '|');
    buf_put_view(b, role.n ? role : V("operator"));
    buf_put_char(b, '|');
    for (size_t i = 0; i < json_array_size(scopes); i++) {
        if (i)
            buf_put_char(b, ',');
        buf_put_view(b, json_view_of(json_array_get(scopes, i)));
    }
    buf_put_char(b, '|');
    buf_put_i64(b, json_i64(device, "signedAt", 0));
    buf_put_char(b, '|');
    buf_put_view(b, secret);
    buf_put_char(b, '|');
    buf_put_view(b, json_view(device, "nonce"));
    if (version != 3)
        return;
    buf_put_char(b, '|');
    put_folded(b, json_view(client, "platform"));
    buf_put_char(b, '|');
    put_folded(b, json_view(client, "deviceFamily"));
}

static bool verify(const unsigned char key[KEY_BYTES], const unsigned char sig[SIGNATURE_BYTES],
                   struct view payload)
{
    EVP_PKEY *pub = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, KEY_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = pub && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pub) == 1 &&
              EVP_DigestVerify(ctx, sig, SIGNATURE_BYTES, (const unsigned char *)payload.p,
                               payload.n) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pub);
    return ok;
}

static bool signature_ok(const json_t *params, const unsigned char key[KEY_BYTES], struct view text)
{
    struct buf payload = {.max = PAYLOAD_MAX, .secret = true};
    unsigned char sig[SIGNATURE_BYTES];
    bool ok = false;

    if (decode(view_trim(text), sig, sizeof(sig)) != SIGNATURE_BYTES)
        return false;
    payload.secret = true;
    for (int version = 3; version >= 2 && !ok; version--) {
        buf_reset(&payload, PAYLOAD_MAX);
        put_payload(&payload, params, version);
        ok = !payload.failed && verify(key, sig, buf_view(&payload));
    }
    buf_fini(&payload);
    return ok;
}

const struct device_fault *device_check(const json_t *params, struct view nonce, int64_t now_ms)
{
    const json_t *device = json_object_get(params, "device");
    struct view got = view_trim(json_view(device, "nonce"));
    int64_t signed_at = json_i64(device, "signedAt", 0);
    unsigned char key[KEY_BYTES];

    if (!read_key(json_view(device, "publicKey"), key) || !id_matches(json_view(device, "id"), key))
        return &faults[FAULT_ID];
    if (small_order(key))
        return &faults[FAULT_KEY];
    if (signed_at < now_ms - DEVICE_SKEW_MS || signed_at > now_ms + DEVICE_SKEW_MS)
        return &faults[FAULT_TIME];
    if (got.n == 0)
        return &faults[FAULT_NO_NONCE];
    if (!view_eq(got, nonce))
        return &faults[FAULT_NONCE];
    if (!signature_ok(params, key, json_view(device, "signature")))
        return &faults[FAULT_SIGNATURE];
    return NULL;
}
