#include "lastroute.h"

#include "json.h"
#include "skey.h"

#include <stdio.h>

static void copy(char *out, size_t max, struct view v)
{
    (void)snprintf(out, max, "%.*s", (int)(v.n < max ? v.n : max - 1), v.p ? v.p : "");
}

bool lastroute_of(const struct session *s, struct lastroute *out)
{
    struct view text = session_rest(s, "deliveryContext");
    struct err ignored = ERR_INIT;
    struct skey_target t;
    json_t *doc = NULL;

    memset(out, 0, sizeof(*out));
    if (text.n && json_parse(text, &doc, &ignored) == 0) {
        copy(out->channel, sizeof(out->channel), json_view(doc, "channel"));
        copy(out->account, sizeof(out->account), json_view(doc, "accountId"));
        copy(out->to, sizeof(out->to), json_view(doc, "to"));
        copy(out->thread, sizeof(out->thread), json_view(doc, "threadId"));
    } else if (skey_target(view_str(s->key), &t)) {
        copy(out->channel, sizeof(out->channel), t.channel);
        copy(out->account, sizeof(out->account), t.account);
        copy(out->to, sizeof(out->to), t.peer);
        copy(out->thread, sizeof(out->thread), t.thread);
    }
    json_decref(doc);
    return out->channel[0] && out->to[0];
}

int lastroute_note(struct session *s, const struct source *src, bool main, struct err *e)
{
    struct buf b = BUF_INIT(8 * KIB);
    struct jw w = JW_INIT(&b);
    int rc;

    if (main && src->owner.n && !view_eq(src->owner, src->sender))
        return 0;
    jw_obj(&w);
    jw_kcstr(&w, "channel", src->channel);
    jw_kstr(&w, "to", src->to);
    jw_kcstr(&w, "accountId", src->account);
    if (src->thread.n)
        jw_kstr(&w, "threadId", src->thread);
    jw_obj_end(&w);
    if ((rc = buf_check(&b, e)) == 0 &&
        !view_eq(session_rest(s, "deliveryContext"), buf_view(&b)) &&
        (rc = session_rest_set(s, "deliveryContext", buf_view(&b), e)) == 0 &&
        (rc = session_rest_set_str(s, "lastChannel", view_str(src->channel), e)) == 0 &&
        (rc = session_rest_set_str(s, "lastTo", src->to, e)) == 0 &&
        (rc = session_rest_set_str(s, "lastAccountId", view_str(src->account), e)) == 0)
        rc = src->thread.n ? session_rest_set_str(s, "lastThreadId", src->thread, e)
                           : session_rest_set(s, "lastThreadId", VIEW_EMPTY, e);
    buf_fini(&b);
    return rc;
}
