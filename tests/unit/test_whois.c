/* tests/unit/test_whois.c - what is asked of tailscaled, what its bytes are good for, and what a
 * connect that tailscale serve has forwarded claims. */
#include "ck.h"
#include "json.h"
#include "localapi.h"
#include "tailnet.h"

#include <string.h>

static const struct {
    const char *addr, *want; /* NULL: not asked */
} questions[] = {
    {"100.64.0.7", "/localapi/v0/whois?addr=100.64.0.7:0 HTTP/1.0\r\n"},
    {"fd7a:115c:a1e0::7", "/localapi/v0/whois?addr=%5Bfd7a:115c:a1e0::7%5D:0 HTTP/1.0\r\n"},
    {"", NULL},
    {"box.ts.net", NULL},
    {"100.64.0.7 HTTP/1.1\r\nX: y", NULL},
    {"100.64.0.7&x=1", NULL},
    {"fd7a::%eth0", NULL},
};

START_TEST(test_question)
{
    struct buf b = BUF_INIT(512);
    struct err e = ERR_INIT;
    int r = localapi_question(&b, view_str(questions[_i].addr), &e);

    ck_assert_msg((r == 0) == (questions[_i].want != NULL), "%s", questions[_i].addr);
    if (r == 0) {
        ck_assert(memmem(b.p, b.n, questions[_i].want, strlen(questions[_i].want)));
        ck_assert(memmem(b.p, b.n, "\r\nHost: local-tailscaled.sock\r\n", 31));
        ck_assert(b.n > 4 && memcmp(b.p + b.n - 4, "\r\n\r\n", 4) == 0);
    }
    buf_fini(&b);
}
END_TEST

#define OK          "HTTP/1.0 200 OK\r\n"
#define END         "\r\n"
#define ANN         "{\"UserProfile\":{\"LoginName\":\"ann@example.com\"}}"
#define BODY(login) "{\"UserProfile\":{\"LoginName\":\"" login "\"}}"
static const struct {
    const char *name, *reply;
    enum localapi_verdict want;
} answers[] = {
    {"found", OK END ANN, LOCALAPI_FOUND},
    {"with its length", OK "Content-Length: 47\r\n" END ANN, LOCALAPI_FOUND},
    {"HTTP/1.1", "HTTP/1.1 200 OK\r\n" END ANN, LOCALAPI_FOUND},
    {"bare line ends", "HTTP/1.0 200 OK\n\n" ANN, LOCALAPI_FOUND},
    {"no tags",
     OK END "{\"Node\":{\"Tags\":[]},\"UserProfile\":{\"LoginName\":\"ann@example.com\"}}",
     LOCALAPI_FOUND},
    {"not found", "HTTP/1.0 404 Not Found\r\n" END "no match", LOCALAPI_NOBODY},
    {"tagged", OK END "{\"Node\":{\"Tags\":[\"tag:x\"]},\"UserProfile\":{\"LoginName\":\"a@b\"}}",
     LOCALAPI_NOBODY},
    {"tagged, by name", OK END BODY("tagged-devices"), LOCALAPI_NOBODY},
    {"nothing", "", LOCALAPI_BROKEN},
    {"head only", OK, LOCALAPI_BROKEN},
    {"no body", OK END, LOCALAPI_BROKEN},
    {"shorter than said", OK "Content-Length: 48\r\n" END ANN, LOCALAPI_BROKEN},
    {"longer than said", OK "Content-Length: 46\r\n" END ANN, LOCALAPI_BROKEN},
    {"two lengths", OK "Content-Length: 47\r\nContent-Length: 47\r\n" END ANN, LOCALAPI_BROKEN},
    {"a length that is none", OK "Content-Length: +47\r\n" END ANN, LOCALAPI_BROKEN},
    {"a length that overflows", OK "Content-Length: 18446744073709551663\r\n" END ANN,
     LOCALAPI_BROKEN},
    {"chunked", OK "Transfer-Encoding: chunked\r\n" END ANN, LOCALAPI_BROKEN},
    {"compressed", OK "Content-Encoding: gzip\r\n" END ANN, LOCALAPI_BROKEN},
    {"a header without a colon", OK "what\r\n" END ANN, LOCALAPI_BROKEN},
    {"forbidden", "HTTP/1.0 403 Forbidden\r\n" END ANN, LOCALAPI_BROKEN},
    {"redirected", "HTTP/1.0 302 Found\r\n" END ANN, LOCALAPI_BROKEN},
    {"2000", "HTTP/1.0 2000 OK\r\n" END ANN, LOCALAPI_BROKEN},
    {"no HTTP", "SSH-2.0\r\n" END ANN, LOCALAPI_BROKEN},
    {"no user", OK END "{\"Node\":{}}", LOCALAPI_BROKEN},
    {"a user without a name", OK END BODY(""), LOCALAPI_BROKEN},
    {"a name that is a number", OK END "{\"UserProfile\":{\"LoginName\":7}}", LOCALAPI_BROKEN},
    {"a name with a line end", OK END BODY("ann@example.com\\n"), LOCALAPI_BROKEN},
    {"a name with a NUL", OK END BODY("ann@example.com\\u0000"), LOCALAPI_BROKEN},
    {"a name with a blank", OK END BODY("ann example"), LOCALAPI_BROKEN},
    {"an array", OK END "[]", LOCALAPI_BROKEN},
    {"two documents", OK END ANN ANN, LOCALAPI_BROKEN},
};

