/* workers/agent/openai.h - what of openai.c only its fuzz target sees. */
#ifndef OPENAI_H
#define OPENAI_H

#include "reply.h"

/* One event by way of a document, which also the most common ones could go. */
void openai_document(struct reply *r, struct view data);

#endif
