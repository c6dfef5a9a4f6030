/* ctl/cmd_chat.c - talking: chat and history. */
#include "ctl.h"

#include "b64.h"
#include "fd.h"
#include "mem.h"
#include "num.h"
#include "rand.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    TURN_MAX_MS = 660 * 1000, /* the longest turn by default, and a minute */
    FILE_BYTES = 19464192,    /* hello policy.attachments.maxBytes: what a frame holds in base64 */
};

/* Follow one run's chat events to its end. Returns the exit code. */
static int follow(struct ctl *c, struct client *cl, struct view run_id)
{
    struct err e = ERR_INIT;
    size_t shown = 0;

    for (;;) {
        json_t *ev = NULL;
        struct view state, text;
        int code = -1;

        if (client_event(cl, "chat", TURN_MAX_MS, &ev, &e) < 0) {
            (void)fprintf(stderr, "\nopenclawctl: %s\n", e.text);
            return 1;
        }
        if (!view_eq(json_view(ev, "runId"), run_id)) {
            json_decref(ev);
            continue;
        }
        state = json_view(ev, "state");
        text = json_view(json_array_get(json_at(ev, "message.content"), 0), "text");
        if (c->json) {
            (void)json_dumpf(ev, stdout, JSON_COMPACT);
            (void)putchar('\n');
        } else if (view_eq(state, V("delta"))) {
            if (json_flag(ev, "replace", false) && shown) {
                (void)printf("\n(the answer starts again)\n");
                shown = 0;
            }
            if (text.n > shown) {
                ctl_put_text(view_from(text, shown));
                shown = text.n;
            }
        } else if (view_eq(state, V("status")) && json_object_get(ev, "retry")) {
            (void)fprintf(stderr, "(trying again: %.*s)\n",
                          VIEW_FMT(json_view(json_object_get(ev, "retry"), "reason")));
        }
        (void)fflush(stdout);
        if (view_eq(state, V("final"))) {
            if (!c->json) {
                if (text.n > shown)
                    ctl_put_text(view_from(text, shown));
                (void)putchar('\n');
            }
            code = 0;
        } else if (view_eq(state, V("aborted")) || view_eq(state, V("error"))) {
            struct view why = json_view(ev, "errorMessage");

            if (!c->json)
                (void)fprintf(stderr, "\nopenclawctl: the turn %s%s%.*s\n",
                              view_eq(state, V("error")) ? "failed" : "was stopped",
                              why.n ? ": " : "", VIEW_FMT(why));
            code = 1;
        }
        json_decref(ev);
        if (code >= 0)
            return code;
    }
}

/* One more of list: what the gateway makes of its bytes, it says itself. */
static int attach(json_t *list, const char *path)
{
    struct buf bytes = BUF_INIT(FILE_BYTES), text = BUF_INIT(2 * (size_t)FILE_BYTES);
    const char *slash = strrchr(path, '/');
    struct err e = ERR_INIT;
    int r = fd_read_file(path, FILE_BYTES, &bytes, &e);

    if (r == 0) {
        b64_put(&text, buf_view(&bytes));
        r = buf_check(&text, &e);
    }
    if (r == 0 && json_array_append_new(list, json_pack("{s:s, s:s, s:s%}", "origin", "file",
                                                        "fileName", slash ? slash + 1 : path,
                                                        "content", buf_view(&text).p, text.n)) < 0)
        r = err_set(&e, ERR_INVALID, "its name is no UTF-8, or there is no memory");
    if (r < 0)
        (void)fprintf(stderr, "openclawctl: %s: %s\n", path, e.text);
    buf_fini(&bytes);
    buf_fini(&text);
    return r;
}

int cmd_chat(struct ctl *c, int argc, char **argv)
{
    const char *session = "main", *message = NULL;
    json_t *files = json_array(), *ack;
    char id[UUID_MAX];
    struct client *cl;
    bool wrong = false;
    int code = 1;

    for (int a = 1; a < argc; a++) {
        if (strcmp(argv[a], "--session") == 0 && a + 1 < argc)
            session = argv[++a];
        else if (strcmp(argv[a], "--attach") == 0 && a + 1 < argc) {
            if (attach(files, argv[++a]) < 0) {
                json_decref(files);
                return 1;
            }
        } else if (!message)
            message = argv[a];
        else
            wrong = true;
    }
    if (wrong || (!message && json_array_size(files) == 0)) {
        json_decref(files);
        return ctl_usage(argv[0]);
    }
    if (!(cl = ctl_connect(c))) {
        json_decref(files);
        return 1;
    }
    rand_uuid(id);
    ack = ctl_call(cl, "chat.send",
                   json_pack("{s:s, s:s, s:s, s:o}", "sessionKey", session, "message",
                             message ? message : "", "idempotencyKey", id, "attachments", files));
    if (ack) {
        if (json_object_get(ack, "aborted")) /* it was /stop */
            code = 0;
        else
            code = follow(c, cl, view_str(id));
        json_decref(ack);
    }
    client_close(&cl);
    return code;
}

static void put_message(const json_t *m)
{
    const json_t *content = json_object_get(m, "content"), *part;
    size_t i;

    (void)printf("%.*s: ", VIEW_FMT(json_view(m, "role")));
    ctl_put_text(json_view_of(content));
    json_array_foreach(content, i, part) ctl_put_text(json_view(part, "text"));
    json_array_foreach(json_at(m, "__openclaw.media"), i, part)
    {
        struct view name = json_view(part, "fileName");

        (void)printf("%s[", i || view_trim(json_view_of(content)).n ? " " : "");
        ctl_put_text(name.n ? name : json_view(part, "kind"));
        (void)printf(", %.*s, %lld bytes]", VIEW_FMT(json_view(part, "contentType")),
                     (long long)json_i64(part, "sizeBytes", 0));
    }
    (void)putchar('\n');
}

int cmd_history(struct ctl *c, int argc, char **argv)
{
    const char *session = NULL;
    struct client *cl;
    struct err e = ERR_INIT;
    uint32_t limit = 50;
    const json_t *m;
    json_t *h;
    size_t i;

    for (int a = 1; a < argc; a++) {
        if (strcmp(argv[a], "--limit") == 0 && a + 1 < argc) {
            if (num_u32(view_str(argv[++a]), 1, 1000, &limit, &e) < 0)
                return ctl_usage(argv[0]);
        } else if (!session) {
            session = argv[a];
        } else {
            return ctl_usage(argv[0]);
        }
    }
    if (!(cl = ctl_connect(c)))
        return 1;
    h = ctl_call(
        cl, "chat.history",
        json_pack("{s:s, s:i}", "sessionKey", session ? session : "main", "limit", (int)limit));
    client_close(&cl);
    if (!h)
        return 1;
    if (c->json)
        ctl_print_json(h);
    else
        json_array_foreach(json_object_get(h, "messages"), i, m) put_message(m);
    json_decref(h);
    return 0;
}
