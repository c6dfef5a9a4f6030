/* Passwords: plain and hashed, how many are tried, what is remembered. */
#include "ck.h"
#include "mem.h"
#include "password.h"

#include <crypt.h>
#include <stdio.h>

static struct mac *mac;
static struct settings conf;
static struct password p;

static void setup(void)
{
    static const unsigned char key[32] = {1};
    struct err e = ERR_INIT;

    memset(&conf, 0, sizeof(conf));
    memset(&p, 0, sizeof(p));
    ck_assert(mac_new(&mac, key, sizeof(key), &e) == 0);
}

static void teardown(void)
{
    mac_free(&mac);
}

static const struct {
    const char *prefix;
    unsigned long cost;
} kinds[] = {{"$2b$", 4}, {"$y$", 1}, {"$6$", 1000}};

static const char *hash_of(const char *prefix, unsigned long cost, const char *text)
{
    static char out[CRYPT_OUTPUT_SIZE];
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];

    ck_assert(crypt_gensalt_rn(prefix, cost, NULL, 0, salt, sizeof(salt)) != NULL);
    (void)snprintf(out, sizeof(out), "%s", crypt(text, salt));
    return out;
}

START_TEST(test_plain)
{
    struct err e = ERR_INIT;

    ck_assert_int_eq(password_try(&p, &conf, mac, V("right"), 1), PASSWORD_WRONG); /* none is set */
    conf.have_password = true;
    ck_assert(mac_of(mac, V("right"), conf.password_mac, &e) == 0);
    ck_assert_int_eq(password_try(&p, &conf, mac, V("right"), 1), PASSWORD_RIGHT);
    ck_assert_int_eq(password_try(&p, &conf, mac, V("righ"), 1), PASSWORD_WRONG);
    ck_assert_int_eq(password_try(&p, &conf, mac, V(""), 1), PASSWORD_WRONG);
}
END_TEST

START_TEST(test_hashed)
{
    char longest[PASSWORD_LEN_MAX + 1];

    conf.have_password = true;
    conf.password_crypt = hash_of(kinds[_i].prefix, kinds[_i].cost, "right");
    ck_assert(password_hash_usable(conf.password_crypt));
    ck_assert_int_eq(password_try(&p, &conf, mac, V("wrong"), 1000), PASSWORD_WRONG);
    ck_assert_uint_gt(p.again_ms, 1000);
    /* somebody else has to wait, the right one too as long as nobody has proved it */
    ck_assert_int_eq(password_try(&p, &conf, mac, V("right"), 1000), PASSWORD_BUSY);
    ck_assert_int_eq(password_try(&p, &conf, mac, V("right"), p.again_ms), PASSWORD_RIGHT);
    ck_assert_int_eq(password_try(&p, &conf, mac, V("right"), 0), PASSWORD_RIGHT); /* remembered */
    ck_assert_int_eq(password_try(&p, &conf, mac, V("wrong"), 0), PASSWORD_BUSY);
    /* the hash itself is no password */
    ck_assert_int_ne(password_try(&p, &conf, mac, view_str(conf.password_crypt), p.again_ms),
                     PASSWORD_RIGHT);
    /* neither is what is too long or goes on behind a NUL: both cost nothing */
    memset(longest, 'x', sizeof(longest));
    ck_assert_int_eq(password_try(&p, &conf, mac, view_of(longest, sizeof(longest)), 0),
                     PASSWORD_WRONG);
    ck_assert_int_eq(password_try(&p, &conf, mac, V("right\0x"), 0), PASSWORD_WRONG);
    ck_assert_int_eq(password_try(&p, &conf, mac, V(""), 0), PASSWORD_WRONG);
    /* another hash: nothing is remembered of the old one */
    conf.password_crypt = hash_of(kinds[_i].prefix, kinds[_i].cost, "other");
    ck_assert_int_eq(password_try(&p, &conf, mac, V("right"), p.again_ms), PASSWORD_WRONG);
}
END_TEST

START_TEST(test_unusable)
{
    ck_assert(!password_hash_usable("plain"));
    ck_assert(!password_hash_usable(""));
    ck_assert(!password_hash_usable("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"));
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_plain);
    tcase_add_loop_test(tc, test_hashed, 0, (int)COUNT_OF(kinds));
    tcase_add_test(tc, test_unusable);
}

CK_MAIN("password")
