/* workers/hub/authority.h - may somebody call a method of that scope (protocol, 3.3). Pure; the
 * only place that decides it. */
#ifndef AUTHORITY_H
#define AUTHORITY_H

#include "conn.h"

enum verdict {
    VERDICT_ALLOWED,
    VERDICT_NOT_OPERATOR, /* unauthorized role: operator */
    VERDICT_NOT_NODE,     /* unauthorized role: node */
    VERDICT_MISSING,      /* *missing is the scope to name */
};
enum verdict authority_judge(const struct identity *who, enum scope needs, enum scope *missing);

#endif
