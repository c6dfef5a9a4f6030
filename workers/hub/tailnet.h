/*
 * workers/hub/tailnet.h - connects that tailscale serve has forwarded: who has the address in the
 * tailnet is asked of tailscaled (workers/whois), and the connect waits for it. Answers are kept
 * for a minute, failures for seconds. Decides nothing: credential.c does.
 */
#ifndef TAILNET_H
#define TAILNET_H

#include "hub.h"
#include "msg.h"
#include "settings.h"

enum {
    TAILNET_LOGIN_MAX = 256, /* ipc.def */
    TAILNET_WAITS_MAX = 64, /* connects that wait; more are refused (workers/whois takes as many) */
    TAILNET_KNOWN_MAX = 128, /* addresses; the oldest makes room */
    TAILNET_GOOD_MS = 60 * 1000,
    TAILNET_BAD_MS = 5 * 1000,
    TAILNET_WAIT_MS = 4000, /* the worker gives up before */
};

/* What tailscaled says of an address. */
struct tailnet_who {
    uint8_t result; /* WHOIS_*; 0: nobody has asked yet */
    char login[TAILNET_LOGIN_MAX + 1];
};

/* Why a claim does not hold; the names of the wire reference. */
enum tailnet_claim {
    TAILNET_HOLDS,
    TAILNET_UNASKED, /* ask first */
    TAILNET_NO_PROXY,
    TAILNET_NO_USER,
    TAILNET_NO_WHOIS,
    TAILNET_MISMATCH,
    TAILNET_NOT_ALLOWED,
};
/* Pure. *user is into the message. */
enum tailnet_claim tailnet_check(const struct settings *s, const struct ipc_connect *m,
                                 const struct tailnet_who *who, struct view *user);

int tailnet_open(struct hub *h, struct err *e) MUST_USE;
void tailnet_close(struct hub *h);
/* What is known of this address now. */
void tailnet_look(struct hub *h, struct view addr, struct tailnet_who *out);
/* Ask, and offer the connect again (auth_on_connect_known) when it is known who it is, or that
 * nobody says so. False: it cannot be asked; nothing is kept of the connect. */
bool tailnet_wait(struct hub *h, struct link *front, const struct ipc_connect *m);
/* The connection ended meanwhile. */
void tailnet_forget(struct hub *h, unsigned front, uint64_t conn_id);
void tailnet_front_gone(struct hub *h, unsigned front);
/* ipc whois_answer */
int tailnet_on_answer(struct hub *h, struct ipc_whois_answer *m, struct err *e);
/* Whoever was asked is gone. */
void tailnet_worker_gone(struct hub *h);

#endif
