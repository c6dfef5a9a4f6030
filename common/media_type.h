/* common/media_type.h - media types of files, by their endings (RFC 9110, 8.3). */
#ifndef MEDIA_TYPE_H
#define MEDIA_TYPE_H

#include "view.h"

/* application/octet-stream when the ending says nothing. */
const char *media_type(struct view path);

#endif
