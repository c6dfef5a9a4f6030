/*
 * ctl/cmd_import.c - takes over an OpenClaw home: sessions with their transcripts, scheduled jobs,
 * paired devices, the configuration file when there is none yet. The gateway goes on serving: it is
 * given small batches over its own protocol, and the same import again changes nothing.
 */
#include "ctl.h"

#include "fd.h"
#include "import_home.h"
#include "json5.h"
#include "mem.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BATCH_MESSAGES = 200,
    BATCH_BYTES = 2 << 20,
    LEFT_MAX = 10000, /* reasons that are kept one by one */
};

struct import {
    struct ctl *c;
    struct client *cl; /* NULL: only look */
    bool progress, failed;
    uint64_t sessions, messages, known, sessions_left, crons, crons_known, devices, devices_known;
    uint64_t lines_broken, lines_other, lines_branch;
    uint64_t left_count;
    json_t *left; /* [{what, why}] */
};

static void on_left(void *ctx, const char *what, const char *why)
{
    struct import *m = ctx;

    m->left_count++;
    if (json_array_size(m->left) < LEFT_MAX)
        (void)json_array_append_new(m->left, json_pack("{s:s, s:s}", "what", what, "why", why));
}

static void show_progress(struct import *m, bool end)
{
    if (!m->progress)
        return;
    (void)fprintf(stderr, "\r\033[K%s", end ? "" : "importing: ");
    if (!end)
        (void)fprintf(stderr, "%llu sessions, %llu messages", (unsigned long long)m->sessions,
                      (unsigned long long)(m->messages + m->known));
    (void)fflush(stderr);
}

/* One call. 1 done, 0 the gateway says why not (reason), -1 it is gone. */
static int ask(struct import *m, const char *method, json_t *params, json_t **answer,
               const char *what)
{
    json_t *got = ctl_call(m->cl, method, params);

    *answer = got;
    if (!got) {
        m->failed = true;
        return -1;
    }
    if (json_flag(got, "ok", false))
        return 1;
    on_left(m, what, json_string_value(json_object_get(got, "reason")));
    return 0;
}

static int send_messages(struct import *m, const json_t *row, const json_t *list)
{
    const char *key = json_string_value(json_object_get(row, "key"));
    size_t at = 0, n = json_array_size(list);

    do {
        json_t *batch = json_array(), *got = NULL;
        size_t bytes = 0, from = at;
        int rc;

        while (at < n && at - from < BATCH_MESSAGES && (at == from || bytes < BATCH_BYTES)) {
            json_t *entry = json_array_get(list, at++);

            bytes += json_view(entry, "text").n;
            (void)json_array_append(batch, entry);
        }
        rc = ask(m, "import.session",
                 json_pack("{s:O, s:I, s:o}", "session", row, "from", (json_int_t)from, "messages",
                           batch),
                 &got, key);
        m->messages += (uint64_t)json_i64(got, "added", 0);
        m->known += (uint64_t)json_i64(got, "known", 0);
        json_decref(got);
        if (rc <= 0) {
            m->sessions_left++;
            return rc < 0 ? ERR_CLOSED : 0;
        }
        show_progress(m, false);
    } while (at < n);
    m->sessions++;
    return 0;
}

static int on_session(void *ctx, const json_t *row, struct transcript *t)
{
    struct import *m = ctx;
    json_t *list = NULL;
    struct err e = ERR_INIT;
    int rc = transcript_messages(t, json_view(row, "sessionId"), &list, &e);

    m->lines_broken += t->left_broken;
    m->lines_other += t->left_other;
    m->lines_branch += t->left_branch;
    if (rc < 0) {
        on_left(m, json_string_value(json_object_get(row, "key")), e.text);
        m->sessions_left++;
        return 0;
    }
    if (m->cl) {
        rc = send_messages(m, row, list);
    } else {
        m->sessions++;
        m->messages += json_array_size(list);
    }
    json_decref(list);
    return rc;
}

static int on_cron(void *ctx, const char *id, const json_t *job)
{
    struct import *m = ctx;
    json_t *got = NULL;
    int rc = 1;

    if (m->cl)
        rc = ask(m, "import.cron", json_pack("{s:s, s:O}", "id", id, "job", job), &got, id);
    if (rc > 0 && json_flag(got, "known", false))
        m->crons_known++;
    else if (rc > 0)
        m->crons++;
    json_decref(got);
    return rc < 0 ? ERR_CLOSED : 0;
}

static int on_device(void *ctx, const json_t *device)
{
    struct import *m = ctx;
    const char *id = json_string_value(json_object_get(device, "id"));
    json_t *got = NULL;
    int rc = 1;

    if (m->cl)
        rc = ask(m, "import.device", json_copy((json_t *)(uintptr_t)device), &got,
                 id ? id : "a device");
    if (rc > 0 && json_flag(got, "known", false))
        m->devices_known++;
    else if (rc > 0)
        m->devices++;
    json_decref(got);
    return rc < 0 ? ERR_CLOSED : 0;
}

