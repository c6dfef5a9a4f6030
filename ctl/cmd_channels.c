/* ctl/cmd_channels.c - channels and pairing: how the accounts are, starting and stopping them,
 * their log lines, and who is let in. */
#include "ctl.h"

#include "clock.h"
#include "mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

enum { LOG_BYTES = 1000000, WORDS_MAX = 8 };

/* "CHANNEL [ACCOUNT]", or "CHANNEL/ACCOUNT". */
struct target {
    struct view channel, account;
};

static bool take_target(int argc, char **argv, struct target *t)
{
    struct view v;
    size_t slash;

    *t = (struct target){VIEW_EMPTY, VIEW_EMPTY};
    if (argc < 1)
        return true;
    v = view_str(argv[0]);
    slash = view_find(v, '/');
    t->channel = view_of(v.p, slash);
    t->account = slash < v.n ? view_from(v, slash + 1) : argc > 1 ? view_str(argv[1]) : VIEW_EMPTY;
    return argc <= (slash < v.n ? 1 : 2);
}

static json_t *params_of(const struct target *t)
{
    json_t *p = json_object();

    if (t->channel.n)
        (void)json_object_set_new(p, "channel", json_stringn(t->channel.p, t->channel.n));
    if (t->account.n)
        (void)json_object_set_new(p, "accountId", json_stringn(t->account.p, t->account.n));
    return p;
}

static json_t *ask(struct ctl *c, const char *method, json_t *params)
{
    struct client *cl = ctl_connect(c);
    json_t *got;

    if (!cl) {
        json_decref(params);
        return NULL;
    }
    got = ctl_call(cl, method, params);
    client_close(&cl);
    return got;
}

static int show(struct ctl *c, json_t *got, void (*text)(const json_t *))
{
    if (!got)
        return 1;
    if (c->json)
        ctl_print_json(got);
    else
        text(got);
    json_decref(got);
    return 0;
}

/* ---- how they are ---- */

static void put_ago(const json_t *row, const char *key, const char *label)
{
    int64_t at = json_i64(row, key, 0), s = at ? (clock_wall_ms() - at) / 1000 : 0;

    if (!at)
        return;
    if (s < 120)
        (void)printf("  %s %" PRId64 " s ago", label, s < 0 ? 0 : s);
    else if (s < 7200)
        (void)printf("  %s %" PRId64 " min ago", label, s / 60);
    else
        (void)printf("  %s %" PRId64 " h ago", label, s / 3600);
}

static void put_account(struct view channel, const json_t *row)
{
    const json_t *probe = json_object_get(row, "probe");
    struct view life = json_view(row, "lifecycle"), error = json_view(row, "lastError"),
                mode = json_view(row, "mode");
    char name[128];

    (void)snprintf(name, sizeof(name), "%.*s/%.*s", VIEW_FMT(channel),
                   VIEW_FMT(json_view(row, "accountId")));
    (void)printf("%-28s %-11.*s", name, VIEW_FMT(life));
    if (mode.n) {
        (void)fputs("  ", stdout);
        ctl_put_text(mode);
    }
    put_ago(row, "lastInboundAt", "in");
    put_ago(row, "lastOutboundAt", "out");
    if (json_i64(row, "restarts", 0))
        (void)printf("  %" PRId64 " restarts", json_i64(row, "restarts", 0));
    if (probe)
        (void)printf("  probe %s in %" PRId64 " ms",
                     json_flag(probe, "ok", false) ? "ok" : "failed",
                     json_i64(probe, "elapsedMs", 0));
    (void)putchar('\n');
    if (probe && json_view(probe, "error").n) {
        (void)fputs("    probe: ", stdout);
        ctl_put_text(json_view(probe, "error"));
        (void)putchar('\n');
    }
    if (error.n) {
        (void)fputs("    last error: ", stdout);
        ctl_put_text(error);
        (void)putchar('\n');
    }
}

