/* Who asks: addresses and networks, lists of hops (also hostile ones), Host, and what a proxy may
 * tell about its user. */
#include "ck.h"
#include "json.h"
#include "mem.h"
#include "proxy.h"

/* -------------------------------------------------------------- addresses */
static const struct {
    const char *net, *ip;
    bool has; /* false too when one of them is none */
} nets[] = {
    {"10.0.0.1", "10.0.0.1", true},
    {"10.0.0.1", "10.0.0.2", false},
    {"10.0.0.0/8", "10.255.255.255", true},
    {"10.0.0.0/8", "11.0.0.0", false},
    {"10.1.2.3/8", "10.0.0.0", true},
    {"192.168.0.0/23", "192.168.1.255", true},
    {"192.168.0.0/23", "192.168.2.0", false},
    {"0.0.0.0/0", "203.0.113.1", true},
    {"0.0.0.0/0", "::1", false},
    {"10.0.0.1/32", "10.0.0.1", true},
    {"10.0.0.1/33", "10.0.0.1", false},
    {"10.0.0.1/", "10.0.0.1", false},
    {"10.0.0.1/-1", "10.0.0.1", false},
    {"10.0.0.1/ 8", "10.0.0.1", false},
    {"::1", "::1", true},
    {"::1", "127.0.0.1", false},
    {"2001:db8::/32", "2001:db8:ffff::1", true},
    {"2001:db8::/33", "2001:db8:8000::1", false},
    {"2001:db8::/128", "2001:db8::", true},
    {"2001:db8::/129", "2001:db8::", false},
    {"::ffff:10.0.0.0/104", "10.1.1.1", true},
    {"::ffff:10.0.0.1", "10.0.0.1", true}, /* one address, one form */
    {"10.0.0.1", "::ffff:10.0.0.1", true},
    {"", "", false},
    {"10.0.0", "10.0.0.0", false},
    {"010.0.0.1", "10.0.0.1", false},
    {"10.0.0.1x", "10.0.0.1", false},
    {"fe80::1%eth0", "fe80::1", false},
    {"1:2:3:4:5:6:7:8:9", "::", false},
};

START_TEST(test_nets)
{
    struct ip_net net;
    struct ip ip;
    bool has = ip_net_parse(view_str(nets[_i].net), &net) && ip_parse(view_str(nets[_i].ip), &ip) &&
               ip_net_has(&net, &ip);

    ck_assert_msg(has == nets[_i].has, "%s in %s", nets[_i].ip, nets[_i].net);
}
END_TEST

START_TEST(test_ip_values)
{
    static const struct {
        const char *text, *again;
        bool loopback;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", true},
        {"127.255.0.9", "127.255.0.9", true},
        {"128.0.0.1", "128.0.0.1", false},
        {"::1", "::1", true},
        {"::2", "::2", false},
        {"::ffff:127.0.0.1", "127.0.0.1", true},
        {"2001:DB8:0::1", "2001:db8::1", false},
        {"::", "::", false},
    };
    char text[IP_TEXT_MAX];
    struct ip a, b;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        ck_assert_msg(ip_parse(view_str(rows[i].text), &a), "%s", rows[i].text);
        ip_text(&a, text);
        ck_assert_str_eq(text, rows[i].again);
        ck_assert_msg(ip_loopback(&a) == rows[i].loopback, "%s", rows[i].text);
        ck_assert_msg(ip_key(&a) != 0, "%s", rows[i].text);
    }
    ck_assert(ip_parse(V("2001:db8::1"), &a) && ip_parse(V("2001:db8::2"), &b));
    ck_assert(ip_key(&a) == ip_key(&b) && !ip_eq(&a, &b)); /* one household */
    ck_assert(ip_parse(V("2001:db8:0:1::1"), &b) && ip_key(&a) != ip_key(&b));
    ck_assert(ip_parse(V("10.0.0.1"), &a) && ip_parse(V("10.0.0.2"), &b));
    ck_assert(ip_key(&a) != ip_key(&b));
    ck_assert(!ip_parse(view_of("10.0.0.1\0x", 10), &a) && !ip_parse(view_of("1\0", 2), &a));
}
END_TEST

