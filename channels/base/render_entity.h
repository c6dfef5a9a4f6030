/* channels/base/render_entity.h - "&amp;" and "&#65;" as the characters that they stand for. Pure.
 */
#ifndef RENDER_ENTITY_H
#define RENDER_ENTITY_H

#include "view.h"

/* Bytes written to out, UTF-8; 0: not one that we know. */
size_t render_entity(struct view v, char out[4]);

#endif
