/* world.h -- time and chance as a test wants them: what the program asks the kernel for (monotonic
 * and real time, sleeping, random bytes) comes from a seed and a fake clock.
 *
 * For programs that are linked with world.c. One thread.
 */
#ifndef K2_TESTS_SUPPORT_WORLD_H
#define K2_TESTS_SUPPORT_WORLD_H

#include <stdint.h>

#include "base/clock.h"

/* From here to the end, time is clock's (borrowed) and random bytes follow from seed. */
void world_begin(uint64_t seed, struct k2_clock_fake *clock);
void world_end(void);

#endif
