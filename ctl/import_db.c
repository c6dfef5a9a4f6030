/*
 * ctl/import_db.c - the databases of OpenClaw since 2026.6. A database that was in use has a log
 * beside it, and reading both writes to a third file: so they are copied first, and the source is
 * only read. Without SQLite at build time their contents are named as left.
 */
#include "import_home.h"

#include "fd.h"
#include "mem.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef HAVE_SQLITE3

int home_agent_db(const char *path, const char *agent, const struct home_report *on, struct err *e)
{
    (void)path;
    (void)agent;
    (void)on;
    return err_set(e, ERR_NOT_FOUND, "a database; openclawctl was built without SQLite");
}

int home_state_db(const char *path, const struct home_report *on, struct err *e)
{
    return home_agent_db(path, "", on, e);
}

#else

#include <sqlite3.h>

struct db {
    sqlite3 *db;
    char dir[64], file[96], log[96];
};

static int copy_file(const char *from, const char *to, struct err *e)
{
    char chunk[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC), out;
    ssize_t n = 0;

    if (in < 0)
        return err_sys(e, "%s", from);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    while (out >= 0 && (n = read(in, chunk, sizeof(chunk))) > 0)
        if (write(out, chunk, (size_t)n) != n) {
            n = -1;
            break;
        }
    fd_close(&in);
    if (out < 0 || n < 0) {
        fd_close(&out);
        return err_sys(e, "%s", to);
    }
    fd_close(&out);
    return 0;
}

static void db_close(struct db *d)
{
    char shm[128];

    (void)sqlite3_close(d->db);
    if (d->dir[0]) {
        (void)snprintf(shm, sizeof(shm), "%s-shm", d->file);
        (void)unlink(shm);
        (void)unlink(d->log);
        (void)unlink(d->file);
        (void)rmdir(d->dir);
    }
}