/* -------------------------------------------------------------- hops */
#define TRUST "10.0.0.0/8"
static const struct {
    const char *name, *peer, *headers; /* lines with CRLF */
    bool real_ip;
    enum proxy_answer want;
    const char *client;
} hops[] = {
    {"nothing", "10.0.0.1", "", false, PROXY_DIRECT, NULL},
    {"stranger, nothing", "8.8.8.8", "", false, PROXY_DIRECT, NULL},
    {"stranger", "8.8.8.8", "X-Forwarded-For: 1.2.3.4\r\n", false, PROXY_REFUSED, NULL},
    {"stranger, proto only", "8.8.8.8", "X-Forwarded-Proto: https\r\n", false, PROXY_REFUSED, NULL},
    {"stranger, Forwarded", "8.8.8.8", "Forwarded: for=1.2.3.4\r\n", false, PROXY_REFUSED, NULL},
    {"stranger, X-Real-IP", "8.8.8.8", "X-Real-IP: 1.2.3.4\r\n", true, PROXY_REFUSED, NULL},
    {"stranger, Tailscale", "8.8.8.8", "Tailscale-User-Login: a\r\n", false, PROXY_REFUSED, NULL},
    {"one hop", "10.0.0.1", "X-Forwarded-For: 1.2.3.4\r\n", false, PROXY_CLIENT, "1.2.3.4"},
    {"two hops", "10.0.0.1", "X-Forwarded-For: 1.2.3.4, 10.0.0.9\r\n", false, PROXY_CLIENT,
     "1.2.3.4"},
    {"forged left end", "10.0.0.1", "X-Forwarded-For: 127.0.0.1, 1.2.3.4\r\n", false, PROXY_CLIENT,
     "1.2.3.4"},
    {"forged with a proxy's address", "10.0.0.1",
     "X-Forwarded-For: 9.9.9.9, 10.0.0.5, 1.2.3.4, 10.0.0.9\r\n", false, PROXY_CLIENT, "1.2.3.4"},
    {"garbage to the left", "10.0.0.1", "X-Forwarded-For: ;drop\"table, 1.2.3.4\r\n", false,
     PROXY_CLIENT, "1.2.3.4"},
    {"garbage at the right", "10.0.0.1", "X-Forwarded-For: 1.2.3.4, x\r\n", false, PROXY_REFUSED,
     NULL},
    {"unknown", "10.0.0.1", "X-Forwarded-For: unknown\r\n", false, PROXY_REFUSED, NULL},
    {"all are ours", "10.0.0.1", "X-Forwarded-For: 10.0.0.7, 10.0.0.8\r\n", false, PROXY_REFUSED,
     NULL},
    {"loopback", "10.0.0.1", "X-Forwarded-For: 127.0.0.1\r\n", false, PROXY_REFUSED, NULL},
    {"loopback 6", "10.0.0.1", "X-Forwarded-For: [::1]:80\r\n", false, PROXY_REFUSED, NULL},
    {"loopback mapped", "10.0.0.1", "X-Forwarded-For: ::ffff:127.9.0.1\r\n", false, PROXY_REFUSED,
     NULL},
    {"any", "10.0.0.1", "X-Forwarded-For: 0.0.0.0\r\n", false, PROXY_REFUSED, NULL},
    {"any 6", "10.0.0.1", "X-Forwarded-For: ::\r\n", false, PROXY_REFUSED, NULL},
    {"empty", "10.0.0.1", "X-Forwarded-For: \r\n", false, PROXY_REFUSED, NULL},
    {"commas", "10.0.0.1", "X-Forwarded-For: , ,\r\n", false, PROXY_REFUSED, NULL},
    {"commas around", "10.0.0.1", "X-Forwarded-For: ,1.2.3.4, ,\r\n", false, PROXY_CLIENT,
     "1.2.3.4"},
    {"two lines", "10.0.0.1", "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.2.3.4\r\n", false,
     PROXY_CLIENT, "1.2.3.4"},
    {"two lines, the last ours", "10.0.0.1",
     "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 10.0.0.2\r\n", false, PROXY_CLIENT, "9.9.9.9"},
    {"port", "10.0.0.1", "X-Forwarded-For: 1.2.3.4:5678\r\n", false, PROXY_CLIENT, "1.2.3.4"},
    {"six", "10.0.0.1", "X-Forwarded-For: 2001:db8::1\r\n", false, PROXY_CLIENT, "2001:db8::1"},
    {"six, brackets", "10.0.0.1", "X-Forwarded-For: [2001:db8::1]\r\n", false, PROXY_CLIENT,
     "2001:db8::1"},
    {"six, port", "10.0.0.1", "X-Forwarded-For: [2001:db8::1]:443\r\n", false, PROXY_CLIENT,
     "2001:db8::1"},
    {"bracket open", "10.0.0.1", "X-Forwarded-For: [2001:db8::1\r\n", false, PROXY_REFUSED, NULL},
    {"bracket, more", "10.0.0.1", "X-Forwarded-For: [2001:db8::1]x\r\n", false, PROXY_REFUSED,
     NULL},
    {"four in brackets", "10.0.0.1", "X-Forwarded-For: [1.2.3.4]\r\n", false, PROXY_REFUSED, NULL},
    {"quoted in X-F-F", "10.0.0.1", "X-Forwarded-For: \"1.2.3.4\"\r\n", false, PROXY_REFUSED, NULL},
    {"list rules over Forwarded", "10.0.0.1",
     "Forwarded: for=9.9.9.9\r\nX-Forwarded-For: 1.2.3.4\r\n", false, PROXY_CLIENT, "1.2.3.4"},
    {"list rules over X-Real-IP", "10.0.0.1", "X-Real-IP: 9.9.9.9\r\nX-Forwarded-For: x\r\n", true,
     PROXY_REFUSED, NULL},
    {"X-Real-IP off", "10.0.0.1", "X-Real-IP: 1.2.3.4\r\n", false, PROXY_REFUSED, NULL},
    {"X-Real-IP on", "10.0.0.1", "X-Real-IP: 1.2.3.4\r\n", true, PROXY_CLIENT, "1.2.3.4"},
    {"X-Real-IP twice", "10.0.0.1", "X-Real-IP: 1.2.3.4\r\nX-Real-IP: 9.9.9.9\r\n", true,
     PROXY_REFUSED, NULL},
    {"X-Real-IP before Forwarded", "10.0.0.1", "Forwarded: for=9.9.9.9\r\nX-Real-IP: 1.2.3.4\r\n",
     true, PROXY_CLIENT, "1.2.3.4"},
    {"Forwarded", "10.0.0.1", "Forwarded: for=1.2.3.4;proto=https;by=10.0.0.1\r\n", false,
     PROXY_CLIENT, "1.2.3.4"},
    {"Forwarded, case", "10.0.0.1", "forwarded: Proto=https; FOR=1.2.3.4\r\n", false, PROXY_CLIENT,
     "1.2.3.4"},
    {"Forwarded, six", "10.0.0.1", "Forwarded: for=\"[2001:db8::1]:4711\"\r\n", false, PROXY_CLIENT,
     "2001:db8::1"},
    {"Forwarded, chain", "10.0.0.1", "Forwarded: for=9.9.9.9, for=1.2.3.4, for=10.0.0.3\r\n", false,
     PROXY_CLIENT, "1.2.3.4"},
    {"Forwarded, open quote", "10.0.0.1", "Forwarded: for=\"9.9.9.9, for=1.2.3.4\r\n", false,
     PROXY_CLIENT, "1.2.3.4"},
    {"Forwarded, two for", "10.0.0.1", "Forwarded: for=1.2.3.4;for=9.9.9.9\r\n", false,
     PROXY_REFUSED, NULL},
    {"Forwarded, hidden", "10.0.0.1", "Forwarded: for=_gazonk\r\n", false, PROXY_REFUSED, NULL},
    {"Forwarded, no for", "10.0.0.1", "Forwarded: by=1.2.3.4\r\n", false, PROXY_REFUSED, NULL},
    {"Forwarded, for alone", "10.0.0.1", "Forwarded: for=\r\n", false, PROXY_REFUSED, NULL},
    {"proto alone", "10.0.0.1", "X-Forwarded-Proto: https\r\n", false, PROXY_REFUSED, NULL},
    {"a proxy on loopback that is not listed", "127.0.0.1", "X-Forwarded-For: 1.2.3.4\r\n", false,
     PROXY_REFUSED, NULL},
};

