/* common/rand.h - random bytes from the kernel, and the identifiers made of them. */
#ifndef RAND_H
#define RAND_H

#include <stddef.h>
#include <stdint.h>

/* Never fails in a running system: blocks until the kernel's pool is ready (at boot only). */
void rand_bytes(void *out, size_t n);
uint64_t rand_u64(void);
/* Version 4 UUID, lower case, with NUL. Drawn from a pool: one system call for many ids. */
enum { UUID_LEN = 36, UUID_MAX = 37 };
void rand_uuid(char out[UUID_MAX]);
/* 2n hexadecimal digits and NUL of n random bytes. */
void rand_hex(char *out, size_t n);

#endif
