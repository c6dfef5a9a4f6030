/*
 * workers/agent/demo.h - the model that needs no key and no network: it repeats what it was asked
 * and says how to get a real one. Trusts nothing: the text that it repeats is cut.
 */
#ifndef DEMO_H
#define DEMO_H

#include "json.h"

enum {
    DEMO_TEXT_MAX = 4096,
    DEMO_ECHO_MAX = 200, /* bytes of what was asked */
    DEMO_FILES_MAX = 5,  /* that are named */
    DEMO_LIST_MAX = 20,  /* names of a list */
    DEMO_PIECE_MS = 4,   /* between pieces: a stream that one can see */
};

/* The tool that it asks for instead of an answer, when one was offered and asked about ("what
 * sessions do I have"); empty: none. */
struct view demo_tool(const json_t *job);
/* The whole answer to the last user message of the job, or to what a tool said. */
void demo_answer(const json_t *job, struct buf *out);
/* Bytes of the next piece of rest: a few words, never half a character. */
size_t demo_piece(struct view rest);

#endif
