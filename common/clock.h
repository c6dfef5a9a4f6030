/* common/clock.h - time: the monotonic clock for every interval, the wall clock only for what
 * people read. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);
int64_t clock_wall_ms(void); /* since the epoch */
/* "2026-11-20T09:20:50.123Z" */
enum { CLOCK_ISO_MAX = 32 };
void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_MAX]);

#endif
