#include "channels.h"

#include "chanpair.h"
#include "deliver_table.h"
#include "log.h"
#include "session.h"

#include <stdio.h>

enum { KEY_BYTES = 128 }; /* records.def: meta_set */

static struct view key_of(char out[KEY_BYTES], const char *what, const char *channel,
                          const char *account)
{
    int n = snprintf(out, KEY_BYTES, "channel.%s:%s:%s", what, channel, account);

    return view_of(out, (size_t)n);
}

/* VIEW_EMPTY when there is none. Valid until the next change of the store. */
static int kept(struct hub *h, struct view key, struct view *out, struct err *e)
{
    int r = store_meta_get(h->store, key, out, e);

    if (r == ERR_NOT_FOUND) {
        *out = VIEW_EMPTY;
        return 0;
    }
    return r;
}

int channels_begin(struct hub *h, struct link *to, const char *channel, const char *account,
                   struct err *e)
{
    char key[KEY_BYTES];
    struct ipc_channel_begin m = {.paired = VIEW_EMPTY};
    struct err why = ERR_INIT;

    if (kept(h, key_of(key, "resume", channel, account), &m.resume, e) < 0)
        return e->code;
    if (chanpair_paired(h, channel, account, &m.paired, e) < 0)
        return e->code;
    if (msg_send_channel_begin(to, &m, &why) < 0) /* its line is full or gone: it asks anew */
        return 0;
    return 0;
}

void channels_paired(struct hub *h, const char *channel, const char *account)
{
    const struct account *a =
        deliver_account(h->deliveries, view_str(channel), view_str(account), false);
    struct err e = ERR_INIT;

    if (a && a->line && a->spoke && a->flags & CHANNEL_BASE &&
        channels_begin(h, a->line, channel, account, &e) < 0)
        log_warn("channel.paired_untold", KV("why", e.text));
}

int channels_on_resume(struct hub *h, struct link *from, struct ipc_resume_put *m, struct err *e)
{
    struct store_rec rec = {.type = REC_meta_set};
    struct deliver_account a;
    char key[KEY_BYTES];
    struct err why = ERR_INIT;

    if (!deliveries_account_of(h, from, &a))
        return 0; /* on its way out */
    if (memchr(m->resume.p, '\0', m->resume.n))
        return err_set(e, ERR_INVALID, "resume_put: resume: not a text");
    rec.meta_set.key = key_of(key, "resume", a.channel, a.account);
    rec.meta_set.value = m->resume;
    if (hub_put(h, &rec, &why) < 0)
        return 0; /* not saved, so not answered: the channel keeps it and says it again */
    return msg_send_resume_ack(from, &(struct ipc_resume_ack){.seq = m->seq}, e);
}
