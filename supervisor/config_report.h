/*
 * supervisor/config_report.h - what is wrong with a configuration: bounded, in the order found,
 * each with its place. Never holds the value of a secret.
 */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include "buf.h"

enum { CONFIG_ISSUES_MAX = 50 }; /* more than a person reads; the rest is counted */

struct config_issue {
    bool error;            /* otherwise a warning */
    char *path;            /* owned; the key, or "" */
    char *origin;          /* owned; "--port", "OPENCLAW_GATEWAY_PORT", or NULL: the file */
    char *text;            /* owned */
    unsigned line, column; /* 0: no place */
};

struct config_report {
    char *file; /* owned; where the text came from */
    unsigned count, errors, warnings;
    bool failed; /* no memory: something is missing */
    struct config_issue issue[CONFIG_ISSUES_MAX];
};

void config_report_init(struct config_report *r);
void config_report_fini(struct config_report *r);
/* Errors push out warnings when the list is full. */
void config_report_add(struct config_report *r, const struct config_issue *where, const char *fmt,
                       ...) PRINTF(3, 4);
/* "FILE:LINE:COLUMN: KEY: text", errors as they are, warnings with "warning: "; one a line. */
void config_report_print(const struct config_report *r, struct buf *out);

#endif
