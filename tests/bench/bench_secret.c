/*
 * tests/bench/bench_secret.c - does the time of a refusal tell how near a guess was. Tries wrong
 * tokens that differ in the first or in the last byte, shuffled, and compares the times by Welch's
 * t: above 4.5 either way the comparison leaks (or the machine is busy: run it again). Exit 1 then.
 * Statistics, so not part of the tests.
 */
#include "clock.h"
#include "credential.h"
#include "mem.h"
#include "rand.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRIES = 200000, TOKEN = 48, WARM = 1000, CUT_NS = 20000 };

struct sample {
    double n, mean, m2;
};

static void add(struct sample *s, double x)
{
    double d = x - s->mean;

    s->n++;
    s->mean += d / s->n;
    s->m2 += d * (x - s->mean);
}

int main(void)
{
    static struct settings settings = {.auth_mode = AUTH_TOKEN, .have_token = true};
    static struct throttle throttle;
    static struct password password;
    struct door door = {.settings = &settings, .throttle = &throttle, .password = &password};
    char token[2 * TOKEN + 1], near[2 * TOKEN + 1], far[2 * TOKEN + 1];
    struct sample s[2] = {{0}};
    struct err e = ERR_INIT;
    double t;

    rand_hex(token, TOKEN);
    memcpy(near, token, sizeof(near));
    memcpy(far, token, sizeof(far));
    near[2 * TOKEN - 1] = near[2 * TOKEN - 1] == '0' ? '1' : '0';
    far[0] = far[0] == '0' ? '1' : '0';
    if (mac_new(&door.mac, settings.ticket_key, sizeof(settings.ticket_key), &e) < 0 ||
        mac_of(door.mac, view_str(token), settings.token_mac, &e) < 0)
        return 2;
    for (unsigned i = 0; i < TRIES + WARM; i++) {
        unsigned which = rand_u64() & 1;
        uint64_t wait, from;

        throttle.count = 0;
        from = clock_mono_ns();
        if (door_try(&door, V("203.0.113.1"), false, view_str(which ? near : far), &wait) !=
            DOOR_WRONG)
            return 2;
        from = clock_mono_ns() - from;
        if (i >= WARM && from < CUT_NS) /* not those that something else interrupted */
            add(&s[which], (double)from);
    }
    t = (s[0].mean - s[1].mean) /
        sqrt(s[0].m2 / (s[0].n - 1) / s[0].n + s[1].m2 / (s[1].n - 1) / s[1].n);
    printf("first byte wrong %.1f ns, last byte wrong %.1f ns, t %.2f\n", s[0].mean, s[1].mean, t);
    mac_free(&door.mac);
    return fabs(t) > 4.5;
}
