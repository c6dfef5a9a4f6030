/*
 * workers/hub/http_channel.h - requests of platforms (webhooks) go to the channel they are for,
 * head and raw body as they came: whether they are genuine is the channel's to say, who knows the
 * platform's secret. An account has the path /webhooks/<channel>/<account>, and one of its own
 * choice when its state names it (member webhookPath), which may hide no other path.
 * Its answer is plain: 2xx to 5xx with text, JSON or XML; nothing a browser would run.
 */
#ifndef HTTP_CHANNEL_H
#define HTTP_CHANNEL_H

#include "http.h"

enum {
    HOOKS_MAX = 1024,       /* under way */
    HOOK_ANSWER_MS = 25000, /* for a channel; platforms give up after 3 to 60 s */
    HOOK_PATH_MAX = 128,
};

/* An account's state is new, or an account is gone: fronts hear of the paths. */
void http_channel_paths(struct hub *h);
/* A front that came up. */
void http_channel_to_front(struct hub *h, struct link *front);
/* A channel's line ended: nobody answers what it had. */
void http_channel_gone(struct hub *h, const struct link *l);
int http_channel_on_answer(struct hub *h, struct link *from, const struct ipc_hook_answer *m,
                           struct err *e);
void http_channel_close(struct hub *h);

#endif
