/* supervisor/bind.h - from gateway.bind to addresses. */
#ifndef BIND_H
#define BIND_H

#include "config.h"
#include "fleet.h"

enum { BIND_MAX = 3 };

struct bind_plan {
    struct listen_addr addr[BIND_MAX];
    bool optional[BIND_MAX]; /* ::1 beside 127.0.0.1: not every machine has it */
    unsigned count;
    char text[64]; /* host as people type it */
    bool loopback; /* nobody else can reach it */
};

/* Errors: ERR_INVALID the configured host is no address. */
int bind_resolve(const struct conf *conf, struct bind_plan *out, struct err *e) MUST_USE;

#endif
