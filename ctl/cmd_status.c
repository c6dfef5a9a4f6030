/* ctl/cmd_status.c - how the gateway is: status, health, sessions. */
#include "ctl.h"

#include "clock.h"
#include "num.h"

#include <inttypes.h>
#include <stdio.h>

static void put_age(int64_t ms)
{
    int64_t s = ms / 1000;

    if (s < 120)
        (void)printf("%" PRId64 " s", s);
    else if (s < 7200)
        (void)printf("%" PRId64 " min", s / 60);
    else if (s < 172800)
        (void)printf("%" PRId64 " h", s / 3600);
    else
        (void)printf("%" PRId64 " days", s / 86400);
}

static const char *paint(const struct ctl *c, const char *state)
{
    if (!c->color)
        return "";
    return strcmp(state, "up") == 0         ? "\x1b[32m"
           : strcmp(state, "starting") == 0 ? "\x1b[33m"
                                            : "\x1b[31m";
}

static void put_processes(const struct ctl *c, const json_t *fleet)
{
    const json_t *p;
    size_t i;

    (void)puts("processes");
    json_array_foreach(json_object_get(fleet, "processes"), i, p)
    {
        char state[24];

        (void)snprintf(state, sizeof(state), "%.*s", VIEW_FMT(json_view(p, "state")));
        (void)printf("  %-16.*s #%-2" PRId64 " pid %-8" PRId64 " %s%-8s%s restarts %" PRId64 "\n",
                     VIEW_FMT(json_view(p, "role")), json_i64(p, "instance", 0),
                     json_i64(p, "pid", 0), paint(c, state), state, c->color ? "\x1b[0m" : "",
                     json_i64(p, "restarts", 0));
    }
    (void)puts("lanes");
    json_array_foreach(json_object_get(fleet, "lanes"), i, p)
    {
        (void)printf("  %-16.*s running %" PRId64 " of %" PRId64 ", waiting %" PRId64 "\n",
                     VIEW_FMT(json_view(p, "lane")), json_i64(p, "running", 0),
                     json_i64(p, "concurrency", 0), json_i64(p, "waiting", 0));
    }
}

static void put_list(const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (i)
            (void)putchar(' ');
        ctl_put_text(json_view_of(item));
    }
}

/* What the kernel says of every process, a column a process would not fit: a line a layer group.
 * Returns how many processes lack something. */
static unsigned put_sandbox(const struct ctl *c, const json_t *fleet)
{
    const char *red = c->color ? "\x1b[31m" : "", *plain = c->color ? "\x1b[0m" : "";
    const json_t *p;
    unsigned incomplete = 0;
    size_t i;

    json_array_foreach(json_object_get(fleet, "processes"), i, p)
    {
        const json_t *s = json_object_get(p, "sandbox"), *missing = json_object_get(s, "missing");
        int64_t abi = json_i64(s, "landlock", 0);

        (void)printf("%.*s #%" PRId64 "  pid %" PRId64, VIEW_FMT(json_view(p, "role")),
                     json_i64(p, "instance", 0), json_i64(p, "pid", 0));
        if (!s) {
            (void)puts("\n  not started yet");
            incomplete++;
            continue;
        }
        (void)printf("  uid %" PRId64 "  threads %" PRId64, json_i64(s, "uid", 0),
                     json_i64(s, "threads", 0));
        if (abi)
            (void)printf("  Landlock version %" PRId64, abi);
        if (json_flag(s, "testBuild", false))
            (void)printf("  (a test build: nothing is enforced)");
        if (json_i64(p, "memoryKib", 0))
            (void)printf("\n  memory    %" PRId64 " KiB; replaced above %" PRId64
                         ", ended above %" PRId64 " (%s)",
                         json_i64(p, "memoryKib", 0), json_i64(p, "memoryLimitKib", 0),
                         json_i64(p, "memoryKillKib", 0),
                         view_eq(json_view(p, "memoryBy"), V("cgroup")) ? "by the kernel: cgroup"
                                                                        : "watched");
        (void)printf("\n  in force  ");
        put_list(json_object_get(s, "layers"));
        if (json_array_size(missing)) {
            (void)printf("\n  %smissing%s   ", red, plain);
            put_list(missing);
            incomplete++;
        }
        (void)putchar('\n');
    }
    return incomplete;
}

