/* ctl/cmd_devices.c - devices: who is paired, who asks, and what the owner says to it. */
#include "ctl.h"

#include "clock.h"

#include <inttypes.h>
#include <stdio.h>

enum { ID_SHOWN = 12, ID_MIN = 4 };

static void put(struct view v, int width)
{
    int n = (int)(v.n < 64 ? v.n : 64);

    ctl_put_text(view_of(v.p, (size_t)n));
    for (; n < width; n++)
        (void)putchar(' ');
}

static void put_scopes(const json_t *list)
{
    json_t *s;
    size_t i;

    json_array_foreach(list, i, s)
    {
        struct view v = json_view_of(s);

        if (view_starts(v, V("operator.")))
            v = view_from(v, 9);
        if (i)
            (void)putchar(',');
        ctl_put_text(v);
    }
    if (!json_array_size(list))
        (void)putchar('-');
}

static void put_device(const json_t *d, const char *id_key)
{
    struct view id = json_view(d, id_key), name = json_view(d, "displayName");
    json_t *t;
    size_t i;

    if (strcmp(id_key, "deviceId") == 0 && id.n > ID_SHOWN)
        id.n = ID_SHOWN;
    (void)printf("  ");
    put(id, 38);
    put(name.n ? name : json_view(d, "clientId"), 22);
    put(json_view(d, "role"), 10);
    put_scopes(json_object_get(d, "scopes"));
    json_array_foreach(json_object_get(d, "tokens"), i, t)
    {
        if (json_i64(t, "revokedAtMs", 0))
            (void)printf("  (%s token revoked)", json_string_value(json_object_get(t, "role")));
    }
    if (json_flag(d, "connected", false))
        (void)printf("  connected");
    (void)putchar('\n');
}

static void put_list(const json_t *list)
{
    const json_t *pending = json_object_get(list, "pending"),
                 *paired = json_object_get(list, "paired"), *d;
    size_t i;

    (void)printf("%zu ask to be let in%s\n", json_array_size(pending),
                 json_array_size(pending) ? ":" : "");
    json_array_foreach(pending, i, d)
    {
        put_device(d, "requestId");
        (void)printf("  %-38s device %.*s%s%s\n", "", ID_SHOWN,
                     json_string_value(json_object_get(d, "deviceId")),
                     json_flag(d, "isRepair", false) ? ", paired already, wants more" : "",
                     json_object_get(d, "remoteIp") ? ", from elsewhere" : "");
    }
    if (json_array_size(pending))
        (void)puts("  approve with: openclawctl devices approve REQUEST");
    (void)printf("%zu are paired%s\n", json_array_size(paired), json_array_size(paired) ? ":" : "");
    json_array_foreach(paired, i, d) put_device(d, "deviceId");
}

/* The id that starts like that, if there is exactly one; the caller's reference, or NULL after a
 * sentence. */
static json_t *resolve(struct client *cl, const char *list_key, const char *id_key,
                       const char *start)
{
    json_t *list = ctl_call(cl, "device.pair.list", NULL), *d, *found = NULL;
    unsigned hits = 0;
    size_t i;

    if (!list)
        return NULL;
    json_array_foreach(json_object_get(list, list_key), i, d)
    {
        struct view id = json_view(d, id_key);

        if (!view_starts(id, view_str(start)))
            continue;
        hits++;
        json_decref(found);
        found = json_incref(json_object_get(d, id_key));
    }
    if (hits != 1 || (strlen(start) < ID_MIN && json_string_length(found) > ID_MIN)) {
        (void)fprintf(stderr, "openclawctl: %s: %s; see openclawctl devices list\n", start,
                      hits == 0  ? "no such device or request"
                      : hits > 1 ? "several start like that"
                                 : "give more of it");
        json_decref(found);
        found = NULL;
    }
    json_decref(list);
    return found;
}

static const struct {
    const char *word, *method, *list, *id, *said;
    int args;
} words[] = {
    {"approve", "device.pair.approve", "pending", "requestId", "approved", 1},
    {"reject", "device.pair.reject", "pending", "requestId", "rejected", 1},
    {"remove", "device.pair.remove", "paired", "deviceId", "removed; its connections are ended", 1},
    {"rename", "device.pair.rename", "paired", "deviceId", "renamed", 2},
    {"rotate", "device.token.rotate", "paired", "deviceId",
     "rotated; the device gets the new token when it connects with the gateway's secret", 2},
    {"revoke", "device.token.revoke", "paired", "deviceId", "token revoked", 2},
};

static int act(struct ctl *c, size_t k, int argc, char **argv)
{
    bool role = strcmp(words[k].word, "rotate") == 0 || strcmp(words[k].word, "revoke") == 0;
    struct client *cl;
    json_t *params, *out = NULL, *id;

    if (argc > words[k].args + 2 || argc < 3 || (argc == 3 && words[k].args == 2 && !role))
        return ctl_usage(argv[0]);
    if (!(cl = ctl_connect(c)))
        return 1;
    id = resolve(cl, words[k].list, words[k].id, argv[2]);
    params = json_object();
    if (id && params && json_object_set_new(params, words[k].id, id) == 0) {
        if (role)
            (void)json_object_set_new(params, "role", json_string(argc > 3 ? argv[3] : "operator"));
        else if (words[k].args == 2)
            (void)json_object_set_new(params, "label", json_string(argv[3]));
        out = ctl_call(cl, words[k].method, json_incref(params));
    }
    json_decref(params);
    client_close(&cl);
    if (!out)
        return 1;
    if (c->json)
        ctl_print_json(out);
    else
        (void)puts(words[k].said);
    json_decref(out);
    return 0;
}

int cmd_devices(struct ctl *c, int argc, char **argv)
{
    struct client *cl;
    json_t *list;

    if (argc > 1 && strcmp(argv[1], "list") != 0) {
        for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
            if (strcmp(argv[1], words[k].word) == 0)
                return act(c, k, argc, argv);
        return ctl_usage(argv[0]);
    }
    if (argc > 2)
        return ctl_usage(argv[0]);
    if (!(cl = ctl_connect(c)))
        return 1;
    list = ctl_call(cl, "device.pair.list", NULL);
    client_close(&cl);
    if (!list)
        return 1;
    if (c->json)
        ctl_print_json(list);
    else
        put_list(list);
    json_decref(list);
    return 0;
}