static void parse(const char *headers, const char *host, struct http_req *q)
{
    struct buf head = BUF_INIT(16384);
    static char text[16384];
    struct http_refusal why = {0};

    buf_printf(&head, "GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n", host, headers);
    memcpy(text, head.p, head.n); /* the request's views outlive the buffer */
    ck_assert_msg(http_parse(view_of(text, head.n), q, &why) == HTTP_DONE, "%s: %s", headers,
                  why.why);
    buf_fini(&head);
}

/* tailscale serve: one address of the tailnet, from this machine, and nothing that it would not
 * write. */
#define SERVED "X-Forwarded-Proto: https\r\nX-Forwarded-Host: box.ts.net\r\n"
#define WHO    "Tailscale-User-Login: ann@example.com\r\n"
static const struct {
    const char *name, *peer, *headers;
    bool on, trusted;
    enum proxy_answer want;
    const char *client;
} serves[] = {
    {"served", "127.0.0.1", SERVED WHO "X-Forwarded-For: 100.64.0.7\r\n", true, false,
     PROXY_TAILNET, "100.64.0.7"},
    {"served, six", "::1", SERVED WHO "X-Forwarded-For: fd7a:115c:a1e0::7\r\n", true, false,
     PROXY_TAILNET, "fd7a:115c:a1e0::7"},
    {"no user: the hub says so", "127.0.0.1", SERVED "X-Forwarded-For: 100.64.0.7\r\n", true, false,
     PROXY_TAILNET, "100.64.0.7"},
    {"last of the net", "127.0.0.1", SERVED WHO "X-Forwarded-For: 100.127.255.255\r\n", true, false,
     PROXY_TAILNET, "100.127.255.255"},
    {"behind the net", "127.0.0.1", SERVED WHO "X-Forwarded-For: 100.128.0.0\r\n", true, false,
     PROXY_REFUSED, NULL},
    {"before the net", "127.0.0.1", SERVED WHO "X-Forwarded-For: 100.63.255.255\r\n", true, false,
     PROXY_REFUSED, NULL},
    {"elsewhere in fd00", "127.0.0.1", SERVED WHO "X-Forwarded-For: fd7a:115c:a1e1::7\r\n", true,
     false, PROXY_REFUSED, NULL},
    {"off", "127.0.0.1", SERVED WHO "X-Forwarded-For: 100.64.0.7\r\n", false, false, PROXY_REFUSED,
     NULL},
    {"not from this machine", "100.64.0.9", SERVED WHO "X-Forwarded-For: 100.64.0.7\r\n", true,
     false, PROXY_REFUSED, NULL},
    {"a list", "127.0.0.1", SERVED WHO "X-Forwarded-For: 100.64.0.8, 100.64.0.7\r\n", true, false,
     PROXY_REFUSED, NULL},
    {"two lines", "127.0.0.1",
     SERVED WHO "X-Forwarded-For: 100.64.0.8\r\nX-Forwarded-For: 100.64.0.7\r\n", true, false,
     PROXY_REFUSED, NULL},
    {"port", "127.0.0.1", SERVED WHO "X-Forwarded-For: 100.64.0.7:1\r\n", true, false,
     PROXY_REFUSED, NULL},
    {"public", "127.0.0.1",
     SERVED "X-Forwarded-For: 100.64.0.7\r\nTailscale-Funnel-Request: ?1\r\n", true, false,
     PROXY_REFUSED, NULL},
    {"no address", "127.0.0.1", SERVED WHO, true, false, PROXY_REFUSED, NULL},
    {"user alone", "127.0.0.1", WHO, true, false, PROXY_REFUSED, NULL},
    {"no host", "127.0.0.1", "X-Forwarded-Proto: https\r\n" WHO "X-Forwarded-For: 100.64.0.7\r\n",
     true, false, PROXY_REFUSED, NULL},
    {"Forwarded besides", "127.0.0.1",
     SERVED WHO "X-Forwarded-For: 100.64.0.7\r\nForwarded: for=100.64.0.7\r\n", true, false,
     PROXY_REFUSED, NULL},
    {"loopback", "127.0.0.1", SERVED WHO "X-Forwarded-For: 127.0.0.1\r\n", true, false,
     PROXY_REFUSED, NULL},
    {"nothing", "127.0.0.1", "", true, false, PROXY_DIRECT, NULL},
    {"another proxy here", "127.0.0.1", SERVED "X-Forwarded-For: 1.2.3.4\r\n", true, true,
     PROXY_CLIENT, "1.2.3.4"},
    {"another proxy here passes a user on", "127.0.0.1", SERVED WHO "X-Forwarded-For: 1.2.3.4\r\n",
     true, true, PROXY_REFUSED, NULL},
};