int cmd_status(struct ctl *c, int argc, char **argv)
{
    struct client *cl;
    json_t *st, *presence = NULL;
    const json_t *server, *fleet, *model;
    bool sandbox = argc == 2 && strcmp(argv[1], "--sandbox") == 0;
    int code = 0;

    if (argc > 1 && !sandbox)
        return ctl_usage(argv[0]);
    if (!(cl = ctl_connect(c)))
        return 1;
    st = ctl_call(cl, "status", NULL);
    if (st)
        presence = ctl_call(cl, "system-presence", NULL);
    if (!st || !presence) {
        json_decref(st);
        client_close(&cl);
        return 1;
    }
    if (c->json) {
        ctl_print_json(sandbox && json_object_get(st, "fleet") ? json_object_get(st, "fleet") : st);
    } else if (sandbox) {
        code = put_sandbox(c, json_object_get(st, "fleet")) ? 1 : 0;
    } else {
        server = json_object_get(client_hello(cl), "server");
        fleet = json_object_get(st, "fleet");
        model = json_at(st, "sessions.defaults.model");
        (void)printf("gateway   ws%s://%s:%u  version %.*s, up ", c->tls ? "s" : "", c->host,
                     c->port, VIEW_FMT(json_view(server, "version")));
        put_age(json_i64(json_object_get(client_hello(cl), "snapshot"), "uptimeMs", 0));
        if (client_fingerprint(cl))
            (void)printf("\nTLS       SHA-256 %s", client_fingerprint(cl));
        (void)printf("\nmodel     ");
        ctl_put_text(json_is_string(model) ? json_view_of(model) : V("?"));
        (void)printf("\nsessions  %" PRId64 "\nclients   %zu connected\n",
                     json_i64(json_object_get(st, "sessions"), "count", 0),
                     json_array_size(presence) ? json_array_size(presence) - 1 : 0);
        if (fleet)
            put_processes(c, fleet);
    }
    json_decref(st);
    json_decref(presence);
    client_close(&cl);
    return code;
}

int cmd_health(struct ctl *c, int argc, char **argv)
{
    struct client *cl;
    json_t *h;
    bool ok;

    if (argc > 1)
        return ctl_usage(argv[0]);
    if (!(cl = ctl_connect(c)))
        return 1;
    h = ctl_call(cl, "health", NULL);
    client_close(&cl);
    if (!h)
        return 1;
    ok = json_flag(h, "ok", false);
    if (c->json)
        ctl_print_json(h);
    else
        (void)puts(ok ? "ok" : "not well; see openclawctl health --json");
    json_decref(h);
    return ok ? 0 : 1;
}

int cmd_sessions(struct ctl *c, int argc, char **argv)
{
    json_t *params = json_pack("{s:i, s:b, s:b}", "limit", 50, "includeDerivedTitles", 1,
                               "includeLastMessage", 1),
           *list;
    struct client *cl;
    struct err e = ERR_INIT;
    const json_t *row;
    uint32_t limit;
    size_t i;

    for (int a = 1; a < argc; a++) {
        if (strcmp(argv[a], "--limit") == 0 && a + 1 < argc &&
            num_u32(view_str(argv[a + 1]), 1, 10000, &limit, &e) == 0) {
            (void)json_object_set_new(params, "limit", json_integer(limit));
            a++;
        } else if (strcmp(argv[a], "--search") == 0 && a + 1 < argc) {
            (void)json_object_set_new(params, "search", json_string(argv[++a]));
        } else {
            json_decref(params);
            return ctl_usage(argv[0]);
        }
    }
    if (!(cl = ctl_connect(c))) {
        json_decref(params);
        return 1;
    }
    list = ctl_call(cl, "sessions.list", params);
    client_close(&cl);
    if (!list)
        return 1;
    if (c->json) {
        ctl_print_json(list);
    } else {
        int64_t now = clock_wall_ms();

        json_array_foreach(json_object_get(list, "sessions"), i, row)
        {
            struct view title = json_view(row, "label");

            if (!title.n)
                title = json_view(row, "derivedTitle");
            (void)printf("%-40.*s %-9.*s ", VIEW_FMT(json_view(row, "key")),
                         VIEW_FMT(json_view(row, "status")));
            put_age(now - json_i64(row, "updatedAt", now));
            (void)printf(" ago  ");
            ctl_put_text(title);
            (void)putchar('\n');
        }
        if (json_array_size(json_object_get(list, "sessions")) == 0)
            (void)puts("no sessions yet; start one with: openclawctl chat \"Hello\"");
    }
    json_decref(list);
    return 0;
}
