/* tests/unit/ck.h - the main() that every Check suite here shares: SUITE("name", case
 * functions...). */
#ifndef CK_H
#define CK_H

#include <check.h>
#include <stdlib.h>

/* Adds the suite's test cases; written by each test file. */
static void add_cases(TCase *tc);

#define CK_MAIN(name)                                                                              \
    int main(void)                                                                                 \
    {                                                                                              \
        Suite *s = suite_create(name);                                                             \
        TCase *tc = tcase_create(name);                                                            \
        int failed;                                                                                \
                                                                                                   \
        tcase_set_timeout(tc, 0); /* these machines are shared: no time limit */                   \
        add_cases(tc);                                                                             \
        suite_add_tcase(s, tc);                                                                    \
        SRunner *r = srunner_create(s);                                                            \
        srunner_run_all(r, CK_NORMAL);                                                             \
        failed = srunner_ntests_failed(r);                                                         \
        srunner_free(r);                                                                           \
        return failed ? 1 : 0;                                                                     \
    }

#endif
