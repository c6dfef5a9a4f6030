/*
 * media/kind.h - a file looked at whole: its type (sniff.h), what people call such a thing, its
 * size in pixels. Pure; no byte of it is believed.
 */
#ifndef KIND_H
#define KIND_H

#include "sniff.h"

#include <stdint.h>

enum media_kind { KIND_IMAGE, KIND_AUDIO, KIND_VIDEO, KIND_DOCUMENT, KIND_UNKNOWN };

struct kind {
    char type[SNIFF_TYPE_MAX + 1];
    enum media_kind kind;
    struct view ext;        /* "png", or "" */
    uint32_t width, height; /* of an image, when its head says them; else 0 */
    bool text;              /* all of it is UTF-8 that can be read */
};

/* type, name: what its sender says. */
void kind_look(struct view bytes, struct view type, struct view name, struct kind *out);
/* "image", "document", ...: words of the protocol. */
const char *kind_name(enum media_kind k);
/* A browser shows it as what it is, and nothing in it runs: pictures, sound, film. */
bool kind_passive(struct view type);

#endif
