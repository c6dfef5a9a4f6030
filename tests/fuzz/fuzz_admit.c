/* One connect: flags, origin, host, nonce and parameters from a stranger, through all checks.
 * Whoever is refused gets a code, a sentence and details that are JSON; nobody is admitted without
 * the secret. */
#include "admit.h"
#include "json.h"
#include "mem.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static struct view line(struct view *in)
{
    size_t end = view_find(*in, '\n');
    struct view v = view_of(in->p, end);

    *in = view_from(*in, end + 1);
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct settings s = {
        .have_token = true, .auth_mode = AUTH_TOKEN, .token_mac = {1, 2, 3}};
    static struct throttle throttle;
    static struct params *schema;
    static struct mac *mac;
    struct view in = view_of((const char *)data, n), flags = line(&in);
    struct ipc_connect m = {.peer = V("127.0.0.1")};
    static struct password password;
    struct attempt a = {.settings = &s,
                        .door = {.settings = &s, .throttle = &throttle, .password = &password},
                        .m = &m};
    struct refusal why = {.retryable = -1};
    struct err e = ERR_INIT;
    json_t *doc = NULL;

    if (!mac) {
        s.origins[s.origin_count++] = "https://ui.example";
        must(mac_new(&mac, s.ticket_key, sizeof(s.ticket_key), &e) == 0);
        must(params_compile(&schema, admit_schema, &e) == 0);
    }
    throttle.count = 0;
    a.door.mac = mac;
    a.schema = schema;
    m.flags = flags.n ? (unsigned char)flags.p[0] & 3u : 0;
    m.origin = line(&in);
    m.host = line(&in);
    m.nonce = line(&in);
    m.params = in;
    buf_init(&why.details, ADMIT_TEXT_MAX);
    buf_init(&why.text, ADMIT_TEXT_MAX);
    must(!admit_check(&a, &why)); /* nobody knows a token with that MAC */
    must(why.code && why.message.n && why.close);
    if (why.details.n)
        must(json_parse(buf_view(&why.details), &doc, &e) == 0);
    json_decref(doc);
    json_decref(a.params);
    buf_fini(&why.details);
    buf_fini(&why.text);
    return 0;
}