START_TEST(test_answer)
{
    char login[LOCALAPI_LOGIN_MAX + 1];
    enum localapi_verdict v = localapi_answer(view_str(answers[_i].reply), login);

    ck_assert_msg(v == answers[_i].want, "%s: %d", answers[_i].name, v);
    ck_assert_msg((login[0] != 0) == (v == LOCALAPI_FOUND), "%s: %s", answers[_i].name, login);
}
END_TEST

/* A name of n bytes. */
static enum localapi_verdict long_name(size_t n)
{
    struct buf b = BUF_INIT(4096);
    char login[LOCALAPI_LOGIN_MAX + 1];
    enum localapi_verdict v;

    buf_put_str(&b, OK END "{\"UserProfile\":{\"LoginName\":\"");
    for (size_t i = 0; i < n; i++)
        buf_put_char(&b, 'a');
    buf_put_str(&b, "\"}}");
    v = localapi_answer(buf_view(&b), login);
    buf_fini(&b);
    return v;
}

START_TEST(test_long_name)
{
    ck_assert_int_eq(long_name(LOCALAPI_LOGIN_MAX), LOCALAPI_FOUND);
    ck_assert_int_eq(long_name(LOCALAPI_LOGIN_MAX + 1), LOCALAPI_BROKEN);
}
END_TEST

/* Every prefix of a good answer that says its length is none. */
START_TEST(test_prefixes)
{
    static const char whole[] = OK "Content-Length: 47\r\n" END ANN;
    char login[LOCALAPI_LOGIN_MAX + 1];

    for (size_t n = 0; n < sizeof(whole) - 1; n++)
        ck_assert_int_eq(localapi_answer(view_of(whole, n), login), LOCALAPI_BROKEN);
}
END_TEST

