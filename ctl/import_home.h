/*
 * ctl/import_home.h - what an OpenClaw home holds: files of 2026.3 (sessions.json, *.jsonl,
 * cron/jobs.json, devices/paired.json) and the databases of later releases
 * (agents/<id>/agent/openclaw-agent.sqlite, state/openclaw.sqlite). Only read: files are opened for
 * reading, a database is opened as a copy in a temporary folder, its log beside it.
 */
#ifndef IMPORT_HOME_H
#define IMPORT_HOME_H

#include "import_entry.h"

struct home_report {
    /* Something that was not taken: where it is and why. */
    void (*left)(void *ctx, const char *what, const char *why);
    /* A session's row (import_session_row) and its transcript. Negative: stop. */
    int (*session)(void *ctx, const json_t *row, struct transcript *t);
    int (*cron)(void *ctx, const char *id, const json_t *job);
    int (*device)(void *ctx, const json_t *device); /* parameters of import.device */
    void *ctx;
};

int home_read(const char *dir, const struct home_report *on, struct err *e) MUST_USE;

/* import_db.c: one agent's database, the state's database.  Errors: ERR_NOT_FOUND this build reads
 * none. */
int home_agent_db(const char *path, const char *agent, const struct home_report *on,
                  struct err *e) MUST_USE;
int home_state_db(const char *path, const struct home_report *on, struct err *e) MUST_USE;
/* The parameters of import.device out of a pairing's record. */
json_t *home_device(const json_t *record);

#endif
