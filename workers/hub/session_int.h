/* workers/hub/session_int.h - what session_change.c and session_patch.c share. */
#ifndef SESSION_INT_H
#define SESSION_INT_H

#include "chat.h"

/* {ok, path?, key, entry, resolved} */
int session_answer_entry(struct call *c, const struct session *s, bool path);
/* The parameter of that name, when there is one, as the session's label or model. Errors:
 * ERR_INVALID nobody offers the model. */
int session_set_label(struct session *s, const json_t *p, const char *name, struct err *e) MUST_USE;
int session_set_model(struct hub *h, struct session *s, const json_t *p, struct err *e) MUST_USE;

#endif
