/*
 * workers/hub/media_lines.h - files that a model asks for in its text: a line "MEDIA: <address or
 * path>" outside of code. Such lines are read and leave the text; what names nothing that could be
 * a file stays. Pure.
 */
#ifndef MEDIA_LINES_H
#define MEDIA_LINES_H

#include "buf.h"

#include <stdbool.h>

enum { MEDIA_LINES_MAX = 16 };

struct media_lines {
    struct view ref[MEDIA_LINES_MAX]; /* point into text */
    unsigned n, beyond;               /* beyond: of more than MEDIA_LINES_MAX */
    bool voice;                       /* [[audio_as_voice]], which stays: channels take tags out */
};

/* Append text without those lines to out. */
void media_lines_read(struct view text, struct buf *out, struct media_lines *ret);

/* The same of a text that still grows; zeroed at its start. */
struct media_filter {
    char fence; /* of the code that it is in; 0: none */
    size_t fence_n;
    bool mid; /* the beginning of a line was shown: the rest of it is, too */
    bool gap; /* a line has left: a blank one behind it goes, too */
};
/* Append what can be shown of the next bytes, and return how many of them are decided: all but a
 * last line that may become one that leaves. whole: nothing follows. */
size_t media_filter(struct media_filter *f, struct view next, bool whole, struct buf *out);

#endif
