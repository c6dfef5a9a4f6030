/* workers/hub/origin.h - may a page of this origin talk to us (protocol, 2.5). Pure. */
#ifndef ORIGIN_H
#define ORIGIN_H

#include "settings.h"

/* NULL: allowed. Otherwise the reason as details.reason says it. host: the request's Host; local:
 * the peer is loopback. */
const char *origin_refused(const struct settings *s, struct view origin, struct view host,
                           bool local);

#endif
