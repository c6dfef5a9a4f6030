/* store/crc32c.h - CRC-32C (Castagnoli, RFC 3720 B.4): finds torn and rotten records, no attacker.
 */
#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *p, size_t n);
/* The same without the processor's instruction; for processors that have none, and for the tests.
 */
uint32_t crc32c_soft(const void *p, size_t n);

#endif