/* The configuration has the same keys: the file itself, when there is none here. */
static const char *take_config(struct import *m, const char *dir)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct buf b = BUF_INIT(JSON5_TEXT_MAX);
    struct err e = ERR_INIT;
    struct stat a, z;
    json_t *doc = NULL;
    const char *said;

    b.secret = true;
    (void)snprintf(from, sizeof(from), "%s/openclaw.json", dir);
    if (m->c->config)
        (void)snprintf(to, sizeof(to), "%s", m->c->config);
    else
        (void)snprintf(to, sizeof(to), "%s/openclaw.json", m->c->state_dir);
    if (stat(from, &a) < 0) {
        said = "there is none";
    } else if (stat(to, &z) == 0 && a.st_dev == z.st_dev && a.st_ino == z.st_ino) {
        said = "the same file";
    } else if (stat(to, &z) == 0) {
        said = "left";
        on_left(m, from,
                "there is a configuration here already; keys are the same, so compare them");
    } else if (fd_read_file(from, JSON5_TEXT_MAX, &b, &e) < 0 ||
               json5_parse(buf_view(&b), &doc, &e) < 0) {
        said = "left";
        on_left(m, from, e.text);
    } else if (m->cl && fd_write_file(to, buf_view(&b), 0600, &e) < 0) {
        said = "left";
        on_left(m, from, e.text);
    } else {
        said = "taken; check it with: openclawctl config check";
    }
    json_decref(doc);
    buf_fini(&b);
    return said;
}

static void report(struct import *m, bool dry, const char *config)
{
    const json_t *l;
    size_t i;

    if (m->c->json) {
        json_t *doc = json_pack(
            "{s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:O}", "dryRun",
            dry, "config", config, "sessions", (json_int_t)m->sessions, "sessionsLeft",
            (json_int_t)m->sessions_left, "messages", (json_int_t)m->messages, "messagesKnown",
            (json_int_t)m->known, "cronJobs", (json_int_t)m->crons, "cronJobsKnown",
            (json_int_t)m->crons_known, "devices", (json_int_t)m->devices, "devicesKnown",
            (json_int_t)m->devices_known, "linesLeft", "broken", (json_int_t)m->lines_broken,
            "notMessages", (json_int_t)m->lines_other, "otherBranches", (json_int_t)m->lines_branch,
            "left", m->left);

        ctl_print_json(doc);
        json_decref(doc);
        return;
    }
    (void)printf("%s\n", dry ? "Would be taken (nothing was changed):" : "Taken:");
    (void)printf("  sessions        %llu, with %llu messages (%llu were here already)\n",
                 (unsigned long long)m->sessions, (unsigned long long)m->messages,
                 (unsigned long long)m->known);
    (void)printf("  scheduled jobs  %llu (%llu were here already); kept for the scheduler, which "
                 "this build does not have yet\n",
                 (unsigned long long)m->crons, (unsigned long long)m->crons_known);
    (void)printf("  devices         %llu (%llu were here already); each gets a new token when it "
                 "connects\n",
                 (unsigned long long)m->devices, (unsigned long long)m->devices_known);
    (void)printf("  configuration   %s\n", config);
    (void)printf(
        "Left:\n  lines           %llu broken or too large, %llu that are no messages, %llu "
        "of branches that were given up\n",
        (unsigned long long)m->lines_broken, (unsigned long long)m->lines_other,
        (unsigned long long)m->lines_branch);
    json_array_foreach(m->left, i, l)
    {
        (void)printf("  ");
        ctl_put_text(json_view(l, "what"));
        (void)printf(": ");
        ctl_put_text(json_view(l, "why"));
        (void)putchar('\n');
    }
    if (m->left_count > json_array_size(m->left))
        (void)printf("  and %llu more\n",
                     (unsigned long long)(m->left_count - json_array_size(m->left)));
}

int cmd_import(struct ctl *c, int argc, char **argv)
{
    struct import m = {.c = c};
    struct home_report on = {on_left, on_session, on_cron, on_device, &m};
    const char *dir = NULL, *config = "not looked at";
    struct err e = ERR_INIT;
    bool dry = false;
    int rc;

    for (int a = 1; a < argc; a++) {
        if (strcmp(argv[a], "--dry-run") == 0)
            dry = true;
        else if (strcmp(argv[a], "--json") == 0)
            c->json = true;
        else if (!dir && argv[a][0] != '-')
            dir = argv[a];
        else
            return ctl_usage(argv[0]);
    }
    if (!dir)
        return ctl_usage(argv[0]);
    if (!dry && !(m.cl = ctl_connect(c)))
        return 1;
    if (!(m.left = json_array()))
        return 1;
    m.progress = isatty(STDERR_FILENO) != 0;
    rc = home_read(dir, &on, &e);
    show_progress(&m, true);
    if (rc == 0)
        config = take_config(&m, dir);
    client_close(&m.cl);
    if (rc == 0 || m.sessions > 0)
        report(&m, dry, config);
    json_decref(m.left);
    if (rc < 0) {
        (void)fprintf(stderr, "openclawctl: %s\n",
                      e.text[0] ? e.text : "the import stopped; run it again to go on");
        return 1;
    }
    return 0;
}