START_TEST(test_serves)
{
    static struct http_req q;
    struct proxy_conf c = {.nets = serves[_i].trusted, .tailscale = serves[_i].on};
    struct ip peer, got = {0};
    char text[IP_TEXT_MAX];

    ck_assert(ip_net_parse(V("127.0.0.0/8"), &c.net[0]) &&
              ip_parse(view_str(serves[_i].peer), &peer));
    parse(serves[_i].headers, "box.ts.net", &q);
    ck_assert_msg(proxy_attribute(&c, &peer, &q, &got) == serves[_i].want, "%s", serves[_i].name);
    ip_text(&got, text);
    if (serves[_i].client)
        ck_assert_msg(strcmp(text, serves[_i].client) == 0, "%s: %s", serves[_i].name, text);
}
END_TEST

/* In mode none nobody is asked: then nobody may be forwarded so either. */
START_TEST(test_serve_modes)
{
    static const struct {
        const char *conf;
        bool on;
    } rows[] = {
        {"{\"gateway\":{}}", false},
        {"{\"gateway\":{\"auth\":{\"mode\":\"tailscale\"}}}", true},
        {"{\"gateway\":{\"auth\":{\"allowTailscale\":true}}}", true},
        {"{\"gateway\":{\"auth\":{\"mode\":\"token\",\"allowTailscale\":true}}}", true},
        {"{\"gateway\":{\"auth\":{\"mode\":\"password\",\"allowTailscale\":true}}}", true},
        {"{\"gateway\":{\"auth\":{\"mode\":\"token\",\"allowTailscale\":false}}}", false},
        {"{\"gateway\":{\"auth\":{\"mode\":\"none\",\"allowTailscale\":true}}}", false},
        {"{\"gateway\":{\"auth\":{\"mode\":\"trusted-proxy\",\"allowTailscale\":true}}}", false}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_t *doc = json_loads(rows[i].conf, 0, NULL);
        struct proxy_conf c;

        proxy_conf_read(&c, doc);
        ck_assert_msg(c.tailscale == rows[i].on, "%s", rows[i].conf);
        json_decref(doc);
    }
}
END_TEST

