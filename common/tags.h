/*
 * common/tags.h - what a model says to us inside its answer: [[reply_to_current]],
 * [[reply_to:ID]], [[audio_as_voice]]. Read and taken out, outside of code. Pure.
 */
#ifndef TAGS_H
#define TAGS_H

#include "buf.h"

struct tags {
    bool reply_to_current, audio_as_voice;
    struct view reply_to; /* points into text; "" for none */
};

/* Append text without its tags to out. */
void tags_read(struct view text, struct buf *out, struct tags *ret_tags);

#endif
