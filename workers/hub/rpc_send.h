/* workers/hub/rpc_send.h - what send, poll and message.action share: a message for a platform as a
 * client asks for it, and how the client is answered. */
#ifndef RPC_SEND_H
#define RPC_SEND_H

#include "deliveries.h"

enum { SEND_KEY_MAX = 256 };

struct send {
    enum deliver_form form;
    struct deliver_order o;
    struct view files; /* what stands for the files in the digest */
    bool taken;        /* a delivery was made of it */
    char key[SEND_KEY_MAX + 8], digest[65];
};

/* Take it up and answer the call; channel, account (as asked for) and all but key and digest of
 * s->o are set. key: the client's. */
int send_take(struct call *c, struct send *s, struct view key);
/* Answer the call: it was not taken. */
int send_refused(struct call *c, const struct err *e);
/* A poll; doc: {question, options, ...} as channels take it. */
int send_poll(struct call *c, struct send *s, const json_t *doc, struct view key);
/* The action "poll" of message.action, with the command line's members. */
int send_poll_action(struct call *c, struct send *s, const json_t *p, struct view key);

#endif
