/*
 * workers/hub/run_sends.h - files that an answer sends along (media_lines.h), got before the turn
 * ends: they belong to the session then, its message in the transcript shows them (protocol 5.6:
 * blocks behind the text), and the channel it goes to gets the same files. The turn has ended for
 * its agent only when they are there or given up: a hub that dies meanwhile is told the answer
 * again and begins anew.
 */
#ifndef RUN_SENDS_H
#define RUN_SENDS_H

#include "outfiles.h"

struct run;
struct run_sends;

enum { RUN_SENDS_MS = 90 * 1000 }; /* for all of them; then the answer goes without the rest */

/* true: they are on their way; run_finish is called again. At first, and as long as that lasts. */
bool run_sends_wait(struct run *r);
/* They belong to the session, with this turn's batch; and the blocks that show them, ",{...}" each:
 * "" when there are none. Again: the same. */
int run_sends_keep(struct run *r, struct err *e) MUST_USE;
const char *run_sends_blocks(const struct run *r);
/* The answer without the lines that named them; text when there were none. */
struct view run_sends_text(const struct run *r, struct view text);
/* The files, and a sentence for each that cannot be had ("" mostly); NULL: the answer named none.
 */
struct outfiles *run_sends_files(const struct run *r, struct view *ret_note);
void run_sends_free(struct run *r);

#endif
