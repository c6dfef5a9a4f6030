/*
 * workers/front/frame.h - is a client's message a request frame (protocol reference, 3.1)? Checked
 * once, here: behind it only well-formed parts travel. Not here: what a method wants of its params.
 */
#ifndef FRAME_H
#define FRAME_H

#include "buf.h"
#include "view.h"

enum {
    FRAME_ID_MAX = 1024,     /* robustness, 2.5 */
    FRAME_METHOD_MAX = 128,  /* ipc.def, rpc.method; the longest known name has 36 */
    FRAME_TRACE_MAX = 128,   /* characters */
    FRAME_PROFILE_MAX = 128, /* characters */
    FRAME_WHY_MAX = 1024,
};

enum frame_kind {
    FRAME_REQUEST,
    FRAME_INVALID, /* JSON, but no request: why says what is wrong with it */
    FRAME_BROKEN, /* JSON to others: too deep, a key twice, a number out of range; why says where */
    FRAME_GARBAGE, /* no JSON */
};

struct frame {
    struct view id;      /* raw JSON, to be copied into the answer; "\"invalid\"" when unusable */
    struct view method;  /* its text */
    struct view params;  /* raw JSON; empty when absent */
    struct view profile; /* expectedProfileId, raw; empty when absent */
    struct view trace;   /* traceparent, raw, maybe none; empty when absent */
    bool no_params;      /* absent, null or an object without members */
    char room[FRAME_METHOD_MAX]; /* for a method that came with escapes */
};

/* Views point into text or *out. why (a buffer of at least FRAME_WHY_MAX) gets the message for
 * FRAME_INVALID and FRAME_BROKEN. */
enum frame_kind frame_parse(struct view text, struct frame *out, struct buf *why);

#endif
