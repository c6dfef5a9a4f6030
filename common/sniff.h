/*
 * common/sniff.h - what kind of file bytes are: by how they begin, not by what their sender says.
 * What the sender says only tells apart what looks alike (an office document in a ZIP, one kind of
 * text from another), and never makes a picture, a sound, a film or a PDF of something else. Pure.
 */
#ifndef SNIFF_H
#define SNIFF_H

#include "view.h"

enum {
    SNIFF_BYTES = 512,    /* of the beginning are looked at */
    SNIFF_TYPE_MAX = 127, /* longest media type that comes out of here (RFC 6838, 4.2) */
};

/* "image/png", "text/plain", ... or "application/octet-stream" for what is nothing known. Without
 * parameters; a view of a constant, or into said. */
struct view sniff_type(struct view head, struct view said);
/* "png": how a file of that type is usually called; "" when there is no such custom. */
struct view sniff_extension(struct view type);

#endif
