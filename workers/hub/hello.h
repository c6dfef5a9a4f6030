/* workers/hub/hello.h - the answer to a good connect (protocol, 2.9). What never changes is
 * rendered once per configuration. */
#ifndef HELLO_H
#define HELLO_H

#include "conn.h"

int hello_open(struct hub *h, struct err *e) MUST_USE;
void hello_close(struct hub *h);
/* Append the rest of the response frame behind its id. auth: its member of that name, JSON.
 */
void hello_write(struct hub *h, const struct conn *c, struct view auth, struct buf *out);

#endif