static const char none[] = "no channel is configured: openclawctl channels add CHANNEL KEY=VALUE "
                           "...; see docs/channels.md";

static void put_status(const json_t *got)
{
    json_t *rows, *row;
    const char *channel;
    size_t i;

    json_object_foreach(json_object_get(got, "channelAccounts"), channel, rows)
        json_array_foreach(rows, i, row) put_account(view_str(channel), row);
    if (json_object_size(json_object_get(got, "channelAccounts")) == 0)
        (void)puts(none);
    if (json_flag(got, "partial", false))
        (void)puts("not every platform has answered in time");
}

static void put_list(const json_t *got)
{
    json_t *rows, *row;
    const char *channel;
    size_t i;

    json_object_foreach(json_object_get(got, "channelAccounts"), channel, rows)
        json_array_foreach(rows, i, row)(void)
            printf("%s/%s\n", channel, json_string_value(json_object_get(row, "accountId")));
    if (json_object_size(json_object_get(got, "channelAccounts")) == 0)
        (void)puts(none);
}

static int status(struct ctl *c, const char *word, int argc, char **argv)
{
    struct target t;
    json_t *p;

    if (!take_target(argc, argv, &t) || t.account.n)
        return ctl_usage("channels");
    p = params_of(&t);
    if (strcmp(word, "probe") == 0)
        (void)json_object_set_new(p, "probe", json_true());
    return show(c, ask(c, "channels.status", p), strcmp(word, "list") == 0 ? put_list : put_status);
}

/* ---- start, stop, logout ---- */

static void put_done(const json_t *got)
{
    const char *what = json_object_get(got, "started")   ? "started"
                       : json_object_get(got, "stopped") ? "stopped until it is started again"
                                                         : "logged out and stopped; remove its "
                                                           "credential from the configuration";

    (void)printf("%s/%s: %s\n", json_string_value(json_object_get(got, "channel")),
                 json_string_value(json_object_get(got, "accountId")), what);
}

static int act(struct ctl *c, const char *word, int argc, char **argv)
{
    char method[32];
    struct target t;

    if (argc < 1 || !take_target(argc, argv, &t))
        return ctl_usage("channels");
    (void)snprintf(method, sizeof(method), "channels.%s", word);
    return show(c, ask(c, method, params_of(&t)), put_done);
}

/* ---- logs ---- */

static void put_lines(const json_t *got, const struct target *t)
{
    char proc[128];
    json_t *line;
    size_t i;

    (void)snprintf(proc, sizeof(proc), "channel-%.*s/%.*s", VIEW_FMT(t->channel),
                   VIEW_FMT(t->account));
    json_array_foreach(json_object_get(got, "lines"), i, line)
    {
        struct view text = json_view_of(line);
        json_t *doc = json_loadb(text.p, text.n, 0, NULL);
        struct view who = json_view(doc, "proc"), worker = json_view(doc, "worker");

        if (view_starts(who, view_str(proc)) || view_starts(worker, view_str(proc))) {
            ctl_put_text(view_trim(text));
            (void)putchar('\n');
        }
        json_decref(doc);
    }
}

static int logs(struct ctl *c, int argc, char **argv)
{
    struct target t;
    json_t *got;

    if (argc < 1 || !take_target(argc, argv, &t))
        return ctl_usage("channels");
    got = ask(c, "logs.tail", json_pack("{s:i, s:i}", "limit", 5000, "maxBytes", (int)LOG_BYTES));
    if (!got)
        return 1;
    put_lines(got, &t);
    json_decref(got);
    return 0;
}

