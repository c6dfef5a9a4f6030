/*
 * ctl/ctl.h - openclawctl: the command table and what its commands share.
 * Exit: 0 done, 1 the gateway or the system said no, 2 wrong usage.
 */
#ifndef CTL_H
#define CTL_H

#include "client.h"
#include "wire.h"

struct ctl {
    char host[256];
    unsigned port;
    bool tls;
    char pin[WIRE_PIN_MAX]; /* of the gateway's certificate; empty: authorities decide */
    struct secret token;
    const char *state_dir; /* from --state-dir or the environment */
    const char *config;
    unsigned timeout_ms;
    bool json;  /* --json: documents instead of sentences */
    bool color; /* standard output is a terminal and NO_COLOR is unset */
    char state_dir_buf[4096];
};

struct ctl_command {
    const char *name;
    const char *args;
    const char *help;
    int (*run)(struct ctl *c, int argc,
               char **argv); /* argv[0] is the command's name; returns the exit code */
};
extern const struct ctl_command ctl_commands[]; /* ends with a NULL name */

/* How to reach the gateway; borrows from c. */
struct client_conf ctl_client(const struct ctl *c);
/* Connect, or say what is wrong and what to do. NULL then. */
struct client *ctl_connect(struct ctl *c);
/* Call; on failure the sentence was printed and NULL is returned. params is stolen. */
json_t *ctl_call(struct client *cl, const char *method, json_t *params);
/* A document on standard output, indented. */
void ctl_print_json(const json_t *doc);
int ctl_usage(const char *command);
/* Text of the gateway for a terminal: control characters are shown, not obeyed. */
void ctl_put_text(struct view v);

/* The configuration file as it stands (no ${NAME} replaced), the caller's reference; its path.
 * NULL: there is none (ERR_NOT_FOUND), or it cannot be read. */
json_t *ctl_config(const struct ctl *c, char *path, size_t room, struct err *e);

/* Is the gateway that is talked to on this machine, as far as its address says? */
bool ctl_is_here(const struct ctl *c);
/* Becomes openclawd --check-config; returns (1) only when that is not there. */
int ctl_check_config(struct ctl *c);
/* One line of standard input, without echo where it is typed. Its length; -1: longer than room. */
int ctl_read_secret(const char *prompt, char *out, size_t room);

int cmd_status(struct ctl *c, int argc, char **argv);
int cmd_health(struct ctl *c, int argc, char **argv);
int cmd_call(struct ctl *c, int argc, char **argv);
int cmd_chat(struct ctl *c, int argc, char **argv);
int cmd_logs(struct ctl *c, int argc, char **argv);
int cmd_history(struct ctl *c, int argc, char **argv);
int cmd_sessions(struct ctl *c, int argc, char **argv);
int cmd_config(struct ctl *c, int argc, char **argv);
int cmd_token(struct ctl *c, int argc, char **argv);
int cmd_page(struct ctl *c, int argc, char **argv);
int cmd_devices(struct ctl *c, int argc, char **argv);
int cmd_auth(struct ctl *c, int argc, char **argv);
int cmd_security(struct ctl *c, int argc, char **argv);
int cmd_route(struct ctl *c, int argc, char **argv);
int cmd_deliveries(struct ctl *c, int argc, char **argv);
int cmd_channels(struct ctl *c, int argc, char **argv);
/* channels check: argv begins behind these words. */
int channel_check(struct ctl *c, int argc, char **argv);
/* channels add|remove: argv begins behind these words. */
int channel_config(struct ctl *c, const char *word, int argc, char **argv);
int cmd_message(struct ctl *c, int argc, char **argv);
int cmd_pairing(struct ctl *c, int argc, char **argv);
int cmd_import(struct ctl *c, int argc, char **argv);
int cmd_completion(struct ctl *c, int argc, char **argv);

#endif
