/*
 * workers/hub/canvas.h - the canvas: pages that agents make, served to paired devices and to who
 * has the gateway's token (protocol, 10.1). Whoever may see it gets an address with a ticket in it
 * that is good for its connection only, ten minutes and then as long as it is used.
 *
 * These pages are strangers on the gateway's own origin: each is sent with a sandbox that gives it
 * an origin of its own, so that it reaches no storage, no cookie and no page of the gateway's.
 * Not here: the files (file_get.h), the bytes (the front).
 */
#ifndef CANVAS_H
#define CANVAS_H

#include "conn.h"
#include "http.h"
#include "mac.h"

enum {
    CANVAS_TICKET_MS = 10 * 60 * 1000, /* protocol: as the reference */
    CANVAS_TICKET_LEN = 40,
    CANVAS_URL_MAX = 512,
};

/* ---- tickets (canvas_ticket.c); pure but for the key ---- */
struct canvas_ticket {
    uint64_t conn_id;
    uint32_t front, until_s; /* wall clock */
};
int canvas_ticket_seal(struct mac *key, const struct canvas_ticket *t,
                       char out[CANVAS_TICKET_LEN + 1], struct err *e) MUST_USE;
/* False: it is not ours. Whether it is still good is the caller's question. */
bool canvas_ticket_open(struct mac *key, struct view text, struct canvas_ticket *out);

/* ---- who (canvas.c) ---- */
/* The connection that a ticket speaks for, while it is good: using it makes it last. */
struct conn *canvas_holder(struct hub *h, struct view ticket);
/* "https://host:port" under which a client reached us, appended; nothing when it is no host. */
void canvas_base(const struct hub *h, const struct ipc_connect *m, struct buf *out);
/* What hello says of it: a member with a comma before it, or nothing. */
void canvas_hello(struct hub *h, const struct conn *c, struct buf *out);
/* A WebSocket that waits for "reload": let in or refused. */
int canvas_on_connect(struct hub *h, struct link *from, const struct ipc_connect *m, struct err *e);
/* A file of the folder changed: open pages hear of it. */
void canvas_changed(struct hub *h);
/* The configuration is another one. */
void canvas_reconfigured(struct hub *h);

#endif
