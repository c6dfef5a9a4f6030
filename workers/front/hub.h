/*
 * workers/front/hub.h - the line to the hub. The hub may go away and come back at any time:
 * connections stay, requests that may be repeated are sent again, the others are answered honestly.
 * Not here: what a request means.
 */
#ifndef HUB_H
#define HUB_H

#include "conn.h"

/* Send connect to the hub, or remember to when it is back. */
void hub_connect(struct conn *c);
/* An HTTP request; conn_id and req are filled in. Returns its number; 0: the hub is not there for
 * it now. */
uint64_t hub_http_ask(struct conn *c, struct ipc_http_ask *m);
bool hub_http_body(struct conn *c, uint64_t number, struct view body);
void hub_http_gone(struct conn *c, uint64_t number);
void hub_http_taken(struct conn *c, uint64_t number, uint64_t bytes);
/* Send a request to the hub, or remember to. Answers it itself when there is no room. */
void hub_request(struct conn *c, struct view id, enum rpc_index row, struct view method,
                 struct view trace, struct view params);
/* The connection is over: its requests are forgotten, the hub is told. */
void hub_gone(struct conn *c);
bool hub_busy(const struct front *f);
void hub_peer(struct front *f, struct link *l, bool up);
void hub_drained(struct front *f);
int hub_on_connect_ok(void *ctx, struct link *from, struct ipc_connect_ok *m, struct err *e);
int hub_on_connect_refused(void *ctx, struct link *from, struct ipc_connect_refused *m,
                           struct err *e);
int hub_on_stats_ask(void *ctx, struct link *from, struct ipc_stats_ask *m, struct err *e);
int hub_on_http_paths(void *ctx, struct link *from, struct ipc_http_paths *m, struct err *e);
int hub_on_http_go(void *ctx, struct link *from, struct ipc_http_go *m, struct err *e);
int hub_on_http_answer(void *ctx, struct link *from, struct ipc_http_answer *m, struct err *e);
int hub_on_http_part(void *ctx, struct link *from, struct ipc_http_part *m, struct err *e);
int hub_on_conn_update(void *ctx, struct link *from, struct ipc_conn_update *m, struct err *e);
int hub_on_conn_close(void *ctx, struct link *from, struct ipc_conn_close *m, struct err *e);
int hub_on_reply(void *ctx, struct link *from, struct ipc_reply *m, struct err *e);
int hub_on_event(void *ctx, struct link *from, struct ipc_event *m, struct err *e);
int hub_on_event_to(void *ctx, struct link *from, struct ipc_event_to *m, struct err *e);
int hub_on_snapshot(void *ctx, struct link *from, struct ipc_snapshot *m, struct err *e);

#endif