int cmd_channels(struct ctl *c, int argc, char **argv)
{
    static const struct {
        const char *word;
        int (*run)(struct ctl *c, const char *word, int argc, char **argv);
    } verbs[] = {
        {"list", status}, {"status", status}, {"probe", status},       {"start", act},
        {"stop", act},    {"logout", act},    {"add", channel_config}, {"remove", channel_config}};

    if (argc == 1)
        return status(c, "status", 0, NULL);
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        if (strcmp(argv[1], verbs[i].word) == 0)
            return verbs[i].run(c, verbs[i].word, argc - 2, argv + 2);
    if (strcmp(argv[1], "check") == 0)
        return channel_check(c, argc - 2, argv + 2);
    if (strcmp(argv[1], "logs") == 0)
        return logs(c, argc - 2, argv + 2);
    return ctl_usage(argv[0]);
}

/* ---- pairing ---- */

static void put_asks(const json_t *got)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(got, "requests"), i, row)
    {
        int64_t left = (json_i64(row, "expiresAt", 0) - clock_wall_ms()) / 60000;

        (void)printf("%s  %s/%s  ", json_string_value(json_object_get(row, "code")),
                     json_string_value(json_object_get(row, "channel")),
                     json_string_value(json_object_get(row, "accountId")));
        ctl_put_text(json_view(row, "senderId"));
        if (json_view(json_object_get(row, "meta"), "name").n) {
            (void)fputs("  ", stdout);
            ctl_put_text(json_view(json_object_get(row, "meta"), "name"));
        }
        (void)printf("  %" PRId64 " min left\n", left);
    }
    if (json_array_size(json_object_get(got, "requests")) == 0)
        (void)puts("nobody asks to be let in");
    else
        (void)puts("\nlet one in: openclawctl pairing approve CHANNEL CODE");
}

static void put_ended(const json_t *got)
{
    struct view told = json_view(got, "notification");

    ctl_put_text(json_view(got, "senderId"));
    (void)printf(": %s%s\n", told.n ? "let in" : "forgotten",
                 view_eq(told, V("sent")) ? ", and told so" : "");
}

static const json_t *by_code(const json_t *list, struct view code)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(list, "requests"), i, row)
    {
        struct view have = json_view(row, "code");

        if (have.n == code.n && strncasecmp(have.p, code.p, code.n) == 0)
            return row;
    }
    return NULL;
}

static int end_ask(struct ctl *c, const char *method, const struct target *t, struct view code,
                   bool notify)
{
    json_t *list = ask(c, "channels.pairing.list", params_of(t)), *p;
    const json_t *row;

    if (!list)
        return 1;
    if (!(row = by_code(list, view_trim(code)))) {
        json_decref(list);
        (void)fputs("openclawctl: nobody asks with this code, or its hour is over: openclawctl "
                    "pairing list\n",
                    stderr);
        return 1;
    }
    p = json_pack("{s:O, s:O, s:O}", "channel", json_object_get(row, "channel"), "accountId",
                  json_object_get(row, "accountId"), "requestId",
                  json_object_get(row, "requestId"));
    if (notify)
        (void)json_object_set_new(p, "notify", json_true());
    json_decref(list);
    return show(c, ask(c, method, p), put_ended);
}

int cmd_pairing(struct ctl *c, int argc, char **argv)
{
    struct view words[WORDS_MAX];
    struct target t = {VIEW_EMPTY, VIEW_EMPTY};
    bool notify = false;
    int n = 0;

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--notify") == 0)
            notify = true;
        else if (strcmp(argv[i], "--account") == 0 && i + 1 < argc)
            t.account = view_str(argv[++i]);
        else if (n < WORDS_MAX)
            words[n++] = view_str(argv[i]);
    }
    if (n > 0)
        t.channel = words[0];
    if (argc == 1 || (strcmp(argv[1], "list") == 0 && n <= 1))
        return show(c, ask(c, "channels.pairing.list", params_of(&t)), put_asks);
    if (strcmp(argv[1], "approve") == 0 && n == 2)
        return end_ask(c, "channels.pairing.approve", &t, words[1], notify);
    if (strcmp(argv[1], "dismiss") == 0 && n == 2)
        return end_ask(c, "channels.pairing.dismiss", &t, words[1], false);
    return ctl_usage(argv[0]);
}
