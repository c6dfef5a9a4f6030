/*
 * workers/front/h2_mem.h - memory for nghttp2. When an allocation fails in the middle of its work,
 * its own clean-up frees some things twice (1.52: an answer whose DATA could not be queued). So it
 * never sees one fail: a reserve serves what is under way, and the session ends afterwards.
 */
#ifndef H2_MEM_H
#define H2_MEM_H

#include "h2.h"

enum { H2_RESERVE = 64 * 1024 }; /* more than twice what a new session takes */

struct h2_reserve {
    size_t used;
    unsigned live; /* blocks that are not free again */
    _Alignas(16) char room[H2_RESERVE];
};

nghttp2_mem h2_mem(struct conn_h2 *h);

#endif