enum { SERVED = CONN_LOCAL | CONN_PROXIED | CONN_TAILSCALE };
#define LOGIN "tailscale-user-login: ann@example.com\n"
static const struct {
    const char *name, *headers, *allow; /* NULL: no list */
    unsigned flags;
    struct tailnet_who who;
    enum tailnet_claim want;
} claims[] = {
    {"holds", LOGIN, NULL, SERVED, {WHOIS_FOUND, "ann@example.com"}, TAILNET_HOLDS},
    {"case", LOGIN, NULL, SERVED, {WHOIS_FOUND, "Ann@Example.com"}, TAILNET_HOLDS},
    {"listed", LOGIN, "ann@example.com", SERVED, {WHOIS_FOUND, "ann@example.com"}, TAILNET_HOLDS},
    {"not listed", LOGIN, "bob", SERVED, {WHOIS_FOUND, "ann@example.com"}, TAILNET_NOT_ALLOWED},
    {"unasked", LOGIN, NULL, SERVED, {0, ""}, TAILNET_UNASKED},
    {"unasked, with a name left over",
     LOGIN,
     NULL,
     SERVED,
     {0, "ann@example.com"},
     TAILNET_UNASKED},
    {"failed", LOGIN, NULL, SERVED, {WHOIS_FAILED, "ann@example.com"}, TAILNET_NO_WHOIS},
    {"nobody", LOGIN, NULL, SERVED, {WHOIS_NOBODY, "ann@example.com"}, TAILNET_NO_WHOIS},
    {"found without a name", LOGIN, NULL, SERVED, {WHOIS_FOUND, ""}, TAILNET_NO_WHOIS},
    {"somebody else", LOGIN, NULL, SERVED, {WHOIS_FOUND, "eve@example.com"}, TAILNET_MISMATCH},
    {"longer", LOGIN, NULL, SERVED, {WHOIS_FOUND, "ann@example.com.evil"}, TAILNET_MISMATCH},
    {"shorter", LOGIN, NULL, SERVED, {WHOIS_FOUND, "ann"}, TAILNET_MISMATCH},
    {"no header", "", NULL, SERVED, {WHOIS_FOUND, "ann@example.com"}, TAILNET_NO_USER},
    {"empty header", "tailscale-user-login: \n", NULL, SERVED, {WHOIS_FOUND, ""}, TAILNET_NO_USER},
    {"twice", LOGIN LOGIN, NULL, SERVED, {WHOIS_FOUND, "ann@example.com"}, TAILNET_NO_USER},
    {"not served",
     LOGIN,
     NULL,
     CONN_LOCAL | CONN_PROXIED,
     {WHOIS_FOUND, "ann@example.com"},
     TAILNET_NO_PROXY},
    {"not from here",
     LOGIN,
     NULL,
     CONN_PROXIED | CONN_TAILSCALE,
     {WHOIS_FOUND, "ann@example.com"},
     TAILNET_NO_PROXY},
    {"not proxied",
     LOGIN,
     NULL,
     CONN_LOCAL | CONN_TAILSCALE,
     {WHOIS_FOUND, "ann@example.com"},
     TAILNET_NO_PROXY},
    {"nothing", "", NULL, 0, {0, ""}, TAILNET_NO_PROXY},
};

START_TEST(test_claim)
{
    struct settings s = {.auth_mode = AUTH_TAILSCALE, .tailscale = true};
    struct ipc_connect m = {.flags = claims[_i].flags, .headers = view_str(claims[_i].headers)};
    struct view user = VIEW_EMPTY;
    enum tailnet_claim got;

    if (claims[_i].allow)
        s.doc = json_pack("{s:{s:{s:{s:[s]}}}}", "gateway", "auth", "tailscale", "allowUsers",
                          claims[_i].allow);
    got = tailnet_check(&s, &m, &claims[_i].who, &user);
    ck_assert_msg(got == claims[_i].want, "%s: %d", claims[_i].name, got);
    ck_assert_msg((user.n > 0) == (got == TAILNET_HOLDS), "%s", claims[_i].name);
    json_decref(s.doc);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_question, 0, COUNT_OF(questions));
    tcase_add_loop_test(tc, test_answer, 0, COUNT_OF(answers));
    tcase_add_test(tc, test_long_name);
    tcase_add_test(tc, test_prefixes);
    tcase_add_loop_test(tc, test_claim, 0, COUNT_OF(claims));
}

CK_MAIN("whois")
