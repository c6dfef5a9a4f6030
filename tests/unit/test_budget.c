#include "budget.h"
#include "ck.h"
#include "mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>

static uint64_t key_of(const char *ip)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
        return budget_key((struct sockaddr *)&in);
    ck_assert_int_eq(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
    return budget_key((struct sockaddr *)&in6);
}

static const struct {
    const char *a, *b;
    bool same;
} keys[] = {
    {"127.0.0.1", "127.0.0.1", true},
    {"127.0.0.1", "127.0.0.2", false},
    {"127.0.0.1", "::ffff:127.0.0.1", true},
    {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true}, /* one /64 is one neighbour */
    {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
    {"::1", "127.0.0.1", false},
};

START_TEST(test_key)
{
    ck_assert_msg((key_of(keys[_i].a) == key_of(keys[_i].b)) == keys[_i].same, "%s %s", keys[_i].a,
                  keys[_i].b);
}
END_TEST

START_TEST(test_marks)
{
    struct budget *b = NULL;
    struct err e = ERR_INIT;
    uint64_t k = key_of("10.0.0.1");

    ck_assert_int_eq(budget_new(&b, &e), 0);
    for (unsigned i = 1; i <= BUDGET_ADDRESS_MAX; i++)
        ck_assert_int_eq(budget_take(b, k), i > BUDGET_CROWDED ? BUDGET_CROWD : BUDGET_OK);
    ck_assert_int_eq(budget_take(b, k), BUDGET_REFUSE);
    ck_assert_int_eq(budget_take(b, key_of("10.0.0.2")), BUDGET_OK);
    budget_give(b, k);
    ck_assert_int_eq(budget_take(b, k), BUDGET_CROWD);
    budget_free(&b);
}
END_TEST

/* Random takes and gives over many addresses agree with a plain array, and the table drains to
 * nothing. */
START_TEST(test_model)
{
    enum { ADDRS = 12000, STEPS = 300000 };
    struct budget *b = NULL;
    struct err e = ERR_INIT;
    unsigned *have = mem_calloc(ADDRS, sizeof(*have)), total = 0;
    uint32_t seed = 7;

    ck_assert_int_eq(budget_new(&b, &e), 0);
    for (int i = 0; i < STEPS; i++) {
        uint64_t a;

        seed = seed * 1103515245u + 12345u;
        a = (seed >> 8) % (BUDGET_ADDRESSES - 1);
        if (seed & 0x80 && have[a]) {
            budget_give(b, a + 1);
            have[a]--;
            total--;
        } else if (budget_take(b, a + 1) != BUDGET_REFUSE) {
            have[a]++;
            total++;
        }
        ck_assert_uint_eq(budget_total(b), total);
    }
    for (uint64_t a = 0; a < ADDRS; a++)
        for (; have[a]; have[a]--)
            budget_give(b, a + 1);
    ck_assert_uint_eq(budget_total(b), 0);
    ck_assert_int_eq(budget_take(b, 5), BUDGET_OK);
    budget_free(&b);
    mem_free(have);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_key, 0, (int)COUNT_OF(keys));
    tcase_add_test(tc, test_marks);
    tcase_add_test(tc, test_model);
}
CK_MAIN("budget")
