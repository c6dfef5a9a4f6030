/*
 * supervisor/budget.h - how many connections that have not authenticated each address holds.
 * Connections that authenticated leave the budget: a crowd of strangers is never felt by those who
 * hold the token.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include "err.h"

#include <stdint.h>
#include <sys/socket.h>

enum {
    BUDGET_CROWDED =
        256, /* per address: above, the newest comes in and the oldest silent one is ended */
    BUDGET_ADDRESS_MAX = 1024, /* per address: above, connections are closed at once */
    BUDGET_TOTAL_MAX = 16384,
    BUDGET_ADDRESSES = 8192, /* addresses remembered at once; the rest share one count */
};

struct budget;

int budget_new(struct budget **out, struct err *e) MUST_USE;
void budget_free(struct budget **b);
/* An address as the budget counts it: IPv4 whole, IPv6 by its /64 (one household has 2^64
 * addresses). */
uint64_t budget_key(const struct sockaddr *sa);

enum budget_answer { BUDGET_OK, BUDGET_CROWD, BUDGET_REFUSE };
/* Count one more from this address; BUDGET_REFUSE counts nothing. */
enum budget_answer budget_take(struct budget *b, uint64_t key);
void budget_give(struct budget *b, uint64_t key);
unsigned budget_total(const struct budget *b);

#endif
