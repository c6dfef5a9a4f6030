#include "import_home.h"

#include "fd.h"
#include "json5.h"
#include "mem.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { FILE_MAX = 512 << 20 };

static bool there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* A document; false with a word about it when there is none to read. */
static bool document(const char *path, const struct home_report *on, json_t **out)
{
    struct buf b = BUF_INIT(FILE_MAX);
    struct err e = ERR_INIT;
    bool ok = fd_read_file(path, FILE_MAX, &b, &e) == 0 && json_parse(buf_view(&b), out, &e) == 0;

    if (!ok)
        on->left(on->ctx, path, e.text);
    buf_fini(&b);
    return ok;
}

static int lines(const char *path, struct transcript *t, struct err *e)
{
    struct buf b = BUF_INIT(FILE_MAX);
    struct view v;
    int rc = fd_read_file(path, FILE_MAX, &b, e);

    for (v = buf_view(&b); rc == 0 && v.n > 0;) {
        size_t n = view_find(v, '\n');

        rc = transcript_add(t, view_of(v.p, n), e);
        v = view_from(v, n + 1);
    }
    buf_fini(&b);
    return rc;
}

/* ---- sessions as files ---- */

static bool plain_name(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] == '/' || v.p[i] == '\0')
            return false;
    return v.n > 0 && v.n < 200 && v.p[0] != '.';
}