START_TEST(test_hops)
{
    static struct http_req q;
    struct proxy_conf c = {.nets = 1, .real_ip = hops[_i].real_ip};
    struct ip peer, got = {0};
    char text[IP_TEXT_MAX];

    ck_assert(ip_net_parse(V(TRUST), &c.net[0]) && ip_parse(view_str(hops[_i].peer), &peer));
    parse(hops[_i].headers, "x", &q);
    ck_assert_msg(proxy_attribute(&c, &peer, &q, &got) == hops[_i].want, "%s", hops[_i].name);
    ip_text(&got, text);
    if (hops[_i].client)
        ck_assert_msg(strcmp(text, hops[_i].client) == 0, "%s: %s", hops[_i].name, text);
}
END_TEST

/* -------------------------------------------------------------- Host */
static const struct {
    const char *host;
    bool ours;
} hosts[] = {
    {"127.0.0.1:18789", true},   {"[::1]:18789", true},
    {"192.168.1.4", true},       {"localhost", true},
    {"LOCALHOST:1", true},       {"gateway", true},
    {"box.local:1", true},       {"a.b.ts.net", true},
    {"x.localhost", true},       {"claw.example", true},
    {"CLAW.example:444", true},  {"claw.example.", true},
    {"pub.example", true},       {"evil.example", false},
    {"127.0.0.1.nip.io", false}, {"a.localhost.evil", false},
    {"[::1].evil.com", false},   {"claw.example.evil.com", false},
    {"xclaw.example", false},    {"local", true},
    {"evil.example:80", false},  {"[::1", false},
};

