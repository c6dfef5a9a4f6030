/* ctl/cmd_deliveries.c - deliveries: what waits to be sent, what was set aside, and what to do
 * about it. */
#include "ctl.h"

#include "clock.h"
#include "mem.h"
#include "num.h"

#include <inttypes.h>
#include <stdio.h>

enum { LIST_MAX = 1000, ERROR_SHOWN = 60 };

static void put(struct view v, size_t max)
{
    size_t n = v.n < max ? v.n : max;

    ctl_put_text(view_of(v.p, n));
    if (n < v.n)
        (void)fputs("...", stdout);
}

static void put_time(const json_t *d, const char *key, const char *label)
{
    char iso[CLOCK_ISO_MAX];
    int64_t at = json_i64(d, key, 0);

    if (!at)
        return;
    clock_iso(at, iso);
    (void)printf("%-12s %s\n", label, iso);
}

static void put_row(const json_t *d)
{
    (void)printf("%-6" PRId64 " %-8s %" PRId64 " of %" PRId64 "  %" PRId64 "x  ",
                 json_i64(d, "id", 0), json_string_value(json_object_get(d, "state")),
                 json_i64(d, "partsSent", 0), json_i64(d, "parts", 0), json_i64(d, "attempts", 0));
    put(json_view(d, "channel"), 32);
    (void)putchar('/');
    put(json_view(d, "accountId"), 32);
    (void)fputs("  to ", stdout);
    put(json_view(d, "to"), 40);
    if (json_array_size(json_object_get(d, "media")))
        (void)printf("  +%zu file%s", json_array_size(json_object_get(d, "media")),
                     json_array_size(json_object_get(d, "media")) == 1 ? "" : "s");
    if (json_view(d, "error").n) {
        (void)fputs("  ", stdout);
        put(json_view(d, "error"), ERROR_SHOWN);
    }
    (void)putchar('\n');
}

static void put_field(const json_t *d, const char *key, const char *label)
{
    struct view v = json_view(d, key);

    if (!v.n)
        return;
    (void)printf("%-12s ", label);
    ctl_put_text(v);
    (void)putchar('\n');
}

static void put_file(const json_t *f)
{
    struct view name = json_view(f, "fileName"), url = json_view(f, "url");

    (void)fputs("file         ", stdout);
    put(name.n ? name : url.n ? url : json_view(f, "id"), 256);
    if (json_view(f, "contentType").n) {
        (void)fputs(", ", stdout);
        put(json_view(f, "contentType"), 64);
        (void)printf(", %" PRId64 " bytes, part %" PRId64, json_i64(f, "sizeBytes", 0),
                     json_i64(f, "part", 0));
    } else if (!name.n) {
        (void)fputs(" (not fetched yet)", stdout);
    }
    if (name.n && url.n) {
        (void)fputs(", from ", stdout);
        put(url, 256);
    }
    (void)putchar('\n');
}

static void put_whole(const json_t *d)
{
    json_t *text, *file;
    size_t i;

    put_row(d);
    put_field(d, "error", "last error");
    put_field(d, "threadId", "thread");
    put_field(d, "sessionKey", "session");
    put_field(d, "key", "key");
    put_field(d, "clientId", "client id");
    put_time(d, "createdAt", "accepted");
    put_time(d, "updatedAt", "changed");
    put_time(d, "nextAt", "next attempt");
    put_time(d, "expiresAt", "expires");
    json_array_foreach(json_object_get(d, "media"), i, file) put_file(file);
    put_field(d, "mediaNote", "without");
    json_array_foreach(json_object_get(d, "texts"), i, text)
    {
        (void)printf("\n--- part %zu\n", i);
        ctl_put_text(json_view_of(text));
        (void)putchar('\n');
    }
}

static void put_list(const json_t *got)
{
    json_t *d;
    size_t i;

    json_array_foreach(json_object_get(got, "deliveries"), i, d) put_row(d);
    (void)printf("%" PRId64 " waiting or being sent, %" PRId64 " set aside\n",
                 json_i64(got, "open", 0), json_i64(got, "held", 0));
}

static int ask(struct ctl *c, const char *method, json_t *params, void (*show)(const json_t *))
{
    struct client *cl = ctl_connect(c);
    json_t *got;

    if (!cl) {
        json_decref(params);
        return 1;
    }
    got = ctl_call(cl, method, params);
    client_close(&cl);
    if (!got)
        return 1;
    if (c->json)
        ctl_print_json(got);
    else
        show(got);
    json_decref(got);
    return 0;
}

int cmd_deliveries(struct ctl *c, int argc, char **argv)
{
    static const struct {
        const char *word, *method;
        void (*show)(const json_t *);
    } verbs[] = {{"show", "deliveries.get", put_whole},
                 {"retry", "deliveries.retry", put_row},
                 {"drop", "deliveries.drop", put_row}};
    struct err e = ERR_INIT;
    uint64_t id;

    if (argc == 1 || (strcmp(argv[1], "list") == 0 && argc <= 3))
        return ask(c, "deliveries.list",
                   argc == 3 ? json_pack("{s:i, s:s}", "limit", (int)LIST_MAX, "state", argv[2])
                             : json_pack("{s:i}", "limit", (int)LIST_MAX),
                   put_list);
    for (size_t i = 0; i < COUNT_OF(verbs) && argc == 3; i++) {
        if (strcmp(argv[1], verbs[i].word) != 0)
            continue;
        if (num_u64(view_str(argv[2]), 1, INT64_MAX, &id, &e) < 0) {
            (void)fprintf(stderr, "openclawctl: the number of a delivery: %s\n", e.text);
            return 2;
        }
        return ask(c, verbs[i].method, json_pack("{s:I}", "id", (json_int_t)id), verbs[i].show);
    }
    return ctl_usage(argv[0]);
}