static int session_files(const char *dir, const struct home_report *on, struct err *e)
{
    char path[PATH_MAX + 256];
    json_t *index = NULL, *entry, *row;
    const char *key;
    int rc = 0;

    (void)snprintf(path, sizeof(path), "%s/sessions.json", dir);
    if (!there(path) || !document(path, on, &index))
        return 0;
    json_object_foreach(index, key, entry)
    {
        struct view id = json_view(entry, "sessionId");
        struct transcript t = {0};
        struct err why = ERR_INIT;

        if (rc < 0)
            break;
        if (!plain_name(id)) {
            on->left(on->ctx, key, "its entry has no usable sessionId");
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%.*s.jsonl", dir, VIEW_FMT(id));
        if (!there(path)) {
            on->left(on->ctx, key, "its transcript file is missing: taken without messages");
        } else if (lines(path, &t, &why) < 0) {
            on->left(on->ctx, key, why.text);
            transcript_fini(&t);
            continue;
        }
        if (!(row = import_session_row(view_str(key), entry)))
            rc = err_set(e, ERR_NOMEM, "out of memory");
        else
            rc = on->session(on->ctx, row, &t);
        json_decref(row);
        transcript_fini(&t);
    }
    json_decref(index);
    return rc;
}

static int agent(const char *home, const char *name, const struct home_report *on, struct err *e)
{
    char path[PATH_MAX];
    int rc;

    (void)snprintf(path, sizeof(path), "%s/agents/%s/sessions", home, name);
    if ((rc = session_files(path, on, e)) < 0)
        return rc;
    (void)snprintf(path, sizeof(path), "%s/agents/%s/agent/openclaw-agent.sqlite", home, name);
    if (there(path))
        rc = home_agent_db(path, name, on, e);
    if (rc == ERR_NOT_FOUND) {
        on->left(on->ctx, path, e->text);
        rc = 0;
    }
    (void)snprintf(path, sizeof(path), "%s/agents/%s/agent/auth-profiles.json", home, name);
    if (rc == 0 && there(path))
        on->left(on->ctx, path,
                 "keys of providers: put them into the configuration or environment");
    return rc;
}

static int agents(const char *home, const struct home_report *on, struct err *e)
{
    char path[PATH_MAX];
    struct dirent *d;
    DIR *dir;
    int rc = 0;

    (void)snprintf(path, sizeof(path), "%s/agents", home);
    if (!(dir = opendir(path))) {
        on->left(on->ctx, path, "no agents in this home");
        return 0;
    }
    while (rc == 0 && (d = readdir(dir)))
        if (d->d_name[0] != '.')
            rc = agent(home, d->d_name, on, e);
    (void)closedir(dir);
    return rc;
}

/* ---- cron jobs and devices as files ---- */

static int cron_file(const char *home, const struct home_report *on)
{
    char path[PATH_MAX];
    json_t *doc = NULL, *job;
    size_t i;
    int rc = 0;

    (void)snprintf(path, sizeof(path), "%s/cron/jobs.json", home);
    if (!there(path) || !document(path, on, &doc))
        return 0;
    json_array_foreach(json_object_get(doc, "jobs"), i, job)
    {
        const char *id = json_string_value(json_object_get(job, "id"));

        if (rc == 0 && id)
            rc = on->cron(on->ctx, id, job);
        else if (!id)
            on->left(on->ctx, path, "a job without an id");
    }
    json_decref(doc);
    return rc;
}

json_t *home_device(const json_t *record)
{
    static const struct {
        const char *from, *to;
    } texts[] = {{"publicKey", "publicKey"},       {"displayName", "displayName"},
                 {"operatorLabel", "label"},       {"platform", "platform"},
                 {"deviceFamily", "deviceFamily"}, {"clientId", "clientId"},
                 {"clientMode", "clientMode"},     {"deviceId", "id"}},
      numbers[] = {
          {"createdAtMs", "createdAt"}, {"approvedAtMs", "approvedAt"}, {"lastSeenAtMs", "seenAt"}};
    json_t *out = json_object(), *v, *roles;

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (json_is_string(v = json_object_get(record, texts[i].from)))
            (void)json_object_set(out, texts[i].to, v);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (json_is_integer(v = json_object_get(record, numbers[i].from)))
            (void)json_object_set(out, numbers[i].to, v);
    if (json_is_array(v = json_object_get(record, "approvedScopes")) ||
        json_is_array(v = json_object_get(record, "scopes")))
        (void)json_object_set(out, "scopes", v);
    if (json_is_array(v = json_object_get(record, "roles")) && json_array_size(v) > 0) {
        (void)json_object_set(out, "roles", v);
    } else if ((roles = json_array())) {
        if (json_is_string(v = json_object_get(record, "role")))
            (void)json_array_append(roles, v);
        (void)json_object_set_new(out, "roles", roles);
    }
    return out;
}

static int device_file(const char *home, const struct home_report *on)
{
    char path[PATH_MAX];
    json_t *doc = NULL, *record, *device;
    const char *id;
    int rc = 0;

    (void)snprintf(path, sizeof(path), "%s/devices/paired.json", home);
    if (!there(path) || !document(path, on, &doc))
        return 0;
    json_object_foreach(doc, id, record)
    {
        if (rc < 0 || !(device = home_device(record)))
            break;
        if (!json_object_get(device, "id"))
            (void)json_object_set_new(device, "id", json_string(id));
        rc = on->device(on->ctx, device);
        json_decref(device);
    }
    json_decref(doc);
    return rc;
}

/* ---- all of it ---- */

int home_read(const char *dir, const struct home_report *on, struct err *e)
{
    static const struct {
        const char *name, *why;
    } others[] = {
        {"credentials",
         "logins of channels: log in again, or set their tokens in the configuration"},
        {"identity", "the gateway's own device key: this gateway makes its own"},
        {"nodes", "nodes ask for pairing again"},
        {"memory", "indexes are made anew"},
        {"extensions", "plugins are installed again"},
        {"workspace", "stays where it is; name it in agents.defaults.workspace"},
    };
    char path[PATH_MAX];
    int rc;

    if (!there(dir))
        return err_set(e, ERR_NOT_FOUND, "%s is not there", dir);
    if ((rc = agents(dir, on, e)) < 0 || (rc = cron_file(dir, on)) < 0 ||
        (rc = device_file(dir, on)) < 0)
        return rc;
    (void)snprintf(path, sizeof(path), "%s/state/openclaw.sqlite", dir);
    if (there(path) && (rc = home_state_db(path, on, e)) == ERR_NOT_FOUND) {
        on->left(on->ctx, path, e->text);
        rc = 0;
    }
    for (size_t i = 0; i < COUNT_OF(others) && rc == 0; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, others[i].name);
        if (there(path))
            on->left(on->ctx, path, others[i].why);
    }
    return rc;
}
