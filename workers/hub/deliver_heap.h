/*
 * workers/hub/deliver_heap.h - what is due next: a binary heap of times. An entry lies inside the
 * thing it is about; adding never fails once room was made.
 */
#ifndef DELIVER_HEAP_H
#define DELIVER_HEAP_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct heap_entry {
    uint64_t at_ms;
    size_t place; /* 1 ... n; 0: not in the heap */
};

struct heap {
    struct heap_entry **at; /* owned; [1 ... n] */
    size_t n, room;
};

void deliver_heap_fini(struct heap *h);
/* Room for n entries. Errors: ERR_NOMEM. */
int deliver_heap_reserve(struct heap *h, size_t n, struct err *e) MUST_USE;
/* Add it, or move it to its new time. */
void deliver_heap_set(struct heap *h, struct heap_entry *x, uint64_t at_ms);
void deliver_heap_remove(struct heap *h, struct heap_entry *x);
/* The earliest, or NULL. */
struct heap_entry *deliver_heap_first(const struct heap *h);

#endif
