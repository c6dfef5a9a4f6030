/*
 * tests/fake/iolog.h - what a program of a fault build writes to regular files, and when it
 * flushes, in the order in which it does; to the file FAULT_IOLOG. From it tests/chaos/iolog.py
 * makes the files that a power cut could have left: everything flushed, and any part of the rest.
 */
#ifndef IOLOG_H
#define IOLOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { IOLOG_WRITE = 1, IOLOG_WRITE_SYNCED, IOLOG_SIZE, IOLOG_SYNC };

void iolog_begin(void); /* before the sandbox closes */
void iolog_opened(int fd, int flags);
/* Behind calls that succeeded. */
void iolog_write(int fd, const struct iovec *v, int n, off_t offset, ssize_t done);
void iolog_write_on(int fd, const struct iovec *v, int n, ssize_t done); /* where the file stood */
void iolog_size(int fd, off_t size);
void iolog_sync(int fd);

#endif
