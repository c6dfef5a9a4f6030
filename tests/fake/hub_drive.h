/*
 * tests/fake/hub_drive.h - supervisor and front of one hub process, in the test's own process:
 * starts the real binary, speaks to it over its lines, and waits for what it says.
 */
#ifndef HUB_DRIVE_H
#define HUB_DRIVE_H

#include "buf.h"
#include "msg.h"

struct hub_drive;

enum { HUB_DRIVE_TIMEOUT_MS = 20000, HUB_DRIVE_NOTES_MAX = 4096 };

/* Something the hub said. */
struct hub_note {
    enum msg_type type;
    unsigned front;
    uint64_t conn, req;
    unsigned code; /* close code, audience */
    char *text;    /* body, frame, reason or payload; owned by the drive */
    size_t text_len;
    char *extra; /* ticket, snapshot name */
    size_t extra_len;
};

/* conf: members for the slice besides runtime ("" for none; the words authModeNone,
 * authModePassword, authModeProxy or authModeUnknown in it choose that mode; crypt:HASH is the
 * password's hash, which otherwise is "password-0123456789", or with passwordOther
 * "another-password"). Waits until the hub is ready. NULL: it did not start. */
struct hub_drive *hub_drive_start(const char *binary, const char *state_dir, const char *conf);
/* Another slice while it runs. */
void hub_drive_reload(struct hub_drive *d, const char *state_dir, const char *conf,
                      const char *token);
/* SIGKILL and reap. */
void hub_drive_kill(struct hub_drive *d);
void hub_drive_free(struct hub_drive **d);
int hub_drive_exit_status(struct hub_drive *d); /* waits for the end */
/* A line as front number n. */
void hub_drive_front(struct hub_drive *d, unsigned n);
/* A line as the agent. */
struct link *hub_drive_agent(struct hub_drive *d);
/* Front n shows its connection (0: none), and that it was all. */
void hub_drive_front_back(struct hub_drive *d, unsigned n, uint64_t conn, struct view ticket);
void hub_drive_front_close(struct hub_drive *d, unsigned n);
struct link *hub_drive_link(struct hub_drive *d, unsigned n);
struct link *hub_drive_sup(struct hub_drive *d);

/* Takes the first note that fits (conn and req 0: any; part NULL: any text), waiting for it; NULL
 * after the time limit. The note is valid until the next call. */
const struct hub_note *hub_drive_wait(struct hub_drive *d, enum msg_type type, uint64_t conn,
                                      uint64_t req, const char *part);
/* Let the hub finish what it has: false when there is such a note. */
bool hub_drive_none(struct hub_drive *d, enum msg_type type, uint64_t conn, const char *part);

/* A connect over front n and its answer (connect_ok or connect_refused). local: from loopback. */
const struct hub_note *hub_drive_connect(struct hub_drive *d, unsigned n, uint64_t conn,
                                         const char *params, const char *origin, const char *host,
                                         bool local);
#define HUB_DRIVE_NONCE "nonce-1" /* of every challenge */
struct hub_drive_from {
    const char *peer, *host, *origin, *headers;
    unsigned flags; /* CONN_* */
};
const struct hub_note *hub_drive_connect_as(struct hub_drive *d, unsigned n, uint64_t conn,
                                            const char *params, const struct hub_drive_from *from);
/* A request and its answer's text; NULL after the time limit. */
const char *hub_drive_call(struct hub_drive *d, unsigned n, uint64_t conn, const char *method,
                           const char *params);

/* As many requests as the hub takes with depth of them under way; returns per second. */
double hub_drive_flood(struct hub_drive *d, unsigned n, unsigned conns, unsigned depth,
                       unsigned total, const char *method);
double hub_drive_flood_connect(struct hub_drive *d, unsigned n, unsigned depth, unsigned total,
                               const char *params);

extern const char hub_drive_token[];

#endif