static void read_conf(struct proxy_conf *c, json_t **doc, const char *text)
{
    struct err e = ERR_INIT;

    ck_assert_msg(json_parse(view_str(text), doc, &e) == 0, "%s", e.text);
    proxy_conf_read(c, *doc);
}

START_TEST(test_hosts)
{
    struct proxy_conf c;
    json_t *doc = NULL;

    read_conf(&c, &doc,
              "{\"gateway\":{\"publicOrigin\":\"https://pub.example\",\"controlUi\":"
              "{\"allowedOrigins\":[\"https://claw.example:8443\",\"null\"]}}}");
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        ck_assert_msg(proxy_host_ours(&c, view_str(hosts[i].host)) == hosts[i].ours, "%s",
                      hosts[i].host);
    json_decref(doc);
    read_conf(&c, &doc, "{\"gateway\":{\"controlUi\":{\"allowedOrigins\":[\"*\"]}}}");
    ck_assert(proxy_host_ours(&c, V("evil.example")));
    json_decref(doc);
}
END_TEST

START_TEST(test_conf)
{
    struct proxy_conf c;
    struct ip ip;
    json_t *doc = NULL;

    proxy_conf_read(&c, NULL);
    ck_assert_uint_eq(c.nets, 0);
    read_conf(
        &c, &doc,
        "{\"gateway\":{\"allowRealIpFallback\":true,\"trustedProxies\":[\"10.0.0.0/8\",\"bad\","
        "\"::1\"]}}");
    ck_assert(c.nets == 2 && c.real_ip);
    ck_assert(ip_parse(V("10.2.3.4"), &ip) && proxy_trusts(&c, &ip));
    ck_assert(ip_parse(V("::1"), &ip) && proxy_trusts(&c, &ip));
    ck_assert(ip_parse(V("::2"), &ip) && !proxy_trusts(&c, &ip));
    json_decref(doc);
}
END_TEST

START_TEST(test_claims)
{
    static struct http_req q;
    struct buf out = BUF_INIT(PROXY_CLAIMS_MAX);

    parse("X-Forwarded-For: 1.2.3.4\r\nX-User: Ann\r\nCookie: s=1\r\nAuthorization: Bearer t\r\n"
          "Sec-WebSocket-Key: k\r\nACCEPT-language: de\r\nx-user: Bob\r\nOrigin: http://x\r\n",
          "x", &q);
    proxy_claims(&q, &out);
    ck_assert_msg(
        view_eq(buf_view(&out), V("x-forwarded-for: 1.2.3.4\nx-user: Ann\nx-user: Bob\n")), "%.*s",
        VIEW_FMT(buf_view(&out)));
    buf_fini(&out);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_nets, 0, (int)COUNT_OF(nets));
    tcase_add_test(tc, test_ip_values);
    tcase_add_loop_test(tc, test_hops, 0, (int)COUNT_OF(hops));
    tcase_add_loop_test(tc, test_serves, 0, (int)COUNT_OF(serves));
    tcase_add_test(tc, test_serve_modes);
    tcase_add_test(tc, test_hosts);
    tcase_add_test(tc, test_conf);
    tcase_add_test(tc, test_claims);
}
CK_MAIN("proxy")
