/*
 * workers/hub/deliveries.h - outgoing messages on their way: accepted means on disk, with the batch
 * of the turn; in order per target, whatever other targets do; tried again as deliver.h says.
 * Files: deliveries.c (what happens), deliver_life.c (start to stop), deliver_table.c (what lies in
 * memory), deliver_pace.c (what platforms bear), deliver_wait.c (requests that wait for an
 * outcome), deliver_answer.c (answers of turns), deliver_rpc.c. Not here: what a platform is
 * (channels), which session an incoming message belongs to (inbound.h).
 */
#ifndef DELIVERIES_H
#define DELIVERIES_H

#include "call.h"
#include "deliver.h"
#include "hub.h"

enum {
    DELIVER_WINDOW = 32,          /* parts with one channel at a time */
    DELIVER_TEXT_LIMIT = 4000,    /* bytes of a part, unless the channel says otherwise */
    DELIVER_PART_MAX = 256 << 10, /* ipc.def: deliver.text */
    DELIVER_HELD_MAX = 10000,     /* set aside; the oldest go */
    DELIVER_BODY_MAX = 16 << 20,  /* records.def */
};

/* What is to be sent. text is cut into parts here; kind DELIVERY_POLL: one part, as it is. */
struct media;
struct deliver_order {
    struct view key; /* the same key is the same delivery, for two days at least */
    struct view channel, account, target, thread, reply_to, session_key, text;
    const char *digest; /* of the request; "" for none */
    enum delivery_kind kind;
    uint32_t options;  /* DELIVER_* of msg.h */
    uint64_t draft;    /* of which it is the end; 0: none */
    struct view shown; /* the message that shows that */
    uint32_t wait_ms;  /* not before that */
    struct view extra; /* JSON object for the channel (ipc.def: deliver); empty: none */
    struct view media; /* its files: deliver_files_write; empty: none */
    const struct media
        *files; /* of these, what is in the store: it keeps them; others have no id */
    unsigned file_n;
};

int deliveries_open(struct hub *h, struct err *e) MUST_USE;
void deliveries_close(struct hub *h);
/* h->w.conf is new. */
void deliveries_config(struct hub *h);
/* A channel's line came or ended. */
void deliveries_on_peer(struct hub *h, struct link *l, bool up);
int deliveries_on_state(struct hub *h, struct link *from, struct ipc_channel_state *m,
                        struct err *e);
int deliveries_on_result(struct hub *h, struct link *from, struct ipc_deliver_result *m,
                         struct err *e);
/* Start nothing any more; on_idle is called (from the loop, maybe at once) when no channel has
 * anything of ours. */
void deliveries_drain(struct hub *h, void (*on_idle)(struct hub *h));

/* Accept it: part of this turn's batch; sent from here on.
 * Errors: ERR_CONFLICT the key is known, ERR_LIMIT too much waits or the text is too long,
 * ERR_INVALID nothing to send, the store's. */
int deliveries_add(struct hub *h, const struct deliver_order *o, uint64_t *ret_id,
                   struct err *e) MUST_USE;
/* The same; what cannot wait any more is set aside at once instead of being refused. */
int deliveries_add_anyway(struct hub *h, const struct deliver_order *o, struct err *e) MUST_USE;
/* By hand: EV_RETRY or EV_DROP. Errors: ERR_NOT_FOUND, ERR_CONFLICT its state does not allow that
 * now. */
int deliveries_by_hand(struct hub *h, uint64_t id, enum deliver_event ev, struct err *e) MUST_USE;

/* An account as configured. */
struct deliver_account {
    const char *channel, *account;
    bool up;        /* its process is there and its platform, too */
    uint32_t flags; /* CHANNEL_* of msg.h */
};
/* The i-th configured one; false at the end. */
bool deliveries_account(struct hub *h, unsigned i, struct deliver_account *out);
/* The account of that channel asked for; asked empty: "default", else the first by name. */
bool deliver_account_for(struct hub *h, struct view channel, struct view asked,
                         struct deliver_account *out);
/* Whose line this is, by the supervisor's word; false: not configured any more. */
bool deliveries_account_of(struct hub *h, const struct link *l, struct deliver_account *out);

/* -- deliver_pace.c -- */
/* Whether a message that is no delivery (the first of an answer in the making) may go to this
 * target now: nothing waits for it, and its platform bears one. */
bool deliveries_free(struct hub *h, struct view channel, struct view account, struct view target);
/* It went. */
void deliveries_went(struct hub *h, struct view channel, struct view account, struct view target);

/* -- deliver_wait.c -- */
enum deliver_form { DELIVER_FORM_SEND, DELIVER_FORM_POLL, DELIVER_FORM_ACTION };
/* Answer the call when the outcome of the first attempt is known, or soon. */
int deliver_wait(struct call *c, uint64_t id, enum deliver_form form);
/* Something came out of it. */
void deliver_wait_news(struct hub *h, uint64_t id);
void deliver_wait_free(struct hub *h);

/* -- deliver_answer.c -- */
struct run;
/* What an agent said: its files (MEDIA lines) leave the text and go along. *o is without text and
 * media afterwards. anyway: as deliveries_add_anyway. */
int deliver_said(struct hub *h, struct deliver_order *o, bool anyway, struct err *e) MUST_USE;
/* What stands for the braces of an account's responsePrefix, as deliver_order.extra. */
void deliver_vars(const struct run *r, struct buf *out);
/* The answer of a turn that came from a channel goes back there. */
int deliver_answer(struct run *r, struct view text, struct err *e) MUST_USE;

/* -- rpc_send.c -- */
/* What the caller of send, poll or message.action is told: of a delivery that ended or failed once.
 */
int deliver_tell(struct hub *h, const struct call_ref *ref, enum deliver_form form, uint64_t id);

#endif