static int db_open(struct db *d, const char *path, struct err *e)
{
    char log[PATH_MAX];
    int rc;

    *d = (struct db){.dir = "/tmp/openclaw-import-XXXXXX"};
    if (!mkdtemp(d->dir)) {
        d->dir[0] = '\0';
        return err_sys(e, "temporary folder");
    }
    (void)snprintf(d->file, sizeof(d->file), "%s/db", d->dir);
    (void)snprintf(d->log, sizeof(d->log), "%s/db-wal", d->dir);
    (void)snprintf(log, sizeof(log), "%s-wal", path);
    if ((rc = copy_file(path, d->file, e)) < 0)
        return rc;
    if (access(log, R_OK) == 0 && (rc = copy_file(log, d->log, e)) < 0)
        return rc;
    if (sqlite3_open_v2(d->file, &d->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return err_set(e, ERR_CORRUPT, "%s: %s", path, sqlite3_errmsg(d->db));
    return 0;
}

static sqlite3_stmt *ask(struct db *d, const char *sql)
{
    sqlite3_stmt *s = NULL;

    return sqlite3_prepare_v2(d->db, sql, -1, &s, NULL) == SQLITE_OK ? s : NULL;
}

static struct view column(sqlite3_stmt *s, int i)
{
    const void *p = sqlite3_column_blob(s, i); /* a text's bytes, too */

    return p ? view_of(p, (size_t)sqlite3_column_bytes(s, i)) : VIEW_EMPTY;
}

static int transcript(struct db *d, struct view session_id, struct transcript *t, struct err *e)
{
    sqlite3_stmt *s = ask(d, "SELECT event_json FROM transcript_events WHERE session_id = ?1 "
                             "ORDER BY seq");
    int rc = 0;

    if (!s)
        return err_set(e, ERR_INVALID, "its transcripts are not stored as this program knows them");
    (void)sqlite3_bind_text(s, 1, session_id.p, (int)session_id.n, SQLITE_STATIC);
    while (rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
        if (sqlite3_column_type(s, 0) == SQLITE_NULL)
            t->left_broken++; /* compressed with zstd: very large ones only */
        else
            rc = transcript_add(t, column(s, 0), e);
    }
    (void)sqlite3_finalize(s);
    return rc;
}

int home_agent_db(const char *path, const char *agent, const struct home_report *on, struct err *e)
{
    struct err why = ERR_INIT;
    sqlite3_stmt *s = NULL;
    struct db d;
    int rc = 0;

    (void)agent;
    if (db_open(&d, path, &why) < 0 ||
        !(s = ask(&d, "SELECT session_key, entry_json FROM session_nodes ORDER BY updated_at")))
        on->left(on->ctx, path, why.text[0] ? why.text : "not a database this program knows");
    while (s && rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
        struct view key = column(s, 0);
        struct transcript t = {0};
        json_t *entry = NULL, *row = NULL;

        if (json_parse(column(s, 1), &entry, &why) < 0 ||
            transcript(&d, json_view(entry, "sessionId"), &t, &why) < 0) {
            char name[256];

            (void)snprintf(name, sizeof(name), "%.*s", (int)(key.n < 255 ? key.n : 255), key.p);
            on->left(on->ctx, name, why.text);
        } else if (!(row = import_session_row(key, entry))) {
            rc = err_set(e, ERR_NOMEM, "out of memory");
        } else {
            rc = on->session(on->ctx, row, &t);
        }
        json_decref(row);
        json_decref(entry);
        transcript_fini(&t);
    }
    (void)sqlite3_finalize(s);
    db_close(&d);
    return rc;
}

static int crons(struct db *d, const struct home_report *on)
{
    sqlite3_stmt *s = ask(d, "SELECT job_id, job_json FROM cron_jobs");
    int rc = 0;

    while (s && rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
        char id[128];
        json_t *job = NULL;
        struct err e = ERR_INIT;

        (void)snprintf(id, sizeof(id), "%.*s", VIEW_FMT(column(s, 0)));
        if (json_parse(column(s, 1), &job, &e) < 0)
            on->left(on->ctx, id, e.text);
        else if (json_object_get(job, "declarationKey"))
            on->left(on->ctx, id, "a job that OpenClaw makes for itself");
        else
            rc = on->cron(on->ctx, id, job);
        json_decref(job);
    }
    (void)sqlite3_finalize(s);
    return rc;
}

static int paired(struct db *d, const struct home_report *on)
{
    static const struct {
        const char *name;
        char kind; /* t text, n number, j JSON */
    } columns[] = {{"deviceId", 't'},      {"publicKey", 't'},      {"displayName", 't'},
                   {"operatorLabel", 't'}, {"platform", 't'},       {"deviceFamily", 't'},
                   {"clientId", 't'},      {"clientMode", 't'},     {"role", 't'},
                   {"roles", 'j'},         {"approvedScopes", 'j'}, {"createdAtMs", 'n'},
                   {"approvedAtMs", 'n'},  {"lastSeenAtMs", 'n'}};
    sqlite3_stmt *s = ask(
        d, "SELECT device_id, public_key, display_name, operator_label, platform, device_family, "
           "client_id, client_mode, role, roles_json, coalesce(approved_scopes_json, "
           "scopes_json), created_at_ms, approved_at_ms, last_seen_at_ms "
           "FROM device_pairing_paired");
    int rc = 0;

    while (s && rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
        json_t *record = json_object(), *device, *v;
        struct err e = ERR_INIT;

        for (int i = 0; i < (int)COUNT_OF(columns); i++) {
            struct view text = column(s, i);

            v = NULL;
            if (sqlite3_column_type(s, i) == SQLITE_NULL)
                continue;
            if (columns[i].kind == 'n')
                v = json_integer(sqlite3_column_int64(s, i));
            else if (columns[i].kind == 't')
                v = json_stringn(text.p, text.n);
            else if (json_parse(text, &v, &e) < 0)
                continue;
            (void)json_object_set_new(record, columns[i].name, v);
        }
        if ((device = home_device(record)))
            rc = on->device(on->ctx, device);
        json_decref(device);
        json_decref(record);
    }
    (void)sqlite3_finalize(s);
    return rc;
}

int home_state_db(const char *path, const struct home_report *on, struct err *e)
{
    struct err why = ERR_INIT;
    struct db d;
    int rc = 0;

    (void)e;
    if (db_open(&d, path, &why) < 0)
        on->left(on->ctx, path, why.text);
    else if ((rc = crons(&d, on)) == 0)
        rc = paired(&d, on);
    db_close(&d);
    return rc;
}

#endif
