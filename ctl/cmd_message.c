/* ctl/cmd_message.c - message: a person says something on a platform through the gateway, asks a
 * question there, or changes what was said. Flags are named as OpenClaw's command line names them.
 */
#include "ctl.h"

#include "b64.h"
#include "fd.h"
#include "mem.h"
#include "rand.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* How a flag's value goes into the parameters. */
/* text; one more of a list; a document; the flag alone; a file or an address */
enum how { TEXT, MORE, JSON, ON, FILES };

static const struct flag {
    const char *flag, *name;
    enum how how;
} flags[] = {
    {"--target", "to", TEXT},
    {"-t", "to", TEXT},
    {"--message", "message", TEXT},
    {"-m", "message", TEXT},
    {"--thread-id", "threadId", TEXT},
    {"--reply-to", "replyTo", TEXT},
    {"--message-id", "messageId", TEXT},
    {"--media", "mediaUrls", FILES},
    {"--as-voice", "asVoice", ON},
    {"--gif-playback", "gifPlayback", ON},
    {"--force-document", "forceDocument", ON},
    {"--emoji", "emoji", TEXT},
    {"--remove", "remove", ON},
    {"--silent", "silent", ON},
    {"--buttons", "buttons", JSON},
    {"--presentation", "presentation", JSON},
    {"--channel-data", "channelData", JSON},
    {"--poll-question", "pollQuestion", TEXT},
    {"--poll-option", "pollOption", MORE},
    {"--poll-multi", "pollMulti", ON},
    {"--poll-anonymous", "pollAnonymous", ON},
    {"--poll-public", "pollPublic", ON},
    {"--poll-duration-hours", "pollDurationHours", TEXT},
    {"--poll-duration-seconds", "pollDurationSeconds", TEXT},
};

enum { FILE_BYTES = 18 << 20 }; /* in base64 a frame of 25 MiB holds it */

struct ask {
    const char *action;
    json_t *params;                      /* owned */
    const char *channel, *account, *key; /* NULL: not said */
};

static const struct flag *flag_of(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        if (strcmp(word, flags[i].flag) == 0)
            return &flags[i];
    return NULL;
}

static bool is_address(const char *s)
{
    static const char *const known[] = {"http://", "https://", "data:", "media://"};

    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strncmp(s, known[i], strlen(known[i])) == 0)
            return true;
    return false;
}

/* An address as it is; of a file its bytes, with its name. 0, or the exit code. */
static int put_file(json_t *list, const char *value)
{
    struct buf bytes = BUF_INIT(FILE_BYTES), text = BUF_INIT(2 * FILE_BYTES);
    const char *name = strrchr(value, '/');
    struct err e = ERR_INIT;
    int r = 0;

    if (is_address(value))
        return json_array_append_new(list, json_string(value)) < 0;
    if (fd_read_file(value, FILE_BYTES, &bytes, &e) < 0) {
        (void)fprintf(stderr, "openclawctl: %s: %s\n", value, e.text);
        r = 1;
        goto out;
    }
    buf_put_str(&text, "data:;name=");
    for (name = name ? name + 1 : value; *name; name++)
        buf_put_char(&text, strchr(";,\"\\", *name) ? '_' : *name);
    buf_put_str(&text, ";base64,");
    b64_put(&text, buf_view(&bytes));
    r = buf_check(&text, &e) < 0 ||
        json_array_append_new(list, json_stringn(buf_view(&text).p, text.n)) < 0;
out:
    buf_fini(&bytes);
    buf_fini(&text);
    return r;
}

/* 0, or the exit code. */
static int put(struct ask *a, const struct flag *f, const char *value)
{
    json_t *list;

    switch (f->how) {
    case ON:
        return json_object_set_new(a->params, f->name, json_true()) < 0;
    case FILES:
        list = json_object_get(a->params, f->name);
        if (!list)
            (void)json_object_set_new(a->params, f->name, list = json_array());
        return put_file(list, value);
    case TEXT:
        return json_object_set_new(a->params, f->name, json_string(value)) < 0;
    case MORE:
        list = json_object_get(a->params, f->name);
        if (!list)
            (void)json_object_set_new(a->params, f->name, list = json_array());
        return json_array_append_new(list, json_string(value)) < 0;
    case JSON:
        if ((list = json_loads(value, 0, NULL)))
            return json_object_set_new(a->params, f->name, list) < 0;
        (void)fprintf(stderr, "openclawctl: %s: this is not JSON\n", f->flag);
        return 2;
    }
    return 2;
}

static int read_words(struct ask *a, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const struct flag *f = flag_of(argv[i]);
        const char **own = strcmp(argv[i], "--channel") == 0   ? &a->channel
                           : strcmp(argv[i], "--account") == 0 ? &a->account
                           : strcmp(argv[i], "--key") == 0     ? &a->key
                                                               : NULL;
        int r = 0;

        if (!f && !own)
            return ctl_usage("message");
        if ((own || f->how != ON) && ++i == argc)
            return ctl_usage("message");
        if (own)
            *own = argv[i];
        else if ((r = put(a, f, f->how == ON ? "" : argv[i])))
            return r;
    }
    return json_object_get(a->params, "to") ? 0 : ctl_usage("message");
}

/* Without --channel: the only one that is configured. NULL: said why not. */
static const char *only_channel(struct client *cl, char *room, size_t max)
{
    json_t *got = ctl_call(cl, "channels.status", json_object()), *rows;
    const char *name;
    unsigned n = 0;

    if (!got)
        return NULL;
    json_object_foreach(json_object_get(got, "channelAccounts"), name, rows)
    {
        if (n++ == 0)
            (void)snprintf(room, max, "%s", name);
    }
    json_decref(got);
    if (n == 1)
        return room;
    (void)fprintf(stderr, "openclawctl: %s\n",
                  n ? "--channel NAME: several are configured; openclawctl channels list shows them"
                    : "no channel is configured: openclawctl channels add");
    return NULL;
}

static int say(struct ctl *c, struct client *cl, struct ask *a)
{
    char room[64], key[UUID_MAX];
    json_t *params, *got;

    if (!a->channel && !(a->channel = only_channel(cl, room, sizeof(room))))
        return 1;
    rand_uuid(key);
    params = json_pack("{s:s, s:s, s:O, s:s}", "channel", a->channel, "action", a->action, "params",
                       a->params, "idempotencyKey", a->key ? a->key : key);
    if (a->account)
        (void)json_object_set_new(params, "accountId", json_string(a->account));
    if (!(got = ctl_call(cl, "message.action", params)))
        return 1;
    if (c->json) {
        ctl_print_json(got);
    } else {
        struct view id = json_view(got, "messageId");

        (void)printf("done%s", id.n ? ", message " : "");
        ctl_put_text(id);
        (void)putchar('\n');
    }
    json_decref(got);
    return 0;
}

int cmd_message(struct ctl *c, int argc, char **argv)
{
    static const char *const actions[] = {"send", "poll", "react", "edit", "delete"};
    struct ask a = {.action = NULL};
    struct client *cl;
    int code;

    for (size_t i = 0; argc > 1 && i < COUNT_OF(actions); i++)
        if (strcmp(argv[1], actions[i]) == 0)
            a.action = actions[i];
    if (!a.action)
        return ctl_usage(argv[0]);
    a.params = json_object();
    if ((code = read_words(&a, argc - 2, argv + 2)) == 0) {
        code = 1;
        if ((cl = ctl_connect(c))) {
            code = say(c, cl, &a);
            client_close(&cl);
        }
    }
    json_decref(a.params);
    return code;
}
